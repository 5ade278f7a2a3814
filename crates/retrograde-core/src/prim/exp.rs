//! `y = eˣ`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·y; reverse keeps y. At the edges: ∞ above 709.78 in f64, the derivative too. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = eˣ`
    Exp = "exp", Function::Exp,
    |r, x, y, x_dot| r.strong_mul(x_dot, y),
    -2.0 .. 2.0
}
