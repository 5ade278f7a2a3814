//! Arrays one after another.

use crate::{Array, Element, Shape};

use super::elementwise::result;
use super::{bug, each_dtype, values};

/// Joins arrays along an existing axis.
///
/// # Panics
/// When there are none, or dtypes or other axes differ: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::concat(&[&array([[1], [2]]), &array([[3], [4]])], 1), array([[1, 3], [2, 4]]));
/// assert_eq!(ops::concat(&[&array([1]), &array([0; 0]), &array([2, 3])], 0), array([1, 2, 3]));
/// ```
pub fn concat(arrays: &[&Array], axis: usize) -> Array {
    let Some(first) = arrays.first() else { bug("concat of nothing") };
    let fits = axis < first.rank()
        && arrays.iter().all(|a| {
            a.dtype() == first.dtype()
                && a.rank() == first.rank()
                && a.shape()[..axis] == first.shape()[..axis]
                && a.shape()[axis + 1..] == first.shape()[axis + 1..]
        });
    if !fits {
        bug(&format!("concat of {arrays:?} along axis {axis}"));
    }
    let mut shape = first.shape().clone();
    shape[axis] = arrays.iter().map(|a| a.shape()[axis]).sum();
    each_dtype!(first.dtype(), T => concat_typed::<T>(arrays, axis, &shape))
}

fn concat_typed<T: Element>(arrays: &[&Array], axis: usize, shape: &Shape) -> Array {
    let outer: usize = shape[..axis].iter().product();
    let mut out = Vec::with_capacity(shape.size());
    for i in 0..outer {
        for a in arrays {
            let x = values::<T>(a);
            let run = x.len() / outer;
            out.extend_from_slice(&x[i * run..(i + 1) * run]);
        }
    }
    result(shape, out)
}
