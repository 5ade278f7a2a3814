//! On the update: what is done with a derivative.

pub mod reversible_momentum;
