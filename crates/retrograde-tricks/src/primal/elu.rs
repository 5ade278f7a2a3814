//! Exponential linear unit, whose derivative is read off its result. Law: rounding.

use retrograde_core::trace::Var;
use retrograde_core::trace::custom::{Law as Promise, custom_vjp};
use retrograde_core::trace::var::{full, select};

use super::refuse::positive;
use crate::catalogue::{Law, Property, Source, Trick};

/// Exponential linear units.
pub const ELU: Trick = Trick {
    id: "A3",
    name: "ELU, derivative from the output",
    formula: "y = x if x > 0 else a (exp(x) - 1); y' = 1 or y + a",
    law: Law::Rounding { bound: "the slope y + a is within one unit in the last place of a of a exp(x)" },
    cite: &[Source {
        authors: "D.-A. Clevert and T. Unterthiner and S. Hochreiter",
        title: "Fast and accurate deep network learning by exponential linear units (ELUs)",
        venue: "International Conference on Learning Representations",
        year: 2016,
    }],
    file: file!(),
    example: "elu",
    property: Property {
        claim: "the tape holds y only, and the slope from y is the slope from x but for one unit in the last place of a",
        test: "the_slope_of_an_elu_comes_from_its_result",
        found: "one number for each entry, shared with the next layer; slopes off by at most 1 ulp of a",
    },
};

/// `x` above 0 and `a (eˣ − 1)` elsewhere, entry by entry.   x: `[..]` float → the same shape. a: above 0. The slope at 0 is a.
///
/// # Errors
/// At the front door, for an a that is not above 0.
/// # Cost
/// One exponential an entry. The derivative keeps the result, which the next layer keeps too, and evaluates nothing.
/// # Source
/// [`ELU`]: Clevert, Unterthiner and Hochreiter 2016, eq. 15 and the derivative below it.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::elu::elu;
/// let x = array([-1e3, 0.0, 2.0]);
/// assert_eq!(jit(|x: Var| elu(x, 1.0)).call(&x)?, array([-1.0, 0.0, 2.0]));
/// assert_eq!(grad(|x: Var| elu(x, 1.0).sum()).call(&x)?, array([0.0, 1.0, 1.0]));
/// let error = jit(|x: Var| elu(x, -1.0)).call(&x).unwrap_err().to_string();
/// assert!(error.starts_with("error: elu: found a scale of -1, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn elu(x: Var, a: f64) -> Var {
    if !positive("elu", "scale", a, "it is the distance of the limit at −∞ from 0, 1 as a rule") {
        return x;
    }
    let value = |x: Var| select(x.gt(0.0), x, x.min(0.0).expm1() * a);
    let backwards = |y: Var, y_bar: Var| {
        let one = full(y.dtype(), y.shape(), 1.0);
        y_bar * select(y.gt(0.0), one, y + a)
    };
    custom_vjp(
        &Promise::Exact,
        x,
        value,
        |x| {
            let y = value(x);
            (y, y)
        },
        backwards,
    )
}
