//! On the primal: construct a program whose derivatives are nice.

pub mod activation;
pub mod attention;
pub mod batch_norm;
pub mod conv;
pub mod dense;
pub mod embedding;
pub mod group_norm;
pub mod gru;
pub mod initial;
pub mod layer_norm;
pub mod loss;
pub mod lstm;
pub mod orthogonal;
pub mod pool;
mod refuse;
pub mod residual;
pub mod reversible;
pub mod softmax;
pub mod weight_norm;

use crate::catalogue::Trick;

/// The rows of this group in the catalogue.
pub const TRICKS: &[Trick] = &[
    initial::INITIAL,
    orthogonal::ORTHOGONAL,
    residual::RESIDUAL,
    lstm::GATES,
    batch_norm::NORMALISATION,
    pool::POOLING,
];
