//! On the estimate: a derivative that is right on average.
//!
//! - [`estimator`]: the one type of all estimators, and how its draws are held to what is predicted of them
//! - [`draw`]: random numbers in traced code

pub mod draw;
pub mod dropout;
pub mod estimator;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[dropout::DROPOUT];
