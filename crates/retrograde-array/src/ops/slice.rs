//! Strided sub-arrays, and their transpose.

use crate::{Array, Element, Shape};

use super::dot::whole_mut;
use super::strided::{self, Axis, View};
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
    if shape == a.shape() {
        return a.clone();
    }
    let mut out = Array::zeros(a.dtype(), shape.clone());
    each_dtype!(a.dtype(), T => place_typed::<T>(a, None, &mut out, starts, strides));
    out
}

/// Writes `a` to `starts[i] + j * strides[i]` along every axis `i` of `out`, and `value`, of rank 0, everywhere else; `out`
/// shares its memory with no other array. Without a value it is zero.
///
/// # Panics
/// When `a` does not fit, a stride is 0 or dtypes differ: internal misuse.
///
/// ```
/// use retrograde_array::{DType, Array, array, ops};
/// let mut out = Array::zeros(DType::F64, [4]);
/// ops::pad_into(&array([1.0, 2.0]), Some(&array(9.0)), &mut out, &[0], &[2]);
/// assert_eq!(out, array([1.0, 9.0, 2.0, 9.0]));
/// ```
pub fn pad_into(a: &Array, value: Option<&Array>, out: &mut Array, starts: &[usize], strides: &[usize]) {
    if value.is_some_and(|value| value.rank() != 0) {
        bug(&format!("padding by {value:?}"));
    }
    each_dtype!(a.dtype(), T => {
        let value = value.map_or(T::default(), |value| values::<T>(value)[0]);
        place_typed::<T>(a, Some(value), out, starts, strides);
    });
}

/// Writes the entries of `a`, and `value` elsewhere if there is one.
fn place_typed<T: Element>(
    a: &Array,
    value: Option<T>,
    out: &mut Array,
    starts: &[usize],
    strides: &[usize],
) {
    let (rank, shape) = (a.rank(), out.shape());
    let fits = [starts.len(), strides.len(), shape.rank()] == [rank; 3]
        && (0..rank).all(|i| {
            strides[i] > 0 && (a.shape()[i] == 0 || starts[i] + (a.shape()[i] - 1) * strides[i] < shape[i])
        });
    if !fits {
        bug(&format!("placing shape {} in {shape} from {starts:?} by {strides:?}", a.shape()));
    }
    let (base, view) = spread(shape, a.shape(), starts, strides);
    let values_out = whole_mut::<T>(out);
    if let Some(value) = value {
        values_out.fill(value);
    }
    strided::write(values::<T>(a), values_out, base, &view);
}

/// Offset and strides of what lies at `starts[i] + j * steps[i]` along every axis `i` of a layout.
fn place(offset: usize, strides: &[isize], starts: &[usize], steps: &[usize]) -> (usize, Vec<isize>) {
    let moved = strides.iter().zip(starts).map(|(stride, &start)| stride * start as isize).sum();
    let strides =
        strides.iter().zip(steps).map(|(stride, &step)| stride.wrapping_mul(step as isize)).collect();
    (offset.wrapping_add_signed(moved), strides)
}

/// Where an array of shape `part`, spread by `steps` from `starts`, lies in a contiguous array of shape `whole`.
fn spread(whole: &Shape, part: &Shape, starts: &[usize], steps: &[usize]) -> (usize, View) {
    let stride = |axis: usize| whole[axis + 1..].iter().product::<usize>();
    let base = (0..part.rank()).map(|axis| starts[axis] * stride(axis)).sum();
    let along = |axis: usize| Axis {
        len: part[axis],
        stride: (stride(axis) as isize).wrapping_mul(steps[axis] as isize),
    };
    (base, View::new((0..part.rank()).map(along)))
}
