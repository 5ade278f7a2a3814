//! Sine, cosine and tangent of an angle in radian.

use super::coefficients::{COS_SHORT, SIN_SHORT};
use super::double::Double;
use super::reduce_pi::{COMMON, COMMON_F32, reduce_common, reduce_common_f32, reduce_huge};
use super::{PI, horner, nearest, single};

/// Taylor coefficients of `(sin r - r) / r^3` in powers of `r^2`. With `|r| <= pi/4` the next term is below 2^-63.
const SIN_TAIL: [f64; 8] = [
    -1.0 / 6.0,
    1.0 / 120.0,
    -1.0 / 5_040.0,
    1.0 / 362_880.0,
    -1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 355_687_428_096_000.0,
];

/// Taylor coefficients of `(cos r - 1 + r^2/2) / r^4` in powers of `r^2`.
const COS_TAIL: [f64; 8] = [
    1.0 / 24.0,
    -1.0 / 720.0,
    1.0 / 40_320.0,
    -1.0 / 3_628_800.0,
    1.0 / 479_001_600.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 20_922_789_888_000.0,
    -1.0 / 6_402_373_705_728_000.0,
];

/// The sine, within 0.75 ulp, for any angle. NaN for infinite angles.
///
/// # Source
/// Reduction by `pi/2` (Cody and Waite 1980; Payne and Hanek 1983), Taylor series.
#[inline(always)]
pub(crate) fn sin_f64(x: f64) -> f64 {
    if trig_is_rare_f64(x) { rare(x, 0) } else { sin_common_f64(x) }
}

/// The cosine, within 0.75 ulp, for any angle. NaN for infinite angles.
///
/// # Source
/// As [`sin_f64`].
#[inline(always)]
pub(crate) fn cos_f64(x: f64) -> f64 {
    if trig_is_rare_f64(x) { rare(x, 1) } else { cos_common_f64(x) }
}

/// The sine, within 0.9 ulp, for any angle. NaN for infinite angles.
///
/// # Source
/// As [`sin_f64`], in f32 with fitted polynomials; [`sin_f64`] itself for large angles.
#[inline(always)]
pub(crate) fn sin_f32(x: f32) -> f32 {
    if trig_is_rare_f32(x) { sin_f64(f64::from(x)) as f32 } else { sin_common_f32(x) }
}

/// The cosine, within 0.9 ulp, for any angle. NaN for infinite angles.
///
/// # Source
/// As [`sin_f32`].
#[inline(always)]
pub(crate) fn cos_f32(x: f32) -> f32 {
    if trig_is_rare_f32(x) { cos_f64(f64::from(x)) as f32 } else { cos_common_f32(x) }
}

/// True where the common reduction does not hold: huge angles, infinities and NaN.
#[inline(always)]
pub(crate) fn trig_is_rare_f64(x: f64) -> bool {
    // NaN must count as rare, so the comparison is negated rather than turned round.
    let common = x.abs() <= COMMON;
    !common
}

/// As [`trig_is_rare_f64`].
#[inline(always)]
pub(crate) fn trig_is_rare_f32(x: f32) -> bool {
    let common = x.abs() <= COMMON_F32;
    !common
}

#[inline(always)]
pub(crate) fn sin_common_f64(x: f64) -> f64 {
    let (r, r_low, n) = reduce_common(x);
    // The reduction turns -0 into +0.
    if x == 0.0 { x } else { turn(r, r_low, n) }
}

#[inline(always)]
pub(crate) fn cos_common_f64(x: f64) -> f64 {
    let (r, r_low, n) = reduce_common(x);
    // Rare angles come here too, before they are repaired: their multiple may be any number.
    turn(r, r_low, n.wrapping_add(1))
}

#[inline(always)]
pub(crate) fn sin_common_f32(x: f32) -> f32 {
    let (r, r_low, n) = reduce_common_f32(x);
    if x == 0.0 { x } else { turn_f32(r, r_low, n) }
}

#[inline(always)]
pub(crate) fn cos_common_f32(x: f32) -> f32 {
    let (r, r_low, n) = reduce_common_f32(x);
    turn_f32(r, r_low, n.wrapping_add(1))
}

#[inline(always)]
fn rare(x: f64, quarter: i64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (r, r_low, n) = reduce_huge(x);
    turn(r, r_low, n + quarter)
}

