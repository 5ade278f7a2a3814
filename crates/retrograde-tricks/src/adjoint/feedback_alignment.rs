//! Feedback alignment: the backward pass through fixed random matrices in the place of the transposed weights.
//!
//! ```text
//! y = x W              x̄ = ȳ B,  W̄ = xᵀ ȳ                       instead of x̄ = ȳ Wᵀ
//! y = output           h̄ₗ = ȳ Bₗ for every hidden layer l        direct: straight from the output's cotangent
//! ```
//!
//! Law: inexact, and linear. With B = Wᵀ both modes have the bits of the true derivative. The matrices get no gradient.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, ops};
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::custom::custom_vjp;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Var, blame, mistake};

use super::map::declared;
use crate::catalogue::{Law, Property, Source, Trick};
use crate::primal::dense::{Linear, Mlp};

/// The row of [`feedback_alignment`] and [`direct_feedback_alignment`].
pub const FEEDBACK_ALIGNMENT: Trick = Trick {
    id: "B12",
    name: "feedback alignment",
    formula: "y = x W, x̄ = ȳ B; direct: h̄ₗ = ȳ Bₗ from the output's cotangent",
    law: Law::Inexact { what: "the transposed weights are replaced by fixed matrices" },
    cite: &[
        Source {
            authors: "T. P. Lillicrap and D. Cownden and D. B. Tweed and C. J. Akerman",
            title: "Random synaptic feedback weights support error backpropagation for deep learning",
            venue: "Nature Communications 7",
            year: 2016,
        },
        Source {
            authors: "A. Nøkland",
            title: "Direct Feedback Alignment Provides Learning in Deep Neural Networks",
            venue: "NIPS",
            year: 2016,
        },
    ],
    file: file!(),
    example: "feedback_alignment",
    property: Property {
        claim: "B = Wᵀ gives backpropagation to the bit; in a deep linear net the angle to the true gradient falls below 90 degrees",
        test: "feedback_through_the_transposed_weights_is_backpropagation",
        found: "equal bits",
    },
};

/// `x W`, with `x̄ = ȳ B`.   x: `[n, in]`, weight: `[in, out]`, feedback: `[out, in]` → `[n, out]`.
///
/// # Errors
/// At the front door, where the shapes do not fit.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::feedback_alignment::product_with_feedback;
/// let (w, b) = (array([[1.0], [2.0]]), array([[5.0, 7.0]]));
/// let f = |x: Var, w: Var, b: Var| product_with_feedback(x, w, b).sum();
/// assert_eq!(grad(f).call((&array([[1.0, 1.0]]), &w, &b))?, array([[5.0, 7.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn product_with_feedback(x: Var, weight: Var, feedback: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    let turned: Vec<usize> = weight.shape().iter().rev().copied().collect();
    if x.rank() != 2 || weight.rank() != 2 || feedback.shape()[..] != turned[..] {
        let found = format!(
            "feedback alignment: found x {}, weights {} and feedback {}",
            x.ty(),
            weight.ty(),
            feedback.ty()
        );
        let help = "x is [n, in], the weights are [in, out] and the feedback is [out, in]";
        mistake(Diagnostic::new(found, Some(location)).help(help));
        return blame(location, || x.dot(weight));
    }
    blame(location, || {
        custom_vjp(
            &declared(&FEEDBACK_ALIGNMENT),
            (x, weight, feedback),
            |(x, weight, _)| x.dot(weight),
            |(x, weight, feedback)| (x.dot(weight), (x, feedback)),
            |(x, feedback), y_bar: Var| {
                let no_slope = full(feedback.dtype(), feedback.shape(), 0.0);
                (y_bar.dot(feedback), x.t().dot(y_bar), no_slope)
            },
        )
    })
}

