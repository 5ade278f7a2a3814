//! Straight-through: a step in the primal, whose cotangent passes as if it were none.
//!
//! ```text
//! y = q(x),   x̄ = ȳ,   or   x̄ = ȳ 1[|x| ≤ c]
//! ```
//!
//! Law: inexact, and linear: tangents pass alike. The primal is q(x) to the bit, which `x + stop(q(x) − x)` is not
//! where x is far from q(x) or infinite.

use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::blame;
use retrograde_core::trace::custom::custom_vjp;
use retrograde_core::trace::var::{full, select};

use super::clip::wrong_bound;
use super::map::{declared, refused};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`straight_through`].
pub const STRAIGHT_THROUGH: Trick = Trick {
    id: "B9",
    name: "straight-through",
    formula: "y = q(x), x̄ = ȳ, or x̄ = ȳ 1[|x| ≤ c]",
    law: Law::Inexact {
        what: "the cotangent passes as if the step were the identity, within a window where there is one",
    },
    cite: &[
        Source {
            authors: "Y. Bengio and N. Léonard and A. Courville",
            title: "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation",
            venue: "arXiv:1308.3432",
            year: 2013,
        },
        Source {
            authors: "M. Courbariaux and Y. Bengio and J.-P. David",
            title: "BinaryConnect: Training Deep Neural Networks with binary weights during propagations",
            venue: "NIPS",
            year: 2015,
        },
        Source {
            authors: "I. Hubara and M. Courbariaux and D. Soudry and R. El-Yaniv and Y. Bengio",
            title: "Binarized Neural Networks",
            venue: "NIPS",
            year: 2016,
        },
    ],
    file: file!(),
    example: "straight_through",
    property: Property {
        claim: "the primal is exactly quantised; the derivatives of both spellings have the same bits",
        test: "both_spellings_of_straight_through_agree",
        found: "equal bits of primal and gradient, 1000 draws; x + stop(q(x) − x) is 0 for the sign of 1e17, the rule 1",
    },
};

/// `q(x)`, with the cotangent of x.   x: [..] → y: of the same type.
///
/// # Errors
/// At the front door, for a `q` that uses traced values from outside or changes the shape.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::{grad, jit};
/// use retrograde_tricks::adjoint::straight_through::straight_through;
/// let rounded = |x: Var| straight_through(Var::round, x);
/// assert_eq!(jit(rounded).call(&array([0.4, 1.7]))?, array([0.0, 2.0]));
/// assert_eq!(grad(|x: Var| (rounded(x) * &array([3.0, 5.0])).sum()).call(&array([0.4, 1.7]))?, array([3.0, 5.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn straight_through(q: impl Fn(Var) -> Var, x: Var) -> Var {
    let none = Vec::<Var>::new;
    custom_vjp(&declared(&STRAIGHT_THROUGH), x, &q, |x| (q(x), none()), |_, y_bar| y_bar)
}

/// `q(x)`, with the cotangent of x where |x| ≤ bound and zero elsewhere.   x: [..] → y: of the same type.
///
/// What lies beyond the bound would only move further out.
///
/// # Errors
/// At the front door, for a bound that is not positive, and as [`straight_through`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::straight_through::straight_through_within;
/// let f = |x: Var| straight_through_within(1.0, Var::sign, x).sum();
/// assert_eq!(grad(f).call(&array([0.4, -1.0, 1.7]))?, array([1.0, 1.0, 0.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn straight_through_within(bound: f64, q: impl Fn(Var) -> Var, x: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if refused(wrong_bound("straight-through", bound), location) {
        return x;
    }
    blame(location, || {
        let forward = |x: Var| (q(x), x.abs().le(bound));
        custom_vjp(&declared(&STRAIGHT_THROUGH), x, &q, forward, |inside, y_bar| {
            select(inside, y_bar, full(y_bar.dtype(), y_bar.shape(), 0.0))
        })
    })
}

/// −1 below 0 and 1 from 0 on, with the cotangent of x where |x| ≤ 1: a binary weight or activation.   x: [..] → y: same.
///
/// Keep the real weights between −1 and 1 as they are trained, as BinaryConnect does: beyond, they have no gradient.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::value_and_grad;
/// use retrograde_tricks::adjoint::straight_through::binarise;
/// let weights = array([-0.3, 0.0, 2.0]);
/// let (sum, slope) = value_and_grad(|w: Var| (binarise(w) * &array([1.0, 10.0, 100.0])).sum()).call(&weights)?;
/// assert_eq!((sum, slope), (array(109.0), array([1.0, 10.0, 0.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn binarise(x: Var) -> Var {
    let binary = |x: Var| {
        let one = |value: f64| full(x.dtype(), x.shape(), value);
        select(x.ge(0.0), one(1.0), one(-1.0))
    };
    straight_through_within(1.0, binary, x)
}
