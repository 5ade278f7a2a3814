//! Bounds on a marginal likelihood from several samples: IWAE, its score-function form VIMCO, and the wake phase of reweighted wake-sleep.
//!
//! With `w = p(x, z) / q(z)` of K draws z ~ q,
//!
//! ```text
//! IWAE     L = ln (1/K) Σ w                          for paths to z, or for the parameters of p
//! VIMCO    Σ (L − L₋ₖ) ∇ ln q(zₖ) + ∇ L              for draws that jump; L₋ₖ has the geometric mean of the others for wₖ
//! wake     −Σ (wₖ / Σ w) ∇ ln q(zₖ)                  a step of q towards the posterior, with a bias of order 1/K
//! ```
//!
//! One sample makes L the bound of the variational autoencoder, to the bit.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::linalg::eye;
use retrograde_core::trace::var::full;

use super::dice::likelihood_ratio;
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};
use crate::primal::softmax::softmax;

/// D9.
pub const IMPORTANCE: Trick = Trick {
    id: "D9",
    name: "IWAE, VIMCO, reweighted wake-sleep",
    formula: "L = ln (1/K) Σ p(x, zₖ)/q(zₖ)",
    law: Law::Inexact {
        what: "IWAE, VIMCO: an estimate without bias of the gradient of E L; wake: a bias of order 1/K",
    },
    cite: &[
        Source {
            authors: "J. Bornschein and Y. Bengio",
            title: "Reweighted wake-sleep",
            venue: "ICLR, arXiv:1406.2751",
            year: 2015,
        },
        Source {
            authors: "Y. Burda and R. Grosse and R. Salakhutdinov",
            title: "Importance weighted autoencoders",
            venue: "ICLR, arXiv:1509.00519",
            year: 2016,
        },
        Source {
            authors: "A. Mnih and D. J. Rezende",
            title: "Variational inference for Monte Carlo objectives",
            venue: "ICML",
            year: 2016,
        },
    ],
    file: file!(),
    example: "importance_bound",
    property: Property {
        claim: "one sample: value and gradient of the variational bound to the bit; VIMCO without bias over all outcomes; the bias of the wake phase falls with K",
        test: "one_sample_is_the_variational_bound_and_vimco_has_no_bias",
        found: "",
    },
};

/// `ln (1/K) Σ w`.   log_weights: `[k]` → number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::door::jit;
/// use retrograde_tricks::estimate::importance::importance_bound;
/// let bound = jit(importance_bound);
/// assert_eq!(bound.call(&array([-1.25]))?, array(-1.25));
/// assert_eq!(bound.call(&array([-1e4, -1e4]))?, array(-1e4));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn importance_bound(log_weights: Var) -> Var {
    log_weights.logsumexp(&[0]) - (log_weights.shape()[0] as f64).ln()
}

/// The bound with the derivative of its mean, for draws without a path.   log_weights, log_q: `[k]` → number.
///
/// `log_q` is ln q of each draw, with its derivative; the draws themselves have none.
///
/// # Errors
/// At the front door, for fewer than two samples.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::importance::{importance_bound, vimco};
/// let w = array([-1.0, -2.0, -1.5]);
/// assert_eq!(jit(|w: Var| vimco(w, w * 0.0)).call(&w)?, jit(importance_bound).call(&w)?);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn vimco(log_weights: Var, log_q: Var) -> Var {
    let location = caller();
    let n = match log_weights.shape()[..] {
        [n] if n > 1 => n,
        _ => {
            let found = format!(
                "vimco: found log-weights of type {}, expected at least two: f64[k]",
                log_weights.ty()
            );
            refuse(location, found, "with one sample, take `score_function` with a baseline");
            return full(DType::F64, [], 0.0);
        }
    };
    let w = log_weights.stop_gradient();
    // Row k: all log-weights, that of sample k replaced by the mean of the others.
    let others = (w.sum().spread([n]) - w) / (n - 1) as f64;
    let replaced = w.broadcast([n, n], &[1]) + eye(w.dtype(), n) * (others - w).broadcast([n, n], &[0]);
    let without = replaced.logsumexp(&[1]) - (n as f64).ln();
    let ratio = likelihood_ratio(log_q);
    likelihood_ratio(log_q.sum()) * importance_bound(log_weights) + ((1.0 - ratio) * without).sum()
}

/// A loss for q: `−Σ w̃ ln q` with weights that sum to one and have no derivative.   log_weights, log_q: `[k]` → number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::estimate::importance::wake;
/// let slope = grad(|log_q: Var, w: Var| wake(w, log_q)).call((&array([-3.0, -3.0]), &array([0.0, 0.0])))?;
/// assert_eq!(slope, array([-0.5, -0.5]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn wake(log_weights: Var, log_q: Var) -> Var {
    -(softmax(log_weights.stop_gradient(), 0) * log_q).sum()
}
