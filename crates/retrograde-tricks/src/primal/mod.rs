//! On the primal: construct a program whose derivatives are nice.
//!
//! Layers are plain structs of parameters with a function. There is no mode and no state: statistics, singular vectors and keys go
//! in and come out.
//!
//! | where | what |
//! |---|---|
//! | [`relu`], [`leaky`], [`elu`], [`selu`], [`activation`] | activations |
//! | [`initial`], [`orthogonal`] | initial weights |
//! | [`dense`], [`conv`], [`embedding`], [`attention`], [`lstm`], [`gru`] | layers |
//! | [`residual`], [`highway`], [`concat_skip`], [`reversible`] | connections past a layer |
//! | [`batch_norm`], [`layer_norm`], [`group_norm`], [`weight_norm`], [`spectral_norm`] | norms |
//! | [`softmax`], [`loss`], [`guarded`], [`soft_cap`], [`label_smoothing`] | losses and guards |
//! | [`pool`], [`soft_sort`], [`sinkhorn`], [`soft_rasteriser`], [`memory`] | pooling and relaxations |
//! | [`implicit`], [`neural_ode`] | results said by an equation |
//! | [`mixup`], [`augment`], [`whitening`], [`curriculum`] | what is done to data |

pub mod activation;
pub mod attention;
pub mod augment;
pub mod batch_norm;
pub mod concat_skip;
pub mod conv;
pub mod curriculum;
pub mod dense;
pub mod elu;
pub mod embedding;
pub mod group_norm;
pub mod gru;
pub mod guarded;
pub mod highway;
pub mod implicit;
pub mod initial;
pub mod label_smoothing;
pub mod layer_norm;
pub mod leaky;
pub mod loss;
pub mod lstm;
pub mod memory;
pub mod mixup;
pub mod neural_ode;
pub mod orthogonal;
pub mod pool;
mod refuse;
pub mod relu;
pub mod residual;
pub mod reversible;
pub mod selu;
pub mod sinkhorn;
pub mod soft_cap;
pub mod soft_rasteriser;
pub mod soft_sort;
pub mod softmax;
pub mod spectral_norm;
pub mod weight_norm;
pub mod whitening;

use crate::catalogue::Trick;

/// The rows of this group in the catalogue.
pub const TRICKS: &[Trick] = &[
    relu::RELU,
    leaky::LEAKY,
    elu::ELU,
    selu::SELU,
    activation::SMOOTH,
    initial::INITIAL,
    orthogonal::ORTHOGONAL,
    residual::RESIDUAL,
    lstm::GATES,
    concat_skip::CONCAT,
    batch_norm::NORMALISATION,
    spectral_norm::SPECTRAL,
    loss::CROSS_ENTROPY,
    guarded::GUARDED,
    pool::POOLING,
    attention::ATTENTION,
    soft_sort::RELAXATIONS,
    implicit::IMPLICIT,
    neural_ode::NEURAL_ODE,
    soft_cap::CAPS,
    label_smoothing::DATA,
];
