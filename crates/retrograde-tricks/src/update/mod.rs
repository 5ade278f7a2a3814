//! On the update: what is done with a derivative.
//!
//! - [`map`]: what an update is, its state, and chains of updates
//! - [`schedule`]: learning rates
//! - [`momentum`], [`adam`]: gradient descent and its kin
//! - [`adagrad`], [`adafactor`], [`curvature`]: rates by squares of gradients and by curvature
//! - [`clip`], [`weight_decay`], [`averaging`]: links around it
//! - [`matrix`], [`trust`]: updates that know what a matrix or a layer is
//! - [`adaptive_rate`]: learning rates that learn
//! - [`sharpness`], [`frozen_newton`]: gradients taken elsewhere
//! - [`langevin`], [`accumulate`], [`meta_learning`]: sampling, many batches, learning where to start
//! - [`finite_sum`]: minimisers of a mean over examples, stochastic Newton among them
//! - [`reversible_momentum`]: training that runs backwards

pub mod accumulate;
pub mod adafactor;
pub mod adagrad;
pub mod adam;
pub mod adaptive_rate;
pub mod averaging;
pub mod clip;
pub mod curvature;
pub mod finite_sum;
pub mod frozen_newton;
pub mod langevin;
pub mod map;
pub mod matrix;
pub mod meta_learning;
pub mod momentum;
pub mod reversible_momentum;
pub mod schedule;
pub mod sharpness;
pub mod trust;
pub mod weight_decay;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    momentum::MOMENTUM,
    adam::ADAPTIVE,
    curvature::CURVATURE,
    matrix::MATRIX,
    finite_sum::hessian_free::HESSIAN_FREE,
    adaptive_rate::META_DESCENT,
    reversible_momentum::HYPERGRADIENT,
    trust::TRUST,
    schedule::SCHEDULES,
    averaging::AVERAGING,
    sharpness::SHARPNESS_AWARE,
    langevin::LANGEVIN,
    weight_decay::WEIGHT_DECAY,
    accumulate::ACCUMULATION,
    meta_learning::META_LEARNING,
    finite_sum::stochastic_newton::STOCHASTIC_NEWTON,
    frozen_newton::FROZEN_NEWTON,
];
