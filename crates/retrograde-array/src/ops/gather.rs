//! Reading along an axis by index, and its transpose.

use crate::kernel::{Alone, Num, Workers, chunked};
use crate::{Array, ArrayError, DType, Element, Shape};

use super::bf16::in_f32;
use super::dot::whole_mut;
use super::{bug, each_dtype, each_num, no_such, values};

/// The loop nest that both directions share: `[batch, middle, axis, inner]` against `[batch, middle, index, inner]`.
#[derive(Clone, Copy)]
struct Nest {
    /// Lanes of `axis` entries that share indices.
    middle: usize,
    axis: usize,
    inner: usize,
    /// Indices of a lane.
    n: usize,
}

impl Nest {
    fn new(indices: &Array, operand: &[usize], axis: usize, batch_dims: usize) -> Nest {
        Nest {
            middle: operand[batch_dims..axis].iter().product(),
            axis: operand[axis],
            inner: operand[axis + 1..].iter().product(),
            n: indices.shape()[batch_dims..].iter().product(),
        }
    }

    /// The indices of a lane.
    fn of_lane<'a, I>(&self, indices: &'a [I], lane: usize) -> &'a [I] {
        &indices[lane / self.middle * self.n..][..self.n]
    }
}

/// An integer that is a position once it was checked.
trait Index: Element + Into<i64> {
    fn position(self) -> usize;
}

macro_rules! index {
    ($($t:ty)*) => {
        $(impl Index for $t {
            #[inline(always)]
            fn position(self) -> usize {
                self as usize
            }
        })*
    };
}
index! { i64 i32 u8 }

/// The first index outside an axis of the given size.
fn check<I: Index>(indices: &[I], size: usize) -> Result<(), ArrayError> {
    let outside = |&&index: &&I| usize::try_from(index.into()).map_or(true, |position| position >= size);
    match indices.iter().find(outside) {
        Some(&index) => Err(ArrayError::Index { index: index.into(), size }),
        None => Ok(()),
    }
}

/// `$body` with `$t` the Rust type of the indices.
macro_rules! each_index {
    ($indices:expr, $t:ident => $body:expr) => {
        match $indices.dtype() {
            DType::I64 => {
                type $t = i64;
                $body
            }
            DType::I32 => {
                type $t = i32;
                $body
            }
            DType::U8 => {
                type $t = u8;
                $body
            }
            dtype => no_such("indexing by an array", dtype),
        }
    };
}

/// Entries of `operand` along `axis` at `indices`; the first `batch_dims` axes of both are shared.
///
/// Shapes: `operand [B.., M.., n, I..]` with `n` at `axis`, `indices [B.., J..]` (`i64`, `i32` or `u8`) → `[B.., M.., J.., I..]`.
///
/// # Errors
/// [`ArrayError::Index`] for an index outside `0..n`; negative ones do not count from the end.
///
/// # Panics
/// When axes or shared lengths do not fit: internal misuse.
///
/// # Cost
/// One copy of what is read.
///
/// ```
/// use retrograde_array::{array, ops};
/// let table = array([[1, 2], [3, 4], [5, 6]]);
/// assert_eq!(ops::gather(&table, &array([2_i64, 0]), 0, 0)?, array([[5, 6], [1, 2]]));
/// let error = ops::gather(&table, &array([-1_i64]), 0, 0).unwrap_err();
/// assert_eq!(error.to_string(), "index -1 is outside an axis of size 3");
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn gather(operand: &Array, indices: &Array, axis: usize, batch_dims: usize) -> Result<Array, ArrayError> {
    check_axes(operand.shape(), indices.shape(), axis, batch_dims);
    let shape: Shape = operand.shape()[..axis]
        .iter()
        .chain(&indices.shape()[batch_dims..])
        .chain(&operand.shape()[axis + 1..])
        .copied()
        .collect();
    let mut out = Array::zeros(operand.dtype(), shape);
    gather_into(operand, indices, axis, batch_dims, &mut out, &Alone)?;
    Ok(out)
}

