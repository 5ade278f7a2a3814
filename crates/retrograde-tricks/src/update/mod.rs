//! On the update: what is done with a derivative.
//!
//! - [`map`]: what an update is, its state, and chains of updates
//! - [`schedule`]: learning rates
//! - [`momentum`], [`adam`]: gradient descent and its kin
//! - [`adagrad`], [`adafactor`], [`curvature`]: rates by squares of gradients and by curvature
//! - [`clip`], [`weight_decay`], [`averaging`]: links around it
//! - [`reversible_momentum`]: training that runs backwards

pub mod adafactor;
pub mod adagrad;
pub mod adam;
pub mod averaging;
pub mod clip;
pub mod curvature;
pub mod map;
pub mod momentum;
pub mod reversible_momentum;
pub mod schedule;
pub mod weight_decay;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    momentum::MOMENTUM,
    adam::ADAPTIVE,
    curvature::CURVATURE,
    schedule::SCHEDULES,
    averaging::AVERAGING,
    weight_decay::WEIGHT_DECAY,
];
