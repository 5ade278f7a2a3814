//! `y = ln I₀(x) of the modified Bessel function`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·I₁(x)/I₀(x); reverse keeps x. Errors: none (NaN in, NaN out). Source: Abramowitz and Stegun 1964, 9.6.27;
//! bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = ln I₀(x) of the modified Bessel function`
    LogBesselI0 = "log_bessel_i0", Function::LogBesselI0,
    |r, x, y, x_dot| {
        let (above, below) = (r.emit(super::bessel_i1e::BesselI1e, &[x]), r.emit(super::bessel_i0e::BesselI0e, &[x]));
        let slope = r.div(above, below);
        r.strong_mul(x_dot, slope)
    },
    0.5 .. 3.0
}
