//! Double backpropagation: the size of a gradient as a part of the loss, differentiated once more.
//!
//! ```text
//! double backpropagation   ½ ‖∂L/∂x‖²
//! gradient penalty         mean over rows of (‖∂f(x)/∂x‖ − c)²
//! ```
//!
//! Law: exact; reverse mode over reverse mode.

use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;
use retrograde_engine::grad;

use super::map::floats;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`double_backpropagation`] and [`gradient_penalty`].
pub const DOUBLE_BACKPROPAGATION: Trick = Trick {
    id: "B19",
    name: "double backpropagation and gradient penalty",
    formula: "½ ‖∂L/∂x‖²; mean over rows of (‖∂f(x)/∂x‖ − c)²",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "H. Drucker and Y. LeCun",
            title: "Double Backpropagation Increasing Generalization Performance",
            venue: "IJCNN",
            year: 1991,
        },
        Source {
            authors: "I. Gulrajani and F. Ahmed and M. Arjovsky and V. Dumoulin and A. Courville",
            title: "Improved Training of Wasserstein GANs",
            venue: "NIPS",
            year: 2017,
        },
    ],
    file: file!(),
    example: "double_backpropagation",
    property: Property {
        claim: "for L = ½ xᵀAx the penalty ½‖Ax‖² has the gradient AᵀAx by x, and the closed form by A",
        test: "the_penalty_of_a_quadratic_has_its_closed_form",
        found: "1e-14",
    },
};

/// `½ ‖∂L/∂x‖²`, of a loss with parameters.   parameters, x: trees → number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::penalty::double_backpropagation;
/// // L = w x²: ½ (2 w x)², whose slope by w is 4 w x².
/// let loss = |w: Var, x: Var| w * x * x;
/// let penalty = |w: Var, x: Var| double_backpropagation(loss, w, x);
/// assert_eq!(grad(penalty).call((&array(3.0), &array(0.5)))?, array(3.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn double_backpropagation<P: Traceable, X: Traceable>(
    loss: impl Fn(P, X) -> Var,
    parameters: P,
    x: X,
) -> Var {
    let slope = grad(loss).wrt::<1>().at((parameters, x));
    let mut squares = vec![];
    for g in floats(&slope) {
        squares.push((g * g).sum());
    }
    0.5 * squares.into_iter().sum::<Var>()
}

/// The mean over rows of `(‖∂f(x)/∂x‖ − target)²`, of a function that takes rows one by one.   x: `[n, ..]`, f: `[n, ..]` → `[n]` →
/// number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::penalty::gradient_penalty;
/// // Slopes (3, 4) everywhere: of norm 5.
/// let critic = |w: Var, x: Var| x.dot(w);
/// let penalty = jit(|w: Var, x: Var| gradient_penalty(critic, w, x, 1.0));
/// assert_eq!(penalty.call((&array([3.0, 4.0]), &array([[1.0, 2.0], [0.0, 7.0]])))?, array(16.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn gradient_penalty<P: Traceable>(f: impl Fn(P, Var) -> Var, parameters: P, x: Var, target: f64) -> Var {
    let slope = grad(|parameters: P, x: Var| f(parameters, x).sum()).wrt::<1>().at((parameters, x));
    let axes: Vec<usize> = (1..slope.rank()).collect();
    let off = slope.norm_axes(&axes) - target;
    (off * off).mean()
}
