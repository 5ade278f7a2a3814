//! Solvers written against the front doors.
//!
//! - [`ode`]: integrators, one file per method
//! - [`curvature`]: products with second derivatives, and their use
//! - [`linear`]: systems of linear equations known by products alone
//! - [`uses`]: influence of examples, error bars, gradients of hyperparameters
//! - [`hotelling`]: whether the mean of many draws is what it is said to be
#![forbid(unsafe_code)]

pub mod curvature;
pub mod hotelling;
pub mod linear;
pub mod ode;
pub mod uses;
