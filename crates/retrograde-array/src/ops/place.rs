//! Parts of arrays at places: padding, parts at computed places, counting.

use crate::{Array, ArrayError, DType, Shape};

use super::elementwise::result;
use super::slice::{pad_into, spread};
use super::strided::{self, View};
use super::{broadcast, bug, convert, each_dtype, no_such, values};

/// An array of shape `shape` with `a` at `starts[i] + j * strides[i]` along every axis `i` and `value`, of rank 0, elsewhere.
///
/// # Panics
/// When `a` does not fit the shape, a stride is 0 or dtypes differ: internal misuse.
///
/// ```
/// use retrograde_array::{Shape, array, ops};
/// let padded = ops::pad(&array([1, 2]), &array(9), &Shape::from([6]), &[1], &[3]);
/// assert_eq!(padded, array([9, 1, 9, 9, 2, 9]));
/// ```
pub fn pad(a: &Array, value: &Array, shape: &Shape, starts: &[usize], strides: &[usize]) -> Array {
    let mut out = Array::zeros(a.dtype(), shape.clone());
    pad_into(a, Some(value), &mut out, starts, strides);
    out
}

/// Where a part of shape `lens` lies in each entry of the batch: offset of its first entry, and the view of one part.
fn parts(
    whole: &Shape,
    starts: &Array,
    lens: &[usize],
    batch_dims: usize,
) -> Result<(Vec<usize>, View), ArrayError> {
    let (batch, inner) = whole.split_at(batch_dims);
    let fits = starts.dtype() == DType::I64
        && starts.shape()[..] == [batch, &[lens.len()]].concat()
        && inner.len() == lens.len();
    if !fits {
        bug(&format!(
            "a part of shape {lens:?} of {whole} at {} with {batch_dims} shared axes",
            starts.shape()
        ));
    }
    let inner = Shape::from(inner);
    let (_, view) = spread(&inner, &Shape::from(lens), &vec![0; lens.len()], &vec![1; lens.len()]);
    let starts = values::<i64>(starts);
    let n: usize = batch.iter().product();
    let of_lane = |lane: usize| {
        let mut base = lane * inner.size();
        for (axis, &start) in starts[lane * lens.len()..(lane + 1) * lens.len()].iter().enumerate() {
            let (len, size) = (lens[axis], inner[axis]);
            match usize::try_from(start) {
                Ok(at) if len <= size && at <= size - len => {
                    base += at * inner[axis + 1..].iter().product::<usize>();
                }
                _ => return Err(ArrayError::Part { start, len, size }),
            }
        }
        Ok(base)
    };
    Ok(((0..n).map(of_lane).collect::<Result<_, _>>()?, view))
}

/// The part of shape `lens` that starts at `starts`; the first `batch_dims` axes of both are shared.
///
/// Shapes: `a [B.., D..]`, `starts` `i64 [B.., rank of D]` → `[B.., lens..]`.
///
/// # Errors
/// [`ArrayError::Part`] when a part does not lie inside.
///
/// # Panics
/// When axes or shared lengths do not fit: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(ops::dynamic_slice(&x, &array([0_i64, 1]), &[2, 2], 0)?, array([[2, 3], [5, 6]]));
/// let error = ops::dynamic_slice(&x, &array([0_i64, 2]), &[2, 2], 0).unwrap_err();
/// assert_eq!(error.to_string(), "a part of 2 entries from 2 does not lie inside an axis of size 3");
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn dynamic_slice(
    a: &Array,
    starts: &Array,
    lens: &[usize],
    batch_dims: usize,
) -> Result<Array, ArrayError> {
    let (bases, view) = parts(a.shape(), starts, lens, batch_dims)?;
    let shape = Shape::from([&a.shape()[..batch_dims], lens].concat());
    let size = lens.iter().product();
    Ok(each_dtype!(a.dtype(), T => {
        let x = values::<T>(a);
        result(&shape, bases.iter().flat_map(|&base| strided::read(x, base, &view, size)).collect())
    }))
}

/// `a` with `update` in place of the part that starts at `starts`; the first `batch_dims` axes of all three are shared.
///
/// # Errors
/// [`ArrayError::Part`] when the part does not lie inside.
///
/// # Panics
/// When dtypes, axes or shared lengths do not fit: internal misuse.
///
/// # Cost
/// A copy of `a`.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([1, 2, 3, 4]);
/// assert_eq!(ops::dynamic_update(&x, &array([8, 9]), &array([1_i64]), 0)?, array([1, 8, 9, 4]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn dynamic_update(
    a: &Array,
    update: &Array,
    starts: &Array,
    batch_dims: usize,
) -> Result<Array, ArrayError> {
    let lens = &update.shape()[batch_dims..];
    let (bases, view) = parts(a.shape(), starts, lens, batch_dims)?;
    let size: usize = lens.iter().product();
    Ok(each_dtype!(a.dtype(), T => {
        let (mut out, new) = (values::<T>(a).to_vec(), values::<T>(update));
        for (lane, &base) in bases.iter().enumerate() {
            strided::write(&new[lane * size..(lane + 1) * size], &mut out, base, &view);
        }
        result(a.shape(), out)
    }))
}

/// Numbers that count 0, 1, … along `axis` and repeat along the others.
///
/// # Panics
/// When the axis is outside the shape or the dtype is `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{DType, Shape, array, ops};
/// assert_eq!(ops::iota(DType::I64, &Shape::from([2, 3]), 1), array([[0_i64, 1, 2], [0, 1, 2]]));
/// ```
pub fn iota(dtype: DType, shape: &Shape, axis: usize) -> Array {
    if dtype == DType::Bool {
        no_such("iota", dtype);
    }
    if axis >= shape.rank() {
        bug(&format!("counting along axis {axis} of shape {shape}"));
    }
    let counts = Array::vector((0..shape[axis] as i64).collect());
    broadcast(&convert(&counts, dtype), shape, &[axis])
}
