//! Score functions: the derivative of a mean through the density of what is drawn.
//!
//! `∇ E f = E [(f − b) ∇ log p(z) + ∇ f]` for any baseline b that does not depend on z. Stochastic nodes carry their log-density, and
//! the weight of [`dice`](super::dice) turns it into derivatives of every order. Law: without bias.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::dice::likelihood_ratio;
use super::distribution::Distribution;
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D5.
pub const SCORE: Trick = Trick {
    id: "D5",
    name: "score function with baseline, leave one out (RLOO)",
    formula: "∇ E f = E (f − b) ∇ log p(z) + E ∇ f",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "P. W. Glynn",
            title: "Likelihood ratio gradient estimation for stochastic systems",
            venue: "Communications of the ACM 33",
            year: 1990,
        },
        Source {
            authors: "R. J. Williams",
            title: "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
            venue: "Machine Learning 8",
            year: 1992,
        },
        Source {
            authors: "A. Mnih and K. Gregor",
            title: "Neural variational inference and learning in belief networks",
            venue: "ICML",
            year: 2014,
        },
        Source {
            authors: "J. Schulman and N. Heess and T. Weber and P. Abbeel",
            title: "Gradient estimation using stochastic computation graphs",
            venue: "NeurIPS",
            year: 2015,
        },
        Source {
            authors: "W. Kool and H. van Hoof and M. Welling",
            title: "Buy 4 REINFORCE samples, get a baseline for free!",
            venue: "ICLR workshop on deep reinforcement learning meets structured prediction",
            year: 2019,
        },
    ],
    file: file!(),
    example: "score_function",
    property: Property {
        claim: "without bias over all outcomes of Bernoulli nodes, with any constant baseline and with leave-one-out; the optimal baseline has the least variance",
        test: "scores_have_no_bias_and_the_optimal_baseline_has_the_least_variance",
        found: "",
    },
};

/// A stochastic node: what was drawn, without derivative, and its log-density, entry by entry, with derivatives by the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// The draw.
    pub value: Var,
    /// ln p of each entry.
    pub log_density: Var,
}

impl Node {
    /// The node of a draw that is given.   value: as the distribution draws it.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_tricks::estimate::{distribution::Bernoulli, score::Node};
    /// let f = |logits: Var, z: Var| Node::at(&Bernoulli { logits }, z).log_density.sum();
    /// assert_eq!(grad(f).call((&array([0.0, 0.0]), &array([1.0, 0.0])))?, array([0.5, -0.5]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn at(distribution: &impl Distribution, value: Var) -> Node {
        let value = value.stop_gradient();
        Node { value, log_density: distribution.log_density(value) }
    }
}

/// Draws a node.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::estimate::{distribution::Normal, score::score};
/// // The draw itself has no derivative.
/// let f = |mu: Var, key: Var| score(key, &Normal { mean: mu, deviation: mu }).value;
/// assert_eq!(grad(f).call((&array(1.0), &Key::from_seed(1).to_array()))?, array(0.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn score(key: Var, distribution: &impl Distribution) -> Node {
    Node::at(distribution, distribution.sample(key))
}

/// A cost whose derivative has the mean of the derivative of its mean.   cost, log_density, baseline: of one shape, entry by entry.
///
/// The value is the cost, to the bit. `log_density` is that of all that the cost depends on, summed; `baseline` is not differentiated
/// and must not depend on what the cost's own draw was.
///
/// # Errors
/// At the front door, where the shapes differ.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::{distribution::Bernoulli, estimator::Estimator, score::{score, score_function}};
/// // E z = p, with the slope p (1 − p) by the logit.
/// let loss = |logits: Var, key: Var| {
///     let node = score(key, &Bernoulli { logits });
///     score_function(node.value, node.log_density, Some(node.value * 0.0 + 0.5))
/// };
/// Estimator::of_loss("score", Key::from_seed(1), array(0.0), loss).mean(array(0.25)).check(500)?;
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[track_caller]
pub fn score_function(cost: Var, log_density: Var, baseline: Option<Var>) -> Var {
    let weight = likelihood_ratio(log_density);
    match baseline {
        None => weight * cost,
        Some(baseline) => weight * cost + (1.0 - weight) * baseline.stop_gradient(),
    }
}

/// For each of K costs of independent draws, the mean of the others: a baseline.   costs: `[k]` → `[k]`.
///
/// # Errors
/// At the front door, for fewer than two costs.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::door::jit;
/// use retrograde_tricks::estimate::score::leave_one_out;
/// assert_eq!(jit(leave_one_out).call(&array([1.0, 2.0, 6.0]))?, array([4.0, 3.5, 1.5]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn leave_one_out(costs: Var) -> Var {
    let location = caller();
    match costs.shape()[..] {
        [k] if k > 1 => {
            let costs = costs.stop_gradient();
            (costs.sum().spread([k]) - costs) / (k - 1) as f64
        }
        _ => {
            let found =
                format!("leave_one_out: found costs of type {}, expected at least two: f64[k]", costs.ty());
            refuse(location, found, "draw two or more independent values of the cost");
            full(DType::F64, costs.shape(), 0.0)
        }
    }
}

/// The constant baseline of least variance, `E f |s|² / E |s|²`, from outcomes: the cost of each, its score, its probability.
///
/// # Source
/// E. Greensmith, P. L. Bartlett, J. Baxter, Variance reduction techniques for gradient estimates in reinforcement learning, JMLR 5
/// (2004), theorem 8.
///
/// ```
/// use retrograde_tricks::estimate::score::optimal_baseline;
/// // A coin with p = ½ by its logit: scores ±½, so that the baseline is the mean.
/// assert_eq!(optimal_baseline(&[(1.0, &[0.5], 0.5), (3.0, &[-0.5], 0.5)]), 2.0);
/// ```
pub fn optimal_baseline(outcomes: &[(f64, &[f64], f64)]) -> f64 {
    let square = |score: &[f64]| score.iter().map(|s| s * s).sum::<f64>();
    let total = |f: &dyn Fn(f64) -> f64| {
        outcomes.iter().map(|(cost, score, p)| p * f(*cost) * square(score)).sum::<f64>()
    };
    total(&|cost| cost) / total(&|_| 1.0)
}
