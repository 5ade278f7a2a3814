//! Arrays from Rust literals, nested arrays, vectors and slices.

use crate::{Array, Element, Shape};

/// What [`array()`] accepts: scalars, nested Rust arrays up to four deep, vectors and slices.
///
/// ```
/// use retrograde_array::{Array, IntoArray};
/// fn total(x: impl IntoArray) -> usize {
///     x.into_array().size()
/// }
/// assert_eq!((total(1.0), total([[1, 2], [3, 4]]), total(&vec![true; 3])), (1, 4, 3));
/// ```
pub trait IntoArray {
    /// The array of these values.
    fn into_array(self) -> Array;
}

/// An array from a literal.
///
/// ```
/// use retrograde_array::{DType, array};
/// assert_eq!(array(1.5).rank(), 0);
/// assert_eq!(array([[1, 2, 3], [4, 5, 6]]).shape().to_string(), "[2,3]");
/// assert_eq!(array(vec![true, false]).dtype(), DType::Bool);
/// ```
pub fn array(values: impl IntoArray) -> Array {
    values.into_array()
}

impl IntoArray for Array {
    fn into_array(self) -> Array {
        self
    }
}

impl IntoArray for &Array {
    fn into_array(self) -> Array {
        self.clone()
    }
}

impl<T: Element> IntoArray for T {
    fn into_array(self) -> Array {
        Array::scalar(self)
    }
}

impl<T: Element> IntoArray for Vec<T> {
    fn into_array(self) -> Array {
        Array::vector(self)
    }
}

impl<T: Element> IntoArray for &Vec<T> {
    fn into_array(self) -> Array {
        Array::vector(self.clone())
    }
}

impl<T: Element> IntoArray for &[T] {
    fn into_array(self) -> Array {
        Array::vector(self.to_vec())
    }
}

impl<T: Element, const N: usize> IntoArray for [T; N] {
    fn into_array(self) -> Array {
        Array::vector(self.to_vec())
    }
}

impl<T: Element, const N: usize> IntoArray for &[T; N] {
    fn into_array(self) -> Array {
        Array::vector(self.to_vec())
    }
}

impl<T: Element, const N: usize, const M: usize> IntoArray for [[T; M]; N] {
    fn into_array(self) -> Array {
        Array::from_parts(Shape::from([N, M]), self.as_flattened().to_vec())
    }
}

impl<T: Element, const N: usize, const M: usize, const L: usize> IntoArray for [[[T; L]; M]; N] {
    fn into_array(self) -> Array {
        Array::from_parts(Shape::from([N, M, L]), self.as_flattened().as_flattened().to_vec())
    }
}

impl<T: Element, const N: usize, const M: usize, const L: usize, const K: usize> IntoArray
    for [[[[T; K]; L]; M]; N]
{
    fn into_array(self) -> Array {
        let values = self.as_flattened().as_flattened().as_flattened().to_vec();
        Array::from_parts(Shape::from([N, M, L, K]), values)
    }
}