/// The output of a network of dense layers whose cotangents go back through `feedback`, one matrix `[out, in]` for each layer but the
/// first.   x: `[n, in]` → `[n, out]`.
///
/// # Errors
/// At the front door, for another number of matrices than of layers but the first, and where shapes do not fit.
///
/// ```
/// use retrograde_array::{Array, DType, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::feedback_alignment::{feedback_alignment, random_feedback};
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// let mlp = Mlp::xavier(Key::from_seed(1), 3, &[8, 8], 2, Activation::Tanh, DType::F64);
/// let feedback = random_feedback(Key::from_seed(2), &mlp);
/// let x = retrograde_array::rng::normal(Key::from_seed(3), [5, 3]);
/// let loss = |mlp: Mlp<Var>, feedback: Vec<Var>, x: Var| (feedback_alignment(&mlp, &feedback, x).tanh()).sum();
/// let true_loss = |mlp: Mlp<Var>, _: Vec<Var>, x: Var| mlp.apply(x).tanh().sum();
/// let (other, slope) = (grad(loss).call((&mlp, &feedback, &x))?, grad(true_loss).call((&mlp, &feedback, &x))?);
/// assert!(other.head.weight.bits_eq(&slope.head.weight)); // the last layer has its own gradient
/// assert!(!other.hidden[0].weight.bits_eq(&slope.hidden[0].weight));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn feedback_alignment(mlp: &Mlp<Var>, feedback: &[Var], x: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if !one_for_each("the layers but the first", mlp.hidden.len(), feedback.len(), location) {
        return blame(location, || mlp.apply(x));
    }
    blame(location, || {
        // The first layer passes nothing on, so its own weights serve.
        let Some((first, rest)) = mlp.hidden.split_first() else { return mlp.head.apply(x) };
        let mut last = mlp.activation.apply(first.apply(x));
        for (layer, feedback) in rest.iter().zip(feedback) {
            last = mlp.activation.apply(apply_with_feedback(layer, last, *feedback));
        }
        feedback.last().map_or(last, |feedback| apply_with_feedback(&mlp.head, last, *feedback))
    })
}

fn apply_with_feedback(layer: &Linear<Var>, x: Var, feedback: Var) -> Var {
    let product = product_with_feedback(x, layer.weight, feedback);
    product + layer.bias.spread(product.shape())
}

/// Notes another number of matrices than there is use for.
fn one_for_each(what: &str, expected: usize, found: usize, location: Location) -> bool {
    if found != expected {
        let message = format!(
            "feedback alignment: found {found} matrices, expected {expected}, one for each of {what}"
        );
        mistake(
            Diagnostic::new(message, Some(location)).help("`random_feedback` draws as many as there are"),
        );
    }
    found == expected
}

/// The output of a network of dense layers whose output's cotangent goes straight to every hidden layer, through `feedback`: one matrix
/// `[out, hidden]` for each hidden layer, where out is the width of the whole network's output.   x: `[n, in]` → `[n, out]`.
///
/// # Errors
/// At the front door, for another number of matrices than of hidden layers, and where shapes do not fit.
///
/// ```
/// use retrograde_array::{Array, DType, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::feedback_alignment::{direct_feedback_alignment, random_direct_feedback};
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// let mlp = Mlp::xavier(Key::from_seed(1), 3, &[8, 6], 2, Activation::Tanh, DType::F64);
/// let feedback = random_direct_feedback(Key::from_seed(2), &mlp);
/// let x = retrograde_array::rng::normal(Key::from_seed(3), [5, 3]);
/// let loss = |mlp: Mlp<Var>, feedback: Vec<Var>, x: Var| direct_feedback_alignment(&mlp, &feedback, x).tanh().sum();
/// let slope = grad(loss).call((&mlp, &feedback, &x))?;
/// assert_eq!(slope.hidden[1].weight.shape(), mlp.hidden[1].weight.shape());
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn direct_feedback_alignment(mlp: &Mlp<Var>, feedback: &[Var], x: Var) -> Var {
    let location = Location(std::panic::Location::caller());
    if !one_for_each("the hidden layers", mlp.hidden.len(), feedback.len(), location) {
        return blame(location, || mlp.apply(x));
    }
    blame(location, || {
        let (mut last, mut hidden) = (x, vec![]);
        for layer in &mlp.hidden {
            // What comes from above is left out: this layer hears from the output alone.
            let h = mlp.activation.apply(layer.apply(last));
            hidden.push(h);
            last = h.stop_gradient();
        }
        direct_feedback(mlp.head.apply(last), &hidden, feedback)
    })
}

