//! Arrays one after another.

use crate::{Array, Element};

use super::dot::whole_mut;
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
    let mut shape = first.shape().clone();
    if axis < shape.rank() {
        shape[axis] = arrays.iter().map(|a| a.shape().get(axis).copied().unwrap_or(0)).sum();
    }
    let mut out = Array::zeros(first.dtype(), shape);
    concat_into(arrays, axis, &mut out);
    out
}

/// [`concat`] into an array of the shape and dtype of the result that shares its memory with no other.
///
/// # Panics
/// When dtypes or axes do not fit: internal misuse.
///
/// ```
/// use retrograde_array::{DType, Array, array, ops};
/// let mut out = Array::zeros(DType::F64, [3]);
/// ops::concat_into(&[&array([1.0]), &array([2.0, 3.0])], 0, &mut out);
/// assert_eq!(out, array([1.0, 2.0, 3.0]));
/// ```
pub fn concat_into(arrays: &[&Array], axis: usize, out: &mut Array) {
    let shape = out.shape();
    let fits = axis < shape.rank()
        && arrays.iter().map(|a| a.shape().get(axis).copied().unwrap_or(0)).sum::<usize>() == shape[axis]
        && arrays.iter().all(|a| {
            a.dtype() == out.dtype()
                && a.rank() == shape.rank()
                && a.shape()[..axis] == shape[..axis]
                && a.shape()[axis + 1..] == shape[axis + 1..]
        });
    if !fits {
        bug(&format!("concat of {arrays:?} along axis {axis} to shape {shape}"));
    }
    let outer: usize = shape[..axis].iter().product();
    each_dtype!(out.dtype(), T => concat_typed::<T>(arrays, outer, out));
}

fn concat_typed<T: Element>(arrays: &[&Array], outer: usize, out: &mut Array) {
    let mut rest = whole_mut::<T>(out);
    for i in 0..outer {
        for a in arrays {
            let x = values::<T>(a);
            let run = x.len() / outer;
            let (here, after) = rest.split_at_mut(run);
            here.copy_from_slice(&x[i * run..(i + 1) * run]);
            rest = after;
        }
    }
}
