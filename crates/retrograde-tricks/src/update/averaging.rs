//! Averages of parameters: Polyak and Ruppert's, exponential, stochastic weight averaging, lookahead.
//!
//! ```text
//! Polyak–Ruppert   a ← a + (w − a)/n                 the mean of all w since `from`
//! SWA              the same of every k-th w
//! exponential      a ← d a + (1 − d) w, from a = w₀
//! lookahead        every k steps: a ← a + α (w − a), w ← a
//! ```
//!
//! w is the parameter after the step that comes in, so an average is the last link of a chain; all but lookahead let the step pass.
//! For gradient descent of constant rate on a quadratic with curvature H and noise of covariance S in the gradient, √n (a − w*) has the
//! covariance H⁻¹SH⁻¹ in the long run, the least there is (Polyak and Juditsky), whatever the rate. The average stands in the state under
//! `average`: [`averaged`] makes parameters of it. Law: exact. Errors: a share outside of its range, a period of 0. Cost: one array like
//! each parameter.

use retrograde_array::{Array, DType};
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Tree, Var};

use super::map::{Given, Leaves, Rule, State, Update, expect_decay, no_steps, scaled, unless};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of averages.
pub const AVERAGING: Trick = Trick {
    id: "E10",
    name: "averaging of parameters: Polyak-Ruppert, exponential, SWA, lookahead",
    formula: "a += (w - a)/n; a = d a + (1 - d) w; every k steps a += alpha (w - a), w = a",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "B. T. Polyak and A. B. Juditsky",
            title: "Acceleration of Stochastic Approximation by Averaging",
            venue: "SIAM Journal on Control and Optimization 30",
            year: 1992,
        },
        Source {
            authors: "P. Izmailov and D. Podoprikhin and T. Garipov and D. Vetrov and A. G. Wilson",
            title: "Averaging Weights Leads to Wider Optima and Better Generalization",
            venue: "UAI",
            year: 2018,
        },
        Source {
            authors: "M. R. Zhang and J. Lucas and G. Hinton and J. Ba",
            title: "Lookahead Optimizer: k steps forward, 1 step back",
            venue: "NeurIPS",
            year: 2019,
        },
    ],
    file: file!(),
    example: "polyak_ruppert",
    property: Property {
        claim: "at a constant rate on a quadratic the mean has covariance H^-1 S H^-1 / n up to the known remainder, and does not depend on the rate as the iterate does",
        test: "the_average_has_the_least_covariance",
        found: "",
    },
};

#[derive(Clone, Copy, Debug)]
enum Average {
    Mean { from: u64, every: u64 },
    Exponential { decay: f64 },
    Lookahead { every: u64, share: f64 },
}

impl Rule for Average {
    fn name(&self) -> String {
        match self {
            Average::Mean { every: 1, .. } => "polyak ruppert".into(),
            Average::Mean { .. } => "swa".into(),
            Average::Exponential { .. } => "ema".into(),
            Average::Lookahead { .. } => "lookahead".into(),
        }
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let state = State::new(&self.name()).with("average", parameters.clone());
        match self {
            Average::Exponential { .. } => state,
            _ => state.with_number("count", no_steps()),
        }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let average = state.slot("average");
        let moved = given.parameters.zip(&given.gradient, |w, step| w + step);
        let step = given.gradient.clone();
        let next = State::new(&self.name());
        let towards = |share: Var| average.zip(&moved, |a, w| a + scaled(w - a, share));
        match *self {
            Average::Exponential { decay } => {
                let average = average.zip(&moved, |a, w| decay * a + (1.0 - decay) * w);
                (step, next.with("average", average))
            }
            Average::Mean { from, every } => {
                let (before, count) = state.counted();
                // Steps since the first that counts; it and every k-th after it are taken.
                let since = before - from as f64;
                let n = (since / every as f64).floor();
                let is_taken = (since - every as f64 * n).eq(0.0) & since.ge(0.0);
                let zero = full(DType::F64, [], 0.0);
                let share = select(is_taken, 1.0 / (n.max(0.0) + 1.0), zero);
                // The first replaces the start to the bit; before it the average follows the parameters.
                let is_first = since.le(0.0);
                let average = towards(share).zip(&moved, |a, w| select(is_first, w, a));
                (step, next.with("average", average).with_number("count", count))
            }
            Average::Lookahead { every, share } => {
                let (before, count) = state.counted();
                let now = before + 1.0;
                let is_due = (now - every as f64 * (now / every as f64).floor()).eq(0.0);
                let average = average.zip(&moved, |a, w| select(is_due, a + share * (w - a), a));
                let back = average.zip(&given.parameters, |a, w| a - w);
                let step = step.zip(&back, |step, back| select(is_due, back, step));
                (step, next.with("average", average).with_number("count", count))
            }
        }
    }
}

