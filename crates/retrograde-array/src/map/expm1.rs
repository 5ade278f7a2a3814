//! `e^x - 1`, and the hyperbolic sine and cosine made from it.

use super::double::Double;
use super::exp::exp_parts;
use super::{LN2_HI, LN2_LO, LOG2_E, fast_two_sum, horner, nearest, pow2, times_pow2};

/// Taylor coefficients of `(e^r - 1 - r - r^2/2) / r^3`: `1/3!, 1/4!, …, 1/14!`.
pub(super) const TAIL: [f64; 12] = [
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
    1.0 / 87_178_291_200.0,
];

/// `e^x = 2^n (1 + p + p_low)`, with `p + p_low` within 2^-56 of itself. The two parts may overlap.
#[inline(always)]
pub(super) fn expm1_reduced(x: f64) -> (f64, f64, i64) {
    let (n, n_int) = nearest(x * LOG2_E);
    // Exact, as in exp_parts.
    let r0 = (-n).mul_add(LN2_HI, x);
    let low = n * LN2_LO;
    let r = r0 - low;
    let r_low = (r0 - r) - low;

    // e^r - 1 = p + p_low: r, then r^2/2 with its rounding error, then the series.
    let square = r * r;
    let square_low = r.mul_add(r, -square);
    let half = 0.5 * square;
    let (p, p_low) = fast_two_sum(r, half);
    let cubic = (square * r).mul_add(horner(r, &TAIL), r.mul_add(r_low, 0.5 * square_low) + r_low);
    (p, p_low + cubic, n_int)
}

/// `e^x - 1 = 2^n y`, within 2^-55, for `x` in `[-45, 746]`.
#[inline(always)]
fn expm1_parts(x: f64) -> (Double, i64) {
    let (p, p_low, n) = expm1_reduced(x);
    // 2^n (p + 1 - 2^-n); a tiny 2^-n may be taken larger than it is.
    let whole = Double::sum(1.0, -pow2((-n).max(-1000)));
    (whole.plus(Double::fast_sum(p, p_low)), n)
}

/// `e^x - 1`, within 0.8 ulp.
///
/// # Source
/// `2^n (e^r - 1) + (2^n - 1)` in two parts; reduction and series as in [`exp_f64`](super::exp_f64).
#[inline(always)]
pub(crate) fn expm1_f64(x: f64) -> f64 {
    // Below, the result rounds to -1; above, it overflows.
    let clamped = if x < -45.0 { -45.0 } else { x };
    let clamped = if clamped > 746.0 { 746.0 } else { clamped };
    let (y, n) = expm1_parts(clamped);
    let y = times_pow2(y.value(), n);
    // Zeros keep their sign.
    if x == 0.0 || x.is_nan() { x } else { y }
}

/// Up to here `e^-x` counts in a sum with `e^x`.
const BALANCED: f64 = 22.0;

/// The hyperbolic sine, within 0.8 ulp.
///
/// # Source
/// `(e + e/(e + 1)) / 2` with `e = exp(x) - 1` in two parts; `exp(x) / 2` for large `x`.
#[inline(always)]
pub(crate) fn sinh_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let near = if magnitude > BALANCED { BALANCED } else { magnitude };
    let (e, n) = expm1_parts(near);
    let e = e.scaled(pow2(n));
    let small = 0.5 * e.plus(e.over(e.plus(Double::from(1.0)))).value();
    let y = if magnitude > BALANCED { half_exp(magnitude) } else { small };
    // The rest of the series is below rounding; also for zeros, and NaN.
    if magnitude < 1e-9 || x.is_nan() { x } else { y.copysign(x) }
}

/// The hyperbolic cosine, within 0.8 ulp.
///
/// # Source
/// `(e + 1/e) / 2` with `e = exp(x)` in two parts; `exp(x) / 2` for large `x`.
#[inline(always)]
pub(crate) fn cosh_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let near = if magnitude > BALANCED { BALANCED } else { magnitude };
    let (e, n) = exp_parts(Double::from(near));
    let e = e.scaled(pow2(n));
    let small = 0.5 * e.plus(Double::from(1.0).over(e)).value();
    let y = if magnitude > BALANCED { half_exp(magnitude) } else { small };
    if x.is_nan() { x } else { y }
}

/// `e^x / 2`, which overflows later than `e^x`.
#[inline(always)]
fn half_exp(x: f64) -> f64 {
    let (y, n) = exp_parts(Double::from(if x > 746.0 { 746.0 } else { x }));
    times_pow2(y.value(), n - 1)
}
