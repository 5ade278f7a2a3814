//! Gaussian smoothing and evolution strategies: a gradient from values alone.
//!
//! `E f(x + σ ε) ε / σ` is the gradient of f smoothed by a normal distribution of deviation σ. The antithetic pair
//! `(f(x + σ ε) − f(x − σ ε)) ε / 2σ` has the same mean; for a quadratic that is the gradient itself, with total variance `(d + 1) |g|²`,
//! whatever σ. Law: the gradient of the smoothed function.

use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;

use super::estimator::Estimator;
use super::forward_gradient::Directions;
use super::leafwise::{constants, copy, scaled, shifted};
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D10.
pub const SMOOTHING: Trick = Trick {
    id: "D10",
    name: "Gaussian smoothing, evolution strategies, antithetic pairs",
    formula: "(f(x + σ ε) − f(x − σ ε)) ε / 2σ",
    law: Law::Inexact { what: "the gradient of f smoothed with deviation σ, without bias" },
    cite: &[
        Source {
            authors: "D. Wierstra and T. Schaul and T. Glasmachers and Y. Sun and J. Peters and J. Schmidhuber",
            title: "Natural evolution strategies",
            venue: "Journal of Machine Learning Research 15",
            year: 2014,
        },
        Source {
            authors: "Y. Nesterov and V. Spokoiny",
            title: "Random gradient-free minimization of convex functions",
            venue: "Foundations of Computational Mathematics 17",
            year: 2017,
        },
        Source {
            authors: "T. Salimans and J. Ho and X. Chen and S. Sidor and I. Sutskever",
            title: "Evolution strategies as a scalable alternative to reinforcement learning",
            venue: "arXiv:1703.03864",
            year: 2017,
        },
    ],
    file: file!(),
    example: "smoothing_gradient",
    property: Property {
        claim: "on a quadratic, antithetic pairs have mean g and total variance (d + 1) |g|²; on a cubic, the mean of the smoothed cubic",
        test: "antithetic_pairs_on_a_quadratic_have_no_bias",
        found: "",
    },
};

/// From how many sides f is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sides {
    /// f(x + σ ε) ε / σ
    One,
    /// The antithetic pair.
    Two,
}

/// One draw for noise that is given.   f: tree → number, x and noise: trees of floats of one structure.
///
/// # Errors
/// At the front door, unless `sigma` is positive and finite.
/// # Cost
/// One or two evaluations.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::smoothing::{Sides, smoothed};
/// let f = jit(|x: Var, noise: Var| smoothed(|x: Var| (x * x).sum(), &x, &noise, 0.5, Sides::Two));
/// assert_eq!(f.call((&array([1.0, 3.0]), &array([1.0, -1.0])))?, array([-4.0, 4.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn smoothed<P: Traceable>(f: impl Fn(P) -> Var, x: &P, noise: &P, sigma: f64, sides: Sides) -> P {
    let location = caller();
    if !(sigma > 0.0 && sigma.is_finite()) {
        let found = format!("smoothed: found a deviation of {sigma}, expected a positive one");
        refuse(location, found, "take about a hundredth of the scale of x");
        return copy(x);
    }
    let above = f(shifted(x, sigma, noise));
    let slope = match sides {
        Sides::One => above / sigma,
        Sides::Two => (above - f(shifted(x, -sigma, noise))) / (2.0 * sigma),
    };
    scaled(slope, noise)
}

/// The estimator at a point.
///
/// As an estimate of the gradient of f itself it has a bias of order σ², so that [`Estimator::gradient`] refuses it.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::smoothing::{Sides, smoothing_gradient};
/// let f = |x: Var| (x * x).sum();
/// let g = smoothing_gradient(Key::from_seed(1), f, array([1.0, 3.0]), 0.1, Sides::Two);
/// let error = g.gradient(10).unwrap_err().to_string();
/// assert!(error.contains("the gradient of f smoothed by a normal distribution of deviation 0.1"));
/// // Of a quadratic, smoothing changes no slope: |g|² = 40 in 2 dimensions.
/// g.mean(array([2.0, 6.0])).variance(120.0).check(500)?;
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[track_caller]
pub fn smoothing_gradient<P: Traceable>(
    key: Key,
    f: impl Fn(P) -> Var + 'static,
    x: P::Arrays,
    sigma: f64,
    sides: Sides,
) -> Estimator<P> {
    let draw = move |key: Var| {
        let x: P = constants(&x);
        let noise = Directions::Normal.draw(key, &x);
        smoothed(&f, &x, &noise, sigma, sides)
    };
    Estimator::new("smoothing_gradient", key, draw).biased(format!(
        "its mean is the gradient of f smoothed by a normal distribution of deviation {sigma}"
    ))
}
