//! The error function, its complement and its inverse.

use super::coefficients::{ERF_INV_SMALL, ERF_INV_TAIL, ERF_LARGE, ERF_SMALL, ERFCX};
use super::double::Double;
use super::exp::exp_parts;
use super::log::log_parts;
use super::times_pow2;

/// Below it the linear term is all.
const TINY: f64 = 1e-20;
/// `2 / sqrt(pi) - 1`.
const TWO_OVER_ROOT_PI_LESS_ONE: f64 = 0.128_379_167_095_512_57;
/// `sqrt(pi) / 2 - 1`.
const HALF_ROOT_PI_LESS_ONE: f64 = -0.113_773_074_547_241_99;

/// `erf x` for `x` in `[0, 6]`.
#[inline(always)]
fn erf_parts(x: f64) -> Double {
    let small = ERF_SMALL.at(x, 0.0).times(Double::from(x));
    small.when(x < 1.0, ERF_LARGE.at(x, 0.0))
}

#[inline(always)]
fn at_most(x: f64, limit: f64) -> f64 {
    if x > limit { limit } else { x }
}

/// The error function, within 0.7 ulp.
///
/// # Source
/// Fitted pieces of `erf(x)/x` below one and of `erf` above.
#[inline(always)]
pub(crate) fn erf_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    // From 6 on the result rounds to one.
    let y = erf_parts(at_most(magnitude, 6.0)).value();
    let y = if magnitude >= 6.0 { 1.0 } else { y };
    // Tiny arguments: 2x/sqrt(pi), rounded once even where it is subnormal.
    let y = if magnitude < TINY { magnitude.mul_add(TWO_OVER_ROOT_PI_LESS_ONE, magnitude) } else { y };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// `1 - erf x` without cancellation, within 0.85 ulp.
///
/// # Source
/// `e^-x^2`, with `x^2` in two parts, times fitted pieces of `e^(x^2) erfc(x)`; below 1/2 from the error function in two parts.
#[inline(always)]
pub(crate) fn erfc_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let erf = erf_parts(at_most(magnitude, 6.0));
    let erf = erf.when(magnitude < 6.0, Double::from(1.0));
    let near = Double::from(1.0).plus(erf.when(x < 0.0, erf.negated())).value();
    // From 28 on the result is zero.
    let far = at_most(magnitude, 28.0);
    let (e, n) = exp_parts(Double::product(far, far).negated());
    let tail = times_pow2(e.times(ERFCX.at(far, 0.0)).value(), n);
    let y = if x > 0.5 { tail } else { near };
    if x.is_nan() { x } else { y }
}

/// The inverse of the error function, within 0.8 ulp. Infinite at one, NaN beyond.
///
/// # Source
/// Fitted pieces: of `erf_inv(x)/x` below 3/4, above of `erf_inv(1 - t)/s` with `s = sqrt(-ln t)`, as Giles (2012),
/// Approximating the erfinv function, substitutes.
#[inline(always)]
pub(crate) fn erf_inv_f64(x: f64) -> f64 {
    let magnitude = x.abs();
    let small = ERF_INV_SMALL.at(magnitude, 0.0).times(Double::from(magnitude));
    let s = log_parts(Double::from(1.0 - magnitude)).negated().root();
    let y = small.when(magnitude < 0.75, ERF_INV_TAIL.at(s.hi, s.lo).times(s)).value();
    let y = if magnitude == 1.0 { f64::INFINITY } else { y };
    let y = if magnitude < TINY { magnitude.mul_add(HALF_ROOT_PI_LESS_ONE, magnitude) } else { y };
    if magnitude <= 1.0 { y.copysign(x) } else { f64::NAN }
}
