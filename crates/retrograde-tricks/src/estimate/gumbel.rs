//! Gumbel-softmax: a choice between classes made continuous.
//!
//! `y = softmax((logits + G) / t)` with standard Gumbel G tends to a one-hot draw of softmax(logits) as t → 0, and has a derivative for
//! every t > 0. Its straight-through form is that one-hot draw with the derivative of y. Law: the gradient is that of the relaxed
//! mean, which is another than that of the mean over classes; the deviation is an integral over the noise.

use retrograde_core::trace::Var;

use super::draw::gumbel;
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};
use crate::primal::softmax::softmax;

/// D7.
pub const GUMBEL_SOFTMAX: Trick = Trick {
    id: "D7",
    name: "Gumbel-softmax (concrete), straight-through Gumbel",
    formula: "y = softmax((logits + G) / t), −ln(−ln u) = G; ST: one-hot(argmax y) forward, y backward",
    law: Law::Inexact { what: "the gradient of a mean over relaxed draws; straight-through: at a hard draw" },
    cite: &[
        Source {
            authors: "E. Jang and S. Gu and B. Poole",
            title: "Categorical reparameterization with Gumbel-softmax",
            venue: "ICLR, arXiv:1611.01144",
            year: 2017,
        },
        Source {
            authors: "C. J. Maddison and A. Mnih and Y. W. Teh",
            title: "The concrete distribution: a continuous relaxation of discrete random variables",
            venue: "ICLR, arXiv:1611.00712",
            year: 2017,
        },
    ],
    file: file!(),
    example: "relaxed",
    property: Property {
        claim: "as t → 0, one-hot with probabilities softmax(logits); the straight-through gradient has the mean of the integral over its noise, which is not the gradient of the mean",
        test: "straight_through_has_the_bias_of_the_integral",
        found: "",
    },
};

/// A relaxed draw along the last axis.   key: `i64[2]`, logits: `[.., classes]` → y: the same shape, rows that sum to 1.
///
/// # Errors
/// At the front door, unless `temperature` is positive and finite.
/// # Cost
/// A random word, two logarithms and an exponential an entry.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::gumbel::relaxed;
/// let (key, logits) = (Key::from_seed(1).to_array(), array([0.0, 1.0, 2.0]));
/// let y = jit(|logits: Var, key: Var| relaxed(key, logits, 0.5)).call((&logits, &key))?;
/// assert!((y.to_vec::<f64>().unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-15);
/// let error = jit(|logits: Var, key: Var| relaxed(key, logits, 0.0)).call((&logits, &key)).unwrap_err();
/// assert!(error.to_string().starts_with("error: relaxed: found a temperature of 0, expected a positive one"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn relaxed(key: Var, logits: Var, temperature: f64) -> Var {
    let location = caller();
    if !is_temperature("relaxed", temperature, location) {
        return logits;
    }
    relaxed_at(gumbel(key, logits.shape()).convert(logits.dtype()), logits, temperature)
}

/// [`relaxed`] with noise that is given.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::gumbel::relaxed_at;
/// let y = jit(|noise: Var, logits: Var| relaxed_at(noise, logits, 1e-3));
/// assert_eq!(y.call((&array([0.0, 3.0]), &array([1.0, 0.0])))?, array([0.0, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn relaxed_at(noise: Var, logits: Var, temperature: f64) -> Var {
    softmax((logits + noise) / temperature, logits.rank().saturating_sub(1))
}

/// A one-hot draw with the derivative of the relaxed one.   key: `i64[2]`, logits: `[.., classes]` → the same shape.
///
/// # Errors
/// As [`relaxed`].
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::gumbel::{relaxed, straight_through};
/// let (key, logits) = (Key::from_seed(1).to_array(), array([0.0, 1.0, 2.0]));
/// let hard = jit(|logits: Var, key: Var| straight_through(key, logits, 0.5)).call((&logits, &key))?;
/// assert_eq!(hard.to_vec::<f64>().unwrap().iter().filter(|y| **y == 1.0).count(), 1);
/// let first = |y: Var| y.index(0, 0);
/// let soft = grad(|logits: Var, key: Var| first(relaxed(key, logits, 0.5))).call((&logits, &key))?;
/// assert_eq!(grad(|logits: Var, key: Var| first(straight_through(key, logits, 0.5))).call((&logits, &key))?, soft);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn straight_through(key: Var, logits: Var, temperature: f64) -> Var {
    let location = caller();
    if !is_temperature("straight_through", temperature, location) {
        return logits;
    }
    harden(relaxed_at(gumbel(key, logits.shape()).convert(logits.dtype()), logits, temperature))
}

/// The one-hot vector of the largest entry along the last axis, with the derivative of the identity.   y: `[.., classes]`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::gumbel::harden;
/// let y = array([0.25, 0.75]);
/// assert_eq!(jit(harden).call(&y)?, array([0.0, 1.0]));
/// assert_eq!(grad(|y: Var| harden(y).index(0, 0)).call(&y)?, array([1.0, 0.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn harden(y: Var) -> Var {
    let (axis, shape) = (y.rank().saturating_sub(1), y.shape());
    let hard = y.argmax(axis).one_hot(shape.last().copied().unwrap_or(1), y.dtype());
    // The difference is zero to the bit, and adds nothing to the value.
    hard + (y - y.stop_gradient())
}

fn is_temperature(what: &str, temperature: f64, location: retrograde_core::ir::Location) -> bool {
    let fits = temperature > 0.0 && temperature.is_finite();
    if !fits {
        let found = format!("{what}: found a temperature of {temperature}, expected a positive one");
        refuse(location, found, "start near 1 and lower it; the variance grows as it falls");
    }
    fits
}
