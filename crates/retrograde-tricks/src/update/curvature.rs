//! Lion, Sophia and AdaHessian: the sign of momentum, and momentum by curvature.
//!
//! ```text
//! Lion         s = sign(β₁ m + (1 − β₁) g)                    m ← β₂ m + (1 − β₂) g
//! Sophia       s = clamp(m / max(γ h, ε), −1, 1)              m ← β₁ m + (1 − β₁) g,  h ← β₂ h + (1 − β₂) ĥ
//! AdaHessian   s = m̂ / (√v̂ + ε)                               as Adam, with ĥ² in place of g²
//! ĥ = z ∘ (H z), z = ±1 at random: mean diag H, and equal to it where H is diagonal
//! ```
//!
//! ĥ comes in beside the gradient, by [`Update::update_with`]: Sophia takes it every few steps and keeps h in between, AdaHessian needs it
//! in every one. Sophia is algorithm 3 of its paper, h first; optax corrects m for bias and uses h before it changes. AdaHessian is its
//! algorithm 1 with Hessian power 1 and without the average over neighbouring entries. Law: exact. Cost: one array like each parameter, the others
//! two; ĥ costs a Hessian–vector product.

use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::hvp;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::var::random_bits;

use super::adam::{Adam, root};
use super::map::{
    Given, Leaves, Rule, State, Update, expect_decay, expect_positive, named, no_steps, power, scaled,
};
use super::schedule::{IntoRate, descend};
use super::weight_decay::weight_decay;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of Lion, Sophia and AdaHessian.
pub const CURVATURE: Trick = Trick {
    id: "E3",
    name: "Lion, Sophia, AdaHessian",
    formula: "sign(b1 m + (1 - b1) g); clamp(m / max(gamma h, eps), -1, 1) with h from z * (H z)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "Z. Yao and A. Gholami and S. Shen and M. Mustafa and K. Keutzer and M. W. Mahoney",
            title: "ADAHESSIAN: An Adaptive Second Order Optimizer for Machine Learning",
            venue: "AAAI",
            year: 2021,
        },
        Source {
            authors: "X. Chen and others",
            title: "Symbolic Discovery of Optimization Algorithms",
            venue: "NeurIPS",
            year: 2023,
        },
        Source {
            authors: "H. Liu and Z. Li and D. Hall and P. Liang and T. Ma",
            title: "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training",
            venue: "ICLR",
            year: 2024,
        },
    ],
    file: file!(),
    example: "sophia",
    property: Property {
        claim: "steps are the formulas; on a quadratic with a diagonal Hessian one draw gives the diagonal to the bit, and Sophia's first step is Newton's over gamma",
        test: "hutchinson_is_the_diagonal_where_the_hessian_is",
        found: "",
    },
};

#[derive(Clone, Copy, Debug)]
enum Curved {
    Lion { beta_1: f64, beta_2: f64 },
    Sophia { beta_1: f64, beta_2: f64, gamma: f64, epsilon: f64 },
    AdaHessian(Adam),
}

impl Rule for Curved {
    fn name(&self) -> String {
        match self {
            Curved::Lion { .. } => "lion direction".into(),
            Curved::Sophia { .. } => "sophia direction".into(),
            Curved::AdaHessian(_) => "adahessian direction".into(),
        }
    }
    fn init(&self, parameters: &Leaves<Var>) -> State<Var> {
        let state = State::new(&self.name()).with("mean", parameters.zeros());
        match self {
            Curved::Lion { .. } => state,
            Curved::Sophia { .. } => state.with("curvature", parameters.zeros()),
            Curved::AdaHessian(_) => {
                state.with("square", parameters.zeros()).with_number("count", no_steps())
            }
        }
    }
    fn update(&self, given: &Given<Var>, state: &State<Var>) -> (Leaves<Var>, State<Var>) {
        let (g, next) = (&given.gradient, State::new(&self.name()));
        let mean = |beta: f64| state.slot("mean").zip(g, |m, g| beta * m + (1.0 - beta) * g);
        match *self {
            Curved::Lion { beta_1, beta_2 } => {
                (mean(beta_1).each(Var::sign), next.with("mean", mean(beta_2)))
            }
            Curved::Sophia { beta_1, beta_2, gamma, epsilon } => {
                let (mean, old) = (mean(beta_1), state.slot("curvature"));
                let curvature = match &given.curvature {
                    Some(new) => old.zip(new, |h, new| beta_2 * h + (1.0 - beta_2) * new),
                    None => old.clone(),
                };
                let step = mean.zip(&curvature, |m, h| (m / (gamma * h).max(epsilon)).clamp(-1.0, 1.0));
                (step, next.with("mean", mean).with("curvature", curvature))
            }
            Curved::AdaHessian(Adam { beta_1, beta_2, epsilon, .. }) => {
                let (before, count) = state.counted();
                let unit = |beta: f64| 1.0 / (1.0 - power(beta, before + 1.0));
                let (mean_unit, square_unit) = (unit(beta_1), unit(beta_2));
                let mean = mean(beta_1);
                let new = given.curvature.as_ref().unwrap_or(g);
                let square = state.slot("square").zip(new, |v, h| beta_2 * v + (1.0 - beta_2) * (h * h));
                let step =
                    mean.zip(&square, |m, v| scaled(m, mean_unit) / (root(scaled(v, square_unit)) + epsilon));
                (step, next.with("mean", mean).with("square", square).with_number("count", count))
            }
        }
    }
    fn needs_curvature(&self) -> bool {
        matches!(self, Curved::AdaHessian(_))
    }
}

