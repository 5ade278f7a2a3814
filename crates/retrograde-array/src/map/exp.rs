//! `e^x` and `2^x`.

use super::double::Double;
use super::single;
use super::{LN2_HI, LN2_LO, LOG2_E, fast_two_sum, horner, nearest, times_pow2};

/// Above it the result overflows, below its negative it rounds to zero; clamping there keeps the exponent in range.
const CLAMP: f64 = 746.0;

/// Taylor coefficients of `(e^r - 1 - r) / r^2`: `1/2!, 1/3!, …, 1/13!`. With `|r| <= ln 2 / 2` the next term is below 2^-57.
const TAIL: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// `e^x`, within 0.8 ulp.
///
/// # Source
/// Reduction by `n ln 2` in two parts (Cody and Waite 1980), Taylor series.
#[inline(always)]
pub(crate) fn exp_f64(x: f64) -> f64 {
    let (y, n) = exp_parts(Double::from(clamp(x)));
    if x.is_nan() { x } else { times_pow2(y.value(), n) }
}

/// `e^x = y 2^n` with `y` in `[0.7, 1.5]`, within 2^-56, for `|x| < 10^5`.
#[inline(always)]
pub(super) fn exp_parts(x: Double) -> (Double, i64) {
    let (n, n_int) = nearest(x.hi * LOG2_E);
    // Exact: x and n LN2_HI are multiples of 2^-54 (or n = 0), and so is r0, which is below 1/2.
    let r0 = (-n).mul_add(LN2_HI, x.hi);
    let low = n * LN2_LO;
    let r = r0 - low;
    let (r, r_low) = fast_two_sum(r, ((r0 - r) - low) + x.lo);
    (exp_reduced(r, r_low), n_int)
}

/// `e^(r + r_low)`, within 2^-56, for `|r| <= ln 2 / 2` and `r_low` below rounding of `r`.
#[inline(always)]
fn exp_reduced(r: f64, r_low: f64) -> Double {
    let head = Double::fast_sum(1.0, r);
    Double::fast_sum(head.hi, head.lo + (r * r).mul_add(horner(r, &TAIL), r_low))
}

/// `2^x`, within 0.8 ulp.
///
/// # Source
/// `2^n e^(r ln 2)` with `n` the nearest integer, then as [`exp_f64`].
#[inline(always)]
pub(crate) fn exp2_f64(x: f64) -> f64 {
    let clamped = if x > 1100.0 { 1100.0 } else { x };
    let clamped = if clamped < -1100.0 { -1100.0 } else { clamped };
    let (n, n_int) = nearest(clamped);
    let r = Double::from(clamped - n).times(Double { hi: LN2_HI, lo: LN2_LO });
    let y = exp_reduced(r.hi, r.lo).value();
    if x.is_nan() { x } else { times_pow2(y, n_int) }
}

/// `e^x`, within 0.8 ulp.
///
/// # Source
/// As [`exp_f64`], in f32 with a fitted polynomial.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    // There it overflows and rounds to zero.
    let clamped = if x > 89.0 { 89.0 } else { x };
    let clamped = if clamped < -104.0 { -104.0 } else { clamped };
    let (y, _, n) = single::exp_parts(clamped);
    if x.is_nan() { x } else { single::times_pow2(y, n) }
}

#[inline(always)]
fn clamp(x: f64) -> f64 {
    let x = if x > CLAMP { CLAMP } else { x };
    if x < -CLAMP { -CLAMP } else { x }
}
