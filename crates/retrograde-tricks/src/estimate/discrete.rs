//! Gradients through Bernoulli nodes with less variance than the score function: MuProp, ARM, DisARM.
//!
//! With p = σ(φ), z ~ Bernoulli(p) and u uniform:
//!
//! ```text
//! MuProp   (f(z) − f(p) − f'(p)·(z − p)) (z − p) + f'(p) p (1 − p)
//! ARM      (f(1[u > 1 − p]) − f(1[u < p])) (u − ½)
//! DisARM   ½ (f(b) − f(c)) (−1)^c 1[b ≠ c] σ(|φ|),   b = 1[1 − u < p], c = 1[u < p]
//! ```
//!
//! All three have the mean of the gradient by φ. They are estimates themselves, not surrogates: of first order.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, full, select, uniform};
use retrograde_engine::{grad, value_and_grad};

use super::distribution::Bernoulli;
use super::estimator::Estimator;
use super::score::{Node, score_function};
use crate::catalogue::{Law, Property, Source, Trick};

/// D8.
pub const DISCRETE: Trick = Trick {
    id: "D8",
    name: "MuProp, ARM, DisARM",
    formula: "ARM: (f(1[u > 1 − p]) − f(1[u < p])) (u − ½)",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "S. Gu and S. Levine and I. Sutskever and A. Mnih",
            title: "MuProp: unbiased backpropagation for stochastic neural networks",
            venue: "ICLR, arXiv:1511.05176",
            year: 2016,
        },
        Source {
            authors: "M. Yin and M. Zhou",
            title: "ARM: augment-REINFORCE-merge gradient for stochastic binary networks",
            venue: "ICLR, arXiv:1807.11143",
            year: 2019,
        },
        Source {
            authors: "Z. Dong and A. Mnih and G. Tucker",
            title: "DisARM: an antithetic gradient estimator for binary latent variables",
            venue: "NeurIPS",
            year: 2020,
        },
    ],
    file: file!(),
    example: "bernoulli_gradient",
    property: Property {
        claim: "without bias over all outcomes; on (z − 0.45)² each has less variance than the score function, DisARM no more than ARM",
        test: "merged_and_mean_field_gradients_have_no_bias_and_less_variance",
        found: "",
    },
};

/// How to differentiate through Bernoulli nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Through {
    /// [`score_function`], without baseline.
    Score,
    /// [`muprop`].
    MuProp,
    /// [`arm`].
    Arm,
    /// [`disarm`].
    DisArm,
}

/// The gradient of `E f(z)` by the logits.   logits: f64 `[d]`, f: `[d]` → number.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::discrete::{Through, bernoulli_gradient};
/// let f = |z: Var| { let miss = z - 0.45; (miss * miss).sum() };
/// for through in [Through::Score, Through::MuProp, Through::Arm, Through::DisArm] {
///     // E f = p 0.55² + (1 − p) 0.45², with the slope 0.1 p (1 − p).
///     bernoulli_gradient(Key::from_seed(1), through, f, array([0.0])).mean(array([0.025])).check(500)?;
/// }
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[track_caller]
pub fn bernoulli_gradient(
    key: Key,
    through: Through,
    f: impl Fn(Var) -> Var + 'static,
    logits: Array,
) -> Estimator<Var> {
    Estimator::new("bernoulli_gradient", key, move |key: Var| {
        let logits = constant(&logits);
        let u = uniform(key, logits.shape()).convert(logits.dtype());
        let z = || indicator(u.lt(logits.logistic()), logits);
        match through {
            Through::Score => grad(|logits: Var| {
                let node = Node::at(&Bernoulli { logits }, z());
                score_function(f(node.value), node.log_density.sum(), None)
            })
            .at(logits),
            Through::MuProp => muprop(&f, logits, z()),
            Through::Arm => arm(&f, logits, u),
            Through::DisArm => disarm(&f, logits, u),
        }
    })
}

/// MuProp of a draw z.   logits, z: `[d]` → the estimate `[d]`.
///
/// # Cost
/// Two evaluations of f and one gradient of it at the mean field.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::discrete::muprop;
/// // For a linear f nothing is left to chance.
/// let found = |z: f64| jit(|logits: Var, z: Var| muprop(|z: Var| (z * 3.0).sum(), logits, z)).call((&array([0.0]), &array([z])));
/// assert_eq!((found(0.0)?, found(1.0)?), (array([0.75]), array([0.75])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn muprop(f: impl Fn(Var) -> Var, logits: Var, z: Var) -> Var {
    let p = logits.logistic();
    let (value, slope) = value_and_grad(|x: Var| f(x)).at(p);
    let off = z - p;
    let rest = f(z) - value - (slope * off).sum();
    off * rest.spread(off.shape()) + slope * p * (1.0 - p)
}

/// ARM of uniform numbers u.   logits, u: `[d]` → the estimate `[d]`.
///
/// # Cost
/// Two evaluations of f.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::discrete::arm;
/// let f = jit(|logits: Var, u: Var| arm(|z: Var| (z * 3.0).sum(), logits, u));
/// assert_eq!(f.call((&array([0.0]), &array([0.75])))?, array([0.75]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn arm(f: impl Fn(Var) -> Var, logits: Var, u: Var) -> Var {
    let p = logits.logistic();
    let difference = f(indicator(u.gt(1.0 - p), logits)) - f(indicator(u.lt(p), logits));
    (u - 0.5) * difference.spread(u.shape())
}

/// DisARM of uniform numbers u.   logits, u: `[d]` → the estimate `[d]`.
///
/// # Cost
/// Two evaluations of f.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::discrete::disarm;
/// let f = jit(|logits: Var, u: Var| disarm(|z: Var| (z * 3.0).sum(), logits, u));
/// assert_eq!(f.call((&array([0.0]), &array([0.9])))?, array([0.75]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn disarm(f: impl Fn(Var) -> Var, logits: Var, u: Var) -> Var {
    let p = logits.logistic();
    let (b, c) = (indicator(u.gt(1.0 - p), logits), indicator(u.lt(p), logits));
    let half = (f(b) - f(c)) * 0.5;
    // (−1)^c where b and c differ, else 0, is b − c.
    (b - c) * logits.abs().logistic() * half.spread(u.shape())
}

/// 1 where true, else 0, of the type of another value.
fn indicator(mask: Var, like: Var) -> Var {
    let (one, zero) = (full(like.dtype(), like.shape(), 1.0), full(like.dtype(), like.shape(), 0.0));
    select(mask, one, zero)
}
