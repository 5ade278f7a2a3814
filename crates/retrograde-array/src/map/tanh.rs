//! The hyperbolic tangent.

use super::expm1::{TAIL, expm1_reduced};
use super::{LN2_HI, LN2_LO, LOG2_E, fast_two_sum, horner, nearest, pow2, two_sum};

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

/// The hyperbolic tangent, within 0.501 ulp.
///
/// # Source
/// As [`tanh_f64`], evaluated in f64 and rounded once.
#[inline(always)]
pub(crate) fn tanh_f32(x: f32) -> f32 {
    let wide = f64::from(x);
    let magnitude = wide.abs();
    let clamped = if magnitude > CLAMP { CLAMP } else { magnitude };
    let z = 2.0 * clamped;
    let (n, n_int) = nearest(z * LOG2_E);
    let r = (-n).mul_add(LN2_LO, (-n).mul_add(LN2_HI, z));
    let tail: &[f64; 7] = TAIL.first_chunk().expect("a constant length; this is a bug in retrograde");
    let square = r * r;
    let p = (square * r).mul_add(horner(r, tail), square.mul_add(0.5, r));
    let scale = pow2(n_int);
    let e = scale.mul_add(p, scale - 1.0);
    let y = (e / (e + 2.0)).copysign(wide) as f32;
    if x.is_nan() { x } else { y }
}
