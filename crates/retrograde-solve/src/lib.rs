//! Solvers written against the front doors.
//!
//! - [`ode`]: integrators, one file per method
//! - [`linear`]: systems of linear equations known by products alone
//! - [`hotelling`]: whether the mean of many draws is what it is said to be
#![forbid(unsafe_code)]

pub mod hotelling;
pub mod linear;
pub mod ode;
