//! `y = tanh x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·(1 - y²); reverse keeps y. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = tanh x`
    Tanh = "tanh", Function::Tanh,
    |r, x, y, x_dot| {
        let one = r.number(y, 1.0);
        let square = r.mul(y, y);
        let slope = r.sub(one, square);
        r.strong_mul(x_dot, slope)
    },
    -1.3 .. 1.3
}
