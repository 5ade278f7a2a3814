//! The reciprocal square root and the cube root.

use super::double::Double;
use super::pow2;

/// `1 / sqrt(x)`, within 0.6 ulp. Infinite at zeros, with their sign; NaN below.
///
/// # Source
/// One Newton step from the rounded result, its residual exact.
#[inline(always)]
pub(crate) fn rsqrt_f64(x: f64) -> f64 {
    let y = 1.0 / x.sqrt();
    let xy = Double::product(x, y);
    // 1 - x y^2
    let rest = (-xy.lo).mul_add(y, (-xy.hi).mul_add(y, 1.0));
    let better = (0.5 * y).mul_add(rest, y);
    if x > 0.0 && x < f64::INFINITY { better } else { y }
}

/// Added to a third of the bits of `x` it gives those of its cube root, within 3.5 %: two thirds of the exponent's bias, less what
/// makes the error even.
const THIRD: u64 = ((682.0 - 0.0331) * 4_503_599_627_370_496.0) as u64;

/// The cube root, within 0.6 ulp, of any sign.
///
/// # Source
/// A guess from the exponent (Kahan and Bindel 2001, Computing a real cube root), two of Halley's steps, one of Newton's
/// with an exact residual.
#[inline(always)]
pub(crate) fn cbrt_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    // 2^162 takes the residual of a tiny number out of the subnormals; its root is 2^54.
    let tiny = magnitude < 1e-250;
    let a = if tiny { magnitude * pow2(162) } else { magnitude };
    let mut y = f64::from_bits(a.to_bits() / 3 + THIRD);
    for _ in 0..2 {
        // (y^3 + 2a) / (2 y^3 + a), by the ratio so that nothing overflows.
        let ratio = y * y * (y / a);
        y *= (ratio + 2.0) / (2.0 * ratio + 1.0);
    }
    let square = Double::product(y, y);
    let rest = (-square.lo).mul_add(y, (-square.hi).mul_add(y, a));
    y += rest / (3.0 * square.hi);
    let y = if tiny { y * pow2(-54) } else { y };
    if magnitude > 0.0 && magnitude < f64::INFINITY { y.copysign(x) } else { x }
}
