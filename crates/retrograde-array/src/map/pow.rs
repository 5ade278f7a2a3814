//! Powers.

use super::double::Double;
use super::exp::exp_parts;
use super::log::log_parts;
use super::times_pow2;

/// `x^y`, within 0.8 ulp, with the values of IEEE 754 at the edges: `x^0` and `1^y` are one even for NaN, negative bases
/// have integer powers only.
///
/// # Source
/// `exp(y ln |x|)` with the logarithm in two parts, of about 66 bits, as its error grows with the exponent (Muller et al.
/// 2018, Handbook of Floating-Point Arithmetic, 10.4).
#[inline(always)]
pub(crate) fn pow_f64(x: f64, y: f64) -> f64 {
    let base = x.abs();
    let log = log_parts(Double::from(base));
    let high = y * log.hi;
    let low = y.mul_add(log.lo, y.mul_add(log.hi, -high));
    // Beyond, the result is infinite or zero, also for y infinite.
    let in_range = high.abs() < 760.0;
    let clamped = Double { hi: 760.0_f64.copysign(high), lo: 0.0 };
    let power = Double { hi: high, lo: low }.when(in_range, clamped);
    let (z, n) = exp_parts(power);
    let z = times_pow2(z.value(), n);

    // The logarithm means nothing at the ends of the bases.
    let grows = (base > 1.0) == (y > 0.0);
    let z = if base == 0.0 || base == f64::INFINITY { if grows { f64::INFINITY } else { 0.0 } } else { z };
    let z = if base == 1.0 { 1.0 } else { z };
    let is_integer = y == y.trunc();
    // Halving an odd integer leaves a fraction; from 2^53 on there are only even ones, and infinities count as even.
    let half = 0.5 * y;
    let odd = is_integer && half != half.trunc();
    let z = if odd && x.is_sign_negative() { -z } else { z };
    let z = if x < 0.0 && base < f64::INFINITY && !is_integer { f64::NAN } else { z };
    let z = if x.is_nan() || y.is_nan() { f64::NAN } else { z };
    if y == 0.0 || x == 1.0 { 1.0 } else { z }
}

/// `x^y`, within 0.501 ulp: [`pow_f64`], rounded once.
#[inline(always)]
pub(crate) fn pow_f32(x: f32, y: f32) -> f32 {
    pow_f64(f64::from(x), f64::from(y)) as f32
}
