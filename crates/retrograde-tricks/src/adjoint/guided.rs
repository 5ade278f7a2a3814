//! Guided backpropagation and relevance: positive parts on the adjoint too, to show what speaks for an output. Law: inexact.
//!
//! ```text
//! guided   y = max(x, 0),   x̄ = max(ȳ, 0) 1[x > 0]
//! z⁺       y = x W,         x̄ᵢ = xᵢ Σⱼ w⁺ᵢⱼ ȳⱼ / Σₖ xₖ w⁺ₖⱼ      (x ≥ 0: shares of ȳ, whose sum stays)
//! ```

use retrograde_core::ir::Location;
use retrograde_core::trace::custom::{custom_rules, custom_vjp};
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, blame};

use super::map::declared;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`guided_relu`] and [`relevance_product`].
pub const GUIDED: Trick = Trick {
    id: "B22",
    name: "guided backpropagation and relevance",
    formula: "x̄ = max(ȳ, 0) 1[x > 0]; relevance: x̄ᵢ = xᵢ Σⱼ w⁺ᵢⱼ ȳⱼ / Σₖ xₖ w⁺ₖⱼ",
    law: Law::Inexact {
        what: "only what speaks for the output goes back: positive cotangents, or shares by positive weights",
    },
    cite: &[
        Source {
            authors: "J. T. Springenberg and A. Dosovitskiy and T. Brox and M. Riedmiller",
            title: "Striving for Simplicity: The All Convolutional Net",
            venue: "ICLR workshop",
            year: 2015,
        },
        Source {
            authors: "S. Bach and A. Binder and G. Montavon and F. Klauschen and K.-R. Müller and W. Samek",
            title: "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation",
            venue: "PLoS ONE 10",
            year: 2015,
        },
        Source {
            authors: "G. Montavon and S. Lapuschkin and A. Binder and W. Samek and K.-R. Müller",
            title: "Explaining nonlinear classification decisions with deep Taylor decomposition",
            venue: "Pattern Recognition 65",
            year: 2017,
        },
    ],
    file: file!(),
    example: "guided_relu",
    property: Property {
        claim: "x̄ = max(ȳ, 0) 1[x > 0] to the bit; the sum of relevance is the same before and after a product",
        test: "guided_cotangents_are_their_formula_and_relevance_is_conserved",
        found: "equal bits; sums to 1e-15",
    },
};

/// max(x, 0), through which only positive cotangents go back.   x: [..] → same. Forward mode is that of max.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::guided::guided_relu;
/// let f = |x: Var| (guided_relu(x) * &array([2.0, -2.0, 2.0])).sum();
/// assert_eq!(grad(f).call(&array([1.0, 1.0, -1.0]))?, array([2.0, 0.0, 0.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn guided_relu(x: Var) -> Var {
    let zero = |x: Var| full(x.dtype(), x.shape(), 0.0);
    blame(Location(std::panic::Location::caller()), || {
        custom_rules(
            &declared(&GUIDED),
            x,
            |x: Var| x.max(0.0),
            |x: Var, x_dot: Var| select(x.gt(0.0), x_dot, zero(x)),
            |x: Var| (x.max(0.0), x.gt(0.0)),
            |is_positive: Var, y_bar: Var| select(is_positive & y_bar.gt(0.0), y_bar, zero(y_bar)),
        )
    })
}

/// `x W`, whose cotangent is taken for relevance and shared among the entries of x by the positive weights.   x: `[n, in]`, not negative;
/// weight: `[in, out]` → `[n, out]`.
///
/// The weights get no gradient. Relevance of an output that no entry speaks for is lost.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::guided::relevance_product;
/// let f = |x: Var, w: Var| 12.0 * relevance_product(x, w).sum();
/// // Shares 1·1 and 2·1 of 3; the negative weight has none.
/// let shares = grad(f).call((&array([[1.0, 2.0, 4.0]]), &array([[1.0], [1.0], [-5.0]])))?;
/// assert_eq!(shares, array([[4.0, 8.0, 0.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn relevance_product(x: Var, weight: Var) -> Var {
    blame(Location(std::panic::Location::caller()), || {
        custom_vjp(
            &declared(&GUIDED),
            (x, weight),
            |(x, weight): (Var, Var)| x.dot(weight),
            |(x, weight): (Var, Var)| (x.dot(weight), (x, weight)),
            |(x, weight): (Var, Var), y_bar: Var| {
                let positive = select(weight.gt(0.0), weight, full(weight.dtype(), weight.shape(), 0.0));
                let total = x.dot(positive);
                let is_some = total.gt(0.0);
                let zero = full(total.dtype(), total.shape(), 0.0);
                let share = select(is_some, y_bar, zero) / select(is_some, total, zero + 1.0);
                (x * share.dot(positive.t()), full(weight.dtype(), weight.shape(), 0.0))
            },
        )
    })
}
