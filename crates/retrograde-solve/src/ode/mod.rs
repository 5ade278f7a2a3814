//! Integrators of ordinary differential equations, one file per method.

mod leapfrog;

pub use leapfrog::{CITE, Leapfrog, Run, leapfrog};
