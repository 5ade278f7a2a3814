//! Sums and the position of the largest entry.

use crate::{Array, DType, Element, Shape};

use super::dot::whole_mut;
use super::fold::{Fold, reduce};
use super::{bug, convert, each_num, values};

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
    reduce(Fold::Sum, a, axes)
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
    extreme(a, axis, argmax_into)
}

/// The position (`i64`) of the smallest entry along `axis`, which disappears: the first of equal ones, `-0` equal to `+0`, NaN
/// before everything.
///
/// # Panics
/// When the axis is outside the shape or empty, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One pass.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::argmin(&array([[3.0, 1.0, 1.0], [2.0, f64::NAN, 1.0]]), 1), array([1_i64, 1]));
/// ```
pub fn argmin(a: &Array, axis: usize) -> Array {
    extreme(a, axis, argmin_into)
}

fn extreme(a: &Array, axis: usize, into: impl FnOnce(&Array, usize, &mut Array)) -> Array {
    if a.dtype() == DType::BF16 {
        return extreme(&convert(a, DType::F32), axis, into);
    }
    let shape: Shape = (0..a.rank()).filter(|&i| i != axis).map(|i| a.shape()[i]).collect();
    let mut out = Array::zeros(DType::I64, shape);
    into(a, axis, &mut out);
    out
}

/// [`argmax`] into an array of the shape of the result (`i64`) that shares its memory with no other.
///
/// # Panics
/// When the axis is outside the shape or empty, shapes do not fit or the dtype is `bool` or `bf16`: internal misuse.
///
/// ```
/// use retrograde_array::{DType, Array, array, ops};
/// let mut out = Array::zeros(DType::I64, []);
/// ops::argmax_into(&array([1.0, 3.0]), 0, &mut out);
/// assert_eq!(out, array(1_i64));
/// ```
pub fn argmax_into(a: &Array, axis: usize, out: &mut Array) {
    let (n, inner) = lane("argmax", a, axis, out);
    let out = whole_mut::<i64>(out);
    each_num!(a.dtype(), "argmax", T => first_best::<T>(values(a), n, inner, beats, out));
}

/// [`argmin`] into an array of the shape of the result (`i64`) that shares its memory with no other.
///
/// # Panics
/// As [`argmax_into`].
///
/// ```
/// use retrograde_array::{DType, Array, array, ops};
/// let mut out = Array::zeros(DType::I64, []);
/// ops::argmin_into(&array([1.0, -3.0]), 0, &mut out);
/// assert_eq!(out, array(1_i64));
/// ```
pub fn argmin_into(a: &Array, axis: usize, out: &mut Array) {
    let (n, inner) = lane("argmin", a, axis, out);
    let out = whole_mut::<i64>(out);
    each_num!(a.dtype(), "argmin", T => {
        let is_nan = |x: T| x.partial_cmp(&x).is_none();
        let below = |entry: T, best: T| entry < best || (is_nan(entry) && !is_nan(best));
        first_best::<T>(values(a), n, inner, below, out);
    });
}

/// The length of an axis and the entries after it.
fn lane(what: &str, a: &Array, axis: usize, out: &Array) -> (usize, usize) {
    let n = a.shape().get(axis).copied().unwrap_or(0);
    if n == 0 || out.size() * n != a.size() {
        bug(&format!("{what} of shape {} along axis {axis} into shape {}", a.shape(), out.shape()));
    }
    (n, a.shape()[axis + 1..].iter().product())
}

/// Along lanes of `n` entries, `inner` apart, the position of the first that no later one `beats`.
fn first_best<T: Element>(x: &[T], n: usize, inner: usize, beats: impl Fn(T, T) -> bool, out: &mut [i64]) {
    if inner == 0 {
        return;
    }
    for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
        out.fill(0);
        for (i, row) in x.chunks_exact(inner).enumerate().skip(1) {
            for (c, (out, &entry)) in out.iter_mut().zip(row).enumerate() {
                if beats(entry, x[*out as usize * inner + c]) {
                    *out = i as i64;
                }
            }
        }
    }
}

/// True when `entry` is to be preferred to an earlier `best`.
#[inline]
fn beats<T: Element + PartialOrd>(entry: T, best: T) -> bool {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    entry > best || (is_nan(entry) && !is_nan(best))
}
