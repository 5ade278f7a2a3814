//! `y = arccos x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative -ẋ / √(1 - x²); reverse keeps x. At the edges: -∞ is the derivative at ±1; NaN beyond. Errors: none
//! (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = arccos x`
    Acos = "acos", Function::Acos,
    |r, x, y, x_dot| {
        let root = r.root_of_complement(x);
        let x_dot = r.neg(x_dot);
        r.strong_div(x_dot, root)
    },
    -0.8 .. 0.8
}
