//! The order of entries along an axis.

use std::cmp::Ordering;

use crate::{Array, DType, Element};

use super::elementwise::result;
use super::{bug, each_num, values};

/// Positions (`i64`) of the entries along `axis` in ascending or descending order. Equal entries keep their order, `-0` equals
/// `+0`, NaN counts as the largest.
///
/// # Panics
/// When the axis is outside the shape or the dtype is `bool`: internal misuse.
///
/// # Cost
/// About n log₂ n comparisons for each lane of n entries (merge sort).
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([2.0, f64::NAN, 1.0, 2.0]);
/// assert_eq!(ops::argsort(&x, 0, false), array([2_i64, 0, 3, 1]));
/// assert_eq!(ops::argsort(&x, 0, true), array([1_i64, 0, 3, 2]));
/// ```
pub fn argsort(a: &Array, axis: usize, descending: bool) -> Array {
    if axis >= a.rank() {
        bug(&format!("sorting shape {} along axis {axis}", a.shape()));
    }
    if a.dtype() == DType::BF16 {
        return argsort(&super::convert(a, DType::F32), axis, descending);
    }
    each_num!(a.dtype(), "argsort", T => argsort_typed::<T>(a, axis, descending))
}

fn argsort_typed<T: Element + PartialOrd>(a: &Array, axis: usize, descending: bool) -> Array {
    let x = values::<T>(a);
    let n = a.shape()[axis];
    let inner: usize = a.shape()[axis + 1..].iter().product();
    let outer: usize = a.shape()[..axis].iter().product();
    let mut out = vec![0_i64; x.len()];
    let mut order: Vec<usize> = Vec::with_capacity(n);
    for o in 0..outer {
        for c in 0..inner {
            let at = |k: usize| (o * n + k) * inner + c;
            order.clear();
            order.extend(0..n);
            order.sort_by(|&i, &j| {
                let ascending = total_order(x[at(i)], x[at(j)]);
                if descending { ascending.reverse() } else { ascending }
            });
            order.iter().enumerate().for_each(|(k, &i)| out[at(k)] = i as i64);
        }
    }
    result(a.shape(), out)
}

/// Numbers in their order, all NaNs equal and above them.
fn total_order<T: PartialOrd>(x: T, y: T) -> Ordering {
    let is_nan = |x: &T| x.partial_cmp(x).is_none();
    x.partial_cmp(&y).unwrap_or_else(|| is_nan(&x).cmp(&is_nan(&y)))
}
