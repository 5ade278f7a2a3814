//! Minibatches: the gradient of a mean over n examples from b of them, drawn with or without replacement.
//!
//! With the variance `S² = (1/n) Σ |gᵢ − g|²` of the gradients of single examples, the mean of b of them has the total variance S²/b
//! with replacement and `S²/b (n − b)/(n − 1)` without. Law: without bias.

use std::rc::Rc;

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::tree::leaves;
use retrograde_core::trace::var::{full, uniform};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{grad, jit, vmap};

use super::estimator::Estimator;
use super::leafwise::{constants, copy, numbers};
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D1.
pub const MINIBATCH: Trick = Trick {
    id: "D1",
    name: "minibatches, with and without replacement",
    formula: "(1/b) Σ_batch gᵢ, variance S²/b, without replacement S²/b (n − b)/(n − 1)",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "H. Robbins and S. Monro",
            title: "A stochastic approximation method",
            venue: "Annals of Mathematical Statistics 22",
            year: 1951,
        },
        Source {
            authors: "L. Bottou and F. E. Curtis and J. Nocedal",
            title: "Optimization methods for large-scale machine learning",
            venue: "SIAM Review 60",
            year: 2018,
        },
    ],
    file: file!(),
    example: "minibatch_gradient",
    property: Property {
        claim: "mean and total variance over all batches are those of the formulas",
        test: "batches_have_the_mean_and_the_variance_of_the_formulas",
        found: "",
    },
};

/// Whether an example may be drawn twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replacement {
    /// Each draw is from all examples.
    With,
    /// Each draw is from those that are left.
    Without,
}

impl Replacement {
    /// Total variance of the mean of `b` examples out of `n`, for a variance `square` of one.
    ///
    /// ```
    /// use retrograde_tricks::estimate::minibatch::Replacement;
    /// assert_eq!(Replacement::With.variance(8.0, 5, 2), 4.0);
    /// assert_eq!((Replacement::Without.variance(8.0, 5, 2), Replacement::Without.variance(8.0, 5, 5)), (3.0, 0.0));
    /// ```
    pub fn variance(self, square: f64, n: usize, b: usize) -> f64 {
        let rest = match self {
            Replacement::Without if n > 1 => (n - b) as f64 / (n - 1) as f64,
            Replacement::Without => 0.0,
            Replacement::With => 1.0,
        };
        square / b as f64 * rest
    }
}

/// Positions of `b` out of `n` examples.   key: `i64[2]` → i64 `[b]`.
///
/// # Errors
/// At the front door, for an empty batch, and for more than `n` examples without replacement.
///
/// ```
/// use retrograde_array::rng::Key;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::minibatch::{Replacement, minibatch};
/// let key = Key::from_seed(1).to_array();
/// let all = jit(|key: Var| minibatch(key, 4, 4, Replacement::Without)).call(&key)?;
/// let mut all = all.to_vec::<i64>().unwrap();
/// all.sort();
/// assert_eq!(all, [0, 1, 2, 3]);
/// let error = jit(|key: Var| minibatch(key, 4, 5, Replacement::Without)).call(&key).unwrap_err();
/// assert!(error.to_string().starts_with("error: minibatch: found a batch of 5, expected 1 to 4 examples"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn minibatch(key: Var, n: usize, b: usize, replacement: Replacement) -> Var {
    if let Some(found) = mistaken(n, b, replacement) {
        refuse(caller(), format!("minibatch: {found}"), HELP);
        return full(DType::I64, [b], 0.0);
    }
    match replacement {
        Replacement::With => (uniform(key, [b]) * n as f64).floor().convert(DType::I64).min(n as i64 - 1),
        Replacement::Without => uniform(key, [n]).argsort(0).slice(0, 0..b),
    }
}

const HELP: &str = "draw fewer, or with replacement";

fn mistaken(n: usize, b: usize, replacement: Replacement) -> Option<String> {
    let most = if replacement == Replacement::With { usize::MAX } else { n };
    let range = if replacement == Replacement::With {
        "at least 1 example".into()
    } else {
        format!("1 to {n} examples")
    };
    (b == 0 || b > most || n == 0).then(|| format!("found a batch of {b}, expected {range}"))
}

