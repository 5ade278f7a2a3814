//! `y = artanh x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / (1 - x²); reverse keeps x. At the edges: ±∞ at ±1, where the derivative is ∞; NaN beyond.
//! Errors: none (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = artanh x`
    Atanh = "atanh", Function::Atanh,
    |r, x, y, x_dot| {
        let complement = r.complement(x);
        r.strong_div(x_dot, complement)
    },
    -0.7 .. 0.7
}
