//! Exponential and gamma draws.

use super::{Key, ParameterError, Stream, open_unit, purpose, size, threefry, unit};
use crate::{Array, Shape, kernel, map};

/// Exponential `f64` values of rate 1. Entry `i` depends on the key and `i` only.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
///
/// # Source
/// Inversion: `-log u`, u uniform in `(0, 1)` (Devroye 1986, Non-uniform random variate generation, II.2). Values reach 37.
///
/// ```
/// use retrograde_array::{ops, rng::{Key, exponential}};
/// let draws = exponential(Key::from_seed(1), [10_000]);
/// let mean = ops::sum(&draws, &[0]).item::<f64>().unwrap() / 1e4;
/// assert!((mean - 1.0).abs() < 0.05);
/// ```
pub fn exponential(key: Key, shape: impl Into<Shape>) -> Array {
    let shape = shape.into();
    let n = size(&shape) as u64;
    let units: Vec<f64> = (0..n).map(|i| open_unit(threefry(key, [i, purpose::EXPONENTIAL])[0])).collect();
    Array::from_parts(shape, kernel::map(&kernel::log(&units), |log: f64| -log))
}

/// Gamma `f64` values of shape parameter `alpha` and scale 1: mean and variance `alpha`. Entry `i` depends on the key and `i`
/// only.
///
/// Ratios of gamma draws are beta and Dirichlet draws. For tiny `alpha` most values are below the least `f64`, and are 0.
///
/// # Errors
/// [`ParameterError`] unless `alpha` is positive and finite.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
///
/// # Cost
/// At most 1.06 proposals per entry on average.
///
/// # Source
/// Marsaglia and Tsang (2000), A simple method for generating gamma variables, ACM TOMS 26; below 1 with the power of a uniform
/// draw of their section 6.
///
/// ```
/// use retrograde_array::rng::{Key, gamma};
/// assert!(gamma(Key::from_seed(1), 2.5, [1000])?.as_slice::<f64>().unwrap().iter().all(|x| *x > 0.0));
/// # Ok::<(), retrograde_array::rng::ParameterError>(())
/// ```
pub fn gamma(key: Key, alpha: f64, shape: impl Into<Shape>) -> Result<Array, ParameterError> {
    if !(alpha > 0.0 && alpha.is_finite()) {
        return Err(ParameterError {
            distribution: "gamma",
            found: format!("alpha {alpha}"),
            expected: "a positive finite number",
        });
    }
    let shape = shape.into();
    let draw = |entry| {
        let mut stream = Stream::of_entry(key, entry, purpose::GAMMA);
        if alpha >= 1.0 {
            return at_least_one(alpha, &mut stream);
        }
        let log = map::log_f64(open_unit(stream.words()[0]));
        at_least_one(alpha + 1.0, &mut stream) * map::exp_f64(log / alpha)
    };
    let values = (0..size(&shape)).map(draw).collect();
    Ok(Array::from_parts(shape, values))
}

/// A gamma draw for `alpha >= 1`.
fn at_least_one(alpha: f64, stream: &mut Stream) -> f64 {
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let [radius, angle] = stream.words();
        let radius = (-2.0 * map::log_f64(open_unit(radius))).sqrt();
        let x = radius * map::cos_f64(std::f64::consts::TAU * unit(angle));
        let root = c.mul_add(x, 1.0);
        let v = root * root * root;
        let log_u = map::log_f64(open_unit(stream.words()[0]));
        // For large d, 1 - v is exact and cancels the leading term of the logarithm.
        if v > 0.0 && log_u < 0.5 * x * x + d * ((1.0 - v) + map::log_f64(v)) {
            return d * v;
        }
    }
}
