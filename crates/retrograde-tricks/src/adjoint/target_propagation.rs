//! Target propagation: what goes back is not a derivative but a target, through an inverse g of the layer f.
//!
//! ```text
//! ĥ = g(ŷ) + h − g(y),   with y = f(h) and ŷ = y − ȳ,   so h̄ = h − ĥ = g(y) − g(y − ȳ)
//! ```
//!
//! Law: inexact. The layer's own parameters have the gradient of ½‖f(h) − ŷ‖², whose inputs stay. With an exact inverse of a linear layer
//! the message is W⁻¹ȳ where that of backpropagation is Wᵀȳ: the target of Gauss and Newton. Forward mode is that of the layer.

use retrograde_core::ir::Location;
use retrograde_core::trace::custom::custom_rules;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Var, blame};
use retrograde_engine::{grad, jvp};

use super::map::{declared, leaves, with_leaves};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`with_targets`].
pub const TARGET_PROPAGATION: Trick = Trick {
    id: "B13",
    name: "difference target propagation",
    formula: "ĥ = g(ŷ) + h − g(y), so h̄ = g(y) − g(y − ȳ)",
    law: Law::Inexact {
        what: "a difference of targets through an inverse of the layer in the place of the transposed derivative",
    },
    cite: &[
        Source {
            authors: "Y. Bengio",
            title: "How Auto-Encoders Could Provide Credit Assignment in Deep Networks via Target Propagation",
            venue: "arXiv:1407.7906",
            year: 2014,
        },
        Source {
            authors: "D.-H. Lee and S. Zhang and A. Fischer and Y. Bengio",
            title: "Difference Target Propagation",
            venue: "ECML PKDD",
            year: 2015,
        },
    ],
    file: file!(),
    example: "with_targets",
    property: Property {
        claim: "with exact inverses of linear layers, every hidden target is that of a Gauss–Newton step",
        test: "targets_through_exact_inverses_are_those_of_gauss_and_newton",
        found: "J⁻¹ȳ to 1e-12 in three layers of width 5",
    },
};

/// A layer whose cotangent is a difference of targets.   parameters: a tree; inverse: the parameters of `g`, a tree, which get no gradient
/// from here; h: [..] → `f(parameters, h)`.
///
/// # Errors
/// At the front door, for functions that use traced values from outside.
/// # Cost
/// Of the backward pass: the gradient of the parameters, and `g` twice.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::target_propagation::with_targets;
/// // y = 4h with the inverse y/4: the message is ȳ/4, where the derivative is 4ȳ.
/// let layer = |w: Var, h: Var| with_targets(w, 1.0 / w, h, |w, h| *w * h, |v, y| *v * y);
/// assert_eq!(grad(layer).wrt::<1>().call((&array(4.0), &array(3.0)))?, array(0.25));
/// assert_eq!(grad(layer).call((&array(4.0), &array(3.0)))?, array(3.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn with_targets<P: Traceable, Q: Traceable>(
    parameters: P,
    inverse: Q,
    h: Var,
    f: impl Fn(&P, Var) -> Var,
    g: impl Fn(&Q, Var) -> Var,
) -> Var {
    let location = Location(std::panic::Location::caller());
    let (of_f, of_g) = (leaves(&parameters), leaves(&inverse));
    let (n_f, n_g) = (of_f.len(), of_g.len());
    let layer = |all: &[Var]| f(&with_leaves(&parameters, &all[..n_f]), all[n_f + n_g]);
    let back = |all: &[Var], y: Var| g(&with_leaves(&inverse, &all[n_f..n_f + n_g]), y);
    blame(location, || {
        custom_rules(
            &declared(&TARGET_PROPAGATION),
            [of_f, of_g, vec![h]].concat(),
            |all: Vec<Var>| layer(&all),
            |all: Vec<Var>, dots: Vec<Var>| jvp(|all: Vec<Var>| layer(&all)).at(all, &dots).1[0],
            |all: Vec<Var>| {
                let y = layer(&all);
                (y, (all, y))
            },
            |(all, y): (Vec<Var>, Var), y_bar: Var| {
                let against = |of_f: Vec<Var>, others: Vec<Var>, y_bar: Var| {
                    (layer(&[of_f, others].concat()) * y_bar).sum()
                };
                let (of_f, others) = (all[..n_f].to_vec(), all[n_f..].to_vec());
                let mut bars = grad(against).at((of_f, others, y_bar));
                bars.extend(all[n_f..n_f + n_g].iter().map(|v| full(v.dtype(), v.shape(), 0.0)));
                bars.push(back(&all, y) - back(&all, y - y_bar));
                bars
            },
        )
    })
}
