//! `y = arsinh x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / √(1 + x²); reverse keeps x. Errors: none (NaN in, NaN out). Source: any calculus text; bits from
//! `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = arsinh x`
    Asinh = "asinh", Function::Asinh,
    |r, x, y, x_dot| {
        let square = r.mul(x, x);
        let one = r.number(x, 1.0);
        let sum = r.add(one, square);
        let root = r.emit(super::sqrt::Sqrt, &[sum]);
        r.strong_div(x_dot, root)
    },
    -2.0 .. 2.0
}
