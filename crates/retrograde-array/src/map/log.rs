//! `ln x`.

use super::{LN2_HI, LN2_LO, fast_two_sum, horner};

/// `sqrt(1/2)` to a few digits: the mantissa is taken in `[sqrt(1/2), sqrt 2)`.
const ROOT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
/// The exponent of one, in place.
const ONE_BITS: u64 = 0x3ff0_0000_0000_0000;
/// `2^54`, which makes any subnormal normal.
const SUBNORMAL_SCALE: f64 = 18_014_398_509_481_984.0;

/// Coefficients of `(2 atanh s - 2s) / s^3` in powers of `s^2`: `2/3, 2/5, …`. With `|s| <= 0.1716` the next term is below 2^-62.
const TAIL: [f64; 11] = [
    2.0 / 3.0,
    2.0 / 5.0,
    2.0 / 7.0,
    2.0 / 9.0,
    2.0 / 11.0,
    2.0 / 13.0,
    2.0 / 15.0,
    2.0 / 17.0,
    2.0 / 19.0,
    2.0 / 21.0,
    2.0 / 23.0,
];

/// `x = 2^n m` with `m` in `[sqrt(1/2), sqrt 2)`, for positive finite `x`.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    let scaled = if subnormal { x * SUBNORMAL_SCALE } else { x };
    // Moving sqrt(1/2) to 1 makes the exponent field of the sum the one wanted.
    let bits = scaled.to_bits().wrapping_add(ONE_BITS - ROOT_HALF_BITS);
    // The biased exponent as a float: written into the low bits of 2^52.
    let biased = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - 4_503_599_627_370_496.0;
    let n = biased - if subnormal { 1077.0 } else { 1023.0 };
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + ROOT_HALF_BITS);
    (n, m)
}

/// The values outside the positive finite numbers.
#[inline(always)]
fn edge(x: f64, y: f64) -> f64 {
    let y = if x == f64::INFINITY { x } else { y };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    // Negative numbers and NaN.
    if x >= 0.0 { y } else { f64::NAN }
}

/// The natural logarithm, within 0.6 ulp.
///
/// # Source
/// `ln m = 2 atanh((m-1)/(m+1))` (Abramowitz and Stegun 1964, 4.1.27) with the quotient in two parts.
#[inline(always)]
pub(crate) fn log_f64(x: f64) -> f64 {
    let (n, m) = split(x);
    let f = m - 1.0;
    // d + d_low = m + 1 exactly, then s + s_low = f / (m + 1) to twice the precision.
    let d = 2.0 + f;
    let d_low = f - (d - 2.0);
    let inverse = 1.0 / d;
    let s = f * inverse;
    let s_low = (-s).mul_add(d_low, (-s).mul_add(d, f)) * inverse;
    let s2 = s * s;
    let small = (s2 * s).mul_add(horner(s2, &TAIL), 2.0 * s_low);
    // n ln 2 + 2 s in two parts, then everything small.
    let whole = n * LN2_HI;
    let whole_low = n.mul_add(LN2_LO, n.mul_add(LN2_HI, -whole));
    let (high, low) = fast_two_sum(if n == 0.0 { 0.0 } else { whole }, 2.0 * s);
    let y = high + (low + (whole_low + small));
    edge(x, y)
}

/// The natural logarithm, within 0.501 ulp.
///
/// # Source
/// As [`log_f64`], evaluated in f64 with a shorter series and rounded once.
#[inline(always)]
pub(crate) fn log_f32(x: f32) -> f32 {
    let wide = f64::from(x);
    let (n, m) = split(wide);
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let s2 = s * s;
    let tail: &[f64; 6] = TAIL.first_chunk().expect("a constant length; this is a bug in retrograde");
    let y = n.mul_add(LN2_HI, (s2 * s).mul_add(horner(s2, tail), 2.0 * s));
    edge(wide, y) as f32
}
