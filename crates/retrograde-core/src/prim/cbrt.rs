//! `y = ∛x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / (3 y²); reverse keeps y. At the edges: ∞ is the derivative at 0. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = ∛x`
    Cbrt = "cbrt", Function::Cbrt,
    |r, x, y, x_dot| {
        let square = r.mul(y, y);
        let three = r.number(y, 3.0);
        let scaled = r.mul(square, three);
        r.strong_div(x_dot, scaled)
    },
    0.5 .. 2.0
}
