//! `y = log₂ x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / (x ln 2); reverse keeps x. At the edges: -∞ at 0, where the derivative is ∞; NaN below. Errors: none
//! (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = log₂ x`
    Log2 = "log2", Function::Log2,
    |r, x, y, x_dot| {
        let ln2 = r.number(x, std::f64::consts::LN_2);
        let scaled = r.mul(x, ln2);
        r.strong_div(x_dot, scaled)
    },
    0.3 .. 2.0
}