/// [`gather`] into an array of the shape and dtype of the result that shares its memory with no other.
///
/// # Errors
/// [`ArrayError::Index`] for an index outside `0..n`.
///
/// # Panics
/// When axes or shapes do not fit: internal misuse.
///
/// ```
/// use retrograde_array::{Alone, DType, Array, array, ops};
/// let mut out = Array::zeros(DType::F64, [2]);
/// ops::gather_into(&array([1.0, 2.0, 4.0]), &array([2_i64, 0]), 0, 0, &mut out, &Alone)?;
/// assert_eq!(out, array([4.0, 1.0]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn gather_into(
    operand: &Array,
    indices: &Array,
    axis: usize,
    batch_dims: usize,
    out: &mut Array,
    workers: &dyn Workers,
) -> Result<(), ArrayError> {
    check_axes(operand.shape(), indices.shape(), axis, batch_dims);
    let nest = Nest::new(indices, operand.shape(), axis, batch_dims);
    each_index!(indices, I => {
        let indices = values::<I>(indices);
        check(indices, nest.axis)?;
        each_dtype!(operand.dtype(), T => {
            let (lead, rest) = operand.shape().split_at(axis);
            let parts = [lead, &rest[1..]];
            let out = entries_mut::<T>(out, lead.iter().product::<usize>() * nest.n * nest.inner, parts);
            gather_typed::<T, I>(values(operand), &nest, indices, out, workers);
        });
    });
    Ok(())
}

/// The values of an array of so many entries, for writing; its other axes are named where that is not so.
fn entries_mut<'a, T: Element>(out: &'a mut Array, size: usize, axes: [&[usize]; 2]) -> &'a mut [T] {
    if out.size() != size {
        bug(&format!("{size} entries with axes {axes:?} into an array of shape {}", out.shape()));
    }
    whole_mut(out)
}

fn gather_typed<T: Element, I: Index>(
    x: &[T],
    nest: &Nest,
    indices: &[I],
    out: &mut [T],
    workers: &dyn Workers,
) {
    let &Nest { axis, inner, n, .. } = nest;
    let cost = out.len();
    chunked(out, inner, cost, workers, |first_row, mut out| {
        let mut row = first_row;
        while !out.is_empty() {
            let (lane, k) = (row / n, row % n);
            let some = &nest.of_lane(indices, lane)[k..];
            let some = &some[..some.len().min(out.len() / inner)];
            let x = &x[lane * axis * inner..][..axis * inner];
            let (here, rest) = out.split_at_mut(some.len() * inner);
            if inner == 1 {
                for (out, index) in here.iter_mut().zip(some) {
                    *out = x[index.position()];
                }
            } else {
                for (out, index) in here.chunks_exact_mut(inner).zip(some) {
                    out.copy_from_slice(&x[index.position() * inner..][..inner]);
                }
            }
            row += some.len();
            out = rest;
        }
    });
}

/// The transpose of [`gather`] in its operand: zeros with `axis` of length `size`, to which every entry of `updates` is
/// added at its index, sequentially in row-major order of `updates`; `bf16` in `f32`, rounded once.
///
/// # Errors
/// [`ArrayError::Index`] for an index outside `0..size`.
///
/// # Panics
/// When axes or shared lengths do not fit or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One addition for each entry of `updates`.
///
/// ```
/// use retrograde_array::{array, ops};
/// let updates = array([1.0, 10.0, 100.0]);
/// assert_eq!(ops::scatter_add(&array([2_i64, 0, 2]), &updates, 0, 0, 4)?, array([10.0, 0.0, 101.0, 0.0]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn scatter_add(
    indices: &Array,
    updates: &Array,
    axis: usize,
    batch_dims: usize,
    size: usize,
) -> Result<Array, ArrayError> {
    if updates.dtype() == DType::BF16 {
        let mut error = None;
        let sums = in_f32([updates], |[updates]| {
            scatter_add(indices, updates, axis, batch_dims, size).unwrap_or_else(|found| {
                error = Some(found);
                Array::zeros(DType::F32, [0])
            })
        });
        return error.map_or(Ok(sums), Err);
    }
    let index_axes = indices.rank().saturating_sub(batch_dims);
    if axis + index_axes > updates.rank() {
        bug(&format!("scatter of {} by {} along axis {axis}", updates.shape(), indices.shape()));
    }
    let shape: Shape = updates.shape()[..axis]
        .iter()
        .chain(&[size])
        .chain(&updates.shape()[axis + index_axes..])
        .copied()
        .collect();
    let mut out = Array::zeros(updates.dtype(), shape);
    scatter_add_into(indices, updates, axis, batch_dims, &mut out, &Alone)?;
    Ok(out)
}

