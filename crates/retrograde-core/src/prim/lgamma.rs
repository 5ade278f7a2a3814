//! `y = ln |Γ(x)|`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·ψ(x); reverse keeps x. At the edges: ∞ at 0 and negative integers, where the derivative is NaN or
//! infinite. Errors: none (NaN in, NaN out). Source: Abramowitz and Stegun 1964, 6.3.1; bits from
//! `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = ln |Γ(x)|`
    Lgamma = "lgamma", Function::Lgamma,
    |r, x, y, x_dot| {
        let slope = r.emit(super::digamma::Digamma, &[x]);
        r.strong_mul(x_dot, slope)
    },
    0.5 .. 3.0
}
