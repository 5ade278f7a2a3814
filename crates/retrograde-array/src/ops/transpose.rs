//! The same entries under other axes.

use crate::{Array, Shape};

use super::elementwise::result;
use super::strided::{self, Axis, View};
use super::{bug, each_dtype, values};

/// The same entries in row-major order under another shape; shares the buffer.
///
/// # Panics
/// When the sizes differ: internal misuse.
pub fn reshape(a: &Array, shape: &Shape) -> Array {
    a.reshaped(shape).unwrap_or_else(|error| bug(&error.to_string()))
}

/// Permutes axes: output axis `i` is input axis `perm[i]`.
///
/// # Panics
/// When `perm` is not a permutation of the axes: internal misuse.
pub fn transpose(a: &Array, perm: &[usize]) -> Array {
    let fits = perm.len() == a.rank()
        && perm.iter().enumerate().all(|(i, &axis)| axis < a.rank() && !perm[..i].contains(&axis));
    if !fits {
        bug(&format!("transpose of shape {} by {perm:?}", a.shape()));
    }
    let view = View::new(
        perm.iter()
            .map(|&axis| Axis { len: a.shape()[axis], stride: a.shape()[axis + 1..].iter().product() }),
    );
    let shape: Shape = perm.iter().map(|&axis| a.shape()[axis]).collect();
    if view.is_contiguous() {
        return reshape(a, &shape);
    }
    each_dtype!(a.dtype(), T => {
        let x = values::<T>(a);
        result(&shape, strided::read(x, 0, &view, x.len()))
    })
}
