//! `y = ln(1 + eˣ)`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / (1 + e^-x); reverse keeps x. Errors: none (NaN in, NaN out). Source: any calculus text; bits from
//! `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = ln(1 + eˣ)`
    Softplus = "softplus", Function::Softplus,
    |r, x, y, x_dot| {
        let slope = r.emit(super::logistic::Logistic, &[x]);
        r.strong_mul(x_dot, slope)
    },
    -2.0 .. 2.0
}
