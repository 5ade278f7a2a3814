//! On the primal: construct a program whose derivatives are nice.

pub mod dense;
pub mod loss;
pub mod reversible;
