//! `y = tan x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·(1 + y²); reverse keeps y. At the edges: NaN at ±∞; no float is a pole. Errors: none (NaN in, NaN out). Source: any calculus text; bits from
//! `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = tan x`
    Tan = "tan", Function::Tan,
    |r, x, y, x_dot| {
        let square = r.mul(y, y);
        let one = r.number(y, 1.0);
        let slope = r.add(one, square);
        r.strong_mul(x_dot, slope)
    },
    -1.0 .. 1.0
}
