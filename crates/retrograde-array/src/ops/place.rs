//! Parts of arrays at places: padding, parts at computed places, counting.

use crate::{Array, ArrayError, DType, Shape};

use super::dot::{values_mut, whole_mut};
use super::slice::pad_into;
use super::strided::{self, Axis, View};
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

/// Where parts of shape `lens` lie in each entry of the batch.
struct Parts<'a> {
    inner: &'a [usize],
    starts: &'a [i64],
    lens: &'a [usize],
}

impl<'a> Parts<'a> {
    fn new(whole: &'a Shape, starts: &'a Array, lens: &'a [usize], batch_dims: usize) -> Parts<'a> {
        let fits = batch_dims <= whole.rank()
            && starts.dtype() == DType::I64
            && starts.rank() == batch_dims + 1
            && starts.shape()[..batch_dims] == whole[..batch_dims]
            && starts.shape()[batch_dims] == lens.len()
            && whole.rank() == batch_dims + lens.len();
        if !fits {
            bug(&format!(
                "a part of shape {lens:?} of {whole} at {} with {batch_dims} shared axes",
                starts.shape()
            ));
        }
        Parts { inner: &whole[batch_dims..], starts: values(starts), lens }
    }

    /// How far neighbours along an axis lie apart.
    fn stride(&self, axis: usize) -> usize {
        self.inner[axis + 1..].iter().product()
    }

    /// The places of one part.
    fn view(&self) -> View {
        View::new(
            (0..self.lens.len())
                .map(|axis| Axis { len: self.lens[axis], stride: self.stride(axis) as isize }),
        )
    }

    /// Where the part of a lane starts.
    fn base(&self, lane: usize) -> Result<usize, ArrayError> {
        let mut base = lane * self.inner.iter().product::<usize>();
        for (axis, &start) in self.starts[lane * self.lens.len()..][..self.lens.len()].iter().enumerate() {
            let (len, size) = (self.lens[axis], self.inner[axis]);
            match usize::try_from(start) {
                Ok(at) if len <= size && at <= size - len => base += at * self.stride(axis),
                _ => return Err(ArrayError::Part { start, len, size }),
            }
        }
        Ok(base)
    }
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
    let mut out = Array::zeros(a.dtype(), [&a.shape()[..batch_dims], lens].concat());
    dynamic_slice_into(a, starts, lens, batch_dims, &mut out)?;
    Ok(out)
}

/// [`dynamic_slice`] into an array of the shape and dtype of the result that shares its memory with no other.
///
/// # Errors
/// [`ArrayError::Part`] when a part does not lie inside.
///
/// # Panics
/// When axes or shared lengths do not fit: internal misuse.
///
/// ```
/// use retrograde_array::{Array, DType, array, ops};
/// let mut out = Array::zeros(DType::F64, [2]);
/// ops::dynamic_slice_into(&array([1.0, 2.0, 4.0]), &array([1_i64]), &[2], 0, &mut out)?;
/// assert_eq!(out, array([2.0, 4.0]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn dynamic_slice_into(
    a: &Array,
    starts: &Array,
    lens: &[usize],
    batch_dims: usize,
    out: &mut Array,
) -> Result<(), ArrayError> {
    let parts = Parts::new(a.shape(), starts, lens, batch_dims);
    let (n_lanes, size) = (a.shape()[..batch_dims].iter().product::<usize>(), lens.iter().product::<usize>());
    if out.size() != n_lanes * size {
        bug(&format!("parts of shape {lens:?} of {} into shape {}", a.shape(), out.shape()));
    }
    let view = parts.view();
    each_dtype!(a.dtype(), T => {
        let (x, out) = (values::<T>(a), whole_mut::<T>(out));
        // Parts without entries are checked too.
        for lane in 0..n_lanes {
            strided::read_into(x, parts.base(lane)?, &view, &mut out[lane * size..(lane + 1) * size]);
        }
    });
    Ok(())
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
    let mut out = Array::zeros(a.dtype(), a.shape().clone());
    dynamic_update_into(a, update, starts, batch_dims, &mut out)?;
    Ok(out)
}

/// [`dynamic_update`] into an array of the type of `a` that shares its memory with no other.
///
/// # Errors
/// [`ArrayError::Part`] when the part does not lie inside.
///
/// # Panics
/// When dtypes, axes or shared lengths do not fit: internal misuse.
///
/// ```
/// use retrograde_array::{Array, DType, array, ops};
/// let mut out = Array::zeros(DType::F64, [3]);
/// ops::dynamic_update_into(&array([1.0, 2.0, 4.0]), &array([9.0]), &array([1_i64]), 0, &mut out)?;
/// assert_eq!(out, array([1.0, 9.0, 4.0]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn dynamic_update_into(
    a: &Array,
    update: &Array,
    starts: &Array,
    batch_dims: usize,
    out: &mut Array,
) -> Result<(), ArrayError> {
    if batch_dims > update.rank() || update.shape()[..batch_dims] != a.shape()[..batch_dims] {
        bug(&format!("a part {} of {} with {batch_dims} shared axes", update.shape(), a.shape()));
    }
    let parts = Parts::new(a.shape(), starts, &update.shape()[batch_dims..], batch_dims);
    let (view, size) = (parts.view(), parts.lens.iter().product::<usize>());
    each_dtype!(a.dtype(), T => {
        let (new, out) = (values::<T>(update), values_mut::<T>(out, a.shape()));
        out.copy_from_slice(values(a));
        let n_lanes: usize = a.shape()[..batch_dims].iter().product();
        for lane in 0..n_lanes {
            strided::write(&new[lane * size..(lane + 1) * size], out, parts.base(lane)?, &view);
        }
    });
    Ok(())
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
