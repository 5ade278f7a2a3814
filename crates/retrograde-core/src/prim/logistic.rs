//! `y = 1 / (1 + e^-x)`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·y·(1 - y), the second factor as the function of -x, which does not cancel; reverse keeps x and y. Errors:
//! none (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = 1 / (1 + e^-x)`
    Logistic = "logistic", Function::Logistic,
    |r, x, y, x_dot| {
        let minus_x = r.neg(x);
        let rest = r.emit(Logistic, &[minus_x]);
        let slope = r.mul(y, rest);
        r.strong_mul(x_dot, slope)
    },
    -2.0 .. 2.0
}
