//! Derivatives of programs that toss coins: a second run that differs in one toss, and agrees in all else.
//!
//! Step k of a program draws x ~ Bernoulli(p(state, θ)). As θ grows, a toss flips with the rate `w = p'/(1 − p)` where x = 0 and p' > 0,
//! and `−p'/p` where x = 1 and p' < 0. One of the flips is kept, chosen with probabilities proportional to the rates (pruning); after it,
//! the second run goes on with the same uniform numbers (coupling). With the sum W of all rates,
//!
//! ```text
//! d/dθ E f = E W (f(second run) − f(run))
//! ```
//!
//! Law: without bias, though f may jump.

use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select, uniform};
use retrograde_engine::jvp;

use super::leafwise::{copy, flat, rebuilt, zip};
use crate::catalogue::{Law, Property, Source, Trick};

/// D19.
pub const COUPLED: Trick = Trick {
    id: "D19",
    name: "stochastic derivatives of discrete programs: smoothed perturbation, pruned coupling",
    formula: "d/dθ E f = E W (f(second run) − f(run)), W = Σ w, w = p'/(1 − p) where x = 0",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "W.-B. Gong and Y.-C. Ho",
            title: "Smoothed (conditional) perturbation analysis of discrete event dynamical systems",
            venue: "IEEE Transactions on Automatic Control 32",
            year: 1987,
        },
        Source {
            authors: "G. Arya and M. Schauer and F. Schäfer and C. Rackauckas",
            title: "Automatic differentiation of programs with discrete randomness",
            venue: "NeurIPS",
            year: 2022,
        },
    ],
    file: file!(),
    example: "coupled",
    property: Property {
        claim: "one toss: the mean is f(1) − f(0) times p', exactly; a walk whose chances depend on where it is: the derivative of the mean over all walks",
        test: "coupled_runs_have_the_derivative_of_the_mean",
        found: "",
    },
};

/// A program of coin tosses: a start, the chance of each toss, what a toss does, and what comes out.
pub trait Program {
    /// What a toss changes.
    type State: Traceable;
    /// The probability of a 1, a function of θ and the state.
    fn chance(&self, state: &Self::State, theta: Var) -> Var;
    /// The state after a toss, 0 or 1.
    fn next(&self, state: Self::State, toss: Var) -> Self::State;
    /// The result, which depends on θ only by the tosses.
    fn result(&self, state: Self::State) -> Var;
}

/// The result of a run, and an estimate of the derivative of its mean by θ.   key: `i64[2]`, theta: number → two numbers.
///
/// # Cost
/// Two runs.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, var::constant};
/// use retrograde_tricks::estimate::{coupled::{Program, coupled}, estimator::Estimator};
/// /// How often a coin that becomes more likely with each success shows 1; squared.
/// struct Urn;
/// impl Program for Urn {
///     type State = Var;
///     fn chance(&self, ones: &Var, theta: Var) -> Var { theta * (*ones + 1.0) }
///     fn next(&self, ones: Var, toss: Var) -> Var { ones + toss }
///     fn result(&self, ones: Var) -> Var { ones * ones }
/// }
/// // Two tosses: E = (θ(1 − 2θ) + (1 − θ)θ) + 4·2θ² = 2θ + 5θ².
/// let slope = |key: Var| coupled(key, &Urn, 2, constant(&array(0.0)), constant(&array(0.25))).1;
/// Estimator::new("urn", Key::from_seed(1), slope).mean(array(4.5)).check(1000)?;
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[track_caller]
pub fn coupled<G: Program>(
    key: Var,
    program: &G,
    n_tosses: usize,
    start: G::State,
    theta: Var,
) -> (Var, Var) {
    coupled_at(uniform(key, [n_tosses, 2]), program, start, theta)
}

/// [`coupled`] for uniform numbers that are given: of each toss, and of the choice between flips.   uniforms: f64 `[n, 2]`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::coupled::{Program, coupled_at};
/// struct Coin;
/// impl Program for Coin {
///     type State = Var;
///     fn chance(&self, _: &Var, theta: Var) -> Var { theta }
///     fn next(&self, _: Var, toss: Var) -> Var { toss }
///     fn result(&self, toss: Var) -> Var { toss * 8.0 }
/// }
/// let f = jit(|u: Var, theta: Var| coupled_at(u, &Coin, theta * 0.0, theta));
/// // Where the coin shows 0, it flips at the rate 1/(1 − p); where it shows 1, it stays.
/// assert_eq!(f.call((&array([[0.75, 0.5]]), &array(0.5)))?, (array(0.0), array(16.0)));
/// assert_eq!(f.call((&array([[0.25, 0.5]]), &array(0.5)))?, (array(8.0), array(0.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn coupled_at<G: Program>(uniforms: Var, program: &G, start: G::State, theta: Var) -> (Var, Var) {
    let one = full(theta.dtype(), [], 1.0);
    let number = |mask: Var| mask.convert(theta.dtype());
    let none = full(theta.dtype(), [], 0.0);
    let init = [flat(&start), flat(&start), vec![none]].concat();
    let unpacked = |state: Vec<Var>| {
        let mut list = state.into_iter();
        (rebuilt(&start, &mut list), rebuilt(&start, &mut list), list.next().unwrap_or(none))
    };
    let (state, _) = scan_over().run(init, uniforms.convert(theta.dtype()), |state, u: Var| {
        let (run, second, total) = unpacked(state);
        let (u, choice) = (u.index(0, 0), u.index(0, 1));
        let (p, slope) = jvp(|theta: Var| program.chance(&run, theta)).at(theta, &one);
        let (is_one, slope) = (u.lt(p), slope[0]);
        let up = select(is_one, none, slope.max(0.0) / (1.0 - p));
        let down = select(is_one, (-slope).max(0.0) / p, none);
        let rate = up + down;
        let toss = number(is_one);
        let flipped = program.next(copy(&run), 1.0 - toss);
        let p = program.chance(&second, theta);
        let going_on = program.next(second, number(u.lt(p)));
        let total = total + rate;
        // The new flip with probability rate/total, else the one that was kept.
        let is_new = (choice * total).lt(rate);
        let second = zip(&flipped, &going_on, |flipped, going_on| {
            select(is_new.spread(flipped.shape()), flipped, going_on)
        });
        ([flat(&program.next(run, toss)), flat(&second), vec![total]].concat(), Vec::<Var>::new())
    });
    let (run, second, total) = unpacked(state);
    let result = program.result(run);
    (result, total * (program.result(second) - result))
}
