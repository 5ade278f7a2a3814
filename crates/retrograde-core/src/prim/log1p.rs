//! `y = ln(1 + x)`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / (1 + x); reverse keeps x. At the edges: -∞ at -1, where the derivative is ∞; NaN below. Errors: none
//! (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = ln(1 + x)`
    Log1p = "log1p", Function::Log1p,
    |r, x, y, x_dot| {
        let one = r.number(x, 1.0);
        let sum = r.add(one, x);
        r.strong_div(x_dot, sum)
    },
    -0.5 .. 2.0
}