/// Lion with the betas of its authors and decoupled weight decay.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::curvature::lion;
/// let (w, update) = (array([1.0, 1.0]), lion(0.5, 0.0));
/// assert_eq!(update.update(&array([9.0, -0.1]), &update.init(&w)?, &w)?.0, array([-0.5, 0.5]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn lion(rate: impl IntoRate, decay: f64) -> Update {
    let direction = Update::new(Curved::Lion { beta_1: 0.9, beta_2: 0.99 }, vec![]);
    named("lion", vec![direction, weight_decay(decay), descend(rate)])
}

/// Sophia with the betas of its authors (0.96, 0.99), γ = 0.01 and ε = 10⁻¹².
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::curvature::sophia;
/// let (w, update) = (array([1.0, 1.0]), sophia(1.0));
/// // 0.04 g / (0.01 · 0.01 ĥ), clamped.
/// let (step, state) = update.update_with(&array([0.001, 4.0]), &array([1.0, 2.0]), &update.init(&w)?, &w)?;
/// let step = step.to_vec::<f64>().unwrap();
/// assert!((step[0] + 0.4).abs() < 1e-12 && step[1] == -1.0);
/// let (_, later) = update.update(&array([0.0, 0.0]), &state, &w)?;
/// assert_eq!(later.get("curvature"), state.get("curvature")); // kept where no new one comes in
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn sophia(rate: impl IntoRate) -> Update {
    Sophia::default().update(rate)
}

/// The settings of Sophia.
///
/// ```
/// use retrograde_tricks::update::curvature::Sophia;
/// assert_eq!(Sophia { gamma: 0.02, ..Sophia::default() }.update(1e-3).name(), "sophia");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sophia {
    /// What is left of the mean in each step.
    pub beta_1: f64,
    /// What is left of the curvature when a new one comes in.
    pub beta_2: f64,
    /// Larger ones make more steps those of Newton and fewer those of the sign.
    pub gamma: f64,
    /// The least that is divided by.
    pub epsilon: f64,
}

impl Default for Sophia {
    /// Those of Liu and others (2024), section 3.
    fn default() -> Self {
        Sophia { beta_1: 0.96, beta_2: 0.99, gamma: 0.01, epsilon: 1e-12 }
    }
}

impl Sophia {
    /// With a learning rate.
    #[track_caller]
    pub fn update(self, rate: impl IntoRate) -> Update {
        let location = Location(std::panic::Location::caller());
        let Sophia { beta_1, beta_2, gamma, epsilon } = self;
        let mistakes = [
            expect_decay("sophia", "beta_1", beta_1, location),
            expect_decay("sophia", "beta_2", beta_2, location),
            expect_positive("sophia", "gamma", gamma, location),
            expect_positive("sophia", "epsilon", epsilon, location),
        ];
        let rule = Curved::Sophia { beta_1, beta_2, gamma, epsilon };
        named("sophia", vec![Update::new(rule, mistakes.into_iter().flatten().collect()), descend(rate)])
    }
}

/// AdaHessian with the usual settings of Adam.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::update::curvature::adahessian;
/// let (w, update) = (array([1.0]), adahessian(1.0));
/// let (step, _) = update.update_with(&array([6.0]), &array([2.0]), &update.init(&w)?, &w)?;
/// assert!((step.to_vec::<f64>().unwrap()[0] + 3.0).abs() < 1e-7); // Newton's, where ĥ is the curvature
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adahessian(rate: impl IntoRate) -> Update {
    let direction = Update::new(Curved::AdaHessian(Adam::default()), vec![]);
    named("adahessian", vec![direction, descend(rate)])
}

/// ĥ = z ∘ (H z) for the loss of parameters and data, inside a trace; `signs` is z.
///
/// # Source
/// C. Bekas, E. Kokiopoulou, Y. Saad, An estimator for the diagonal of a matrix, Applied Numerical Mathematics 57, 2007.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::update::curvature::{hutchinson, random_signs};
/// let loss = |w: Var, a: Var| 0.5 * (a * w * w).sum();
/// let diagonal = |w: Var, a: Var, key: Var| hutchinson(loss, w, a, &random_signs(key, &w));
/// let (w, a) = (array([1.0, 2.0]), array([3.0, 5.0]));
/// assert_eq!(jit(diagonal).call((&w, &a, &Key::from_seed(1).to_array()))?, a);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn hutchinson<P: Traceable, X: Traceable>(
    loss: impl Function<(P, X), Output = Var>,
    parameters: P,
    data: X,
    signs: &P,
) -> P {
    let products = Leaves::of(&hvp(loss).at((parameters, data), signs));
    let mut next = products.0.into_iter();
    signs.map_vars(&mut |z| next.next().map_or(*z, |(_, product)| *z * product))
}

/// A tree like the parameters of independent signs, from a key (`i64[2]`).
#[track_caller]
pub fn random_signs<P: Traceable>(key: Var, like: &P) -> P {
    let leaves = Leaves::of(like);
    let sizes = leaves.0.iter().map(|(_, w)| w.shape().size());
    let bits = random_bits(key, [sizes.sum::<usize>()], 1);
    let mut at = 0;
    like.map_vars(&mut |w| {
        let (start, n) = (at, w.shape().size());
        at += n;
        let bits = bits.slice(0, start..start + n).reshape(w.shape()).convert(w.dtype());
        2.0 * bits - 1.0
    })
}
