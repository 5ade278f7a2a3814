//! Adam and its relatives: AdamW, AMSGrad, NAdam, Yogi.
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g                     m̂ = m / (1 − β₁ᵗ)
//! v ← β₂ v + (1 − β₂) g²                    v̂ = v / (1 − β₂ᵗ)
//! Adam      w ← w − η m̂ / (√v̂ + ε)
//! AdamW     w ← w − η (m̂ / (√v̂ + ε) + λ w)
//! AMSGrad   with u ← max(u, v) in place of v below the root
//! NAdam     with (β₁ m + (1 − β₁) g) in place of m: m̂ = β₁ m/(1 − β₁ᵗ⁺¹) + (1 − β₁) g/(1 − β₁ᵗ)
//! Yogi      v ← v − (1 − β₂) sign(v − g²) g²
//! ```
//!
//! Conventions where others differ: ε stands outside of the root (as in all of them). AMSGrad takes the maximum before the
//! correction of bias, as torch.optim and the paper; optax takes it after. NAdam has a constant β₁, as optax; torch.optim lets it grow with t. Yogi
//! begins at 10⁻⁶ in both moments, as optax; torch.optim has none. Law: exact. Cost: two arrays like each parameter, AMSGrad three.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::map::{
    Given, Leaves, Rule, State, Update, expect_decay, expect_not_negative, named, no_steps, power, scaled,
};
use super::schedule::{IntoRate, descend};
use super::weight_decay::weight_decay;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of adaptive rates.
pub const ADAPTIVE: Trick = Trick {
    id: "E2",
    name: "adaptive rates: Adagrad, RMSprop, Adadelta, Adam, AdamW, AMSGrad, NAdam, Adafactor, Yogi",
    formula: "w -= eta m / (sqrt v + eps), with means m of g and v of g^2",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "J. Duchi and E. Hazan and Y. Singer",
            title: "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
            venue: "Journal of Machine Learning Research 12",
            year: 2011,
        },
        Source {
            authors: "T. Tieleman and G. Hinton",
            title: "Lecture 6.5 - RMSProp",
            venue: "COURSERA: Neural Networks for Machine Learning",
            year: 2012,
        },
        Source {
            authors: "M. D. Zeiler",
            title: "ADADELTA: An Adaptive Learning Rate Method",
            venue: "arXiv:1212.5701",
            year: 2012,
        },
        Source {
            authors: "D. P. Kingma and J. Ba",
            title: "Adam: A Method for Stochastic Optimization",
            venue: "ICLR",
            year: 2015,
        },
        Source {
            authors: "T. Dozat",
            title: "Incorporating Nesterov Momentum into Adam",
            venue: "ICLR workshop",
            year: 2016,
        },
        Source {
            authors: "S. J. Reddi and S. Kale and S. Kumar",
            title: "On the Convergence of Adam and Beyond",
            venue: "ICLR",
            year: 2018,
        },
        Source {
            authors: "N. Shazeer and M. Stern",
            title: "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost",
            venue: "ICML",
            year: 2018,
        },
        Source {
            authors: "M. Zaheer and S. Reddi and D. Sachan and S. Kale and S. Kumar",
            title: "Adaptive Methods for Nonconvex Optimization",
            venue: "NeurIPS",
            year: 2018,
        },
        Source {
            authors: "I. Loshchilov and F. Hutter",
            title: "Decoupled Weight Decay Regularization",
            venue: "ICLR",
            year: 2019,
        },
    ],
    file: file!(),
    example: "Adam",
    property: Property {
        claim: "fifty steps are those of optax and torch.optim; three steps those of exact arithmetic; the first of Adam is eta sign g; AdamW shrinks by exactly 1 - eta lambda; AMSGrad solves Reddi's example and Adam does not",
        test: "updates_are_those_of_optax_and_torch",
        found: "at most 1e-12 from optax 0.2.8 and torch 2.15.0 in every coordinate and step",
    },
};

/// How [`Adam`] forms its mean of squares, or its mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// As Kingma and Ba.
    Plain,
    /// The largest mean of squares so far.
    AmsGrad,
    /// The mean looks ahead.
    Nesterov,
    /// Squares are added, not mixed in.
    Yogi,
}

/// The settings of Adam. [`adam`] has the usual ones.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adam::{Adam, Variant};
/// let slow = Adam { beta_2: 0.9, ..Adam::default() };
/// for variant in [Variant::Plain, Variant::AmsGrad, Variant::Nesterov] {
///     let (w, update) = (array([1.0, 1.0]), Adam { variant, ..slow }.update(0.1));
///     let (step, _) = update.update(&array([3.0, -0.01]), &update.init(&w)?, &w)?;
///     let step = step.to_vec::<f64>().unwrap();
///     assert!(step[0] < 0.0 && (step[0] + step[1]).abs() < 1e-6); // a step has the sign of the gradient, not its size
/// }
/// let alone = slow.direction(); // without a learning rate, for a chain
/// assert_eq!(alone.name(), "adam direction");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// What is left of the mean in each step.
    pub beta_1: f64,
    /// What is left of the mean of squares in each step.
    pub beta_2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
    /// How the means are formed.
    pub variant: Variant,
}

impl Default for Adam {
    /// Those of Kingma and Ba, algorithm 1.
    fn default() -> Self {
        Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, variant: Variant::Plain }
    }
}

/// What Yogi's two means begin with. Source: Zaheer and others (2018), section 5, as in optax.
const YOGI_START: f64 = 1e-6;

