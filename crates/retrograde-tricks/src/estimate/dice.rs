//! The weight `exp(τ − sg τ)`: one, with the derivatives of every order of a likelihood.
//!
//! Multiplied with a cost, τ the log-density of all nodes before it, it makes a surrogate whose derivatives of any order have the mean of
//! the derivatives of the mean cost. Law: without bias. `sg` is `stop_gradient`, which holds at higher orders.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::score::Node;
use crate::catalogue::{Law, Property, Source, Trick};

/// D6.
pub const DICE: Trick = Trick {
    id: "D6",
    name: "DiCE, the likelihood ratio with a stopped denominator",
    formula: "Σ_costs exp(τ − sg τ) cost, τ = Σ log p of the nodes before it",
    law: Law::Inexact { what: "an estimate without bias, at every order" },
    cite: &[Source {
        authors: "J. Foerster and G. Farquhar and M. Al-Shedivat and T. Rocktäschel and E. P. Xing and S. Whiteson",
        title: "DiCE: the infinitely differentiable Monte Carlo estimator",
        venue: "ICML",
        year: 2018,
    }],
    file: file!(),
    example: "likelihood_ratio",
    property: Property {
        claim: "gradient, Hessian and third derivative without bias over all outcomes of two nodes, one of which depends on the other",
        test: "likelihood_ratios_are_right_to_the_third_order",
        found: "",
    },
};

/// `exp(τ − sg τ)`: 1 to the bit, with the slope of τ.   τ: `[..]` float → the same shape.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::dice::likelihood_ratio;
/// let tau = |x: Var| likelihood_ratio(x * x);
/// assert_eq!(jit(tau).call(&array(3.0))?, array(1.0));
/// assert_eq!(grad(tau).call(&array(3.0))?, array(6.0));
/// // p''/p = τ'² + τ''
/// assert_eq!(grad(grad(tau)).call(&array(3.0))?, array(38.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn likelihood_ratio(tau: Var) -> Var {
    (tau - tau.stop_gradient()).exp()
}

/// The sum of costs, each weighed for the nodes that it depends on, directly or through others.   costs: numbers.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::hessian};
/// use retrograde_tricks::estimate::{dice::surrogate, distribution::Bernoulli, draw::split, score::score};
/// let f = |logit: Var, key: Var| {
///     let keys = split(key, 2);
///     let first = score(keys[0], &Bernoulli { logits: logit });
///     let second = score(keys[1], &Bernoulli { logits: logit + first.value });
///     surrogate(&[(first.value, vec![first]), (second.value * 3.0, vec![first, second])])
/// };
/// let value = retrograde_core::trace::door::jit(f).call((&array(0.0), &Key::from_seed(1).to_array()))?;
/// assert!([0.0, 1.0, 3.0, 4.0].contains(&value.item::<f64>().unwrap()));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn surrogate(costs: &[(Var, Vec<Node>)]) -> Var {
    let mut total: Option<Var> = None;
    for (cost, nodes) in costs {
        let mut tau: Option<Var> = None;
        for node in nodes {
            let log_density = node.log_density.sum();
            tau = Some(tau.map_or(log_density, |tau| tau + log_density));
        }
        let cost = tau.map_or(*cost, |tau| likelihood_ratio(tau) * *cost);
        total = Some(total.map_or(cost, |total| total + cost));
    }
    total.unwrap_or_else(|| full(DType::F64, [], 0.0))
}
