//! The logarithm of a sum of exponentials.

use crate::kernel::{self, Alone, Buffer, Float, Scratch, Workers};
use crate::{Array, DType, Shape};

use super::bf16::in_f32;
use super::dot::whole_mut;
use super::{bug, no_such, values};

/// log Σ exp over `axes`, which disappear: m + log Σ exp(x - m) with m the largest entry, so that nothing overflows. -∞ where
/// all entries are -∞ or there are none, ∞ where one is ∞.
///
/// # Panics
/// When an axis is repeated or outside the shape, or the dtype is not a float: internal misuse.
///
/// # Cost
/// Two passes and one exponential for each entry.
///
/// # Source
/// Blanchard, Higham and Higham (2021), Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([[1000.0, 1000.0], [f64::NEG_INFINITY, f64::NEG_INFINITY]]);
/// assert_eq!(ops::logsumexp(&x, &[1]), array([1000.0 + 2.0_f64.ln(), f64::NEG_INFINITY]));
/// ```
pub fn logsumexp(a: &Array, axes: &[usize]) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| logsumexp(a, axes));
    }
    let shape: Shape =
        (0..a.rank()).filter(|axis| !axes.contains(axis)).map(|axis| a.shape()[axis]).collect();
    let mut out = Array::zeros(a.dtype(), shape);
    logsumexp_into(a, axes, &mut out, &Alone, &mut Scratch::default());
    out
}

/// [`logsumexp`] into an array of the shape and dtype of the result that shares its memory with no other.
///
/// # Panics
/// When an axis is repeated or outside the shape, shapes do not fit, or the dtype is neither `f64` nor `f32`: internal misuse.
///
/// ```
/// use retrograde_array::{Alone, Array, DType, Scratch, array, ops};
/// let mut out = Array::zeros(DType::F64, []);
/// ops::logsumexp_into(&array([0.0, 0.0]), &[0], &mut out, &Alone, &mut Scratch::default());
/// assert_eq!(out, array(2.0_f64.ln()));
/// ```
pub fn logsumexp_into(
    a: &Array,
    axes: &[usize],
    out: &mut Array,
    workers: &dyn Workers,
    scratch: &mut Scratch,
) {
    let rank = a.rank();
    if axes.iter().enumerate().any(|(i, &axis)| axis >= rank || axes[..i].contains(&axis)) {
        bug(&format!("logsumexp of shape {} over axes {axes:?}", a.shape()));
    }
    match out.dtype() {
        DType::F64 => typed::<f64, 8>(a, axes, f64::NEG_INFINITY, out, workers, scratch),
        DType::F32 => typed::<f32, 16>(a, axes, f32::NEG_INFINITY, out, workers, scratch),
        dtype => no_such("logsumexp", dtype),
    }
}

fn typed<T: Float, const L: usize>(
    a: &Array,
    axes: &[usize],
    empty: T,
    out: &mut Array,
    workers: &dyn Workers,
    scratch: &mut Scratch,
) {
    let n: usize = axes.iter().map(|&axis| a.shape()[axis]).product();
    if out.size() * n != a.size() {
        bug(&format!("logsumexp of shape {} over axes {axes:?} into shape {}", a.shape(), out.shape()));
    }
    let out = whole_mut::<T>(out);
    if n == 0 {
        out.fill(empty);
        return;
    }
    let is_last = |axis: usize| axis + axes.len() >= a.rank();
    if axes.iter().all(|&axis| is_last(axis)) && a.is_contiguous() {
        rows::<T, L>(values(a), n, out, workers, scratch);
    } else {
        let kept = (0..a.rank()).filter(|axis| !axes.contains(axis));
        let order = kept.chain((0..a.rank()).filter(|axis| axes.contains(axis)));
        scratch.with_unordered::<T>(a.size(), |x, scratch| {
            a.read_into(order, x);
            rows::<T, L>(x, n, out, workers, scratch);
        });
    }
}

/// Entries whose exponentials are computed at a time: they stay in the first cache.
const TOGETHER: usize = 2048;

/// Of rows of `n` entries.
fn rows<T: Float, const L: usize>(
    x: &[T],
    n: usize,
    out: &mut [T],
    workers: &dyn Workers,
    scratch: &mut Scratch,
) {
    // An exponential costs as much as some ten additions.
    let cost = 10 * x.len();
    scratch.chunked(out, 1, cost, workers, |start, out, [moved, exponentials]: &mut [Buffer; 2]| {
        let rows_at_once = (TOGETHER / n).max(1);
        let x = &x[start * n..];
        for (out, x) in out.chunks_mut(rows_at_once).zip(x.chunks(rows_at_once * n)) {
            let x = &x[..out.len() * n];
            let [moved, shift] = moved.slices::<T, 2>([x.len(), out.len()]);
            let [exponentials, total] = exponentials.slices::<T, 2>([x.len(), out.len()]);
            kernel::fold_inner::<T, _, L>(x, n, |x: T, y| x.larger(y), shift);
            // An infinite or NaN largest entry does not shift.
            shift.iter_mut().for_each(|m| *m = if m.minus(*m) == T::ZERO { *m } else { T::ZERO });
            for ((moved, x), shift) in moved.chunks_exact_mut(n).zip(x.chunks_exact(n)).zip(&*shift) {
                moved.iter_mut().zip(x).for_each(|(moved, x)| *moved = x.minus(*shift));
            }
            kernel::slice::exp(moved, exponentials);
            kernel::fold_inner::<T, _, L>(exponentials, n, |x: T, y| x.plus(y), total);
            kernel::slice::log(total, out);
            out.iter_mut().zip(&*shift).for_each(|(out, shift)| *out = out.plus(*shift));
        }
    });
}