/// The mean of the parameters after step `from` and all later ones, the first being step 0.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{averaging::{averaged, polyak_ruppert}, map::chain, momentum::sgd};
/// let update = chain((sgd(1.0), polyak_ruppert(0)));
/// let mut w = array([0.0]);
/// let mut state = update.init(&w)?;
/// for _ in 0..3 {
///     (w, state) = update.step(&array([-1.0]), state, w)?;
/// }
/// assert_eq!((averaged(&state, &w), w), (Some(array([2.0])), array([3.0]))); // of 1, 2 and 3
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn polyak_ruppert(from: u64) -> Update {
    Update::new(Average::Mean { from, every: 1 }, vec![])
}

/// Stochastic weight averaging: the mean of the parameters after step `from` and every `every`-th later.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{averaging::{averaged, swa}, map::chain, momentum::sgd};
/// let update = chain((sgd(1.0), swa(1, 2)));
/// let mut w = array([0.0]);
/// let mut state = update.init(&w)?;
/// for _ in 0..4 {
///     (w, state) = update.step(&array([-1.0]), state, w)?;
/// }
/// assert_eq!(averaged(&state, &w), Some(array([3.0]))); // of 2 and 4
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn swa(from: u64, every: u64) -> Update {
    let location = Location(std::panic::Location::caller());
    Update::new(Average::Mean { from, every: every.max(1) }, period("swa", every, location))
}

/// An exponential average of the parameters, `a ← decay a + (1 − decay) w`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{averaging::{averaged, ema}, map::chain, momentum::sgd};
/// let update = chain((sgd(1.0), ema(0.5)));
/// let w = array([0.0]);
/// let (w, state) = update.step(&array([-1.0]), update.init(&w)?, w)?;
/// assert_eq!((averaged(&state, &w), w), (Some(array([0.5])), array([1.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn ema(decay: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_decay("ema", "decay", decay, location).into_iter().collect();
    Update::new(Average::Exponential { decay }, mistakes)
}

/// Every `every` steps, the slow weights go `share` of the way to the fast ones, and those begin again there.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{averaging::lookahead, map::chain, momentum::sgd};
/// let update = chain((sgd(1.0), lookahead(2, 0.5)));
/// let mut w = array([0.0]);
/// let mut state = update.init(&w)?;
/// for _ in 0..2 {
///     (w, state) = update.step(&array([-1.0]), state, w)?;
/// }
/// assert_eq!(w, array([1.0])); // two forwards, one back
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn lookahead(every: u64, share: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mut mistakes = period("lookahead", every, location);
    let what = format!("lookahead: found share {share}, expected more than 0 and at most 1");
    mistakes.extend(unless(share > 0.0 && share <= 1.0, what, "0.5 goes half of the way", location));
    Update::new(Average::Lookahead { every: every.max(1), share }, mistakes)
}

fn period(update: &str, every: u64, location: Location) -> Vec<Diagnostic> {
    let what = format!("{update}: found a period of 0 steps, expected at least 1");
    unless(every > 0, what, "1 takes every step", location).into_iter().collect()
}

/// The averaged parameters that a state holds; none where no average is in the chain.
pub fn averaged<P: Tree<Leaf = Array, With<Array> = P>>(state: &State<Array>, like: &P) -> Option<P> {
    Some(state.get("average")?.clone().like(like))
}
