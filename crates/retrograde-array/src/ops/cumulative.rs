//! Sums, products and linear recurrences along an axis, sequentially in index order.

use crate::kernel::Num;
use crate::{Array, DType};

use super::bf16::in_f32;
use super::elementwise::result;
use super::{bug, each_num, values};

/// Calls `step(before, here)` with the positions of every pair of neighbours along `axis`, the pairs of a lane in order.
fn each_step(a: &Array, axis: usize, reverse: bool, mut step: impl FnMut(usize, usize)) {
    if axis >= a.rank() {
        bug(&format!("cumulation of shape {} along axis {axis}", a.shape()));
    }
    let n = a.shape()[axis];
    let inner: usize = a.shape()[axis + 1..].iter().product();
    let outer: usize = a.shape()[..axis].iter().product();
    for o in 0..outer {
        for i in 1..n {
            let (before, here) = if reverse { (n - i, n - i - 1) } else { (i - 1, i) };
            let (before, here) = ((o * n + before) * inner, (o * n + here) * inner);
            (0..inner).for_each(|c| step(before + c, here + c));
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
    each_num!(a.dtype(), "cumsum", T => {
        let mut out = values::<T>(a).to_vec();
        each_step(a, axis, reverse, |before, here| out[here] = out[before].plus(out[here]));
        result(a.shape(), out)
    })
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
    each_num!(a.dtype(), "cumprod", T => {
        let mut out = values::<T>(a).to_vec();
        each_step(a, axis, reverse, |before, here| out[here] = out[before].times(out[here]));
        result(a.shape(), out)
    })
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
    if a.shape() != b.shape() {
        bug(&format!("shapes {} and {} of one recurrence", a.shape(), b.shape()));
    }
    if a.dtype() == DType::BF16 {
        return in_f32([a, b], |[a, b]| recurrence(a, b, axis, reverse));
    }
    each_num!(a.dtype(), "recurrence", T => {
        let (a_values, mut out) = (values::<T>(a), values::<T>(b).to_vec());
        each_step(a, axis, reverse, |before, here| out[here] = a_values[here].fma(out[before], out[here]));
        result(a.shape(), out)
    })
}
