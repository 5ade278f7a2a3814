//! Products with contraction and shared axes.

use crate::kernel::{self, Matrix, Num};
use crate::{Array, DType, Shape};

use super::bf16::in_f32;
use super::elementwise::result;
use super::{bug, each_num, transpose};

/// Which axes of the two factors of [`dot_general`] are contracted and which are shared (batch); the others are free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DotDims {
    /// Contracted axes of the left factor, paired in order with those of the right.
    pub lhs_contract: Vec<usize>,
    /// Contracted axes of the right factor.
    pub rhs_contract: Vec<usize>,
    /// Shared axes of the left factor, paired in order with those of the right.
    pub lhs_batch: Vec<usize>,
    /// Shared axes of the right factor.
    pub rhs_batch: Vec<usize>,
}

impl DotDims {
    /// The axes of a matrix product: `[m, k]` by `[k, n]`.
    pub fn matmul() -> DotDims {
        DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() }
    }
}

/// The product of two arrays: entries are multiplied and summed over the contracted axes, for each entry of the shared axes.
///
/// Shape: shared axes, then free axes of `a`, then free axes of `b`. Order of the sum: Note [canonical product] of the
/// kernels, terms numbered by the contracted axes in the order given. `bf16` is multiplied and summed in `f32` and rounded once.
///
/// # Panics
/// When axes or lengths do not fit or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One multiply-add for each entry of the shared, free and contracted axes together.
///
/// ```
/// use retrograde_array::{DotDims, array, ops};
/// let (a, b) = (array([[1.0, 2.0], [3.0, 4.0]]), array([[1.0], [10.0]]));
/// assert_eq!(ops::dot_general(&a, &b, &DotDims::matmul()), array([[21.0], [43.0]]));
/// // The same rows multiplied, one by one.
/// let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![1], lhs_batch: vec![0], rhs_batch: vec![0] };
/// assert_eq!(ops::dot_general(&a, &a, &dims), array([5.0, 25.0]));
/// ```
pub fn dot_general(a: &Array, b: &Array, dims: &DotDims) -> Array {
    let pairs = |left: &[usize], right: &[usize]| {
        left.len() == right.len()
            && left
                .iter()
                .zip(right)
                .all(|(&i, &j)| a.shape().get(i).is_some_and(|len| b.shape().get(j) == Some(len)))
    };
    let distinct = |x: &[usize], y: &[usize]| {
        let mut all: Vec<usize> = x.iter().chain(y).copied().collect();
        all.sort_unstable();
        all.windows(2).all(|pair| pair[0] != pair[1])
    };
    let fits = pairs(&dims.lhs_contract, &dims.rhs_contract)
        && pairs(&dims.lhs_batch, &dims.rhs_batch)
        && distinct(&dims.lhs_contract, &dims.lhs_batch)
        && distinct(&dims.rhs_contract, &dims.rhs_batch)
        && a.dtype() == b.dtype();
    if !fits {
        bug(&format!("product of {}{} and {}{} by {dims:?}", a.dtype(), a.shape(), b.dtype(), b.shape()));
    }
    if a.dtype() == DType::BF16 {
        return in_f32([a, b], |[a, b]| dot_typed::<f32>(a, b, dims));
    }
    each_num!(a.dtype(), "product", T => dot_typed::<T>(a, b, dims))
}

fn dot_typed<T: Num>(a: &Array, b: &Array, dims: &DotDims) -> Array {
    let free = |x: &Array, contract: &[usize], batch: &[usize]| -> Vec<usize> {
        (0..x.rank()).filter(|axis| !contract.contains(axis) && !batch.contains(axis)).collect()
    };
    let a_free = free(a, &dims.lhs_contract, &dims.lhs_batch);
    let b_free = free(b, &dims.rhs_contract, &dims.rhs_batch);
    let lens = |x: &Array, axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).collect::<Vec<_>>();
    let shape: Shape =
        [lens(a, &dims.lhs_batch), lens(a, &a_free), lens(b, &b_free)].into_iter().flatten().collect();
    let count = |x: &Array, axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).product::<usize>();
    let batch = count(a, &dims.lhs_batch);
    let (m, k, n) = (count(a, &a_free), count(a, &dims.lhs_contract), count(b, &b_free));
    let mut out = vec![T::ZERO; shape.size()];
    if k == 0 || out.is_empty() {
        return result(&shape, out);
    }

    let (a, [a_batch, a_row, a_column]) = matrix(a, [&dims.lhs_batch, &a_free, &dims.lhs_contract]);
    let (b, [b_batch, b_row, b_column]) = matrix(b, [&dims.rhs_batch, &dims.rhs_contract, &b_free]);
    let (a_values, b_values) = (entries::<T>(&a), entries::<T>(&b));
    for (i, out) in out.chunks_exact_mut(m * n).enumerate().take(batch) {
        let a = Matrix { data: &a_values[i * a_batch..], row: a_row, column: a_column };
        let b = Matrix { data: &b_values[i * b_batch..], row: b_row, column: b_column };
        kernel::dot(a, b, [m, k, n], out);
    }
    result(&shape, out)
}

/// The buffer of an array from its first entry on.
fn entries<T: Num>(x: &Array) -> &[T] {
    match x.buffer() {
        Some(values) => &values[x.offset()..],
        None => bug(&format!("{} array where {} was promised", x.dtype(), T::DTYPE)),
    }
}

/// An array seen as three axes, each a group of the array's: the array (copied if a group is scattered in memory) and the
/// stride of each group.
fn matrix(x: &Array, groups: [&[usize]; 3]) -> (Array, [usize; 3]) {
    let strides = x.strides();
    if let [Some(s0), Some(s1), Some(s2)] = groups.map(|axes| group_stride(x.shape(), &strides, axes)) {
        return (x.clone(), [s0, s1, s2]);
    }
    let copy = transpose(x, &groups.concat()).compact();
    let [_, n1, n2] = groups.map(|axes| axes.iter().map(|&axis| x.shape()[axis]).product::<usize>());
    (copy, [n1 * n2, n2, 1])
}

/// The one stride that walks a group of axes forwards in row-major order, if there is one.
fn group_stride(shape: &Shape, strides: &[isize], axes: &[usize]) -> Option<usize> {
    let mut long = axes.iter().copied().filter(|&axis| shape[axis] != 1).rev();
    let Some(innermost) = long.next() else { return Some(1) };
    let stride = usize::try_from(strides[innermost]).ok().filter(|&stride| stride > 0)?;
    let mut next = stride * shape[innermost];
    for axis in long {
        if usize::try_from(strides[axis]) != Ok(next) {
            return None;
        }
        next *= shape[axis];
    }
    Some(stride)
}
