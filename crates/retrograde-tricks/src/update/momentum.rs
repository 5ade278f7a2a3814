//! Gradient descent, with momentum, and with Nesterov's look ahead.
//!
//! ```text
//! plain      w ← w − η g
//! momentum   v ← β v + g,   w ← w − η v
//! Nesterov   v ← β v + g,   w ← w − η (g + β v)
//! ```
//!
//! The learning rate stands outside of the velocity, as in optax and torch.optim (Sutskever and others put it inside: the same for a
//! constant rate). On a quadratic with curvatures from μ to L, η = 4/(√L + √μ)² and β = ((√κ − 1)/(√κ + 1))², κ = L/μ, each step
//! divides the error by (√κ + 1)/(√κ − 1) in the long run, which no method of first order beats; [`best_for_quadratic`]. Law:
//! exact. Cost: one array like each parameter.

use retrograde_core::trace::Var;

use super::map::{Given, Leaves, Rule, State, Update, expect_decay, named};
use super::schedule::{IntoRate, descend};
use crate::catalogue::{Law, Property, Source, Trick};
use retrograde_core::ir::Location;

/// The row of momentum.
pub const MOMENTUM: Trick = Trick {
    id: "E1",
    name: "momentum and Nesterov's look ahead",
    formula: "v = b v + g; w -= eta v, or w -= eta (g + b v)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "B. T. Polyak",
            title: "Some methods of speeding up the convergence of iteration methods",
            venue: "USSR Computational Mathematics and Mathematical Physics 4",
            year: 1964,
        },
        Source {
            authors: "Y. Nesterov",
            title: "A method for solving the convex programming problem with convergence rate O(1/k^2)",
            venue: "Soviet Mathematics Doklady 27",
            year: 1983,
        },
        Source {
            authors: "I. Sutskever and J. Martens and G. Dahl and G. Hinton",
            title: "On the importance of initialization and momentum in deep learning",
            venue: "ICML",
            year: 2013,
        },
    ],
    file: file!(),
    example: "momentum",
    property: Property {
        claim: "iterates on a quadratic are those of the closed form of the recurrence; the best settings give the rate (sqrt k - 1)/(sqrt k + 1)",
        test: "momentum_on_a_quadratic_is_its_closed_form",
        found: "at most 1e-12 from the closed form over 40 steps; rate within 1e-6 of the formula",
    },
};

#[derive(Debug)]
struct Velocity {
    beta: f64,
    nesterov: bool,
}

impl Rule for Velocity {
    fn name(&self) -> String {
        if self.nesterov { "nesterov velocity".into() } else { "velocity".into() }
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        State::new(&self.name()).with("velocity", parameters.zeros())
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let gradient = &given.gradient;
        let velocity = state.slot("velocity").zip(gradient, |v, g| self.beta * v + g);
        let step =
            if self.nesterov { gradient.zip(&velocity, |g, v| g + self.beta * v) } else { velocity.clone() };
        (step, State::new(&self.name()).with("velocity", velocity))
    }
}

/// Plain gradient descent.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::momentum::sgd;
/// let (w, update) = (array([1.0]), sgd(0.1));
/// assert_eq!(update.update(&array([2.0]), &update.init(&w)?, &w)?.0, array([-0.2]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn sgd(rate: impl IntoRate) -> Update {
    named("sgd", vec![descend(rate)])
}

/// Gradient descent with a velocity, of which a share `beta` is left in each step.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::momentum::momentum;
/// let (mut w, update) = (array([1.0]), momentum(0.5, 0.5));
/// let mut state = update.init(&w)?;
/// for _ in 0..2 {
///     (w, state) = update.step(&w.clone(), state, w)?; // the slope of ½ w² is w
/// }
/// assert_eq!((w, state.get("velocity").unwrap().0[0].1.clone()), (array([0.0]), array([1.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn momentum(rate: impl IntoRate, beta: f64) -> Update {
    named("momentum", vec![velocity(beta, false), descend(rate)])
}

/// [`momentum`] with Nesterov's look ahead: the velocity counts once more, as if the gradient had been taken where it leads.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::momentum::nesterov;
/// let (w, update) = (array([1.0]), nesterov(0.5, 0.5));
/// assert_eq!(update.update(&w, &update.init(&w)?, &w)?.0, array([-0.75]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn nesterov(rate: impl IntoRate, beta: f64) -> Update {
    named("nesterov", vec![velocity(beta, true), descend(rate)])
}

/// The velocity alone: what [`momentum`] does before the learning rate.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::momentum::velocity;
/// let (w, update) = (array([1.0]), velocity(0.5, false));
/// assert_eq!(update.update(&w, &update.init(&w)?, &w)?.0, array([1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn velocity(beta: f64, nesterov: bool) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_decay("momentum", "beta", beta, location).into_iter().collect();
    Update::new(Velocity { beta, nesterov }, mistakes)
}

/// Learning rate and momentum with the best rate of convergence on quadratics with curvatures in `[low, high]`.
///
/// # Source
/// Polyak (1964), theorem 9.
///
/// ```
/// use retrograde_tricks::update::momentum::best_for_quadratic;
/// assert_eq!(best_for_quadratic(1.0, 9.0), (0.25, 0.25)); // each step halves the error
/// ```
pub fn best_for_quadratic(low: f64, high: f64) -> (f64, f64) {
    let (low, high) = (low.sqrt(), high.sqrt());
    let (rate, beta) = (2.0 / (high + low), (high - low) / (high + low));
    (rate * rate, beta * beta)
}
