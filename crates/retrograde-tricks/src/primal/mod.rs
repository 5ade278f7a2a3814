//! On the primal: construct a program whose derivatives are nice.

pub mod activation;
pub mod attention;
pub mod conv;
pub mod dense;
pub mod layer_norm;
pub mod loss;
pub mod lstm;
pub mod reversible;
pub mod softmax;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[];
