//! The logarithm of the gamma function and its derivative.

use super::coefficients::{DIGAMMA, DIGAMMA_ROOT, DIGAMMA_TAIL, HALF_LN_2_PI, LN_GAMMA, LN_PI, STIRLING};
use super::double::Double;
use super::log::log_parts;
use super::trig::half_turns;
use super::{PI, horner};

/// From here on the asymptotic series.
const ASYMPTOTIC: f64 = 8.0;

/// `ln |Gamma(x)|`, within 1 ulp for positive `x`. Infinite at zero and at negative integers.
///
/// Between negative integers the function has zeros, near which no bound in ulp holds: there the error is at most 1 ulp of
/// the result and 2^-52 of `ln Gamma(1 - x)` together.
///
/// # Source
/// `(x - 1)(x - 2)` times fitted pieces, which keeps the two zeros exact; `ln Gamma(1 + x) - ln x` below 1/2; Stirling's formula
/// from 8 on (Abramowitz and Stegun 1964, 6.1.40) with a fitted remainder; reflection (6.1.17) below zero.
#[inline(always)]
pub(crate) fn lgamma_f64(x: f64) -> f64 {
    let a = x.abs();
    let log = log_parts(Double::from(a));
    let below_half = a < 0.5;

    // ln Gamma of w = a, or of w = 1 + a: (w - 1)(w - 2) times a smooth function.
    let (w, w_less_1) = if below_half { (1.0 + a, a) } else { (a, a - 1.0) };
    let pieces = Double::from(w_less_1).times(Double::sum(w_less_1, -1.0)).times(LN_GAMMA.at(w, 0.0));

    // (a - 1/2)(ln a - 1) + (ln(2 pi) - 1)/2 + rest/a
    let inverse = 1.0 / a;
    let rest = horner(inverse * inverse, &STIRLING) * inverse;
    let product = Double::sum(a, -0.5).times(log.minus(Double::from(1.0)));
    let constant = HALF_LN_2_PI.minus(Double::from(0.5));
    let series = product.plus(constant.plus(Double::from(rest)));

    let asymptotic = a >= ASYMPTOTIC;
    let positive = series.when(asymptotic, pieces.minus(log).when(below_half, pieces));
    let y = if x < 0.0 {
        // ln pi - ln |sin(pi a)| - ln Gamma(1 + a)
        let (sine, _) = half_turns(a);
        let sine = sine.when(sine.hi > 0.0, sine.negated());
        let above = pieces.when(below_half, series.when(asymptotic, pieces).plus(log));
        let y = LN_PI.minus(log_parts(sine)).minus(above).value();
        if sine.hi == 0.0 { f64::INFINITY } else { y }
    } else {
        positive.value()
    };
    // Tiny arguments: the rest is below rounding, and the sine would be subnormal.
    let y = if a < 1e-30 { log.negated().value() } else { y };
    // An infinite product has a remainder that is none.
    let overflows = x > 0.0 && asymptotic && product.hi.is_nan();
    let y = if a == 0.0 || a == f64::INFINITY || overflows { f64::INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

/// The digamma function, derivative of `ln Gamma`, within 1 ulp for positive `x`. Infinite at zeros, with the opposite
/// sign; NaN at negative integers and at `-inf`.
///
/// Between negative integers the function has zeros, near which no bound in ulp holds: there the error is at most 1 ulp of
/// the result and 2^-52 of `digamma(1 - x)` together.
///
/// # Source
/// `x` less the positive zero, times fitted pieces; `digamma(1 + x) - 1/x` below one; the asymptotic series from 8 on
/// (Abramowitz and Stegun 1964, 6.3.18), its remainder fitted; reflection (6.3.7) below zero.
#[inline(always)]
pub(crate) fn digamma_f64(x: f64) -> f64 {
    let a = x.abs();
    let below_one = a < 1.0;
    let inverse = Double::from(1.0).over(Double::from(a));

    // Of w = a, or of w = 1 + a.
    let w = Double::sum(if below_one { 1.0 } else { 0.0 }, a);
    let pieces = w.minus(DIGAMMA_ROOT).times(DIGAMMA.at(w.hi, w.lo));

    let square = inverse.hi * inverse.hi;
    let rest = Double::from(-horner(square, &DIGAMMA_TAIL) * square);
    let series = log_parts(Double::from(a)).plus(rest.minus(inverse.scaled(0.5)));

    let asymptotic = a >= ASYMPTOTIC;
    let y = if x < 0.0 {
        // digamma(1 + a) + pi cot(pi a)
        let (sine, cosine) = half_turns(a);
        let above = pieces.when(below_one, series.when(asymptotic, pieces).plus(inverse));
        let y = PI.times(cosine.over(sine)).plus(above).value();
        if sine.hi == 0.0 { f64::NAN } else { y }
    } else {
        series.when(asymptotic, pieces.minus(inverse).when(below_one, pieces)).value()
    };
    // Tiny arguments: the rest is below rounding, and the inverse may overflow.
    let y = if a < 1e-20 { -1.0 / x } else { y };
    let y = if x == f64::INFINITY { x } else { y };
    if x.is_nan() { x } else { y }
}
