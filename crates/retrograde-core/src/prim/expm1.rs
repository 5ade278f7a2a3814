//! `y = e^x - 1`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·eˣ; reverse keeps x. Errors: none (NaN in, NaN out). Source: any calculus text; bits from
//! `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = e^x - 1`
    Expm1 = "expm1", Function::Expm1,
    |r, x, y, x_dot| {
        let e = r.emit(super::exp::Exp, &[x]);
        r.strong_mul(x_dot, e)
    },
    -2.0 .. 2.0
}
