//! Sums and the position of the largest entry.

use crate::kernel::{self, Num};
use crate::{Array, DType, Element, Shape};

use super::bf16::in_f32;
use super::elementwise::result;
use super::{bug, convert, each_num, transpose, values};

/// The sum over `axes`, which disappear; see the order in Note [canonical sum] of the kernels: it depends on the logical
/// index of a term only. No axes: the array itself. `bf16` is summed in `f32` and rounded once.
///
/// # Panics
/// When an axis is repeated or outside the shape, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One pass.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!((ops::sum(&x, &[0]), ops::sum(&x, &[0, 1])), (array([4.0, 6.0]), array(10.0)));
/// assert_eq!(ops::sum(&array([0.0; 0]), &[0]), array(0.0));
/// ```
pub fn sum(a: &Array, axes: &[usize]) -> Array {
    let rank = a.rank();
    if axes.iter().enumerate().any(|(i, &axis)| axis >= rank || axes[..i].contains(&axis)) {
        bug(&format!("sum of shape {} over axes {axes:?}", a.shape()));
    }
    if axes.is_empty() {
        return a.clone();
    }
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| sum(a, axes));
    }
    each_num!(a.dtype(), "sum", T => match T::LANES {
        16 => sum_typed::<T, 16>(a, axes),
        _ => sum_typed::<T, 8>(a, axes),
    })
}

fn sum_typed<T: Num, const L: usize>(a: &Array, axes: &[usize]) -> Array {
    let shape: Shape =
        a.shape().iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &len)| len).collect();
    let mut out = vec![T::ZERO; shape.size()];
    let n: usize = axes.iter().map(|&axis| a.shape()[axis]).product();
    let first = axes.iter().copied().min().unwrap_or(0);
    let last = axes.iter().copied().max().unwrap_or(0);
    if last - first + 1 == axes.len() {
        let inner: usize = a.shape()[last + 1..].iter().product();
        if inner == 1 {
            kernel::sum_inner::<T, L>(values(a), n, &mut out);
        } else {
            kernel::sum_middle::<T, L>(values(a), n, inner, &mut out);
        }
    } else {
        let kept = (0..a.rank()).filter(|axis| !axes.contains(axis));
        let reduced = (0..a.rank()).filter(|axis| axes.contains(axis));
        let gathered = transpose(a, &kept.chain(reduced).collect::<Vec<_>>());
        kernel::sum_inner::<T, L>(values(&gathered), n, &mut out);
    }
    result(&shape, out)
}

/// The position (`i64`) of the largest entry along `axis`, which disappears: the first of equal ones, `-0` equal to `+0`, NaN
/// above everything.
///
/// # Panics
/// When the axis is outside the shape or empty, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One pass.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::argmax(&array([[1.0, 3.0, 3.0], [2.0, f64::NAN, 1.0]]), 1), array([1_i64, 1]));
/// ```
pub fn argmax(a: &Array, axis: usize) -> Array {
    if axis >= a.rank() || a.shape()[axis] == 0 {
        bug(&format!("argmax of shape {} along axis {axis}", a.shape()));
    }
    if a.dtype() == DType::BF16 {
        return argmax(&convert(a, DType::F32), axis);
    }
    each_num!(a.dtype(), "argmax", T => argmax_typed::<T>(a, axis))
}

fn argmax_typed<T: Element + PartialOrd>(a: &Array, axis: usize) -> Array {
    let n = a.shape()[axis];
    let inner: usize = a.shape()[axis + 1..].iter().product();
    let shape: Shape = a.shape()[..axis].iter().chain(&a.shape()[axis + 1..]).copied().collect();
    let mut out = vec![0_i64; shape.size()];
    if inner == 0 {
        return result(&shape, out);
    }
    for (out, x) in out.chunks_exact_mut(inner).zip(values::<T>(a).chunks_exact(n * inner)) {
        if inner == 1 {
            out[0] = largest(x) as i64;
            continue;
        }
        for (i, row) in x.chunks_exact(inner).enumerate().skip(1) {
            for (c, (out, &entry)) in out.iter_mut().zip(row).enumerate() {
                if beats(entry, x[*out as usize * inner + c]) {
                    *out = i as i64;
                }
            }
        }
    }
    result(&shape, out)
}

/// True when `entry` is to be preferred to an earlier `best`.
#[inline]
pub(super) fn beats<T: Element + PartialOrd>(entry: T, best: T) -> bool {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    entry > best || (is_nan(entry) && !is_nan(best))
}

fn largest<T: Element + PartialOrd>(row: &[T]) -> usize {
    let (mut at, mut best) = (0, row[0]);
    for (i, &entry) in row.iter().enumerate().skip(1) {
        if beats(entry, best) {
            (at, best) = (i, entry);
        }
    }
    at
}
