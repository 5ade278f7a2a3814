//! Stochastic gradients with a control variate: SVRG, SAGA, and their biased relatives SAG and SARAH.
//!
//! With the gradient gᵢ(w) of example i, a snapshot w̃, the last gradients tᵢ that were seen, with mean t̄, and the last estimate v:
//!
//! ```text
//! SVRG    gᵢ(w) − gᵢ(w̃) + ḡ(w̃)          mean ḡ(w)
//! SAGA    gᵢ(w) − tᵢ + t̄                 mean ḡ(w)
//! SAG     (gᵢ(w) − tᵢ)/n + t̄             bias (1 − 1/n)(t̄ − ḡ(w))
//! SARAH   gᵢ(w) − gᵢ(w₋) + v             bias v − ḡ(w₋)
//! ```
//!
//! At the snapshot, and where all tᵢ are gᵢ(w), the variance is zero.

use std::rc::Rc;

use retrograde_array::rng::Key;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::grad;

use super::estimator::Estimator;
use super::leafwise::{constants, copy, zip};
use super::minibatch::{Replacement, mean_of, minibatch, n_examples, per_example, total_variance};
use crate::catalogue::{Law, Property, Source, Trick};

/// D16.
pub const VARIANCE_REDUCTION: Trick = Trick {
    id: "D16",
    name: "SVRG, SAGA, SAG, SARAH",
    formula: "gᵢ(w) − gᵢ(w̃) + ḡ(w̃)",
    law: Law::Inexact {
        what: "SVRG, SAGA: an estimate without bias; SAG: bias (1 − 1/n)(t̄ − ḡ); SARAH: v − ḡ(w₋)",
    },
    cite: &[
        Source {
            authors: "R. Johnson and T. Zhang",
            title: "Accelerating stochastic gradient descent using predictive variance reduction",
            venue: "NeurIPS",
            year: 2013,
        },
        Source {
            authors: "A. Defazio and F. Bach and S. Lacoste-Julien",
            title: "SAGA: a fast incremental gradient method with support for non-strongly convex composite objectives",
            venue: "NeurIPS",
            year: 2014,
        },
        Source {
            authors: "M. Schmidt and N. Le Roux and F. Bach",
            title: "Minimizing finite sums with the stochastic average gradient",
            venue: "Mathematical Programming 162",
            year: 2017,
        },
        Source {
            authors: "L. M. Nguyen and J. Liu and K. Scheinberg and M. Takáč",
            title: "SARAH: a novel method for machine learning problems using stochastic recursive gradient",
            venue: "ICML",
            year: 2017,
        },
    ],
    file: file!(),
    example: "svrg_gradient",
    property: Property {
        claim: "over all examples: SVRG and SAGA without bias, SAG and SARAH with that of the formula; no variance at the snapshot",
        test: "control_variates_have_the_bias_of_the_formula",
        found: "",
    },
};

/// `fresh − old + mean`: SVRG with a snapshot's gradients, SAGA with those last seen, SARAH with the last step's gradient and estimate.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::variance_reduction::{controlled, sag};
/// let f = jit(|g: Var, old: Var, mean: Var| (controlled(&g, &old, &mean), sag(&g, &old, &mean, 4)));
/// assert_eq!(f.call((&array(5.0), &array(1.0), &array(2.0)))?, (array(6.0), array(3.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn controlled<P: Traceable>(fresh: &P, old: &P, mean: &P) -> P {
    zip(&zip(fresh, old, |fresh, old| fresh - old), mean, |off, mean| off + mean)
}

/// `(fresh − old)/n + mean`: SAG, whose step is the new mean of the table.
#[track_caller]
pub fn sag<P: Traceable>(fresh: &P, old: &P, mean: &P, n: usize) -> P {
    zip(&zip(fresh, old, |fresh, old| (fresh - old) / n as f64), mean, |off, mean| off + mean)
}

/// SVRG with one example a draw, with its mean and variance.   data: leaves `[n, ..]`.
///
/// # Errors
/// Mistakes in the loss.
/// # Cost
/// The predictions take the gradients of all examples at both points, once; a draw takes two gradients of one.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::variance_reduction::svrg_gradient;
/// let loss = |w: Var, x: Var| (w * x).sin();
/// let data = array([1.0, 2.0, 3.0]);
/// let near = svrg_gradient(Key::from_seed(1), loss, array(0.5), array(0.51), data.clone())?;
/// let there = svrg_gradient(Key::from_seed(1), loss, array(0.5), array(0.5), data)?;
/// assert!(near.predicted_variance.unwrap() < 1e-2 && there.predicted_variance == Some(0.0));
/// near.check(500)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn svrg_gradient<P: Traceable, X: Traceable>(
    key: Key,
    loss: impl Fn(P, X) -> Var + 'static,
    w: P::Arrays,
    snapshot: P::Arrays,
    data: X::Arrays,
) -> Result<Estimator<P>, Error> {
    let loss = Rc::new(loss);
    let (here, there) =
        (per_example::<P, X>(loss.clone(), &w, &data)?, per_example::<P, X>(loss.clone(), &snapshot, &data)?);
    let difference =
        retrograde_engine::jit(|here: P, there: P| zip(&here, &there, |here, there| here - there));
    let n = n_examples(&data);
    let variance = total_variance(&difference.call((&here, &there))?, n);
    let (mean, at_snapshot) = (mean_of::<P>(&here)?, mean_of::<P>(&there)?);
    let draw = move |key: Var| {
        let i = minibatch(key, n, 1, Replacement::With).index(0, 0);
        let example: X = constants::<X>(&data).map_vars(&mut |leaf| leaf.gather(0, i));
        let slope = |w: P| grad(|w: P| loss(w, copy(&example))).at(w);
        controlled(&slope(constants(&w)), &slope(constants(&snapshot)), &constants(&at_snapshot))
    };
    Ok(Estimator::new("svrg_gradient", key, draw).mean(mean).variance(variance))
}
