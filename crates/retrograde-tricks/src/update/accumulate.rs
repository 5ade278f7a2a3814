//! Gradient accumulation: many small batches for one step.
//!
//! ```text
//! g = (g₁ + … + g_k)/k        the gradient of the mean loss of all, as g_i is that of its batch
//! ```
//!
//! [`accumulated_gradient`] adds in a fixed tree, halves by halves: the sum of the first half and that of the second. So a machine that has only a half,
//! or any aligned part of 2ʲ batches, gets the bits of its branch, and putting branches together gives those of all ([`tree_sum`]). [`accumulate`] is
//! for batches that come one after the other: it keeps a running sum, and lets its update act in every k-th step only. When batches
//! grow k times, the rate for plain gradient descent grows k times (Goyal and others). Law: rounding: the sum of a whole batch in another order. Cost: k gradients
//! at once, or one array like each parameter. Errors: a k of 0; numbers of batches that are no power of two.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::{cond, map};
use retrograde_core::trace::door::grad;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Var, mistake, tree};

use super::map::{Given, Leaves, Rule, State, Update, no_steps, unless};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of accumulation.
pub const ACCUMULATION: Trick = Trick {
    id: "E14",
    name: "gradient accumulation, linear scaling",
    formula: "g = (g_1 + ... + g_k)/k, added in a fixed tree",
    law: Law::Rounding {
        bound: "log2 k additions in another order than that of the whole batch: k ulp of the largest term",
    },
    cite: &[Source {
        authors: "P. Goyal and P. Dollar and R. Girshick and others",
        title: "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
        venue: "arXiv:1706.02677",
        year: 2017,
    }],
    file: file!(),
    example: "accumulated_gradient",
    property: Property {
        claim: "k micro-batches give the gradient of one batch to rounding, and parts that are summed apart the bits of all",
        test: "accumulation_is_one_batch",
        found: "",
    },
};

/// The sum over the leading axis in a fixed tree: first half plus second half. Its length is a power of two.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::door::jit;
/// use retrograde_tricks::update::accumulate::tree_sum;
/// // (1e16 + -1e16) + (1 + 1): not the order from left to right.
/// let x = array([1e16, 1.0, -1e16, 1.0]);
/// assert_eq!(jit(tree_sum).call(&x)?, array(0.0)); // (1e16 + 1) + (-1e16 + 1)
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn tree_sum(stacked: Var) -> Var {
    let n = stacked.shape().first().copied().unwrap_or(0);
    if !n.is_power_of_two() {
        let location = Location(std::panic::Location::caller());
        let what = format!("tree sum: found {n} parts, expected a power of two");
        mistake(
            Diagnostic::new(what, Some(location))
                .help("add parts of zeros, or cut the batch into 2, 4, 8 ..."),
        );
        return stacked.sum_axes(&[0]);
    }
    let mut parts: Vec<Var> = (0..n).map(|i| stacked.index(0, i)).collect();
    while parts.len() > 1 {
        parts = parts.chunks(2).map(|pair| pair[0] + pair[1]).collect();
    }
    parts[0]
}

/// The mean gradient over batches that stand along the leading axis of `batches`, one after the other.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::update::accumulate::accumulated_gradient;
/// let loss = |w: Var, x: Var| { let miss = w - x; 0.5 * (miss * miss).mean() };
/// let slope = jit(|w: Var, x: Var| accumulated_gradient(loss, w, x));
/// let batches = array([[1.0, 2.0], [3.0, 4.0]]); // two batches of two
/// assert_eq!(slope.call((&array(0.0), &batches))?, array(-2.5));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn accumulated_gradient<P: Traceable, X: Traceable>(
    loss: impl Fn(P, X) -> Var,
    parameters: P,
    batches: X,
) -> P {
    let location = Location(std::panic::Location::caller());
    let first = tree::leaves(&batches).into_iter().next();
    let k = first.and_then(|(_, x)| x.shape().first().copied()).unwrap_or(0);
    if !k.is_power_of_two() {
        let what = format!("accumulated gradient: found {k} batches, expected a power of two");
        mistake(
            Diagnostic::new(what, Some(location))
                .help("cut the data into 2, 4, 8 ... batches along a leading axis"),
        );
        return parameters;
    }
    let slopes = map(batches, |batch: X| grad(&loss).at((parameters.map_vars(&mut |w| *w), batch)));
    slopes.map_vars(&mut |g| tree_sum(*g) / k as f64)
}

#[derive(Debug)]
struct Accumulate {
    k: u64,
    inside: Update,
}

impl Rule for Accumulate {
    fn name(&self) -> String {
        format!("accumulate({})", self.inside.name())
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let state = State::new(&self.name()).with("sum", parameters.zeros()).with_number("count", no_steps());
        State { parts: vec![self.inside.rule_init(parameters)], ..state }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let count = state.slot_number("count") + 1;
        let sum = state.slot("sum").zip(&given.gradient, |sum, g| sum + g);
        let is_due = (count % self.k as i64).eq(0);
        // The update runs only where it is due.
        let due = |(sum, part): (Leaves<Var>, State<Var>)| {
            let gradient = sum.each(|sum| sum / self.k as f64);
            let (step, part) = self.inside.rule_update(&Given { gradient, ..given.clone() }, &part);
            (step, sum.zeros(), part)
        };
        let not_due = |(sum, part): (Leaves<Var>, State<Var>)| (sum.zeros(), sum, part);
        let (step, sum, part) = cond(is_due, due, not_due, (sum, state.parts[0].clone()));
        let next = State::new(&self.name()).with("sum", sum).with_number("count", count);
        (step, State { parts: vec![part], ..next })
    }
    fn needs_curvature(&self) -> bool {
        self.inside.wants_curvature()
    }
}

/// Steps of an update once every `k` gradients, with their mean; zero steps in between.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{accumulate::accumulate, momentum::sgd};
/// let (w, update) = (array([0.0]), accumulate(2, sgd(1.0)));
/// let (first, state) = update.update(&array([1.0]), &update.init(&w)?, &w)?;
/// let (second, _) = update.update(&array([3.0]), &state, &w)?;
/// assert_eq!((first, second), (array([0.0]), array([-2.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn accumulate(k: u64, inside: Update) -> Update {
    let location = Location(std::panic::Location::caller());
    let mut mistakes = inside.mistakes();
    let what = "accumulate: found k 0, expected at least 1 gradient for a step".to_string();
    mistakes.extend(unless(k > 0, what, "1 makes a step of every gradient", location));
    Update::new(Accumulate { k: k.max(1), inside }, mistakes)
}
