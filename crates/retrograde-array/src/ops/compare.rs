//! Comparisons and choice.

use crate::kernel;
use crate::{Array, Element};

use super::elementwise::{expand, pairs, result};
use super::{each_dtype, values};

/// A comparison of two values, with IEEE rules for NaN and zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
}

/// Compares entry by entry into a `bool` array. A rank-0 operand pairs with every entry of the other.
///
/// # Panics
/// When dtypes or shapes differ: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops, ops::Comparison};
/// let x = array([1.0, -0.0, f64::NAN]);
/// assert_eq!(ops::compare(Comparison::Eq, &x, &array(0.0)), array([false, true, false]));
/// assert_eq!(ops::compare(Comparison::Ne, &x, &x), array([false, false, true]));
/// ```
pub fn compare(op: Comparison, a: &Array, b: &Array) -> Array {
    each_dtype!(a.dtype(), T => compare_typed::<T>(op, a, b))
}

fn compare_typed<T: Element + PartialOrd>(op: Comparison, a: &Array, b: &Array) -> Array {
    match op {
        Comparison::Eq => pairs(a, b, |x: T, y| x == y),
        Comparison::Ne => pairs(a, b, |x: T, y| x != y),
        Comparison::Lt => pairs(a, b, |x: T, y| x < y),
        Comparison::Le => pairs(a, b, |x: T, y| x <= y),
        Comparison::Gt => pairs(a, b, |x: T, y| x > y),
        Comparison::Ge => pairs(a, b, |x: T, y| x >= y),
    }
}

/// Entry of `a` where `mask` is true, else of `b`. A rank-0 operand serves every entry of the others.
///
/// # Panics
/// When dtypes or shapes differ or `mask` is not `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// let mask = array([true, false]);
/// assert_eq!(ops::select(&mask, &array([1.0, 2.0]), &array(f64::NAN)), array([1.0, f64::NAN]));
/// ```
pub fn select(mask: &Array, a: &Array, b: &Array) -> Array {
    let shape =
        [mask, a, b].into_iter().map(Array::shape).max_by_key(|shape| shape.rank()).unwrap_or(a.shape());
    let (mask, a, b) = (&expand(mask, shape), &expand(a, shape), &expand(b, shape));
    each_dtype!(a.dtype(), T => {
        result(shape, kernel::zip3(values::<bool>(mask), values::<T>(a), values::<T>(b), |m, a, b| if m { a } else { b }))
    })
}
