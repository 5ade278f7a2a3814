//! `y = the number whose erf is x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·√π/2·exp(y²); reverse keeps y. At the edges: ±∞ at ±1, where the derivative is ∞; NaN beyond. Errors:
//! none (NaN in, NaN out). Source: the inverse of the rule of erf; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = the number whose erf is x`
    ErfInv = "erf_inv", Function::ErfInv,
    |r, x, y, x_dot| {
        let square = r.mul(y, y);
        let e = r.emit(super::exp::Exp, &[square]);
        let half = r.number(y, 1.0 / std::f64::consts::FRAC_2_SQRT_PI);
        let slope = r.mul(e, half);
        r.strong_mul(x_dot, slope)
    },
    -0.7 .. 0.7
}
