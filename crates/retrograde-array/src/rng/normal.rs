//! Normal draws, whole and cut off.

use super::{Key, ParameterError, Stream, open_unit, purpose, size, threefry, unit};
use crate::{Array, Shape, kernel, map};

/// Draws that are made at a time.
const AT_ONCE: usize = 4096;

/// Standard normal `f64` values. Entry `i` depends on the key and `i` only.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
///
/// # Source
/// Box and Muller (1958), one of each pair, with the functions of [`map`](crate::map). Magnitudes reach 8.5.
///
/// ```
/// use retrograde_array::rng::{Key, normal};
/// let draws = normal(Key::from_seed(1), [2, 3]);
/// assert_eq!(draws.shape().to_string(), "[2,3]");
/// // Entry i does not depend on how many there are.
/// assert_eq!(normal(Key::from_seed(1), [100]).get(5), draws.get(5));
/// ```
pub fn normal(key: Key, shape: impl Into<Shape>) -> Array {
    let shape = shape.into();
    let n = size(&shape);
    let mut values = Vec::with_capacity(n);
    // Some at a time, so that what is drawn on the way takes no memory to speak of.
    for first in (0..n).step_by(AT_ONCE) {
        let draws = (first..n.min(first + AT_ONCE)).map(|i| threefry(key, [i as u64, purpose::NORMAL]));
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let (radii, angles): (Vec<f64>, Vec<f64>) =
            draws.map(|[radius, angle]| (1.0 - unit(radius), std::f64::consts::TAU * unit(angle))).unzip();
        let normal = |log: f64, cos: f64| (-2.0 * log).sqrt() * cos;
        values.extend(kernel::zip(&kernel::log(&radii), &kernel::cos(&angles), normal));
    }
    Array::from_parts(shape, values)
}

/// Standard normal `f64` values between `low` and `high`, which may be infinite. Entry `i` depends on the key and `i` only.
///
/// # Errors
/// [`ParameterError`] unless `low < high`.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
///
/// # Cost
/// At most about two proposals per entry on average, wherever the interval lies.
///
/// # Source
/// Robert (1995), Simulation of truncated normal variables, Statistics and Computing 5: normal, uniform or shifted exponential
/// proposals, by the interval.
///
/// ```
/// use retrograde_array::rng::{Key, truncated_normal};
/// let weights = truncated_normal(Key::from_seed(1), -2.0, 2.0, [10, 20])?;
/// assert!(weights.as_slice::<f64>().unwrap().iter().all(|w| w.abs() <= 2.0));
/// # Ok::<(), retrograde_array::rng::ParameterError>(())
/// ```
pub fn truncated_normal(
    key: Key,
    low: f64,
    high: f64,
    shape: impl Into<Shape>,
) -> Result<Array, ParameterError> {
    if low.is_nan() || high.is_nan() || low >= high {
        return Err(ParameterError {
            distribution: "truncated_normal",
            found: format!("low {low} and high {high}"),
            expected: "low below high",
        });
    }
    let shape = shape.into();
    // An interval below zero is the mirror image of one above.
    let mirrored = high < 0.0;
    let (from, to) = if mirrored { (-high, -low) } else { (low, high) };
    let proposal = proposal(from, to);
    let draw = |entry| {
        let mut stream = Stream::of_entry(key, entry, purpose::TRUNCATED);
        loop {
            if let Some(z) = attempt(proposal, from, to, stream.words(), &mut stream) {
                return if mirrored { -z } else { z };
            }
        }
    };
    let values = (0..size(&shape)).map(draw).collect();
    Ok(Array::from_parts(shape, values))
}

/// What is proposed, and accepted or not.
#[derive(Debug, Clone, Copy)]
enum Proposal {
    /// A normal draw.
    Normal,
    /// A uniform draw of the interval.
    Uniform,
    /// The lower end plus an exponential draw of this rate.
    Tail { rate: f64 },
}

/// The proposal for an interval that reaches above zero: section 2 of the paper.
fn proposal(low: f64, high: f64) -> Proposal {
    if low <= 0.0 {
        // The density varies too little for a uniform proposal to be rejected often.
        let narrow = high - low < (2.0 * std::f64::consts::PI).sqrt();
        return if narrow { Proposal::Uniform } else { Proposal::Normal };
    }
    // sqrt(low^2 + 4), which is `low` to the last bit far out, where the square would overflow.
    let root = if low > 1e9 { low } else { low.mul_add(low, 4.0).sqrt() };
    // Equation 2.3 and below, with low^2 - low * root = -4 low / (low + root).
    let width = 2.0 / (low + root) * map::exp_f64(0.5 - low / (low + root));
    if high - low > width { Proposal::Tail { rate: 0.5 * low + 0.5 * root } } else { Proposal::Uniform }
}

/// One proposal from two words and, for its acceptance, one more; `None` when it is rejected.
fn attempt(
    proposal: Proposal,
    low: f64,
    high: f64,
    [first, second]: [u64; 2],
    stream: &mut Stream,
) -> Option<f64> {
    // Accepted with probability exp(exponent).
    let (z, exponent) = match proposal {
        Proposal::Normal => {
            let radius = (-2.0 * map::log_f64(open_unit(first))).sqrt();
            (radius * map::cos_f64(std::f64::consts::TAU * unit(second)), 0.0)
        }
        Proposal::Uniform => {
            let z = (high - low).mul_add(unit(first), low);
            let mode = low.max(0.0);
            (z, (mode - z) * (mode + z) / 2.0)
        }
        Proposal::Tail { rate } => {
            let z = low - map::log_f64(open_unit(first)) / rate;
            (z, -(z - rate) * (z - rate) / 2.0)
        }
    };
    let inside = (low..=high).contains(&z);
    let accepted = exponent == 0.0 || map::log_f64(open_unit(stream.words()[0])) < exponent;
    (inside && accepted).then_some(z)
}
