//! Chores of the project.
//!
//! - [`bench`]: ours and others on the same tasks, alternately
//! - [`fuzz`]: the readers on damaged input
//! - [`gate`]: what must pass before a change goes in
//! - [`tidy`]: the rules of the source tree, as pure functions from text to offences
//! - [`catalogue`]: those of the catalogue of tricks, likewise
//! - [`source`]: the tree and its Rust files as tokens
//! - [`evidence`]: slow measurements, written to `evidence/`
//! - [`jax`]: random programs against JAX
//! - [`ulp`]: errors of the array functions
//! - [`weight`]: third-party crates and seconds of a clean build, against their bounds
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "chores report to the terminal")]

pub mod bench;
pub mod catalogue;
pub mod evidence;
pub mod fuzz;
pub mod gate;
pub mod jax;
pub mod source;
pub mod tidy;
pub mod ulp;
pub mod weight;
