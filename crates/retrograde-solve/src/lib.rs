//! Solvers written against the front doors.
//!
//! - [`ode`]: integrators, one file per method
//! - [`hotelling`]: whether the mean of many draws is what it is said to be
#![forbid(unsafe_code)]

pub mod hotelling;
pub mod ode;
