//! Programs and their derivatives.
//!
//! The floors, lowest first; no module imports from one below it in this list:
//! [`ir`] (programs, knows no operation), [`prim`] (one file per primitive), [`transform`] (plain functions
//! from program to program), [`tape`] (what is remembered), [`exec`] (the reference interpreter), [`trace`] (user code).
#![forbid(unsafe_code)]

pub mod exec;
pub mod ir;
pub mod prim;
pub mod tape;
pub mod trace;
pub mod transform;

// The derive macro names its traits through the façade's path; inside this crate's tests that is this crate.
pub use trace::tree;
