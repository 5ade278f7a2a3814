//! Sums, products and linear recurrences along an axis, sequentially in index order.

use crate::kernel::Num;
use crate::{Array, DType};

use super::bf16::in_f32;
use super::dot::whole_mut;
use super::{bug, each_num, values};

/// A sequential operation along an axis, into an array that is there already.
///
/// ```
/// use retrograde_array::{Array, DType, array, ops::Cumulation};
/// let mut out = Array::zeros(DType::F64, [3]);
/// Cumulation::Sum.run(&[&array([1.0, 2.0, 4.0])], 0, false, &mut out);
/// assert_eq!(out, array([1.0, 3.0, 7.0]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cumulation {
    /// [`cumsum`]
    Sum,
    /// [`cumprod`]
    Product,
    /// [`recurrence`], of two operands
    Recurrence,
}

impl Cumulation {
    /// Writes the result to `out`, an array of its shape and dtype that shares its memory with no other.
    ///
    /// # Panics
    /// When dtypes or shapes differ, the axis is outside the shape or the dtype is `bool` or `bf16`: internal misuse.
    pub fn run(self, operands: &[&Array], axis: usize, reverse: bool, out: &mut Array) {
        let n_operands = if self == Cumulation::Recurrence { 2 } else { 1 };
        let shape = out.shape();
        if axis >= shape.rank() || operands.len() != n_operands || operands.iter().any(|a| a.shape() != shape)
        {
            bug(&format!("{self:?} of {operands:?} along axis {axis} of shape {shape}"));
        }
        let (n, inner) = (shape[axis], shape[axis + 1..].iter().product());
        each_num!(out.dtype(), "cumulation", T => {
            let last = values::<T>(operands[n_operands - 1]);
            let out = whole_mut::<T>(out);
            out.copy_from_slice(last);
            match self {
                Cumulation::Sum => each_step(out, last, n, inner, reverse, |h, x: T, _| h.plus(x)),
                Cumulation::Product => each_step(out, last, n, inner, reverse, |h, x: T, _| h.times(x)),
                Cumulation::Recurrence => {
                    let a = values::<T>(operands[0]);
                    each_step(out, a, n, inner, reverse, |h, b: T, a: T| a.fma(h, b));
                }
            }
        });
    }

    fn fresh(self, operands: &[&Array], axis: usize, reverse: bool) -> Array {
        let mut out = Array::zeros(operands[0].dtype(), operands[0].shape().clone());
        self.run(operands, axis, reverse, &mut out);
        out
    }
}

/// Along an axis of `n` rows of `inner` entries, each entry of `out` from the one before, itself and that of `a`.
fn each_step<T: Num>(
    out: &mut [T],
    a: &[T],
    n: usize,
    inner: usize,
    reverse: bool,
    f: impl Fn(T, T, T) -> T,
) {
    if out.is_empty() {
        return;
    }
    for (out, a) in out.chunks_exact_mut(n * inner).zip(a.chunks_exact(n * inner)) {
        for i in 1..n {
            let (before, here) = if reverse { (n - i, n - i - 1) } else { (i - 1, i) };
            let (low, high) = out.split_at_mut(before.max(here) * inner);
            let (low, high) = (&mut low[before.min(here) * inner..], &mut high[..inner]);
            let (before, row) = if reverse { (high, low) } else { (low, high) };
            for ((here, &mut before), &a) in row.iter_mut().zip(before).zip(&a[here * inner..]) {
                *here = f(before, *here, a);
            }
        }
    }
}

/// Along `axis`, the sum of all entries up to each; from the end where `reverse` is set.
///
/// # Panics
/// When the axis is outside the shape or the dtype is `bool`: internal misuse.
///
/// # Cost
/// n - 1 additions along each lane, one after another.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([1.0, 2.0, 4.0]);
/// assert_eq!(ops::cumsum(&x, 0, false), array([1.0, 3.0, 7.0]));
/// assert_eq!(ops::cumsum(&x, 0, true), array([7.0, 6.0, 4.0]));
/// ```
pub fn cumsum(a: &Array, axis: usize, reverse: bool) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| cumsum(a, axis, reverse));
    }
    Cumulation::Sum.fresh(&[a], axis, reverse)
}

/// Along `axis`, the product of all entries up to each; from the end where `reverse` is set.
///
/// # Panics
/// When the axis is outside the shape or the dtype is `bool`: internal misuse.
///
/// # Cost
/// n - 1 multiplications along each lane, one after another.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::cumprod(&array([[1, 2], [3, 4]]), 0, false), array([[1, 2], [3, 8]]));
/// ```
pub fn cumprod(a: &Array, axis: usize, reverse: bool) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| cumprod(a, axis, reverse));
    }
    Cumulation::Product.fresh(&[a], axis, reverse)
}

/// Along `axis`, h with hᵢ = aᵢ hᵢ₋₁ + bᵢ, one rounding each, and the first h the first b; from the end where `reverse` is set.
///
/// # Panics
/// When dtypes or shapes differ, the axis is outside the shape or the dtype is `bool`: internal misuse.
///
/// # Cost
/// n - 1 fused multiply-adds along each lane, one after another.
///
/// ```
/// use retrograde_array::{array, ops};
/// let (a, b) = (array([9.0, 2.0, 3.0]), array([1.0, 1.0, 1.0]));
/// assert_eq!(ops::recurrence(&a, &b, 0, false), array([1.0, 3.0, 10.0]));
/// ```
pub fn recurrence(a: &Array, b: &Array, axis: usize, reverse: bool) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a, b], |[a, b]| recurrence(a, b, axis, reverse));
    }
    Cumulation::Recurrence.fresh(&[a, b], axis, reverse)
}
