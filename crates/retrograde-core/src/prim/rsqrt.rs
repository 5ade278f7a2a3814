//! `y = 1 / √x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative -ẋ·y³ / 2; reverse keeps y. At the edges: ∞ at 0, where the derivative is -∞; NaN below. Errors: none (NaN
//! in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = 1 / √x`
    Rsqrt = "rsqrt", Function::Rsqrt,
    |r, x, y, x_dot| {
        let square = r.mul(y, y);
        let half = r.number(y, -0.5);
        let scaled = r.mul(y, half);
        let slope = r.mul(square, scaled);
        r.strong_mul(x_dot, slope)
    },
    0.5 .. 2.0
}
