//! Sums, products and linear recurrences along an axis, sequentially in index order.

use crate::Array;
use crate::kernel::Num;

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
pub fn cumsum(a: &Array, axis: usize, reverse: bool) -> Array {
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
pub fn cumprod(a: &Array, axis: usize, reverse: bool) -> Array {
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
pub fn recurrence(a: &Array, b: &Array, axis: usize, reverse: bool) -> Array {
    if a.shape() != b.shape() {
        bug(&format!("shapes {} and {} of one recurrence", a.shape(), b.shape()));
    }
    each_num!(a.dtype(), "recurrence", T => {
        let (a_values, mut out) = (values::<T>(a), values::<T>(b).to_vec());
        each_step(a, axis, reverse, |before, here| out[here] = a_values[here].fma(out[before], out[here]));
        result(a.shape(), out)
    })
}
