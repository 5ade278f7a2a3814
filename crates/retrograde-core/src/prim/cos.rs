//! `y = cos x`, entry by entry.   x: [..] radian → y: same shape, no unit.
//!
//! Derivative -ẋ·sin x; reverse keeps x. At the edges: NaN at ±∞. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = cos x`
    Cos = "cos", Function::Cos,
    |r, x, y, x_dot| {
        let sine = r.emit(super::sin::Sin, &[x]);
        let slope = r.neg(sine);
        r.strong_mul(x_dot, slope)
    },
    -3.0 .. 3.0
}
