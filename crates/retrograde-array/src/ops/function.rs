//! The functions of [`map`](crate::map) on arrays.

use crate::map::{BinaryFunction, Function};
use crate::{Array, DType};

use super::bf16::in_f32;
use super::elementwise::{expand, result};
use super::{no_such, values};

/// `f` of every entry.
///
/// # Panics
/// When the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, map::Function, ops};
/// assert_eq!(ops::function(Function::Log, &array([1.0, 0.0, -1.0])), array([0.0, f64::NEG_INFINITY, f64::NAN]));
/// ```
pub fn function(f: Function, x: &Array) -> Array {
    match x.dtype() {
        DType::F64 => result(x.shape(), f.f64(values(x))),
        DType::F32 => result(x.shape(), f.f32(values(x))),
        DType::BF16 => in_f32([x], |[x]| function(f, x)),
        dtype => no_such(f.name(), dtype),
    }
}

/// `f` of every pair of entries. A rank-0 operand pairs with every entry of the other.
///
/// # Panics
/// When shapes or dtypes differ or the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, map::BinaryFunction, ops};
/// assert_eq!(ops::function2(BinaryFunction::Pow, &array([2.0, 0.0, -8.0]), &array(-1.0)), array([0.5, f64::INFINITY, -0.125]));
/// ```
pub fn function2(f: BinaryFunction, x: &Array, y: &Array) -> Array {
    let shape = if x.rank() >= y.rank() { x.shape() } else { y.shape() };
    let (x, y) = (&expand(x, shape), &expand(y, shape));
    match x.dtype() {
        DType::F64 => result(shape, f.f64(values(x), values(y))),
        DType::F32 => result(shape, f.f32(values(x), values(y))),
        DType::BF16 => in_f32([x, y], |[x, y]| function2(f, x, y)),
        dtype => no_such(f.name(), dtype),
    }
}

/// The derivative of order `n` of digamma, for every entry: see [`map::polygamma_f64`](crate::map::polygamma_f64).
///
/// # Panics
/// When `n` is 0 or the dtype is not a float: internal misuse.
///
/// # Cost
/// Some dozens of divisions for each entry: the recurrence up to arguments of 18 + n.
///
/// ```
/// use retrograde_array::{array, ops};
/// let trigamma = ops::polygamma(1, &array([1.0, 0.0])).to_vec::<f64>().unwrap();
/// assert!((trigamma[0] - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-15);
/// assert_eq!(trigamma[1], f64::INFINITY);
/// ```
pub fn polygamma(n: u32, x: &Array) -> Array {
    let wide = |x: f64| crate::map::polygamma_f64(n, x);
    match x.dtype() {
        DType::F64 => result(x.shape(), values::<f64>(x).iter().map(|&x| wide(x)).collect()),
        DType::F32 => {
            result(x.shape(), values::<f32>(x).iter().map(|&x| wide(f64::from(x)) as f32).collect())
        }
        DType::BF16 => in_f32([x], |[x]| polygamma(n, x)),
        dtype => no_such("polygamma", dtype),
    }
}
