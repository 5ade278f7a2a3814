//! Solvers written against the front doors.
//!
//! - [`ode`]: integrators, one file per method
#![forbid(unsafe_code)]

pub mod ode;
