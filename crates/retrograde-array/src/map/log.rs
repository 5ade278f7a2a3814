//! `ln x`, `log2 x` and `ln(1 + x)`.

use super::coefficients::INVERSE_LN_2;
use super::double::Double;
use super::{LN2_HI, LN2_LO, fast_two_sum, horner, pow2};

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

/// [`TAIL`] from `2/7` on, and two more terms.
const LONG_TAIL: [f64; 11] = [
    2.0 / 7.0,
    2.0 / 9.0,
    2.0 / 11.0,
    2.0 / 13.0,
    2.0 / 15.0,
    2.0 / 17.0,
    2.0 / 19.0,
    2.0 / 21.0,
    2.0 / 23.0,
    2.0 / 25.0,
    2.0 / 27.0,
];
/// `2/3` and `2/5` in two parts.
const TWO_THIRDS: Double = Double { hi: 2.0 / 3.0, lo: 3.700_743_415_417_188e-17 };
const TWO_FIFTHS: Double = Double { hi: 0.4, lo: -2.220_446_049_250_313e-17 };

/// `ln(1 + f)`, within 2^-66 of itself, for `f` in `[-0.3, 0.42]`.
#[inline(always)]
fn log_near_one(f: Double) -> Double {
    let d = Double::sum(2.0, f.hi);
    let s = f.over(Double::fast_sum(d.hi, d.lo + f.lo));
    let z = s.times(s);
    // The two leading coefficients count beyond a float.
    let series = Double::product(z.hi, horner(z.hi, &LONG_TAIL));
    let series = TWO_THIRDS.plus(TWO_FIFTHS.plus(series).times(z));
    s.scaled(2.0).plus(s.times(z).times(series))
}

/// `x = 2^n (1 + f)` for `x` positive and finite.
#[inline(always)]
fn split_double(x: Double) -> (f64, Double) {
    let (n, m) = split(x.hi);
    // Beyond these exponents the low part does not matter.
    let scale = pow2((-n as i64).clamp(-1000, 1000));
    (n, Double::fast_sum(m - 1.0, x.lo * scale))
}

#[inline(always)]
fn with_exponent(n: f64, log: Double) -> Double {
    Double { hi: LN2_HI, lo: LN2_LO }.times(Double::from(n)).plus(log)
}

/// The natural logarithm of a positive finite number, within 2^-66 of itself.
#[inline(always)]
pub(super) fn log_parts(x: Double) -> Double {
    let (n, f) = split_double(x);
    with_exponent(n, log_near_one(f))
}

/// `ln(1 + x)`, within 2^-66 of itself, for finite `x > -1`.
#[inline(always)]
pub(super) fn log1p_parts(x: Double) -> Double {
    let one_more = Double::sum(1.0, x.hi);
    let (n, f) = split_double(one_more);
    let scale = pow2((-n as i64).clamp(-1000, 1000));
    with_exponent(n, log_near_one(Double::fast_sum(f.hi, f.lo + x.lo * scale)))
}

/// The logarithm to base 2, within 0.6 ulp; exact for powers of two.
///
/// # Source
/// As [`log_f64`], with the exponent apart and the rest multiplied by `1 / ln 2`, all in two parts.
#[inline(always)]
pub(crate) fn log2_f64(x: f64) -> f64 {
    let (n, f) = split_double(Double::from(x));
    edge(x, Double::from(n).plus(log_near_one(f).times(INVERSE_LN_2)).value())
}

/// `ln(1 + x)`, within 0.6 ulp.
///
/// # Source
/// As [`log_f64`], with `1 + x` in two parts.
#[inline(always)]
pub(crate) fn log1p_f64(x: f64) -> f64 {
    let y = edge(1.0 + x, log1p_parts(Double::from(x)).value());
    // Tiny arguments are their own result; a subnormal one would lose bits on the way.
    if x.abs() < 1e-17 { x } else { y }
}
