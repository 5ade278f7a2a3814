//! `y = arcosh x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / √((x - 1)(x + 1)); reverse keeps x. At the edges: ∞ is the derivative at 1; NaN below. Errors: none
//! (NaN in, NaN out). Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::float_function;
use retrograde_array::map::Function;

float_function! {
    /// `y = arcosh x`
    Acosh = "acosh", Function::Acosh,
    |r, x, y, x_dot| {
        let one = r.number(x, 1.0);
        let (below, above) = (r.sub(x, one), r.add(x, one));
        let product = r.mul(below, above);
        let root = r.emit(super::sqrt::Sqrt, &[product]);
        r.strong_div(x_dot, root)
    },
    1.5 .. 3.0
}
