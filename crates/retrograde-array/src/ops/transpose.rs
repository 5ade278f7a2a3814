//! The same entries under other axes.

use crate::{Array, Shape};

use super::bug;

/// The same entries in row-major order under another shape; shares the buffer where it can.
///
/// # Panics
/// When the sizes differ: internal misuse.
///
/// ```
/// use retrograde_array::{Shape, array, ops};
/// assert_eq!(ops::reshape(&array([[1, 2, 3], [4, 5, 6]]), &Shape::from([3, 2])), array([[1, 2], [3, 4], [5, 6]]));
/// ```
pub fn reshape(a: &Array, shape: &Shape) -> Array {
    a.reshaped(shape).unwrap_or_else(|error| bug(&error.to_string()))
}

/// Permutes axes: output axis `i` is input axis `perm[i]`.
///
/// # Panics
/// When `perm` is not a permutation of the axes: internal misuse.
///
/// # Cost
/// None for more than a few entries: a view.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::transpose(&array([[1, 2, 3], [4, 5, 6]]), &[1, 0]), array([[1, 4], [2, 5], [3, 6]]));
/// ```
pub fn transpose(a: &Array, perm: &[usize]) -> Array {
    let fits = perm.len() == a.rank()
        && perm.iter().enumerate().all(|(i, &axis)| axis < a.rank() && !perm[..i].contains(&axis));
    if !fits {
        bug(&format!("transpose of shape {} by {perm:?}", a.shape()));
    }
    let strides = a.strides();
    let shape: Shape = perm.iter().map(|&axis| a.shape()[axis]).collect();
    a.view(shape, a.offset(), perm.iter().map(|&axis| strides[axis]).collect())
}
