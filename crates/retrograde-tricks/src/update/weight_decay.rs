//! Weight decay, and early stopping, which on a quadratic is the same.
//!
//! ```text
//! before an adaptive update    g ← g + λ w          the slope of the penalty λ/2 ‖w‖²
//! after it, before the rate    s ← s + λ w          decoupled: w shrinks by 1 − ηλ whatever the gradients were
//! ```
//!
//! Where it stands in a chain decides which. Gradient descent of a quadratic from 0 for t steps leaves the share 1 − (1 − ηh)ᵗ of the
//! optimum along a direction of curvature h; a penalty λ leaves h/(h + λ). So stopping after t steps is the penalty
//! λ = h (1 − ηh)ᵗ / (1 − (1 − ηh)ᵗ) along that direction, close to 1/(ηt): [`ridge_of_early_stopping`]. Law: exact. Errors: a negative
//! decay.

use retrograde_core::ir::Location;
use retrograde_core::trace::Var;

use super::map::{Given, Leaves, Rule, State, Update, expect_not_negative};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of weight decay and early stopping.
pub const WEIGHT_DECAY: Trick = Trick {
    id: "E13",
    name: "early stopping as ridge; weight decay",
    formula: "lambda = h (1 - eta h)^t / (1 - (1 - eta h)^t), about 1/(eta t); s += lambda w",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "J. Sjoberg and L. Ljung",
            title: "Overtraining, regularization and searching for a minimum, with application to neural networks",
            venue: "International Journal of Control 62",
            year: 1995,
        },
        Source {
            authors: "A. Krogh and J. A. Hertz",
            title: "A Simple Weight Decay Can Improve Generalization",
            venue: "NIPS",
            year: 1991,
        },
        Source {
            authors: "I. Loshchilov and F. Hutter",
            title: "Decoupled Weight Decay Regularization",
            venue: "ICLR",
            year: 2019,
        },
    ],
    file: file!(),
    example: "ridge_of_early_stopping",
    property: Property {
        claim: "gradient descent of a quadratic for t steps ends where a penalty by the formula has its minimum, direction by direction",
        test: "early_stopping_is_ridge",
        found: "at most 1e-12 apart over 5 curvatures and 4 lengths",
    },
};

#[derive(Debug)]
struct Decay {
    factor: f64,
    ending: Option<String>,
}

impl Rule for Decay {
    fn name(&self) -> String {
        "weight decay".into()
    }
    fn init(&self, _: &Leaves<Var>) -> State<Var> {
        State::new("weight decay")
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let decays = |path: &str| self.ending.as_ref().is_none_or(|ending| path.ends_with(ending.as_str()));
        let pairs = given.gradient.0.iter().zip(&given.parameters.0);
        let next = pairs
            .map(|((path, g), (_, w))| (path.clone(), if decays(path) { *g + self.factor * *w } else { *g }));
        (Leaves(next.collect()), state.clone())
    }
}

/// Adds `factor` times the parameters to what it is given.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::{map::chain, momentum::sgd, weight_decay::weight_decay};
/// let (w, update) = (array([2.0]), chain((weight_decay(0.5), sgd(0.1))));
/// assert_eq!(update.update(&array([0.0]), &update.init(&w)?, &w)?.0, array([-0.1]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn weight_decay(factor: f64) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_not_negative("weight decay", "factor", factor, location).into_iter().collect();
    Update::new(Decay { factor, ending: None }, mistakes)
}

/// [`weight_decay`] of the parameters whose path ends so: weights and no biases by `weight`.
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_core::trace::tree::leaves;
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// use retrograde_tricks::update::weight_decay::weight_decay_of;
/// let network = Mlp::xavier(Key::from_seed(1), 2, &[], 1, Activation::Tanh, DType::F64);
/// let update = weight_decay_of(1.0, "weight");
/// let (step, _) = update.update(&network, &update.init(&network)?, &network)?;
/// for ((path, before), (_, after)) in leaves(&network).into_iter().zip(leaves(&step)) {
///     let factor = if path.ends_with("weight") { 2.0 } else { 1.0 };
///     let before = before.to_vec::<f64>().unwrap().into_iter().map(|w| factor * w).collect::<Vec<_>>();
///     assert_eq!(after.to_vec::<f64>().unwrap(), before);
/// }
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn weight_decay_of(factor: f64, ending: &str) -> Update {
    let location = Location(std::panic::Location::caller());
    let mistakes = expect_not_negative("weight decay", "factor", factor, location).into_iter().collect();
    Update::new(Decay { factor, ending: Some(ending.into()) }, mistakes)
}

/// The penalty that does to a direction of curvature `h` what stopping after `n_steps` steps of rate `eta` from 0 does.
///
/// ```
/// use retrograde_tricks::update::weight_decay::ridge_of_early_stopping;
/// let lambda = ridge_of_early_stopping(0.01, 0.1, 100);
/// assert!((lambda - 0.1).abs() < 0.006); // about 1/(ηt)
/// ```
pub fn ridge_of_early_stopping(h: f64, eta: f64, n_steps: u64) -> f64 {
    let left = retrograde_array::map::exp_f64(n_steps as f64 * retrograde_array::map::log1p_f64(-eta * h));
    h * left / (1.0 - left)
}
