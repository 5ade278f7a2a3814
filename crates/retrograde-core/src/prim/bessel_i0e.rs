//! `y = e^-|x| I₀(x) of the modified Bessel function`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·(e^-|x| I₁(x) - sign(x)·y); reverse keeps x and y. At the edges: the derivative at 0, a kink, is 0.
//! Errors: none (NaN in, NaN out). Source: Abramowitz and Stegun 1964, 9.6.27; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = e^-|x| I₀(x) of the modified Bessel function`
    BesselI0e = "bessel_i0e", Function::BesselI0e,
    |r, x, y, x_dot| {
        let i1e = r.emit(super::bessel_i1e::BesselI1e, &[x]);
        let sign = r.emit(super::sign::Sign, &[x]);
        let fall = r.mul(sign, y);
        let slope = r.sub(i1e, fall);
        r.strong_mul(x_dot, slope)
    },
    0.5 .. 3.0
}
