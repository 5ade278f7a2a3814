//! `y = ψ(x), the derivative of ln Γ`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·ψ′(x); reverse keeps x. At the edges: infinite at 0, NaN at negative integers. Errors: none (NaN in, NaN
//! out). Source: Abramowitz and Stegun 1964, 6.3 and 6.4; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = ψ(x), the derivative of ln Γ`
    Digamma = "digamma", Function::Digamma,
    |r, x, y, x_dot| {
        let slope = r.emit(super::polygamma::Polygamma { order: 1 }, &[x]);
        r.strong_mul(x_dot, slope)
    },
    0.5 .. 3.0
}
