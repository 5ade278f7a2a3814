//! `y = e^-|x| I₁(x) of the modified Bessel function`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·(e^-|x| I₀(x) - y/x - sign(x)·y), y/x being ½ at 0; reverse keeps x and y. Errors: none (NaN in, NaN
//! out). Source: Abramowitz and Stegun 1964, 9.6.28; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = e^-|x| I₁(x) of the modified Bessel function`
    BesselI1e = "bessel_i1e", Function::BesselI1e,
    |r, x, y, x_dot| {
        let ratio = r.ratio_at_zero(y, x, 0.5);
        let i0e = r.emit(super::bessel_i0e::BesselI0e, &[x]);
        let sign = r.emit(super::sign::Sign, &[x]);
        let fall = r.mul(sign, y);
        let rise = r.sub(i0e, ratio);
        let slope = r.sub(rise, fall);
        r.strong_mul(x_dot, slope)
    },
    0.5 .. 3.0
}