/// `y`, whose cotangent also goes to hidden values: `h̄ₗ = ȳ Bₗ`.   y: `[n, out]`, hidden: `[n, hₗ]` each, feedback: `[out, hₗ]` each → y.
///
/// Stop the gradient of each hidden value on its other way to y, as [`direct_feedback_alignment`] does.
///
/// # Errors
/// At the front door, where numbers or shapes do not fit.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::feedback_alignment::direct_feedback;
/// let f = |h: Var, feedback: Var| direct_feedback(3.0 * h.stop_gradient(), &[h], &[feedback]).sum();
/// assert_eq!(grad(f).call((&array([[1.0]]), &array([[7.0]])))?, array([[7.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn direct_feedback(y: Var, hidden: &[Var], feedback: &[Var]) -> Var {
    let location = Location(std::panic::Location::caller());
    let fits = |h: &Var, b: &Var| {
        let (y, h, b) = (y.shape(), h.shape(), b.shape());
        y.rank() == 2 && h.rank() == 2 && h[0] == y[0] && b[..] == [y[1], h[1]]
    };
    if hidden.len() != feedback.len() || !hidden.iter().zip(feedback).all(|(h, b)| fits(h, b)) {
        let show = |all: &[Var]| all.iter().map(|v| v.ty().to_string()).collect::<Vec<_>>().join(", ");
        let found = format!(
            "direct feedback: found an output {}, hidden values {} and feedback {}",
            y.ty(),
            show(hidden),
            show(feedback)
        );
        let help = "for an output [n, out], hidden values are [n, h] and each has its feedback [out, h]";
        mistake(Diagnostic::new(found, Some(location)).help(help));
        return y;
    }
    blame(location, || {
        let none = |all: &[Var]| all.iter().map(|v| full(v.dtype(), v.shape(), 0.0)).collect::<Vec<_>>();
        custom_vjp(
            &declared(&FEEDBACK_ALIGNMENT),
            (y, hidden.to_vec(), feedback.to_vec()),
            |(y, _, _)| y,
            |(y, _, feedback)| (y, feedback),
            |feedback, y_bar: Var| {
                let hidden_bar = feedback.iter().map(|b| y_bar.dot(*b)).collect();
                (y_bar, hidden_bar, none(&feedback))
            },
        )
    })
}

/// Normal feedback for every layer but the first, with the variance 1/out that keeps the mean square of cotangents.   → `[out, in]` each.
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_tricks::adjoint::feedback_alignment::random_feedback;
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// let mlp = Mlp::xavier(Key::from_seed(1), 3, &[8, 6], 2, Activation::Tanh, DType::F32);
/// let shapes: Vec<String> = random_feedback(Key::from_seed(2), &mlp).iter().map(|b| b.shape().to_string()).collect();
/// assert_eq!(shapes, ["[6,8]", "[2,6]"]);
/// ```
pub fn random_feedback(key: Key, mlp: &Mlp<Array>) -> Vec<Array> {
    let layers = mlp.hidden.iter().skip(1).chain(mlp.hidden.first().map(|_| &mlp.head));
    draw(key, layers.map(|layer| (layer, layer.weight.shape()[1], layer.weight.shape()[0])).collect())
}

/// Normal feedback from the output to every hidden layer, with the variance 1/out.   → `[out, hidden]` each.
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_tricks::adjoint::feedback_alignment::random_direct_feedback;
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// let mlp = Mlp::xavier(Key::from_seed(1), 3, &[8, 6], 2, Activation::Tanh, DType::F32);
/// let shapes: Vec<String> = random_direct_feedback(Key::from_seed(2), &mlp).iter().map(|b| b.shape().to_string()).collect();
/// assert_eq!(shapes, ["[2,8]", "[2,6]"]);
/// ```
pub fn random_direct_feedback(key: Key, mlp: &Mlp<Array>) -> Vec<Array> {
    let n_out = mlp.head.weight.shape()[1];
    draw(key, mlp.hidden.iter().map(|layer| (layer, n_out, layer.weight.shape()[1])).collect())
}

/// One matrix `[out, to]` of variance 1/out for each.
fn draw(key: Key, all: Vec<(&Linear<Array>, usize, usize)>) -> Vec<Array> {
    let keys = key.split(all.len());
    let one = |(key, (layer, n_out, to)): (&Key, (&Linear<Array>, usize, usize))| {
        let mut matrix = normal(*key, [n_out, to]);
        let deviation = 1.0 / (n_out as f64).sqrt();
        if let Some(entries) = matrix.make_mut::<f64>() {
            entries.iter_mut().for_each(|b| *b *= deviation);
        }
        ops::convert(&matrix, layer.weight.dtype())
    };
    keys.iter().zip(all).map(one).collect()
}
