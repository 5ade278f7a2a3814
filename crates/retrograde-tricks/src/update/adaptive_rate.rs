//! Learning rates that learn: hypergradient descent, and stochastic meta-descent.
//!
//! ```text
//! hypergradient   η ← η + β g_t·s_{t−1},  w ← w − η s_t             s: the direction of the update inside, at first g
//! meta-descent    p ← p exp(−μ g∘v),  w ← w − p g                    v ← λ v − p (g + λ H v)
//! ```
//!
//! In the first, −g_t·s_{t−1} is the derivative of the loss by the rate of the step before, exactly: w_t = w_{t−1} − η s_{t−1}. In
//! the second, v follows the derivative of w by a common ln p for all earlier steps, exactly if λ = 1; H v costs a Hessian–vector product in the same
//! sweep. Derivatives with respect to rates of whole training runs, backwards, are in [`super::reversible_momentum`]. Law: exact. Cost:
//! one array like each parameter more; two for meta-descent.

use retrograde_array::DType;
use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{grad, hvp};
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_derive::Tree;

use super::map::{Given, Leaves, Rule, State, Update, as_dtype, expect_not_negative, scaled};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of meta-descent.
pub const META_DESCENT: Trick = Trick {
    id: "E6",
    name: "stochastic meta-descent",
    formula: "p = p exp(-mu g*v), w -= p g, v = lam v - p (g + lam H v)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "N. N. Schraudolph",
            title: "Local Gain Adaptation in Stochastic Gradient Descent",
            venue: "ICANN",
            year: 1999,
        },
        Source {
            authors: "N. N. Schraudolph",
            title: "Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent",
            venue: "Neural Computation 14",
            year: 2002,
        },
    ],
    file: file!(),
    example: "MetaDescent",
    property: Property {
        claim: "with lambda = 1, v is the derivative of w by ln p through all steps",
        test: "meta_descent_follows_the_derivative_by_the_rates",
        found: "",
    },
};

#[derive(Debug)]
struct Hypergradient {
    rate: f64,
    beta: f64,
    inside: Update,
}

impl Rule for Hypergradient {
    fn name(&self) -> String {
        format!("hypergradient({})", self.inside.name())
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let parts = vec![self.inside.rule_init(parameters)];
        let state = State::new(&self.name()).with_number("rate", full(DType::F64, [], self.rate));
        State { parts, ..state.with("direction", parameters.zeros()) }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let along = given.gradient.zip(state.slot("direction"), |g, s| g * s);
        let along: Var = along.0.iter().map(|(_, x)| as_dtype(x.sum(), DType::F64)).sum();
        let rate = state.slot_number("rate") + self.beta * along;
        let (direction, part) = self.inside.rule_update(given, &state.parts[0]);
        let step = direction.each(|s| scaled(s, -rate));
        let next = State::new(&self.name()).with_number("rate", rate).with("direction", direction);
        (step, State { parts: vec![part], ..next })
    }
}

/// Gradient descent on the learning rate of an update: of a direction such as `Adam::default().direction()`, or `velocity(0.9, false)`;
/// `chain` of nothing (`chain(vec![])`) is plain gradient descent.
///
/// # Source
/// A. G. Baydin, R. Cornish, D. Martínez Rubio, M. Schmidt, F. Wood, Online learning rate adaptation with hypergradient descent, ICLR 2018, equation 5; L. B. Almeida and
/// others, Parameter adaptation in stochastic optimization, 1998.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{adaptive_rate::hypergradient_descent, map::chain};
/// let (mut w, update) = (array([1.0]), hypergradient_descent(0.25, 0.5, chain(vec![])));
/// let mut state = update.init(&w)?;
/// for _ in 0..2 {
///     (w, state) = update.step(&w.clone(), state, w)?; // the slope of ½ w² is w
/// }
/// assert_eq!(state.number("rate"), Some(&array(0.625))); // 0.25 + 0.5 · 0.75 · 1
/// assert_eq!(w, array([0.28125]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn hypergradient_descent(rate: f64, beta: f64, inside: Update) -> Update {
    let location = Location(std::panic::Location::caller());
    let mut mistakes = inside.mistakes();
    mistakes.extend(expect_not_negative("hypergradient descent", "rate", rate, location));
    mistakes.extend(expect_not_negative("hypergradient descent", "beta", beta, location));
    Update::new(Hypergradient { rate, beta, inside }, mistakes)
}

/// Stochastic meta-descent, inside traces: the rate of each parameter and what it remembers.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::update::adaptive_rate::{MetaDescent, MetaState};
/// let meta = MetaDescent { mu: 0.5, lambda: 1.0 };
/// let loss = |w: Var, a: Var| 0.5 * (a * w * w).sum();
/// let step = jit(|w: Var, a: Var, state: MetaState<Var>| meta.step(loss, w, a, state));
/// let (mut w, a) = (array([1.0, 1.0]), array([1.0, 3.0]));
/// let mut state = MetaState { log_rates: vec![array([-2.0, -2.0])], trace: vec![array([0.0, 0.0])] };
/// for _ in 0..20 {
///     (w, state) = step.call((&w, &a, &state))?;
/// }
/// assert!(w.to_vec::<f64>().unwrap().iter().all(|w| w.abs() < 0.05)); // a constant rate of e⁻² leaves 0.05 of the first
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MetaDescent {
    /// How fast rates change.
    pub mu: f64,
    /// How far back the derivative by the rates looks: 1 for ever, 0 one step.
    pub lambda: f64,
}

/// What [`MetaDescent`] remembers: an array for each leaf of the parameters, in order.
#[derive(Tree, Clone, PartialEq, Debug)]
pub struct MetaState<T> {
    /// ln p.
    pub log_rates: Vec<T>,
    /// v, at first 0.
    pub trace: Vec<T>,
}

impl MetaDescent {
    /// The parameters after a step, and what is remembered then.
    pub fn step<P: Traceable, X: Traceable>(
        self,
        loss: impl Fn(P, X) -> Var,
        parameters: P,
        data: X,
        state: MetaState<Var>,
    ) -> (P, MetaState<Var>) {
        let location = Location(std::panic::Location::caller());
        for (name, found) in [("mu", self.mu), ("lambda", self.lambda)] {
            if let Some(found) = expect_not_negative("meta-descent", name, found, location) {
                retrograde_core::trace::mistake(found);
            }
        }
        let leaves = Leaves::of(&parameters);
        let inputs = |data: &X| (parameters.map_vars(&mut |w| *w), data.map_vars(&mut |x| *x));
        let gradient = Leaves::of(&grad(&loss).at(inputs(&data)));
        let mut traces = state.trace.iter();
        let v_tree = parameters.map_vars(&mut |w| *traces.next().unwrap_or(w));
        let curved = Leaves::of(&hvp(&loss).at(inputs(&data), &v_tree));
        let (mut moved, mut log_rates, mut trace) = (vec![], vec![], vec![]);
        for (i, ((path, w), (_, g))) in leaves.0.iter().zip(&gradient.0).enumerate() {
            let (v, hv) = (state.trace[i], curved.0[i].1);
            let log_rate = state.log_rates[i] - self.mu * (*g * v);
            let p = log_rate.exp();
            moved.push((path.clone(), *w - p * *g));
            trace.push(self.lambda * v - p * (*g + self.lambda * hv));
            log_rates.push(log_rate);
        }
        let mut next = moved.into_iter();
        let moved = parameters.map_vars(&mut |w| next.next().map_or(*w, |(_, x)| x));
        (moved, MetaState { log_rates, trace })
    }
}
