//! Repetition along new axes.

use crate::{Array, Shape};

use super::bug;

/// An array of shape `shape` in which operand axis `i` is output axis `axes[i]` and every other output axis repeats.
///
/// # Panics
/// When `axes` does not name one distinct output axis of the same length per operand axis: internal misuse.
///
/// # Cost
/// None for more than a few entries: a view.
///
/// ```
/// use retrograde_array::{Shape, array, ops};
/// let row = array([1, 2]);
/// assert_eq!(ops::broadcast(&row, &Shape::from([3, 2]), &[1]), array([[1, 2], [1, 2], [1, 2]]));
/// assert_eq!(ops::broadcast(&row, &Shape::from([2, 3]), &[0]), array([[1, 1, 1], [2, 2, 2]]));
/// ```
pub fn broadcast(a: &Array, shape: &Shape, axes: &[usize]) -> Array {
    let fits = axes.len() == a.rank()
        && axes.iter().enumerate().all(|(i, &axis)| {
            axis < shape.rank() && shape[axis] == a.shape()[i] && !axes[..i].contains(&axis)
        });
    if !fits {
        bug(&format!("broadcast of shape {} to {shape} along axes {axes:?}", a.shape()));
    }
    if a.shape() == shape && axes.is_sorted() {
        return a.clone();
    }
    let own = a.strides();
    let stride = |out_axis: usize| axes.iter().position(|&axis| axis == out_axis).map_or(0, |i| own[i]);
    a.view(shape.clone(), a.offset(), (0..shape.rank()).map(stride).collect())
}
