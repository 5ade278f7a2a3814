//! On the estimate: a derivative that is right on average.
//!
//! - [`estimator`]: the one type of all estimators, and how its draws are held to what is predicted of them
//! - [`draw`]: random numbers in traced code
//! - [`distribution`]: what stochastic nodes are drawn from
//! - [`dropout`]: dropout, DropConnect, stochastic depth, zoneout
//! - [`pathwise`], [`score`], [`dice`]: through a path, through a density, to every order
//! - [`gumbel`], [`discrete`], [`importance`]: classes, truth values, several samples

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::mistake;

pub mod dice;
pub mod discrete;
pub mod distribution;
pub mod draw;
pub mod dropout;
pub mod estimator;
pub mod gumbel;
pub mod importance;
mod leafwise;
pub mod pathwise;
pub mod score;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    dropout::DROPOUT,
    pathwise::PATHWISE,
    score::SCORE,
    dice::DICE,
    gumbel::GUMBEL_SOFTMAX,
    discrete::DISCRETE,
    importance::IMPORTANCE,
];

/// The line of the function that asks.
#[track_caller]
fn caller() -> Location {
    Location(std::panic::Location::caller())
}

/// Notes a mistake in traced code.
fn refuse(location: Location, found: String, help: &str) {
    mistake(Diagnostic::new(found, Some(location)).help(help));
}
