//! Stopping: values that every derivative holds fixed, in both modes and at every order. Law: inexact.
//!
//! Uses: a target that is not to follow its prediction (semi-gradient temporal differences, target networks, BYOL).

use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;

use super::map::each_float;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`stop`].
pub const STOP_GRADIENT: Trick = Trick {
    id: "B8",
    name: "stop-gradient",
    formula: "y = x, ẏ = 0, x̄ = 0",
    law: Law::Inexact { what: "held fixed: no derivative in either mode and at any order" },
    cite: &[
        Source {
            authors: "R. S. Sutton",
            title: "Learning to Predict by the Methods of Temporal Differences",
            venue: "Machine Learning 3",
            year: 1988,
        },
        Source {
            authors: "V. Mnih and others",
            title: "Human-level control through deep reinforcement learning",
            venue: "Nature 518",
            year: 2015,
        },
        Source {
            authors: "J.-B. Grill and others",
            title: "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning",
            venue: "NeurIPS",
            year: 2020,
        },
    ],
    file: file!(),
    example: "stop",
    property: Property {
        claim: "zero in both modes; Hessian-vector products are those of the formula with the stopped value frozen",
        test: "what_is_stopped_has_no_derivative_at_any_order",
        found: "exact zeros; Hv equal to 1e-15",
    },
};

/// The same tree, held fixed by every derivative.   x: a tree → the same.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::stop::stop;
/// // x · stop(x) is linear in x for every derivative.
/// let f = |x: Var| x * stop(x);
/// assert_eq!((grad(f).call(&array(3.0))?, grad(grad(f)).call(&array(3.0))?), (array(3.0), array(0.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn stop<T: Traceable>(x: T) -> T {
    each_float(&x, Var::stop_gradient)
}

/// Half the mean square of a temporal difference, `½ mean (r + γ v(s') − v(s))²`, whose target does not follow.   values: `[n]`, v(s);
/// next: `[n]`, v(s'), not differentiated; rewards: `[n]` → number.
///
/// Its gradient is the semi-gradient −mean δ ∂v(s): that of TD(0), not that of the residual.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::stop::temporal_difference;
/// // v(s) = w s from s = 1 to s' = 2: δ = 1 + 0.5·2w − w.
/// let loss = |w: Var| temporal_difference(w * &array([1.0]), w * &array([2.0]), w * 0.0 + &array([1.0]), 0.5);
/// assert_eq!(grad(loss).call(&array(4.0))?, array(-1.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn temporal_difference(values: Var, next: Var, rewards: Var, discount: f64) -> Var {
    let target = (rewards + discount * next).stop_gradient();
    let difference = target - values;
    0.5 * (difference * difference).mean()
}
