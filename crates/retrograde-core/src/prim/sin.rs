//! `y = sin x`, entry by entry.   x: [..] radian → y: same shape, no unit.
//!
//! Derivative ẋ·cos x; reverse keeps x. At the edges: NaN at ±∞. Errors: none (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.
//! Row: grad of sum(sin x) is `cos x`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = sin x`
    Sin = "sin", Function::Sin,
    |r, x, y, x_dot| {
        let slope = r.emit(super::cos::Cos, &[x]);
        r.strong_mul(x_dot, slope)
    },
    -3.0 .. 3.0
}
