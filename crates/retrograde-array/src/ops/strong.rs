//! Products and quotients in which an exact zero wins.

use crate::kernel::Float;
use crate::{Array, DType};

use super::bf16::in_f32;
use super::elementwise::pairs;
use super::no_such;

/// The product, but 0 where one factor is exactly zero and the product would be NaN.
#[inline(always)]
pub(crate) fn product<T: Float + PartialOrd>(x: T, y: T) -> T {
    let product = x.times(y);
    let lost = product.partial_cmp(&product).is_none() && (x == T::ZERO || y == T::ZERO);
    if lost { T::ZERO } else { product }
}

/// The quotient, but 0 where the numerator is exactly zero and the quotient would be NaN.
#[inline(always)]
pub(crate) fn quotient<T: Float + PartialOrd>(x: T, y: T) -> T {
    let quotient = x.divided(y);
    let lost = quotient.partial_cmp(&quotient).is_none() && x == T::ZERO;
    if lost { T::ZERO } else { quotient }
}

/// `a * b` entry by entry, but 0 where one of them is exactly zero and the product would be NaN. Every other entry has the bits
/// of the ordinary product, the sign of its zeros included. A rank-0 operand pairs with every entry of the other.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([0.0, f64::INFINITY, f64::NAN]);
/// assert_eq!(ops::strong_mul(&x, &array([f64::NAN, 0.0, 1.0])), array([0.0, 0.0, f64::NAN]));
/// ```
pub fn strong_mul(a: &Array, b: &Array) -> Array {
    fn typed<T: Float + PartialOrd>(a: &Array, b: &Array) -> Array {
        pairs(a, b, product::<T>)
    }
    match a.dtype() {
        DType::F64 => typed::<f64>(a, b),
        DType::F32 => typed::<f32>(a, b),
        DType::BF16 => in_f32([a, b], |[a, b]| typed::<f32>(a, b)),
        dtype => no_such("strong_mul", dtype),
    }
}

/// `a / b` entry by entry, but 0 where `a` is exactly zero and the quotient would be NaN. Every other entry has the bits of the
/// ordinary quotient. A rank-0 operand pairs with every entry of the other.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::strong_div(&array([0.0, 1.0]), &array(0.0)), array([0.0, f64::INFINITY]));
/// ```
pub fn strong_div(a: &Array, b: &Array) -> Array {
    fn typed<T: Float + PartialOrd>(a: &Array, b: &Array) -> Array {
        pairs(a, b, quotient::<T>)
    }
    match a.dtype() {
        DType::F64 => typed::<f64>(a, b),
        DType::F32 => typed::<f32>(a, b),
        DType::BF16 => in_f32([a, b], |[a, b]| typed::<f32>(a, b)),
        dtype => no_such("strong_div", dtype),
    }
}
