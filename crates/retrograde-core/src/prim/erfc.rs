//! `y = 1 - erf x, without cancellation`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative -ẋ·2/√π·exp(-x²); reverse keeps x. Errors: none (NaN in, NaN out). Source: Abramowitz and Stegun 1964,
//! 7.1.19; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = 1 - erf x, without cancellation`
    Erfc = "erfc", Function::Erfc,
    |r, x, y, x_dot| {
        let slope = r.gaussian(x, -std::f64::consts::FRAC_2_SQRT_PI);
        r.strong_mul(x_dot, slope)
    },
    -1.5 .. 1.5
}
