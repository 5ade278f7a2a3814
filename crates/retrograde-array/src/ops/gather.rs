//! Reading along an axis by index, and its transpose.

use crate::kernel::Num;
use crate::{Array, ArrayError, DType, Element, Shape};

use super::bf16::in_f32;
use super::elementwise::result;
use super::{bug, each_dtype, each_num, no_such, values};

/// The loop nest that both directions share: `[batch, middle, axis, inner]` against `[batch, middle, index, inner]`.
struct Nest {
    batch: usize,
    middle: usize,
    axis: usize,
    inner: usize,
    indices: Vec<usize>,
}

impl Nest {
    fn new(indices: &Array, operand: &[usize], axis: usize, batch_dims: usize) -> Result<Nest, ArrayError> {
        Ok(Nest {
            batch: operand[..batch_dims].iter().product(),
            middle: operand[batch_dims..axis].iter().product(),
            axis: operand[axis],
            inner: operand[axis + 1..].iter().product(),
            indices: positions(indices, operand[axis])?,
        })
    }

    /// Calls `visit(row of the operand, row of the result)`, rows of `inner` entries, ascending in the result.
    #[inline(always)]
    fn each_row(&self, mut visit: impl FnMut(usize, usize)) {
        let per_batch = self.indices.len().checked_div(self.batch).unwrap_or(0);
        let mut row = 0;
        for b in 0..self.batch {
            let indices = &self.indices[b * per_batch..(b + 1) * per_batch];
            for m in 0..self.middle {
                let base = (b * self.middle + m) * self.axis;
                for index in indices {
                    visit(base + index, row);
                    row += 1;
                }
            }
        }
    }
}

/// Indices as positions on an axis of the given size.
fn positions(indices: &Array, size: usize) -> Result<Vec<usize>, ArrayError> {
    fn check<I: Copy + Into<i64>>(indices: &[I], size: usize) -> Result<Vec<usize>, ArrayError> {
        indices
            .iter()
            .map(|&index| {
                let index = index.into();
                match usize::try_from(index) {
                    Ok(position) if position < size => Ok(position),
                    _ => Err(ArrayError::Index { index, size }),
                }
            })
            .collect()
    }
    match indices.dtype() {
        DType::I64 => check(values::<i64>(indices), size),
        DType::I32 => check(values::<i32>(indices), size),
        DType::U8 => check(values::<u8>(indices), size),
        dtype => no_such("indexing by an array", dtype),
    }
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
    let nest = Nest::new(indices, operand.shape(), axis, batch_dims)?;
    Ok(each_dtype!(operand.dtype(), T => gather_typed::<T>(operand, &nest, &shape)))
}

fn gather_typed<T: Element>(operand: &Array, nest: &Nest, shape: &Shape) -> Array {
    let x = values::<T>(operand);
    let mut out = Vec::with_capacity(shape.size());
    if nest.inner == 1 {
        nest.each_row(|from, _| out.push(x[from]));
    } else {
        nest.each_row(|from, _| out.extend_from_slice(&x[from * nest.inner..(from + 1) * nest.inner]));
    }
    result(shape, out)
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
    let index_axes = indices.rank().saturating_sub(batch_dims);
    let fits = batch_dims <= indices.rank()
        && axis + index_axes <= updates.rank()
        && updates.shape()[axis..axis + index_axes] == indices.shape()[batch_dims..];
    if !fits {
        bug(&format!("scatter of {} by {} along axis {axis}", updates.shape(), indices.shape()));
    }
    let shape: Shape = updates.shape()[..axis]
        .iter()
        .chain(&[size])
        .chain(&updates.shape()[axis + index_axes..])
        .copied()
        .collect();
    check_axes(&shape, indices.shape(), axis, batch_dims);
    let nest = Nest::new(indices, &shape, axis, batch_dims)?;
    if updates.dtype() == DType::BF16 {
        return Ok(in_f32([updates], |[updates]| scatter_typed::<f32>(updates, &nest, &shape)));
    }
    Ok(each_num!(updates.dtype(), "scatter_add", T => scatter_typed::<T>(updates, &nest, &shape)))
}

fn scatter_typed<T: Num>(updates: &Array, nest: &Nest, shape: &Shape) -> Array {
    let x = values::<T>(updates);
    let mut out = vec![T::ZERO; shape.size()];
    let n = nest.inner;
    nest.each_row(|to, from| {
        for (out, &x) in out[to * n..(to + 1) * n].iter_mut().zip(&x[from * n..(from + 1) * n]) {
            *out = out.plus(x);
        }
    });
    result(shape, out)
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