/// The gradient of `(1/n) Σ loss(parameters, exampleᵢ)` from batches of `b`, with its mean and variance.   data: leaves `[n, ..]`.
///
/// # Errors
/// As [`minibatch`], with the caller's line; mistakes in the loss.
/// # Cost
/// The predictions take the gradients of all examples, once; a draw those of b.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::minibatch::{Replacement, minibatch_gradient};
/// let loss = |w: Var, x: Var| (w - x) * (w - x) * 0.5;
/// let data = array([1.0, 2.0, 3.0, 6.0]);
/// let batches = minibatch_gradient(Key::from_seed(1), loss, array(0.0), data, 2, Replacement::Without)?;
/// // S² = 3.5, and (n − b)/(n − 1) = 2/3
/// assert_eq!(batches.predicted_mean, Some(array(-3.0)));
/// assert!((batches.predicted_variance.unwrap() - 3.5 / 2.0 * 2.0 / 3.0).abs() < 1e-14);
/// batches.check(500)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn minibatch_gradient<P: Traceable, X: Traceable>(
    key: Key,
    loss: impl Fn(P, X) -> Var + 'static,
    parameters: P::Arrays,
    data: X::Arrays,
    b: usize,
    replacement: Replacement,
) -> Result<Estimator<P>, Error> {
    let location = caller();
    let loss = Rc::new(loss);
    let all = per_example::<P, X>(loss.clone(), &parameters, &data)?;
    let n = n_examples(&data);
    if let Some(found) = mistaken(n, b, replacement) {
        let message = format!("minibatch_gradient: {found}");
        return Err(Error::Input { message, location, help: HELP.into() });
    }
    let square = total_variance(&all, n);
    let mean = mean_of::<P>(&all)?;
    let draw = move |key: Var| {
        let batch = minibatch(key, n, b, replacement);
        let batch: X = constants::<X>(&data).map_vars(&mut |leaf| leaf.gather(0, batch));
        mean_gradient(&*loss, &constants(&parameters), batch)
    };
    Ok(Estimator::new("minibatch_gradient", key, draw)
        .mean(mean)
        .variance(replacement.variance(square, n, b)))
}

/// The gradient of the mean loss of some examples.
fn mean_gradient<P: Traceable, X: Traceable>(loss: &dyn Fn(P, X) -> Var, parameters: &P, examples: X) -> P {
    let mean =
        |parameters: P| vmap(|example: X| loss(copy(&parameters), example)).apply((copy(&examples),)).mean();
    grad(mean).at(copy(parameters))
}

/// How many examples there are.
pub(super) fn n_examples<T: retrograde_core::trace::Tree<Leaf = Array>>(data: &T) -> usize {
    leaves(data).first().and_then(|(_, leaf)| leaf.shape().first().copied()).unwrap_or(0)
}

/// The gradient of each example, along a new leading axis.
pub(super) fn per_example<P: Traceable, X: Traceable>(
    loss: Rc<impl Fn(P, X) -> Var>,
    parameters: &P::Arrays,
    data: &X::Arrays,
) -> Result<P::Arrays, Error> {
    let single =
        |example: X| grad(|parameters: P| loss(parameters, copy(&example))).at(constants(parameters));
    jit(vmap(single)).call(data)
}

/// The mean along the leading axis.
pub(super) fn mean_of<P: Traceable>(rows: &P::Arrays) -> Result<P::Arrays, Error> {
    jit(|rows: P| rows.map_vars(&mut |leaf| leaf.sum_axes(&[0]) / leaf.shape()[0] as f64)).call(rows)
}

/// `(1/n) Σ |gᵢ − g|²` along the leading axis.
pub(super) fn total_variance<T: retrograde_core::trace::Tree<Leaf = Array>>(rows: &T, n: usize) -> f64 {
    let mut total = 0.0;
    for (_, leaf) in leaves(rows) {
        let entries = numbers(&leaf);
        let width = entries.len() / n.max(1);
        for j in 0..width {
            let column = || entries.iter().skip(j).step_by(width);
            let mean = column().sum::<f64>() / n as f64;
            total += column().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        }
    }
    total
}
