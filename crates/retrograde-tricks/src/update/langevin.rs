//! Stochastic gradient Langevin dynamics: gradient descent with noise, whose parameters are draws of the posterior.
//!
//! ```text
//! w ← w − (η/2) g + √η ξ,   ξ ~ N(0, 1)                     g: the gradient of −ln p of all data, or an unbiased estimate of it
//! preconditioned:   w ← w − (η/2) G g + √(η G) ξ,           G = 1/(ε + √v),  v ← β v + (1 − β) g²
//! ```
//!
//! On a quadratic of curvature h the stationary variance is 1/(h (1 − ηh/4)): that of the posterior, 1/h, but for a bias of relative order η.
//! The key stands in the state and each step takes a new one of it, so a seed fixes every bit. The preconditioned form leaves out the term with the
//! derivative of G, as its authors do. Law: inexact: the noise has mean zero and variance η. Cost: a normal number for each parameter.

use retrograde_array::rng::Key;
use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;

use super::adam::root;
use super::map::{Given, Leaves, Rule, State, Update, as_dtype, expect_decay, expect_positive};
use crate::catalogue::{Law, Property, Source, Trick};
use crate::estimate::draw::{normal, split};

/// The row of Langevin dynamics.
pub const LANGEVIN: Trick = Trick {
    id: "E12",
    name: "stochastic gradient Langevin dynamics, preconditioned too",
    formula: "w += -eta/2 g + sqrt(eta) xi, xi ~ N(0, 1)",
    law: Law::Inexact { what: "a step with noise of mean zero and variance eta" },
    cite: &[
        Source {
            authors: "M. Welling and Y. W. Teh",
            title: "Bayesian Learning via Stochastic Gradient Langevin Dynamics",
            venue: "ICML",
            year: 2011,
        },
        Source {
            authors: "C. Li and C. Chen and D. Carlson and L. Carin",
            title: "Preconditioned Stochastic Gradient Langevin Dynamics for Deep Neural Networks",
            venue: "AAAI",
            year: 2016,
        },
    ],
    file: file!(),
    example: "langevin",
    property: Property {
        claim: "on a quadratic the stationary variance is 1/(h (1 - eta h/4)), its bias included",
        test: "langevin_has_the_stationary_variance_with_its_bias",
        found: "",
    },
};

#[derive(Debug)]
struct Langevin {
    rate: f64,
    key: Key,
    /// β and ε of the preconditioner.
    preconditioner: Option<(f64, f64)>,
}

impl Rule for Langevin {
    fn name(&self) -> String {
        if self.preconditioner.is_some() { "preconditioned langevin".into() } else { "langevin".into() }
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let state = State::new(&self.name()).with_number("key", constant(&self.key.to_array()));
        if self.preconditioner.is_some() { state.with("square", parameters.zeros()) } else { state }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let gradient = &given.gradient;
        let mut keys = split(state.slot_number("key"), gradient.0.len() + 1);
        let mut next = State::new(&self.name()).with_number("key", keys.remove(0));
        let mut keys = keys.into_iter();
        let mut noise = |like: Var| {
            let key = keys.next().expect("a key for each leaf; this is a bug in retrograde");
            as_dtype(normal(key, like.shape()), like.dtype())
        };
        let step = match self.preconditioner {
            None => gradient.each(|g| -0.5 * self.rate * g + self.rate.sqrt() * noise(g)),
            Some((beta, epsilon)) => {
                let square = state.slot("square").zip(gradient, |v, g| beta * v + (1.0 - beta) * (g * g));
                let metric = square.each(|v| 1.0 / (root(v) + epsilon));
                next = next.with("square", square);
                gradient.zip(&metric, |g, metric| {
                    -0.5 * self.rate * (metric * g) + (self.rate * metric).sqrt() * noise(g)
                })
            }
        };
        (step, next)
    }
}

/// Langevin dynamics of rate η, from a key.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_tricks::update::langevin::langevin;
/// let (w, update) = (array([1.0, 1.0]), langevin(0.01, Key::from_seed(3)));
/// let state = update.init(&w)?;
/// let (first, next) = update.update(&w, &state, &w)?;
/// assert_eq!(first, update.update(&w, &state, &w)?.0); // the same state, the same bits
/// assert_ne!(first, update.update(&w, &next, &w)?.0); // the next state, other noise
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn langevin(rate: f64, key: Key) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_positive("langevin", "rate", rate, location).into_iter().collect();
    Update::new(Langevin { rate, key, preconditioner: None }, mistakes)
}

/// Langevin dynamics preconditioned by the root of a mean of squares, with β and ε.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_tricks::update::langevin::preconditioned_langevin;
/// let (w, update) = (array([1.0]), preconditioned_langevin(0.01, 0.99, 1e-5, Key::from_seed(3)));
/// let (step, state) = update.update(&w, &update.init(&w)?, &w)?;
/// assert!(step.to_vec::<f64>().unwrap()[0].abs() < 2.0);
/// assert!(state.get("square").is_some());
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn preconditioned_langevin(rate: f64, beta: f64, epsilon: f64, key: Key) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = [
        expect_positive("langevin", "rate", rate, location),
        expect_decay("langevin", "beta", beta, location),
        expect_positive("langevin", "epsilon", epsilon, location),
    ];
    let rule = Langevin { rate, key, preconditioner: Some((beta, epsilon)) };
    Update::new(rule, mistakes.into_iter().flatten().collect())
}
