//! The hyperbolic tangent.

use super::coefficients::EXP_SHORT;
use super::expm1::expm1_reduced;
use super::single;
use super::{fast_two_sum, pow2, two_sum};

/// Beyond it the result rounds to one.
const CLAMP: f64 = 20.0;

/// The hyperbolic tangent, within 0.6 ulp.
///
/// # Source
/// `tanh x = e / (e + 2)` with `e = exp(2|x|) - 1` in two parts; reduction and series as in [`exp_f64`](super::exp_f64).
#[inline(always)]
pub(crate) fn tanh_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let clamped = if magnitude > CLAMP { CLAMP } else { magnitude };
    let z = 2.0 * clamped;
    let (p, p_low, n_int) = expm1_reduced(z);

    // e = 2^n (e^r - 1) + (2^n - 1), in two parts.
    let scale = pow2(n_int);
    let (e, e_low) = two_sum(scale * p, scale - 1.0);
    let e_low = scale.mul_add(p_low, e_low);
    let (e, e_low) = fast_two_sum(e, e_low);

    // e / (e + 2), corrected once by the remainder.
    let (d, d_low) = two_sum(e, 2.0);
    let d_low = d_low + e_low;
    let inverse = 1.0 / d;
    let q = e * inverse;
    let remainder = (-q).mul_add(d, e) + (-q).mul_add(d_low, e_low);
    let y = remainder.mul_add(inverse, q);
    let y = y.copysign(x);
    // Tiny arguments (and zeros) are their own result; their squares would lose bits to underflow.
    let y = if magnitude < 1e-8 { x } else { y };
    if x.is_nan() { x } else { y }
}

/// The hyperbolic tangent, within 1.9 ulp.
///
/// # Source
/// As [`tanh_f64`], in f32 with a fitted polynomial.
#[inline(always)]
pub(crate) fn tanh_f32(x: f32) -> f32 {
    let magnitude = x.abs();
    // Beyond it the result rounds to one.
    let clamped = if magnitude > 10.0 { 10.0 } else { magnitude };
    let (r, _, n) = single::without_ln2(2.0 * clamped);
    let p = (r * r).mul_add(single::horner(r, &EXP_SHORT), r);
    let scale = single::pow2(n);
    let e = scale.mul_add(p, scale - 1.0);

    // e / (e + 2), corrected once by the remainder.
    let d = e + 2.0;
    let d_low = if e > 2.0 { (e - d) + 2.0 } else { (2.0 - d) + e };
    let inverse = 1.0 / d;
    let q = e * inverse;
    let remainder = (-q).mul_add(d_low, (-q).mul_add(d, e));
    let y = remainder.mul_add(inverse, q).copysign(x);
    // Tiny arguments (and zeros) are their own result; their squares would lose bits to underflow.
    let y = if magnitude < 1e-4 { x } else { y };
    if x.is_nan() { x } else { y }
}
