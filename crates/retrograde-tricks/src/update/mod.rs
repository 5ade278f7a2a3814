//! On the update: what is done with a derivative.

pub mod finite_sum;
pub mod reversible_momentum;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = finite_sum::TRICKS;
