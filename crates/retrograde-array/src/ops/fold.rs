//! Sums, products, extremes and alternatives over axes.

use crate::kernel::{self, Alone, Num, Scratch, Workers};
use crate::{Array, DType, Shape};

use super::bf16::in_f32;
use super::dot::values_mut;
use super::elementwise::result;
use super::piecewise::Pieces;
use super::{bug, each_num, transpose, values};

/// What a [`Reduction`] makes of the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fold {
    /// [`sum`](super::sum())
    Sum,
    /// [`prod`]
    Product,
    /// [`reduce_max`]
    Largest,
    /// [`reduce_min`]
    Smallest,
}

/// A reduction of an array of known shape into an array that is there already.
///
/// ```
/// use retrograde_array::{Alone, Array, DType, Scratch, array, ops::{Fold, Reduction}};
/// let x = array([[1.0, 2.0], [3.0, 4.0]]);
/// let reduction = Reduction::new(Fold::Largest, x.shape(), &[0]);
/// let mut out = Array::zeros(DType::F64, reduction.shape().clone());
/// reduction.run(&x, &mut out, &Alone, &mut Scratch::default());
/// assert_eq!(out, array([3.0, 4.0]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reduction {
    fold: Fold,
    shape: Shape,
    operand: Shape,
    /// The axes that are kept, then those that disappear.
    order: Vec<usize>,
    /// Entries of one result, and of the axes after the last that disappears if these are neighbours.
    n: usize,
    inner: Option<usize>,
}

impl Reduction {
    /// The reduction of an array of this shape over `axes`, which disappear.
    ///
    /// # Panics
    /// When an axis is repeated or outside the shape, or there is no largest or smallest entry: internal misuse.
    pub fn new(fold: Fold, operand: &Shape, axes: &[usize]) -> Reduction {
        let rank = operand.rank();
        if axes.iter().enumerate().any(|(i, &axis)| axis >= rank || axes[..i].contains(&axis)) {
            bug(&format!("{fold:?} of shape {operand} over axes {axes:?}"));
        }
        let n: usize = axes.iter().map(|&axis| operand[axis]).product();
        if n == 0 && matches!(fold, Fold::Largest | Fold::Smallest) {
            bug(&format!("{fold:?} entry of shape {operand} over axes {axes:?}"));
        }
        let (kept, reduced): (Vec<usize>, Vec<usize>) = (0..rank).partition(|axis| !axes.contains(axis));
        let inner = match (reduced.first(), reduced.last()) {
            (Some(first), Some(last)) if last - first + 1 == reduced.len() => {
                Some(operand[last + 1..].iter().product())
            }
            (None, None) => Some(1),
            _ => None,
        };
        let shape = kept.iter().map(|&axis| operand[axis]).collect();
        Reduction { fold, shape, operand: operand.clone(), order: [kept, reduced].concat(), n, inner }
    }

    /// The shape of the result.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Writes the result to `out`, an array of its shape that shares its memory with no other.
    ///
    /// # Panics
    /// When shapes or dtypes do not fit, or the dtype is `bool` or `bf16`: internal misuse.
    pub fn run(&self, a: &Array, out: &mut Array, workers: &dyn Workers, scratch: &mut Scratch) {
        if *a.shape() != self.operand {
            bug(&format!("{:?} of shape {} instead of {}", self.fold, a.shape(), self.operand));
        }
        each_num!(out.dtype(), "reduction", T => {
            let out = values_mut::<T>(out, &self.shape);
            match self.fold {
                Fold::Sum => self.fold_num(a, T::ZERO, |x: T, y| x.plus(y), out, workers, scratch),
                Fold::Product => self.fold_num(a, T::ONE, |x: T, y| x.times(y), out, workers, scratch),
                Fold::Largest => self.fold_num(a, T::ZERO, |x: T, y| x.larger(y), out, workers, scratch),
                Fold::Smallest => self.fold_num(a, T::ZERO, |x: T, y| x.smaller(y), out, workers, scratch),
            }
        });
    }

    fn fold_num<T: Num>(
        &self,
        a: &Array,
        empty: T,
        f: impl Fn(T, T) -> T + Copy + Sync,
        out: &mut [T],
        workers: &dyn Workers,
        scratch: &mut Scratch,
    ) {
        match T::LANES {
            16 => self.fold::<T, 16>(a, empty, f, out, workers, scratch),
            _ => self.fold::<T, 8>(a, empty, f, out, workers, scratch),
        }
    }

    fn fold<T: Num, const L: usize>(
        &self,
        a: &Array,
        empty: T,
        f: impl Fn(T, T) -> T + Copy + Sync,
        out: &mut [T],
        workers: &dyn Workers,
        scratch: &mut Scratch,
    ) {
        let n = self.n;
        if n == 0 {
            out.fill(empty);
            return;
        }
        let cost = n * out.len();
        match self.inner {
            Some(inner) if inner != 1 && a.is_contiguous() => {
                let x = values::<T>(a);
                kernel::chunked(out, 1, cost, workers, |start, mut out| {
                    let mut at = start;
                    while !out.is_empty() {
                        let (o, column) = (at / inner, at % inner);
                        let (some, rest) = out.split_at_mut((inner - column).min(out.len()));
                        let x = &x[o * n * inner..(o + 1) * n * inner];
                        kernel::fold_middle::<T, _, L>(x, inner, column, f, some);
                        at += some.len();
                        out = rest;
                    }
                });
            }
            inner => {
                let rows = |x: &[T], out: &mut [T]| {
                    kernel::chunked(out, 1, cost, workers, |start, out| {
                        kernel::fold_inner::<T, _, L>(&x[start * n..(start + out.len()) * n], n, f, out);
                    });
                };
                if inner == Some(1) && a.is_contiguous() {
                    rows(values(a), out);
                } else {
                    scratch.with_unordered::<T>(cost, |x, _| {
                        a.read_into(self.order.iter().copied(), x);
                        rows(x, out);
                    });
                }
            }
        }
    }
}

/// The reduction into a new array; `bf16` in `f32`.
pub(super) fn reduce(fold: Fold, a: &Array, axes: &[usize]) -> Array {
    let reduction = Reduction::new(fold, a.shape(), axes);
    if axes.is_empty() {
        return a.clone();
    }
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| reduce(fold, a, axes));
    }
    let mut out = Array::zeros(a.dtype(), reduction.shape.clone());
    reduction.run(a, &mut out, &Alone, &mut Scratch::default());
    out
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
    reduce(Fold::Product, a, axes)
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
    reduce(Fold::Largest, a, axes)
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
    reduce(Fold::Smallest, a, axes)
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
    let rank = a.rank();
    if axes.iter().enumerate().any(|(i, &axis)| axis >= rank || axes[..i].contains(&axis)) {
        bug(&format!("alternatives of shape {} over axes {axes:?}", a.shape()));
    }
    let (kept, reduced): (Vec<usize>, Vec<usize>) = (0..rank).partition(|axis| !axes.contains(axis));
    let shape: Shape = kept.iter().map(|&axis| a.shape()[axis]).collect();
    let n: usize = reduced.iter().map(|&axis| a.shape()[axis]).product();
    let rows = transpose(a, &[kept, reduced].concat());
    let mut out = vec![false; shape.size()];
    if n > 0 {
        let rows = values::<bool>(&rows).chunks_exact(n);
        out.iter_mut().zip(rows).for_each(|(out, row)| *out = row.contains(&true));
    }
    result(&shape, out)
}
