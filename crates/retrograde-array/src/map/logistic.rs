//! The logistic function and its integral.

use super::double::Double;
use super::exp::{exp_f64, exp_parts};
use super::log::log1p_parts;
use super::single;
use super::{pow2, times_pow2};

/// `1 / (1 + e^-x)`, within 0.8 ulp.
///
/// # Source
/// `e = exp(-|x|)` in two parts; `1/(1 + e)` for positive `x`, `e/(1 + e)` for negative.
#[inline(always)]
pub(crate) fn logistic_f64(x: f64) -> f64 {
    let (e, n) = exp_parts(Double::from(-below_clamp(x.abs())));
    let one = Double::from(1.0);
    // Where 2^n is raised to 2^-1000 it does not change the sum.
    let whole = one.plus(e.scaled(pow2(n.max(-1000))));
    let negative = x < 0.0;
    let y = e.when(negative, one).over(whole).value();
    // The quotient is scaled last, to round once where it is subnormal.
    let y = times_pow2(y, if negative { n } else { 0 });
    if x.is_nan() { x } else { y }
}

/// `1 / (1 + e^-x)`, within 0.8 ulp.
///
/// # Source
/// As [`logistic_f64`], in f32.
#[inline(always)]
pub(crate) fn logistic_f32(x: f32) -> f32 {
    let magnitude = x.abs();
    // Where e^-x is zero.
    let clamped = if magnitude > 104.0 { 104.0 } else { magnitude };
    let (e, e_low, n) = single::exp_parts(-clamped);
    // Where 2^n is raised to 2^-120 it does not change the sum.
    let scale = single::pow2(n.max(-120));
    let part = e * scale;
    let d = 1.0 + part;
    let d_low = e_low.mul_add(scale, (1.0 - d) + part);

    // The quotient, corrected once by the remainder, is scaled last, to round once where it is subnormal.
    let negative = x < 0.0;
    let (y, y_low) = if negative { (e, e_low) } else { (1.0, 0.0) };
    let inverse = 1.0 / d;
    let q = y * inverse;
    let remainder = (-q).mul_add(d_low, (-q).mul_add(d, y)) + y_low;
    let y = single::times_pow2(remainder.mul_add(inverse, q), if negative { n } else { 0 });
    if x.is_nan() { x } else { y }
}

/// `ln(1 + e^x)`, within 0.8 ulp.
///
/// # Source
/// `max(x, 0) + ln(1 + exp(-|x|))` in two parts.
#[inline(always)]
pub(crate) fn softplus_f64(x: f64) -> f64 {
    let (e, n) = exp_parts(Double::from(-below_clamp(x.abs())));
    let log = log1p_parts(e.scaled(pow2(n.max(-1000))));
    let y = log.plus(Double::from(if x > 0.0 { x } else { 0.0 })).value();
    // There ln(1 + e) = e, and e may be subnormal; or e = 0, and x is infinite.
    let y = if x < -40.0 { exp_f64(x) } else { y };
    if x > 800.0 || x.is_nan() { x } else { y }
}

/// Where `e^-x` is zero.
#[inline(always)]
fn below_clamp(x: f64) -> f64 {
    if x > 746.0 { 746.0 } else { x }
}
