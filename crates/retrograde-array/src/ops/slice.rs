//! Strided sub-arrays, and their transpose.

use crate::{Array, Shape};

use super::elementwise::result;
use super::strided::{self, Axis, View, row_major};
use super::{bug, each_dtype, values};

/// Entries `starts[i], starts[i] + strides[i], …` below `limits[i]` along every axis `i`.
///
/// # Panics
/// When the ranges do not fit the shape or a stride is 0: internal misuse.
///
/// # Cost
/// None for more than a few entries: a view.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::slice(&array([0, 1, 2, 3, 4, 5]), &[1], &[6], &[2]), array([1, 3, 5]));
/// ```
pub fn slice(a: &Array, starts: &[usize], limits: &[usize], strides: &[usize]) -> Array {
    let rank = a.rank();
    let fits = [starts.len(), limits.len(), strides.len()] == [rank; 3]
        && (0..rank).all(|i| starts[i] <= limits[i] && limits[i] <= a.shape()[i] && strides[i] > 0);
    if !fits {
        bug(&format!("slice of shape {} from {starts:?} to {limits:?} by {strides:?}", a.shape()));
    }
    let shape: Shape = (0..rank).map(|i| (limits[i] - starts[i]).div_ceil(strides[i])).collect();
    if shape == *a.shape() {
        return a.clone();
    }
    let (offset, strides) = place(a.offset(), &a.strides(), starts, strides);
    a.view(shape, offset, strides)
}

/// The transpose of [`slice()`]: zeros of shape `shape` with `a` at `starts[i] + j * strides[i]` along every axis `i`.
///
/// # Panics
/// When `a` does not fit the shape or a stride is 0: internal misuse.
///
/// ```
/// use retrograde_array::{Shape, array, ops};
/// assert_eq!(ops::pad_slice(&array([1, 3, 5]), &Shape::from([6]), &[1], &[2]), array([0, 1, 0, 3, 0, 5]));
/// ```
pub fn pad_slice(a: &Array, shape: &Shape, starts: &[usize], strides: &[usize]) -> Array {
    let rank = a.rank();
    let fits = [starts.len(), strides.len(), shape.rank()] == [rank; 3]
        && (0..rank).all(|i| {
            strides[i] > 0
                && match a.shape()[i] {
                    0 => true,
                    len => starts[i] + (len - 1) * strides[i] < shape[i],
                }
        });
    if !fits {
        bug(&format!("placing shape {} in {shape} from {starts:?} by {strides:?}", a.shape()));
    }
    if shape == a.shape() {
        return a.clone();
    }
    let (base, view) = spread(shape, a.shape(), starts, strides);
    each_dtype!(a.dtype(), T => {
        let mut out = vec![T::default(); shape.size()];
        strided::write(values::<T>(a), &mut out, base, &view);
        result(shape, out)
    })
}

/// Offset and strides of what lies at `starts[i] + j * steps[i]` along every axis `i` of a layout.
fn place(offset: usize, strides: &[isize], starts: &[usize], steps: &[usize]) -> (usize, Vec<isize>) {
    let moved = strides.iter().zip(starts).map(|(stride, &start)| stride * start as isize).sum();
    let strides =
        strides.iter().zip(steps).map(|(stride, &step)| stride.wrapping_mul(step as isize)).collect();
    (offset.wrapping_add_signed(moved), strides)
}

/// Where an array of shape `part`, spread by `steps` from `starts`, lies in a contiguous array of shape `whole`.
pub(super) fn spread(whole: &Shape, part: &Shape, starts: &[usize], steps: &[usize]) -> (usize, View) {
    let (base, strides) = place(0, &row_major(whole), starts, steps);
    (base, View::new(part.iter().zip(strides).map(|(&len, stride)| Axis { len, stride })))
}
