//! On the estimate: a derivative that is right on average.
//!
//! - [`estimator`]: the one type of all estimators, and how its draws are held to what is predicted of them
//! - [`draw`]: random numbers in traced code
//! - [`distribution`]: what stochastic nodes are drawn from
//! - [`dropout`]: dropout, DropConnect, stochastic depth, zoneout
//! - [`pathwise`], [`implicit`], [`score`], [`dice`]: through a path, through a density, to every order
//! - [`gumbel`], [`discrete`], [`importance`], [`coupled`]: classes, truth values, several samples, programs that toss coins
//! - [`smoothing`], [`spsa`], [`forward_gradient`], [`unroll`]: from values or forward sweeps
//! - [`minibatch`], [`variance_reduction`], [`sampled_softmax`]: from a few of many examples or classes
//! - [`roulette`], [`quasi`], [`curvature`]: series, integrals, traces and inverses
//!
//! Not here: REBAR and RELAX of D8. Their control variate is learned together with what it serves, and needs draws of the relaxed
//! variable given the hard one; ARM and DisARM have no bias either, and nothing to learn.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::{Var, mistake};

pub mod coupled;
pub mod curvature;
pub mod dice;
pub mod discrete;
pub mod distribution;
pub mod draw;
pub mod dropout;
pub mod estimator;
pub mod forward_gradient;
pub mod gumbel;
pub mod implicit;
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
    implicit::IMPLICIT,
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
    curvature::TRACE,
    variance_reduction::VARIANCE_REDUCTION,
    quasi::QUASI,
    unroll::UNROLL,
    coupled::COUPLED,
    curvature::INVERSE,
];

/// The line of the function that asks.
#[track_caller]
fn caller() -> Location {
    Location(std::panic::Location::caller())
}

/// Whether a value has this many axes; notes the mistake.
#[track_caller]
fn has_rank(what: &str, value: Var, rank: usize, expected: &str) -> bool {
    let fits = value.rank() == rank;
    if !fits {
        let found = format!("{what}: found a value of type {}, expected {expected}", value.ty());
        refuse(caller(), found, "see the shapes in its documentation");
    }
    fits
}

/// Notes a mistake in traced code.
fn refuse(location: Location, found: String, help: &str) {
    mistake(Diagnostic::new(found, Some(location)).help(help));
}
