//! Random programs over all primitives: what tests of executors, transforms and other systems run.
//!
//! [`draw`] makes a program from a seed, with inputs at which it and its first two derivatives are finite and, as a rule,
//! far from kinks. Primitives come from [`Prim::rows`], so a new one is drawn from the day that it is registered; shapes,
//! dtypes and parameters are varied as far as [`choice`] knows how. [`Answers`] are what two systems compare.
//!
//! ```
//! let sample = retrograde_sample::draw(7, &[]);
//! assert_eq!(sample, retrograde_sample::draw(7, &[]));
//! let answers = sample.answers()?;
//! assert_eq!(answers.values.len(), sample.program.outputs.len());
//! # Ok::<(), retrograde_core::exec::RunError>(())
//! ```
//!
//! [`Prim::rows`]: retrograde_core::prim::Prim::rows
#![forbid(unsafe_code)]

pub mod choice;
mod control;
pub mod derivative;
mod drawing;
mod draws;
pub mod hex;
pub mod lossy;
mod sample;

pub use draws::Draws;
pub use sample::{Answers, LOWERED, Sample, WITHOUT_EQUAL, draw};
