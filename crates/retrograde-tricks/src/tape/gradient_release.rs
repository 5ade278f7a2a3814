//! Gradient release (LOMO): each layer's update is made as soon as its gradient is there, and the gradient is gone.
//!
//! ```text
//! for l = L .. 1:   (h̄, Ȳₗ) from layer l's own reverse;   θₗ ← update(θₗ, θ̄ₗ)
//! ```
//!
//! Law: exact: the weights after the step have the bits of gradient and update one after the other. Of the gradient there is one layer's
//! at a time.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Var, blame, mistake};
use retrograde_engine::{grad, value_and_grad};

use crate::adjoint::map::{leaves, with_leaves};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`update_in_reverse`].
pub const GRADIENT_RELEASE: Trick = Trick {
    id: "C15",
    name: "gradient release (LOMO)",
    formula: "θₗ ← update(θₗ, θ̄ₗ) inside of the reverse pass, layer by layer",
    law: Law::Exact,
    cite: &[Source {
        authors: "K. Lv and Y. Yang and T. Liu and Q. Guo and X. Qiu",
        title: "Full Parameter Fine-tuning for Large Language Models with Limited Resources",
        venue: "ACL",
        year: 2024,
    }],
    file: file!(),
    example: "update_in_reverse",
    property: Property {
        claim: "weights after a step equal those of two phases to the bit; of the gradient there is one layer's at a time",
        test: "an_update_in_the_reverse_pass_is_that_of_two_phases",
        found: "equal bits; one value of the size of all layers, the new weights, where two phases have more",
    },
};

/// The loss of a stack of equal layers, and the layers after one step.   layers: a tree with a leading axis of L; x: the first layer's
/// input; layer: (θₗ, h) → h of the same type; head: h → number; update: (θₗ, θ̄ₗ) → θₗ.
///
/// # Errors
/// At the front door, for layers without a common leading axis, and for a layer or a head that uses traced values from outside.
/// # Cost
/// A forward and a reverse sweep, with the inputs of all layers kept and each layer run once more.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::tape::gradient_release::update_in_reverse;
/// // h ← w h, twice, and the loss h: slopes w₂ x and w₁ x.
/// let step = jit(|w: Var, x: Var| {
///     update_in_reverse(w, x, |w: &Var, h: Var| *w * h, |h: Var| h, |w: Var, g: Var| w - 0.5 * g)
/// });
/// assert_eq!(step.call((&array([2.0, 3.0]), &array(1.0)))?, (array(6.0), array([0.5, 2.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn update_in_reverse<P: Traceable, H: Traceable>(
    layers: P,
    x: H,
    layer: impl Fn(&P, H) -> H,
    head: impl Fn(H) -> Var,
    update: impl Fn(P, P) -> P,
) -> (Var, P) {
    let location = Location(std::panic::Location::caller());
    let (theta, start) = (leaves(&layers), leaves(&x));
    let n_layers = theta.first().and_then(|leaf| leaf.shape().first().copied());
    if let Some(leaf) =
        theta.iter().find(|leaf| leaf.shape().first().copied() != n_layers || n_layers.is_none())
    {
        let found = format!(
            "gradient release: found a leaf of type {}, expected a leading axis of layers",
            leaf.ty()
        );
        mistake(
            Diagnostic::new(found, Some(location)).help("stack the parameters of all layers, leaf by leaf"),
        );
        return (head(x), layers);
    }
    let apply = |theta: &[Var], h: &[Var]| leaves(&layer(&with_leaves(&layers, theta), with_leaves(&x, h)));
    blame(location, || {
        let forward = |h: Vec<Var>, theta: Vec<Var>| (apply(&theta, &h), h);
        let (last, inputs) = scan_over().run(start.clone(), theta.clone(), forward);
        let (loss, h_bar) = value_and_grad(|h: Vec<Var>| head(with_leaves(&x, &h))).at(last);
        let against = |theta: Vec<Var>, h: Vec<Var>, h_bar: Vec<Var>| {
            apply(&theta, &h).iter().zip(&h_bar).map(|(y, y_bar)| (*y * *y_bar).sum()).sum::<Var>()
        };
        let back = |h_bar: Vec<Var>, (theta, h): (Vec<Var>, Vec<Var>)| {
            let both = |(theta, h): (Vec<Var>, Vec<Var>), h_bar: Vec<Var>| against(theta, h, h_bar);
            let (theta_bar, next) = grad(both).at(((theta.clone(), h), h_bar));
            let updated = update(with_leaves(&layers, &theta), with_leaves(&layers, &theta_bar));
            (next, leaves(&updated))
        };
        let (_, updated) = scan_over().reversed().run(h_bar, (theta.clone(), inputs), back);
        (loss, with_leaves(&layers, &updated))
    })
}
