//! Per-example clipping and noise (DP-SGD): no example moves the sum of gradients by more than C.
//!
//! ```text
//! ḡ = Σᵢ gᵢ min(1, C/‖gᵢ‖) + N(0, σ²C²)
//! ```
//!
//! Law: inexact. There is no accountant here: what a number of such steps reveals is for the caller to compute.

use retrograde_array::DType;
use retrograde_core::ir::Location;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, blame};
use retrograde_engine::{grad, vmap};

use super::clip::{global_norm, wrong_bound};
use super::map::{each_float, refused};
use super::noise::Parts;
use crate::catalogue::{Law, Property, Source, Trick};
use crate::estimate::draw::normal;

/// The row of [`Private`].
pub const PER_EXAMPLE_CLIPPING: Trick = Trick {
    id: "B20",
    name: "per-example clipping and noise (DP-SGD)",
    formula: "ḡ = Σᵢ gᵢ min(1, C/‖gᵢ‖) + N(0, σ²C²)",
    law: Law::Inexact {
        what: "each example's gradient is clipped to a norm, and normal noise is added to the sum",
    },
    cite: &[
        Source {
            authors: "I. Goodfellow",
            title: "Efficient Per-Example Gradient Computations",
            venue: "arXiv:1510.01799",
            year: 2015,
        },
        Source {
            authors: "M. Abadi and A. Chu and I. Goodfellow and H. B. McMahan and I. Mironov and K. Talwar and L. Zhang",
            title: "Deep Learning with Differential Privacy",
            venue: "CCS",
            year: 2016,
        },
    ],
    file: file!(),
    example: "Private",
    property: Property {
        claim: "norms equal those of n separate tapes; what an example adds has a norm of at most C, exactly",
        test: "no_example_adds_more_than_its_bound",
        found: "equal norms to 1e-15; 400 clipped gradients at most C in twice the digits, f64 and f32",
    },
};

/// The gradient of every example.   parameters: a tree; examples: a tree with a leading axis of n → parameters with a leading axis of n.
///
/// # Cost
/// That of n gradients, and the memory for all of them. [`per_example_norms`](retrograde_solve::curvature::per_example_norms()) has norms
/// without gradients.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::per_example::per_example_gradients;
/// let loss = |w: Var, x: Var| (w * x).sum();
/// let all = jit(|w: Var, xs: Var| per_example_gradients(loss, w, xs));
/// let xs = array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// assert_eq!(all.call((&array([0.0, 0.0]), &xs))?, xs);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn per_example_gradients<P: Traceable, X: Traceable>(
    loss: impl Fn(P, X) -> Var,
    parameters: P,
    examples: X,
) -> P {
    let slope = grad(loss);
    let of_one = |example: X| slope.at((parameters.map_vars(&mut |v| *v), example));
    vmap(of_one).apply((examples,))
}

/// How much each example may add, and the noise in units of it.
///
/// # Errors
/// At the front door, for a bound that is not positive, or a negative multiple.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::per_example::Private;
/// let loss = |w: Var, x: Var| (w * x).sum();
/// let sum = |noise: f64| {
///     jit(move |w: Var, xs: Var, key: Var| Private { bound: 1.0, noise }.gradient(loss, w, xs, key))
/// };
/// let (w, xs) = (array([0.0, 0.0]), array([[0.0, 50.0], [0.5, 0.0], [0.0, 0.25]]));
/// let key = Key::from_seed(1).to_array();
/// let clipped = sum(0.0).call((&w, &xs, &key))?.to_vec::<f64>().unwrap();
/// assert!(clipped[0] == 0.5 && (clipped[1] - 1.25).abs() < 1e-14);
/// assert!(sum(0.1).call((&w, &xs, &key))?.to_vec::<f64>().unwrap()[0] != 0.5);
/// // One by one.
/// let each = jit(move |w: Var, xs: Var| Private { bound: 1.0, noise: 0.0 }.clipped(loss, w, xs));
/// assert_eq!(each.call((&w, &xs))?.shape()[..], [3, 2]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Private {
    /// C
    pub bound: f64,
    /// σ: the deviation of the noise is σC.
    pub noise: f64,
}

impl Private {
    /// The sum over examples of clipped gradients, and noise of a key. Divide it by the number of examples that is expected.
    #[track_caller]
    pub fn gradient<P: Traceable, X: Traceable>(
        self,
        loss: impl Fn(P, X) -> Var,
        parameters: P,
        examples: X,
        key: Var,
    ) -> P {
        let location = Location(std::panic::Location::caller());
        let is_multiple = self.noise >= 0.0 && self.noise.is_finite();
        let wrong_noise = (!is_multiple).then(|| {
            let found =
                format!("per-example clipping: found noise of {} bounds, expected at least 0", self.noise);
            (found, "the noise is a multiple of the bound; about 1 is usual")
        });
        if refused(wrong_bound("per-example clipping", self.bound).or(wrong_noise), location) {
            return parameters;
        }
        blame(location, || {
            let clipped = self.clipped(loss, parameters, examples);
            let sum = each_float(&clipped, |g| g.sum_axes(&[0]));
            let mut parts = Parts::of(&sum, |n| normal(key, [n]));
            each_float(&sum, |g| g + (parts.next(g) * (self.noise * self.bound)).convert(g.dtype()))
        })
    }

    /// Every example's clipped gradient: of norm at most C, exactly. The factor is as much below C/‖g‖ as all roundings may add up to.
    #[track_caller]
    pub fn clipped<P: Traceable, X: Traceable>(
        self,
        loss: impl Fn(P, X) -> Var,
        parameters: P,
        examples: X,
    ) -> P {
        let slope = grad(loss);
        let of_one = |example: X| {
            let g = slope.at((parameters.map_vars(&mut |v| *v), example));
            // Of the norm: a rounding for each term of the longest chain of additions and few more; of each product, one of its type.
            let n: usize = super::map::floats(&g).iter().map(|g| g.shape().size()).sum();
            let of_norm = (n as f64 + 16.0) * f64::EPSILON;
            let norm = global_norm(&g) * (1.0 + of_norm);
            each_float(&g, |g| {
                let roundings = match g.dtype() {
                    DType::F64 => 4.0 * f64::EPSILON,
                    DType::F32 => 4.0 * f64::from(f32::EPSILON),
                    // 8 bits.
                    _ => 4.0 * 2f64.powi(-7),
                };
                let most = full(DType::F64, [], self.bound * (1.0 - roundings));
                let is_long = norm.gt(most);
                let one = full(DType::F64, [], 1.0);
                let factor = select(is_long, most / select(is_long, norm, one), one);
                g * factor.convert(g.dtype())
            })
        };
        vmap(of_one).apply((examples,))
    }
}
