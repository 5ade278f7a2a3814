//! Draws of truth values, categories and orders.

use super::{Key, ParameterError, open_unit, purpose, size, threefry, unit, word};
use crate::{Array, DType, Shape, kernel, ops};

/// `bool` values that are true with the given probability. Entry `i` depends on the key and `i` only.
///
/// # Errors
/// [`ParameterError`] unless the probability lies in `[0, 1]`. It is rounded up to a multiple of 2^-53.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
///
/// ```
/// use retrograde_array::rng::{Key, bernoulli};
/// let kept = bernoulli(Key::from_seed(1), 0.9, [64])?;
/// assert_eq!(kept.dtype().to_string(), "bool");
/// # Ok::<(), retrograde_array::rng::ParameterError>(())
/// ```
pub fn bernoulli(key: Key, probability: f64, shape: impl Into<Shape>) -> Result<Array, ParameterError> {
    if !(0.0..=1.0).contains(&probability) {
        return Err(ParameterError {
            distribution: "bernoulli",
            found: format!("probability {probability}"),
            expected: "a number from 0 to 1",
        });
    }
    let shape = shape.into();
    let draw = |i| unit(word(key, i, purpose::BERNOULLI)) < probability;
    let values = (0..size(&shape) as u64).map(draw).collect();
    Ok(Array::from_parts(shape, values))
}

/// A category for each row of logits: `[.., n]` floats to `[..]` of `i64` below `n`, category `j` with probability
/// proportional to the exponential of logit `j`. Row `i` depends on the key, `i` and `n` only.
///
/// A logit of `-inf` is a category that is never drawn. For many draws from the same logits, broadcast them: that copies nothing
/// until they are read.
///
/// # Errors
/// [`ParameterError`] for other dtypes, no categories, `+inf` or NaN, or a row of nothing but `-inf`.
///
/// # Source
/// The largest of the logits plus independent Gumbel draws `-log(-log u)` (Gumbel 1954; Yellott 1977).
///
/// ```
/// use retrograde_array::{array, rng::{Key, categorical}};
/// let drawn = categorical(Key::from_seed(1), &array([[0.0, f64::NEG_INFINITY], [f64::NEG_INFINITY, 3.0]]))?;
/// assert_eq!(drawn, array([0_i64, 1]));
/// # Ok::<(), retrograde_array::rng::ParameterError>(())
/// ```
pub fn categorical(key: Key, logits: &Array) -> Result<Array, ParameterError> {
    let wrong =
        |found: String, expected| Err(ParameterError { distribution: "categorical", found, expected });
    let n = logits.shape().last().copied().unwrap_or(0);
    if !logits.dtype().is_float() || n == 0 {
        let found = format!("logits {}{}", logits.dtype(), logits.shape());
        return wrong(found, "floats with a last axis of at least one category");
    }
    let wide = ops::convert(logits, DType::F64);
    let entries = wide.as_slice::<f64>().unwrap_or_default();
    for (row, entries) in entries.chunks_exact(n).enumerate() {
        if let Some(x) = entries.iter().find(|x| x.is_nan() || **x == f64::INFINITY) {
            return wrong(format!("logit {x} in row {row}"), "finite numbers or -inf");
        }
        if entries.iter().all(|x| *x == f64::NEG_INFINITY) {
            return wrong(format!("only -inf in row {row}"), "a category that can be drawn");
        }
    }
    let units: Vec<f64> =
        (0..entries.len() as u64).map(|i| open_unit(threefry(key, [i, purpose::CATEGORICAL])[0])).collect();
    let inner = kernel::map(&kernel::log(&units), |log: f64| -log);
    let scores = kernel::zip(entries, &kernel::log(&inner), |logit: f64, log: f64| logit - log);
    Ok(ops::argmax(&Array::from_parts(logits.shape().clone(), scores), logits.rank() - 1))
}

/// A uniformly random order of `0..n`.
///
/// # Source
/// Fisher and Yates (1938); unbiased bounded integers by Lemire (2019), Fast random integer generation in an interval.
///
/// ```
/// use retrograde_array::rng::{Key, permutation};
/// let mut order = permutation(Key::from_seed(1), 100);
/// assert_ne!(order, (0..100).collect::<Vec<_>>());
/// order.sort();
/// assert_eq!(order, (0..100).collect::<Vec<_>>());
/// ```
pub fn permutation(key: Key, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut draws = 0;
    for last in (1..n).rev() {
        let choices = last as u64 + 1;
        let pick = loop {
            let product = u128::from(word(key, draws, purpose::PERMUTATION)) * u128::from(choices);
            draws += 1;
            // Of the 2^64 words, the first 2^64 mod `choices` in each interval's low part are drawn again.
            if product as u64 >= choices.wrapping_neg() % choices {
                break (product >> 64) as usize;
            }
        };
        order.swap(pick, last);
    }
    order
}
