//! Synthetic gradients: the tape is cut at a value, and a predicted cotangent is put in the place of the true one.
//!
//! ```text
//! y = h,   h̄ = ĝ,   ĝ = M(h, ..),   M trained on ‖ĝ − g‖²
//! ```
//!
//! Law: inexact. Below the cut nothing depends on what is above it, which need not even have run. Forward mode is that of the identity.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::custom::custom_rules;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Var, blame, mistake};
use retrograde_engine::value_and_grad;

use super::map::declared;
use super::stop::stop;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`synthetic_gradient`].
pub const SYNTHETIC_GRADIENT: Trick = Trick {
    id: "B14",
    name: "synthetic gradient",
    formula: "y = h, h̄ = ĝ with ĝ = M(h)",
    law: Law::Inexact { what: "a predicted cotangent in the place of the true one" },
    cite: &[Source {
        authors: "M. Jaderberg and W. M. Czarnecki and S. Osindero and O. Vinyals and A. Graves and D. Silver and K. Kavukcuoglu",
        title: "Decoupled Neural Interfaces using Synthetic Gradients",
        venue: "ICML",
        year: 2017,
    }],
    file: file!(),
    example: "decoupled",
    property: Property {
        claim: "the true gradient as prediction gives backpropagation to the bit; below the cut nothing depends on what is above",
        test: "a_true_prediction_is_backpropagation_and_a_cut_is_a_cut",
        found: "equal bits; NaN above the cut leaves the gradient below unchanged to the bit",
    },
};

/// `h`, whose cotangent is `predicted` whatever comes from above.   h, predicted: [..] of one type → h.
///
/// `predicted` gets no gradient from here; train it with [`prediction_loss`].
///
/// # Errors
/// At the front door, where the types differ.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::synthetic_gradient::synthetic_gradient;
/// let f = |x: Var, predicted: Var| (synthetic_gradient(2.0 * x, predicted).exp()).sum();
/// assert_eq!(grad(f).call((&array([1.0, 1e9]), &array([3.0, 4.0])))?, array([6.0, 8.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn synthetic_gradient(h: Var, predicted: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if h.ty() != predicted.ty() {
        let found = format!("synthetic gradient: found {} for a value of {}", predicted.ty(), h.ty());
        mistake(
            Diagnostic::new(found, Some(location)).help("a prediction has the shape and dtype of the value"),
        );
        return h;
    }
    blame(location, || {
        custom_rules(
            &declared(&SYNTHETIC_GRADIENT),
            (h, predicted),
            |(h, _)| h,
            |_, (h_dot, _)| h_dot,
            |(h, predicted)| (h, predicted),
            |predicted, _: Var| (predicted, full(predicted.dtype(), predicted.shape(), 0.0)),
        )
    })
}

/// Half the mean over rows of the squared error of a prediction, whose target stays fixed.   predicted, cotangent: `[n, ..]` → number.
///
/// Cotangents of a mean over rows are as small as 1/n; train on n times them, or scale the loss.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::synthetic_gradient::prediction_loss;
/// let slope = grad(prediction_loss).call((&array([[1.0], [2.0]]), &array([[0.0], [4.0]])))?;
/// assert_eq!(slope, array([[0.5], [-1.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn prediction_loss(predicted: Var, cotangent: Var) -> Var {
    let error = predicted - cotangent.stop_gradient();
    let n = predicted.shape().first().copied().unwrap_or(1).max(1);
    (error * error).sum() / (2 * n) as f64
}

/// One module above a cut: its loss, through whose derivative `h` receives `predicted`, and the loss of the prediction.   → (loss,
/// prediction loss).
///
/// `above(parameters, h)` is the rest of the network up to its loss, differentiated with respect to h to give the prediction its target.
/// The gradient of the sum of both has: the true one for `parameters`, `predicted` going down from h, and the error of the prediction.
///
/// # Errors
/// At the front door, where the types of h and its prediction differ, or `above` uses traced values from outside.
/// # Cost
/// Once more the sweep over `above`, for the target.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::synthetic_gradient::decoupled;
/// // Below the cut h = w x, above it v h², and a prediction m.
/// let loss = |(w, v, m): (Var, Var, Var), x: Var| {
///     let (loss, of_prediction) = decoupled(w * x, m, v, |v: Var, h: Var| (v * h * h).sum());
///     loss + of_prediction
/// };
/// let (w, v, m) = grad(loss).call((&(array([3.0]), array([1.0]), array([0.5])), &array([2.0])))?;
/// assert_eq!(v, array([36.0])); // its own: h² with h = 6
/// assert_eq!(w, array([0.5 * 2.0])); // predicted 0.5, times x
/// assert_eq!(m, array([0.5 - 12.0])); // the target is 2 v h
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn decoupled<P: Traceable>(
    h: Var,
    predicted: Var,
    parameters: P,
    above: impl Fn(P, Var) -> Var,
) -> (Var, Var) {
    let location = Location(std::panic::Location::caller());
    blame(location, || {
        let fixed = (stop(parameters.map_vars(&mut |v| *v)), h.stop_gradient());
        let (_, h_bar) = value_and_grad(|parameters: P, h: Var| above(parameters, h)).wrt::<1>().at(fixed);
        let loss = (&above).apply((parameters, synthetic_gradient(h, predicted.stop_gradient())));
        (loss, prediction_loss(predicted, h_bar))
    })
}
