//! Strided sub-arrays, and their transpose.

use crate::{Array, Shape};

use super::elementwise::result;
use super::strided::{self, Axis, View};
use super::{bug, each_dtype, values};

/// Entries `starts[i], starts[i] + strides[i], …` below `limits[i]` along every axis `i`.
///
/// # Panics
/// When the ranges do not fit the shape or a stride is 0: internal misuse.
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
    let (base, view) = place(a.shape(), &shape, starts, strides);
    let size = shape.size();
    each_dtype!(a.dtype(), T => result(&shape, strided::read(values::<T>(a), base, &view, size)))
}

/// The transpose of [`slice()`]: zeros of shape `shape` with `a` at `starts[i] + j * strides[i]` along every axis `i`.
///
/// # Panics
/// When `a` does not fit the shape or a stride is 0: internal misuse.
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
    let (base, view) = place(shape, a.shape(), starts, strides);
    each_dtype!(a.dtype(), T => {
        let mut out = vec![T::default(); shape.size()];
        strided::write(values::<T>(a), &mut out, base, &view);
        result(shape, out)
    })
}

/// Where an array of shape `part`, spread by `strides` from `starts`, lies in an array of shape `whole`.
pub(super) fn place(whole: &Shape, part: &Shape, starts: &[usize], strides: &[usize]) -> (usize, View) {
    let stride = |axis: usize| whole[axis + 1..].iter().product::<usize>();
    let base = starts.iter().enumerate().map(|(axis, start)| start * stride(axis)).sum();
    let view = View::new(
        part.iter().enumerate().map(|(axis, &len)| Axis { len, stride: strides[axis] * stride(axis) }),
    );
    (base, view)
}
