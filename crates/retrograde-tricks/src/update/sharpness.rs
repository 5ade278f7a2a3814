//! Sharpness-aware minimisation: the gradient a little uphill.
//!
//! ```text
//! g = ∇L(w)        s = ∇L(w + ρ g/‖g‖) = g + ρ H g/‖g‖ + O(ρ²)
//! ```
//!
//! ‖·‖ over all parameters together; a zero gradient stays one. The point uphill is not differentiated through (as its authors drop that term), so
//! that a derivative of s is that of ∇L there. Law: inexact: s is the gradient elsewhere, g + ρ H g/‖g‖ to first order. Cost: two
//! gradients. Errors: a negative ρ.

use retrograde_core::ir::Location;
use retrograde_core::trace::door::grad;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Var, mistake};

use super::adam::root;
use super::map::{Leaves, expect_not_negative, scaled};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of sharpness-aware minimisation.
pub const SHARPNESS_AWARE: Trick = Trick {
    id: "E11",
    name: "sharpness-aware minimisation (SAM)",
    formula: "s = grad L(w + rho g/||g||)",
    law: Law::Inexact { what: "the gradient at w + rho g/||g||: g + rho H g/||g|| to first order in rho" },
    cite: &[Source {
        authors: "P. Foret and A. Kleiner and H. Mobahi and B. Neyshabur",
        title: "Sharpness-Aware Minimization for Efficiently Improving Generalization",
        venue: "ICLR",
        year: 2021,
    }],
    file: file!(),
    example: "sharpness_aware_gradient",
    property: Property {
        claim: "s - g is rho H g/||g|| with an error that falls as rho^2, and on a quadratic without one",
        test: "sam_is_the_gradient_plus_a_hessian_product",
        found: "",
    },
};

/// The gradient of a loss at `w + ρ g/‖g‖`, inside a trace.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::update::sharpness::sharpness_aware_gradient;
/// let loss = |w: Var, a: Var| 0.5 * (a * w * w).sum();
/// let slope = |w: Var, a: Var| sharpness_aware_gradient(loss, w, a, 0.5);
/// // g = (3, 4) of length 5; half a step along it, times the curvatures.
/// assert_eq!(jit(slope).call((&array([3.0, 2.0]), &array([1.0, 2.0])))?, array([3.3, 4.8]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn sharpness_aware_gradient<P: Traceable, X: Traceable>(
    loss: impl Fn(P, X) -> Var,
    parameters: P,
    data: X,
    rho: f64,
) -> P {
    let location = Location(std::panic::Location::caller());
    if let Some(found) = expect_not_negative("sharpness-aware gradient", "rho", rho, location) {
        mistake(found);
    }
    let again = data.map_vars(&mut |x| *x);
    let here = parameters.map_vars(&mut |w| *w);
    let gradient = Leaves::of(&grad(&loss).at((here, data)));
    let norm = root(gradient.squared_norm());
    // Where the gradient is 0, so is its direction: 0/1.
    let share = rho / (norm + norm.eq(0.0).convert(norm.dtype()));
    let mut next = gradient.0.into_iter();
    let uphill =
        parameters.map_vars(&mut |w| next.next().map_or(*w, |(_, g)| *w + scaled(g, share).stop_gradient()));
    grad(&loss).at((uphill, again))
}
