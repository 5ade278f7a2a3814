//! The inverse hyperbolic functions, as logarithms in two parts.
//!
//! Source: Abramowitz and Stegun (1964), 4.6.20 to 4.6.22, written with `ln(1 + z)` so that nothing cancels.

use super::double::Double;
use super::log::{log_parts, log1p_parts};
use super::{LN2_HI, LN2_LO};

/// From here on `sqrt(x^2 ± 1)` is `x`.
const LARGE: f64 = 1e15;
const ONE: Double = Double::from(1.0);

/// The inverse hyperbolic sine, within 0.6 ulp: `ln(1 + x + x^2 / (1 + sqrt(x^2 + 1)))`.
#[inline(always)]
pub(crate) fn asinh_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let near = if magnitude > LARGE { 1.0 } else { magnitude };
    let square = Double::product(near, near);
    let z = square.over(ONE.plus(ONE.plus(square).root())).plus(Double::from(near));
    let y = log1p_parts(z).when(magnitude <= LARGE, log_twice(magnitude)).value().copysign(x);
    // Tiny arguments, infinities and NaN are their own result.
    if magnitude > 1e-9 && magnitude < f64::INFINITY { y } else { x }
}

/// The inverse hyperbolic cosine, within 0.6 ulp: `ln(1 + t + sqrt(t (t + 2)))` with `t = x - 1`. NaN below one.
#[inline(always)]
pub(crate) fn acosh_f64(x: f64) -> f64 {
    let near = if x > LARGE { 1.0 } else { x };
    let t = Double::sum(near, -1.0);
    let z = t.times(t.plus(Double::from(2.0))).root().plus(t);
    let y = log1p_parts(z).when(x <= LARGE, log_twice(x)).value();
    let y = if x == f64::INFINITY { x } else { y };
    if x >= 1.0 { y } else { f64::NAN }
}

/// The inverse hyperbolic tangent, within 0.6 ulp: `ln(1 + 2x/(1 - x)) / 2`. NaN beyond one.
#[inline(always)]
pub(crate) fn atanh_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let z = Double::from(2.0 * magnitude).over(Double::sum(1.0, -magnitude));
    let y = (0.5 * log1p_parts(z).value()).copysign(x);
    let y = if magnitude == 1.0 { f64::INFINITY.copysign(x) } else { y };
    let y = if magnitude < 1e-9 { x } else { y };
    if magnitude <= 1.0 { y } else { f64::NAN }
}

/// `ln(2x)`.
#[inline(always)]
fn log_twice(x: f64) -> Double {
    log_parts(Double::from(x)).plus(Double { hi: LN2_HI, lo: LN2_LO })
}
