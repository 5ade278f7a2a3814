//! On the estimate: a derivative that is right on average.
//!
//! - [`estimator`]: the one type of all estimators, and how its draws are held to what is predicted of them
//! - [`draw`]: random numbers in traced code
//! - [`distribution`]: what stochastic nodes are drawn from
//! - [`dropout`]: dropout, DropConnect, stochastic depth, zoneout
//! - [`pathwise`], [`score`], [`dice`]: through a path, through a density, to every order
//! - [`gumbel`], [`discrete`], [`importance`], [`coupled`]: classes, truth values, several samples, programs that toss coins
//! - [`smoothing`], [`spsa`], [`forward_gradient`], [`unroll`]: from values or forward sweeps
//! - [`minibatch`], [`variance_reduction`], [`sampled_softmax`]: from a few of many examples or classes
//! - [`roulette`], [`quasi`]: series and integrals

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::mistake;

pub mod coupled;
pub mod dice;
pub mod discrete;
pub mod distribution;
pub mod draw;
pub mod dropout;
pub mod estimator;
pub mod forward_gradient;
pub mod gumbel;
pub mod importance;
mod leafwise;
pub mod minibatch;
pub mod pathwise;
pub mod quasi;
pub mod roulette;
pub mod sampled_softmax;
pub mod score;
pub mod smoothing;
pub mod spsa;
pub mod unroll;
pub mod variance_reduction;

/// The rows of this group in the catalogue.
pub const TRICKS: &[crate::catalogue::Trick] = &[
    minibatch::MINIBATCH,
    dropout::DROPOUT,
    pathwise::PATHWISE,
    score::SCORE,
    dice::DICE,
    gumbel::GUMBEL_SOFTMAX,
    discrete::DISCRETE,
    importance::IMPORTANCE,
    smoothing::SMOOTHING,
    spsa::SPSA,
    forward_gradient::FORWARD_GRADIENT,
    sampled_softmax::SAMPLED_SOFTMAX,
    roulette::ROULETTE,
    variance_reduction::VARIANCE_REDUCTION,
    quasi::QUASI,
    unroll::UNROLL,
    coupled::COUPLED,
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
