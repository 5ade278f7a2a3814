//! Axes read backwards.

use crate::Array;

use super::bug;

/// The entries in opposite order along each of `axes`.
///
/// # Panics
/// When an axis is repeated or outside the shape: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::reverse(&array([[1, 2], [3, 4]]), &[0]), array([[3, 4], [1, 2]]));
/// ```
pub fn reverse(a: &Array, axes: &[usize]) -> Array {
    if axes.iter().enumerate().any(|(i, &axis)| axis >= a.rank() || axes[..i].contains(&axis)) {
        bug(&format!("reversal of shape {} along axes {axes:?}", a.shape()));
    }
    let (mut offset, mut strides) = (a.offset(), a.strides());
    for &axis in axes {
        let last = a.shape()[axis].saturating_sub(1) as isize;
        offset = offset.wrapping_add_signed(last * strides[axis]);
        strides[axis] = -strides[axis];
    }
    a.view(a.shape().clone(), offset, strides)
}
