//! The same entries under other axes.

use crate::{Array, Shape};

use super::bug;

/// The same entries in row-major order under another shape; shares the buffer where it can.
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
    let strides = a.strides();
    let shape: Shape = perm.iter().map(|&axis| a.shape()[axis]).collect();
    a.view(shape, a.offset(), perm.iter().map(|&axis| strides[axis]).collect())
}
