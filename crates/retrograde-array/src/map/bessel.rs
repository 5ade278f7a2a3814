//! Modified Bessel functions of the first kind, orders zero and one, scaled so that they do not overflow.

use super::coefficients::{I0, I0_TAIL, I1, I1_TAIL, LN_I0};
use super::double::Double;
use super::log::log_parts;

/// From here on pieces in `1/x`.
const LARGE: f64 = 16.0;
/// Below it the leading term is all, rounded once even where it is subnormal.
const TINY: f64 = 1e-20;

/// `e^-|x| I0(x)`.
#[inline(always)]
fn i0e_parts(magnitude: f64) -> Double {
    let far = I0_TAIL.at(1.0 / magnitude, 0.0).over(Double::from(magnitude).root());
    I0.at(magnitude, 0.0).when(magnitude < LARGE, far)
}

/// `e^-|x| I0(x)`, within 0.8 ulp.
///
/// # Source
/// Fitted pieces: of the function below 16, of `sqrt(x)` times it above.
#[inline(always)]
pub(crate) fn bessel_i0e_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let y = i0e_parts(magnitude).value();
    let y = if magnitude == f64::INFINITY { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

/// `e^-|x| I1(x)`, within 0.85 ulp.
///
/// # Source
/// As [`bessel_i0e_f64`], with one power of `x` apart below 16.
#[inline(always)]
pub(crate) fn bessel_i1e_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let near = I1.at(magnitude, 0.0).times(Double::from(magnitude));
    let far = I1_TAIL.at(1.0 / magnitude, 0.0).over(Double::from(magnitude).root());
    let y = near.when(magnitude < LARGE, far).value();
    let y = if magnitude == f64::INFINITY { 0.0 } else { y };
    let y = if magnitude < TINY { 0.5 * magnitude } else { y };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// `ln I0(x)`, within 0.8 ulp.
///
/// # Source
/// Fitted pieces of `ln I0(x) / x^2` below 16; above, `x` and the logarithm of [`bessel_i0e_f64`] in two parts.
#[inline(always)]
pub(crate) fn log_bessel_i0_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let near = LN_I0.at(magnitude, 0.0).times(Double::product(magnitude, magnitude));
    let far = log_parts(i0e_parts(magnitude)).plus(Double::from(magnitude));
    let y = near.when(magnitude < LARGE, far).value();
    let y = if magnitude == f64::INFINITY { magnitude } else { y };
    let half = 0.5 * magnitude;
    let y = if magnitude < TINY { half * half } else { y };
    if x.is_nan() { x } else { y }
}
