//! The inverse trigonometric functions, in radian.

use super::coefficients::{ASIN_TAIL, ATAN_TAIL};
use super::double::Double;
use super::{PI, horner, pow2};

/// `tan(pi/8)`, roughly.
const EIGHTH_TURN: f64 = 0.414_213_562_373_095;

/// `atan(a / b)` for `0 <= a <= b`, less `pi/4` where `true` comes with it.
#[inline(always)]
fn ratio(a: f64, b: f64) -> (Double, bool) {
    let steep = a > EIGHTH_TURN * b;
    let numerator = Double::sum(a, if steep { -b } else { 0.0 });
    let denominator = Double::sum(b, if steep { a } else { 0.0 });
    let t = numerator.over(denominator);
    let z = t.hi * t.hi;
    (Double::fast_sum(t.hi, (t.hi * z).mul_add(horner(z, &ATAN_TAIL), t.lo)), steep)
}

/// `quarters pi/4 ± angle`.
#[inline(always)]
fn turned(quarters: f64, angle: Double, minus: bool) -> Double {
    PI.scaled(0.25).times(Double::from(quarters)).plus(angle.negated().when(minus, angle))
}

/// The inverse tangent, within 0.7 ulp.
///
/// # Source
/// `atan t = pi/4 + atan((t - 1)/(t + 1))`, `atan t = pi/2 - atan(1/t)` (Abramowitz and Stegun 1964, 4.4.34), quotients in
/// two parts, a fitted polynomial.
#[inline(always)]
pub(crate) fn atan_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let large = magnitude > 1.0;
    let (a, b) = if large { (1.0, magnitude) } else { (magnitude, 1.0) };
    let (angle, steep) = ratio(a, b);
    let quarters = if steep { 1.0 } else { 0.0 };
    let y = turned(if large { 2.0 - quarters } else { quarters }, angle, large).value();
    let y = if magnitude == f64::INFINITY { 2.0 * EIGHTH } else { y };
    if magnitude < 1e-9 || x.is_nan() { x } else { y.copysign(x) }
}

/// `pi / 4`.
const EIGHTH: f64 = std::f64::consts::FRAC_PI_4;

/// The angle of the point `(x, y)`, in `[-pi, pi]`, within 0.7 ulp (a subnormal result: 1 ulp).
///
/// Zeros and infinities as IEEE 754 has them: a negative zero `x` is left of the origin, the sign of `y` that of the angle.
///
/// # Source
/// As [`atan_f64`], with both coordinates scaled by the larger one's exponent.
#[inline(always)]
pub(crate) fn atan2_f64(y: f64, x: f64) -> f64 {
    let (height, width) = (y.abs(), x.abs());
    let high = height > width;
    let (a, b) = if high { (width, height) } else { (height, width) };
    let exponent = (b.to_bits() >> 52) as i64;
    let scale = pow2((1023 - exponent).max(-1022));
    let (a, b) = (a * scale, b * scale);
    // Infinities: only which of the two matters. At the origin the angle is that of the nearest axis.
    let (a, b) = if b == f64::INFINITY { (if a == b { 1.0 } else { 0.0 }, 1.0) } else { (a, b) };
    let b = if b == 0.0 { 1.0 } else { b };
    let (angle, steep) = ratio(a, b);
    let left = x.is_sign_negative();
    let quarters = if steep { 1.0 } else { 0.0 };
    let quarters = if high { 2.0 - quarters } else { quarters };
    let quarters = if left { 4.0 - quarters } else { quarters };
    let result = turned(quarters, angle, high != left).value();
    // A tiny angle is the quotient; scaled, it could have lost bits.
    let result = if quarters == 0.0 && a < 1e-9 && width > 0.0 { tiny(height, width) } else { result };
    if x.is_nan() || y.is_nan() { f64::NAN } else { result.copysign(y) }
}

/// `a / b` where infinities are settled.
#[inline(always)]
fn tiny(a: f64, b: f64) -> f64 {
    if b == f64::INFINITY { 0.0 } else { a / b }
}

/// `asin t` for `t` up to 1/2, or `asin(sqrt((1 - t)/2))`, which is half of `acos t`, where `true` comes with it.
#[inline(always)]
fn arc(magnitude: f64) -> (Double, bool) {
    let large = magnitude > 0.5;
    // Exact for large arguments.
    let z = if large { 0.5 * (1.0 - magnitude) } else { magnitude * magnitude };
    let t = Double::from(z).root().when(large, Double::from(magnitude));
    (Double::fast_sum(t.hi, (t.hi * z).mul_add(horner(z, &ASIN_TAIL), t.lo)), large)
}

/// The inverse sine, within 0.7 ulp. NaN beyond one.
///
/// # Source
/// `asin t = pi/2 - 2 asin(sqrt((1 - t)/2))` with the root in two parts, a fitted polynomial.
#[inline(always)]
pub(crate) fn asin_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let (angle, large) = arc(magnitude);
    let y = PI.scaled(0.5).minus(angle.scaled(2.0)).when(large, angle).value();
    let y = if magnitude < 1e-9 { x } else { y.copysign(x) };
    if magnitude <= 1.0 { y } else { f64::NAN }
}

/// The inverse cosine, within 0.7 ulp. NaN beyond one.
///
/// # Source
/// As [`asin_f64`].
#[inline(always)]
pub(crate) fn acos_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let (angle, large) = arc(magnitude);
    let negative = x < 0.0;
    let side = angle.scaled(2.0);
    let far = PI.minus(side).when(negative, side);
    let near = PI.scaled(0.5).plus(angle.when(negative, angle.negated()));
    if magnitude <= 1.0 { far.when(large, near).value() } else { f64::NAN }
}
