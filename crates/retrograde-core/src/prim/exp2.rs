//! `y = 2^x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·y·ln 2; reverse keeps y. Errors: none (NaN in, NaN out). Source: any calculus text; bits from
//! `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = 2^x`
    Exp2 = "exp2", Function::Exp2,
    |r, x, y, x_dot| {
        let ln2 = r.number(y, std::f64::consts::LN_2);
        let slope = r.mul(y, ln2);
        r.strong_mul(x_dot, slope)
    },
    -2.0 .. 2.0
}