impl Adam {
    /// With a learning rate.
    #[track_caller]
    pub fn update(self, rate: impl IntoRate) -> Update {
        named(self.name(), vec![self.direction(), descend(rate)])
    }

    /// Without a learning rate.
    #[track_caller]
    pub fn direction(self) -> Update {
        Update::new(self, self.mistakes(Location(std::panic::Location::caller())))
    }

    fn name(self) -> &'static str {
        match self.variant {
            Variant::Plain => "adam",
            Variant::AmsGrad => "amsgrad",
            Variant::Nesterov => "nadam",
            Variant::Yogi => "yogi",
        }
    }

    fn mistakes(self, location: Location) -> Vec<Diagnostic> {
        let name = self.name();
        [
            expect_decay(name, "beta_1", self.beta_1, location),
            expect_decay(name, "beta_2", self.beta_2, location),
            expect_not_negative(name, "epsilon", self.epsilon, location),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Rule for Adam {
    fn name(&self) -> String {
        format!("{} direction", (*self).name())
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let start = if self.variant == Variant::Yogi { YOGI_START } else { 0.0 };
        let start = || parameters.each(|w| full(w.dtype(), w.shape(), start));
        let state = State::new(&Rule::name(self)).with("mean", start()).with("square", start());
        let state =
            if self.variant == Variant::AmsGrad { state.with("largest", parameters.zeros()) } else { state };
        state.with_number("count", no_steps())
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (gradient, Adam { beta_1, beta_2, .. }) = (&given.gradient, *self);
        let (before, count) = state.counted();
        let now = before + 1.0;
        let mean = state.slot("mean").zip(gradient, |m, g| beta_1 * m + (1.0 - beta_1) * g);
        let square = state.slot("square").zip(gradient, |v, g| {
            if self.variant == Variant::Yogi {
                v - (1.0 - beta_2) * (v - g * g).sign() * (g * g)
            } else {
                beta_2 * v + (1.0 - beta_2) * (g * g)
            }
        });
        // 1 / (1 - βᵗ), in f64.
        let unit = |beta: f64, t: Var| 1.0 / (1.0 - power(beta, t));
        let (mean_unit, square_unit) = (unit(beta_1, now), unit(beta_2, now));
        let upper = if self.variant == Variant::Nesterov {
            let ahead = unit(beta_1, now + 1.0);
            mean.zip(gradient, |m, g| scaled(beta_1 * m, ahead) + scaled((1.0 - beta_1) * g, mean_unit))
        } else {
            mean.each(|m| scaled(m, mean_unit))
        };
        let mut next = State::new(&Rule::name(self)).with("mean", mean).with("square", square.clone());
        let mut below = square;
        if self.variant == Variant::AmsGrad {
            below = state.slot("largest").zip(&below, |u, v| u.max(v));
            next = next.with("largest", below.clone());
        }
        let step = upper.zip(&below, |m, v| m / (root(scaled(v, square_unit)) + self.epsilon));
        (step, next.with_number("count", count))
    }
}

/// √x of x ≥ 0 with the derivative 0 at 0, where √ has none: an update of a gradient that is exactly 0 does not depend on it.
pub(super) fn root(x: Var) -> Var {
    use retrograde_core::trace::var::select;
    select(x.gt(0.0), x, full(x.dtype(), x.shape(), 1.0)).sqrt() * x.gt(0.0).convert(x.dtype())
}

/// Adam with the usual settings.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adam::adam;
/// let (w, update) = (array([0.0_f32, 0.0]), adam(0.5));
/// let (step, _) = update.update(&array([100.0_f32, -0.25]), &update.init(&w)?, &w)?;
/// assert_eq!(step, array([-0.5_f32, 0.5])); // the first step is the sign of the gradient
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adam(rate: impl IntoRate) -> Update {
    Adam::default().update(rate)
}

/// Adam whose weights decay apart from the gradient: `w ← w − η (m̂ / (√v̂ + ε) + λ w)`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adam::adamw;
/// let (w, update) = (array([2.0]), adamw(0.5, 0.25));
/// assert_eq!(update.update(&array([0.0]), &update.init(&w)?, &w)?.0, array([-0.25])); // no gradient: 1/8 of the weight
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adamw(rate: impl IntoRate, decay: f64) -> Update {
    named("adamw", vec![Adam::default().direction(), weight_decay(decay), descend(rate)])
}

/// AMSGrad with the usual settings of Adam.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::adam::{amsgrad, nadam, yogi};
/// let w = array([1.0]);
/// for update in [amsgrad(0.1), nadam(0.1), yogi(0.1)] {
///     assert!(update.update(&w, &update.init(&w)?, &w)?.0.item::<f64>().unwrap() < 0.0);
/// }
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn amsgrad(rate: impl IntoRate) -> Update {
    Adam { variant: Variant::AmsGrad, ..Adam::default() }.update(rate)
}

/// Adam with Nesterov's look ahead.
#[track_caller]
pub fn nadam(rate: impl IntoRate) -> Update {
    Adam { variant: Variant::Nesterov, ..Adam::default() }.update(rate)
}

/// Yogi, with the ε of 10⁻³ of its authors.
#[track_caller]
pub fn yogi(rate: impl IntoRate) -> Update {
    Adam { variant: Variant::Yogi, epsilon: 1e-3, ..Adam::default() }.update(rate)
}
