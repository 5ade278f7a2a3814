//! Products, extremes and alternatives over axes; the logarithm of a sum of exponentials.

use crate::kernel::{self, Num};
use crate::map::Function;
use crate::{Array, DType, Element, Scalar, Shape};

use super::bf16::in_f32;
use super::elementwise::result;
use super::piecewise::Pieces;
use super::{
    Binary, Comparison, binary, broadcast, bug, compare, each_num, function, is_finite, select, sum,
    transpose, values,
};

/// `f` of all entries along `axes`, which disappear, in the canonical order of sums; `empty` where there are none.
fn fold<T: Element, const L: usize>(a: &Array, axes: &[usize], empty: T, f: impl Fn(T, T) -> T) -> Array {
    let rank = a.rank();
    if axes.iter().enumerate().any(|(i, &axis)| axis >= rank || axes[..i].contains(&axis)) {
        bug(&format!("reduction of shape {} over axes {axes:?}", a.shape()));
    }
    if axes.is_empty() {
        return a.clone();
    }
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let shape: Shape = kept.iter().map(|&axis| a.shape()[axis]).collect();
    let mut out = vec![empty; shape.size()];
    let n: usize = axes.iter().map(|&axis| a.shape()[axis]).product();
    if n > 0 {
        let reduced = (0..rank).filter(|axis| axes.contains(axis));
        let rows = transpose(a, &kept.iter().copied().chain(reduced).collect::<Vec<_>>());
        kernel::fold_inner::<T, _, L>(values(&rows), n, f, &mut out);
    }
    result(&shape, out)
}

fn fold_num<T: Num>(a: &Array, axes: &[usize], empty: T, f: impl Fn(T, T) -> T) -> Array {
    match T::LANES {
        16 => fold::<T, 16>(a, axes, empty, f),
        _ => fold::<T, 8>(a, axes, empty, f),
    }
}

/// The product over `axes`, which disappear, in the order of [`sum`]; 1 where there are no entries.
///
/// # Panics
/// When an axis is repeated or outside the shape, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One pass.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::prod(&array([[1, 2], [3, 4]]), &[0]), array([3, 8]));
/// assert_eq!(ops::prod(&array([0.0; 0]), &[0]), array(1.0));
/// ```
pub fn prod(a: &Array, axes: &[usize]) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| prod(a, axes));
    }
    each_num!(a.dtype(), "prod", T => fold_num::<T>(a, axes, T::ONE, |x, y| x.times(y)))
}

/// The largest entry over `axes`, which disappear; NaN if one is NaN, `+0` above `-0`.
///
/// # Panics
/// When an axis is repeated, outside the shape or empty, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One pass.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::reduce_max(&array([[1.0, 5.0], [f64::NAN, 2.0]]), &[1]), array([5.0, f64::NAN]));
/// ```
pub fn reduce_max(a: &Array, axes: &[usize]) -> Array {
    some_entry("largest", a, axes);
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| reduce_max(a, axes));
    }
    each_num!(a.dtype(), "reduce_max", T => fold_num::<T>(a, axes, T::ZERO, |x, y| x.larger(y)))
}

/// The smallest entry over `axes`, which disappear; NaN if one is NaN, `-0` below `+0`.
///
/// # Panics
/// When an axis is repeated, outside the shape or empty, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One pass.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::reduce_min(&array([[0.0, -0.0], [3.0, 2.0]]), &[1]), array([-0.0, 2.0]));
/// ```
pub fn reduce_min(a: &Array, axes: &[usize]) -> Array {
    some_entry("smallest", a, axes);
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| reduce_min(a, axes));
    }
    each_num!(a.dtype(), "reduce_min", T => fold_num::<T>(a, axes, T::ZERO, |x, y| x.smaller(y)))
}

fn some_entry(what: &str, a: &Array, axes: &[usize]) {
    if axes.iter().any(|&axis| a.shape().get(axis) == Some(&0)) {
        bug(&format!("{what} entry of shape {} over axes {axes:?}", a.shape()));
    }
}

/// Whether one entry over `axes`, which disappear, is true.
///
/// # Panics
/// When an axis is repeated or outside the shape, or the dtype is not `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::any(&array([[false, true], [false, false]]), &[1]), array([true, false]));
/// assert_eq!(ops::any(&array([false; 0]), &[0]), array(false));
/// ```
pub fn any(a: &Array, axes: &[usize]) -> Array {
    fold::<bool, 8>(a, axes, false, |x, y| x | y)
}

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
    let of = |value: f64| match a.dtype() {
        DType::F32 => Scalar::F32(value as f32),
        _ => Scalar::F64(value),
    };
    let kept: Vec<usize> = (0..a.rank()).filter(|axis| !axes.contains(axis)).collect();
    let shape: Shape = kept.iter().map(|&axis| a.shape()[axis]).collect();
    if a.size() == 0 {
        return Array::full(a.dtype(), shape, of(f64::NEG_INFINITY));
    }
    let largest = reduce_max(a, axes);
    let zero = Array::full(a.dtype(), [], of(0.0));
    let shift = select(&is_finite(&largest), &largest, &zero);
    let both = |op, x: &Array, y: &Array| match binary(op, x, y) {
        Ok(z) => z,
        Err(error) => bug(&error.to_string()),
    };
    let moved = both(Binary::Sub, a, &broadcast(&shift, a.shape(), &kept));
    let total = sum(&function(Function::Exp, &moved), axes);
    both(Binary::Add, &function(Function::Log, &total), &shift)
}

/// The position (`i64`) of the smallest entry along `axis`, which disappears: the first of equal ones, `-0` equal to `+0`, NaN
/// before everything.
///
/// # Panics
/// When the axis is outside the shape or empty, or the dtype is `bool`: internal misuse.
///
/// # Cost
/// Three passes.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::argmin(&array([[3.0, 1.0, 1.0], [2.0, f64::NAN, 1.0]]), 1), array([1_i64, 1]));
/// ```
pub fn argmin(a: &Array, axis: usize) -> Array {
    if axis >= a.rank() || a.shape()[axis] == 0 {
        bug(&format!("argmin of shape {} along axis {axis}", a.shape()));
    }
    let smallest = reduce_min(a, &[axis]);
    let kept: Vec<usize> = (0..a.rank()).filter(|&i| i != axis).collect();
    let spread = broadcast(&smallest, a.shape(), &kept);
    let equal = compare(Comparison::Eq, a, &spread);
    let nan = compare(Comparison::Ne, a, a);
    let n = a.shape()[axis];
    let inner: usize = a.shape()[axis + 1..].iter().product();
    let (equal, nan) = (values::<bool>(&equal), values::<bool>(&nan));
    let first = |i: usize| {
        let at = |k: usize| (i / inner * n + k) * inner + i % inner;
        (0..n).find(|&k| nan[at(k)]).or_else(|| (0..n).find(|&k| equal[at(k)])).unwrap_or(0) as i64
    };
    result(smallest.shape(), (0..smallest.size()).map(first).collect())
}