/// `sin(n pi/2 + r + r_low)`.
#[inline(always)]
fn turn(r: f64, r_low: f64, n: i64) -> f64 {
    let [(sine, sine_low), (cosine, cosine_low)] = sine_and_cosine(r, r_low);
    let y = if n & 1 == 0 { sine + sine_low } else { cosine + cosine_low };
    if n & 2 == 0 { y } else { -y }
}

/// Sine and cosine of `r + r_low` for `|r| <= pi/4`, each in two parts (which may overlap), within 2^-56.
#[inline(always)]
fn sine_and_cosine(r: f64, r_low: f64) -> [(f64, f64); 2] {
    let z = r * r;
    let sine_low = (z * r).mul_add(horner(z, &SIN_TAIL), (-0.5 * z).mul_add(r_low, r_low));
    // 1 - z/2 with its rounding error and that of z.
    let z_low = r.mul_add(r, -z);
    let half = 0.5 * z;
    let head = 1.0 - half;
    let head_low = (1.0 - head) - half;
    let tail = (z * z).mul_add(horner(z, &COS_TAIL), r.mul_add(-r_low, -0.5 * z_low));
    [(r, sine_low), (head, head_low + tail)]
}

/// The tangent, within 0.85 ulp, for any angle. NaN for infinite angles.
///
/// # Source
/// The quotient of sine and cosine in two parts; reduction as in [`sin_f64`].
#[inline(always)]
pub(crate) fn tan_f64(x: f64) -> f64 {
    if !trig_is_rare_f64(x) {
        tan_common_f64(x)
    } else if x.is_finite() {
        let (r, r_low, n) = reduce_huge(x);
        slope(r, r_low, n)
    } else {
        f64::NAN
    }
}

#[inline(always)]
pub(crate) fn tan_common_f64(x: f64) -> f64 {
    let (r, r_low, n) = reduce_common(x);
    if x == 0.0 { x } else { slope(r, r_low, n) }
}

/// The tangent, within 0.501 ulp, for any angle: [`tan_f64`], rounded once.
#[inline(always)]
pub(crate) fn tan_f32(x: f32) -> f32 {
    tan_f64(f64::from(x)) as f32
}

#[inline(always)]
pub(crate) fn tan_common_f32(x: f32) -> f32 {
    tan_common_f64(f64::from(x)) as f32
}

/// `tan(n pi/2 + r + r_low)`.
#[inline(always)]
fn slope(r: f64, r_low: f64, n: i64) -> f64 {
    let [sine, cosine] = sine_and_cosine(r, r_low).map(|(high, low)| Double::fast_sum(high, low));
    let even = n & 1 == 0;
    sine.when(even, cosine.negated()).over(cosine.when(even, sine)).value()
}

/// Sine and cosine of `pi x`, for finite `x`, within 2^-55.
#[inline(always)]
pub(super) fn half_turns(x: f64) -> (Double, Double) {
    // Whole turns go first, exactly: the nearest integer is found for small numbers only.
    let x = x - 2.0 * (0.5 * x).floor();
    let (n, n_int) = nearest(2.0 * x);
    // Exact: x lies within 1/4 of n/2.
    let angle = Double::from(0.5f64.mul_add(-n, x)).times(PI);
    let [sine, cosine] = sine_and_cosine(angle.hi, angle.lo).map(|(high, low)| Double::fast_sum(high, low));
    let even = n_int & 1 == 0;
    let (s, c) = (sine.when(even, cosine), cosine.when(even, sine.negated()));
    let positive = n_int & 2 == 0;
    (s.when(positive, s.negated()), c.when(positive, c.negated()))
}

/// `sin(n pi/2 + r + r_low)` in f32.
#[inline(always)]
fn turn_f32(r: f32, r_low: f32, n: i32) -> f32 {
    let z = r * r;
    let sine = r + (r * z).mul_add(single::horner(z, &SIN_SHORT), r_low);
    // 1 - z/2 with its rounding error.
    let half = 0.5 * z;
    let head = 1.0 - half;
    let head_low = (1.0 - head) - half;
    let cosine = head + (z * z).mul_add(single::horner(z, &COS_SHORT), (-r).mul_add(r_low, head_low));
    let y = if n & 1 == 0 { sine } else { cosine };
    if n & 2 == 0 { y } else { -y }
}