/// [`scatter_add`] into an array of the shape and dtype of the result that shares its memory with no other; what is in it before
/// does not matter.
///
/// # Errors
/// [`ArrayError::Index`] for an index outside `0..size`.
///
/// # Panics
/// When axes or shapes do not fit or the dtype is `bool` or `bf16`: internal misuse.
///
/// ```
/// use retrograde_array::{Alone, DType, Array, array, ops};
/// let mut out = Array::zeros(DType::F64, [2]);
/// ops::scatter_add_into(&array([1_i64, 1]), &array([1.0, 10.0]), 0, 0, &mut out, &Alone)?;
/// assert_eq!(out, array([0.0, 11.0]));
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn scatter_add_into(
    indices: &Array,
    updates: &Array,
    axis: usize,
    batch_dims: usize,
    out: &mut Array,
    workers: &dyn Workers,
) -> Result<(), ArrayError> {
    let index_axes = indices.rank().saturating_sub(batch_dims);
    let fits = batch_dims <= indices.rank()
        && axis + index_axes <= updates.rank()
        && updates.shape()[axis..axis + index_axes] == indices.shape()[batch_dims..]
        && out.rank() + index_axes == updates.rank() + 1
        && out.shape()[..axis] == updates.shape()[..axis]
        && out.shape()[axis + 1..] == updates.shape()[axis + index_axes..];
    if !fits {
        bug(&format!(
            "scatter of {} by {} along axis {axis} into {}",
            updates.shape(),
            indices.shape(),
            out.shape()
        ));
    }
    check_axes(out.shape(), indices.shape(), axis, batch_dims);
    let nest = Nest::new(indices, out.shape(), axis, batch_dims);
    each_index!(indices, I => {
        let indices = values::<I>(indices);
        check(indices, nest.axis)?;
        each_num!(updates.dtype(), "scatter_add", T => {
            scatter_typed::<T, I>(values(updates), &nest, indices, whole_mut(out), workers);
        });
    });
    Ok(())
}

fn scatter_typed<T: Num, I: Index>(
    x: &[T],
    nest: &Nest,
    indices: &[I],
    out: &mut [T],
    workers: &dyn Workers,
) {
    let &Nest { axis, inner, n, .. } = nest;
    let (size, cost) = (axis * inner, out.len() + x.len());
    chunked(out, size, cost, workers, |first_lane, out| {
        out.fill(T::ZERO);
        for (i, out) in out.chunks_exact_mut(size).enumerate() {
            let lane = first_lane + i;
            let x = &x[lane * n * inner..][..n * inner];
            let indices = nest.of_lane(indices, lane);
            if inner == 1 {
                for (&x, index) in x.iter().zip(indices) {
                    let to = &mut out[index.position()];
                    *to = to.plus(x);
                }
            } else {
                for (x, index) in x.chunks_exact(inner).zip(indices) {
                    let to = &mut out[index.position() * inner..][..inner];
                    for (to, &x) in to.iter_mut().zip(x) {
                        *to = to.plus(x);
                    }
                }
            }
        }
    });
}

fn check_axes(operand: &Shape, indices: &Shape, axis: usize, batch_dims: usize) {
    let fits = axis < operand.rank()
        && batch_dims <= axis
        && batch_dims <= indices.rank()
        && operand[..batch_dims] == indices[..batch_dims];
    if !fits {
        bug(&format!("indices {indices} into {operand} along axis {axis} with {batch_dims} shared axes"));
    }
}
