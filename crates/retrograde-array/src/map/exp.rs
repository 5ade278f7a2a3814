//! `e^x`.

use super::{LN2_HI, LN2_LO, LOG2_E, fast_two_sum, horner, nearest, pow2};

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

/// `e^x`, within 0.75 ulp.
///
/// # Source
/// Reduction by `n ln 2` in two parts (Cody and Waite 1980), Taylor series.
#[inline(always)]
pub(crate) fn exp_f64(x: f64) -> f64 {
    let clamped = clamp(x);
    let (n, n_int) = nearest(clamped * LOG2_E);
    // Exact: x and n LN2_HI are multiples of 2^-54 (or n = 0), and so is r0, which is below 1/2.
    let r0 = (-n).mul_add(LN2_HI, clamped);
    let low = n * LN2_LO;
    let r = r0 - low;
    let r_low = (r0 - r) - low;
    let (head, head_low) = fast_two_sum(1.0, r);
    let y = head + (head_low + (r * r).mul_add(horner(r, &TAIL), r_low));
    // Two factors: the result may be subnormal, or its exponent one above the largest.
    let half = n_int >> 1;
    let scaled = y * pow2(half) * pow2(n_int - half);
    if x.is_nan() { x } else { scaled }
}

/// `e^x`, within 0.501 ulp.
///
/// # Source
/// As [`exp_f64`], evaluated in f64 with a shorter polynomial and rounded once.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    let wide = f64::from(x);
    let clamped = clamp(wide);
    let (n, n_int) = nearest(clamped * LOG2_E);
    let r = (-n).mul_add(LN2_LO, (-n).mul_add(LN2_HI, clamped));
    let tail: &[f64; 8] = TAIL.first_chunk().expect("a constant length; this is a bug in retrograde");
    let y = (r * r).mul_add(horner(r, tail), r) + 1.0;
    // |x| <= 746 keeps 2^n normal but for a range where the f32 result is zero in any case.
    let scaled = y * pow2(n_int.clamp(-1000, 1000));
    if x.is_nan() { x } else { scaled as f32 }
}

#[inline(always)]
fn clamp(x: f64) -> f64 {
    let x = if x > CLAMP { CLAMP } else { x };
    if x < -CLAMP { -CLAMP } else { x }
}
