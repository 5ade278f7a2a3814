//! Repetition along new axes.

use crate::{Array, Element, Shape};

use super::elementwise::result;
use super::strided::{self, Axis, View};
use super::{bug, each_dtype, values};

/// An array of shape `shape` in which operand axis `i` is output axis `axes[i]` and every other output axis repeats.
///
/// # Panics
/// When `axes` does not name one distinct output axis of the same length per operand axis: internal misuse.
pub fn broadcast(a: &Array, shape: &Shape, axes: &[usize]) -> Array {
    let fits = axes.len() == a.rank()
        && axes.iter().enumerate().all(|(i, &axis)| {
            axis < shape.rank() && shape[axis] == a.shape()[i] && !axes[..i].contains(&axis)
        });
    if !fits {
        bug(&format!("broadcast of shape {} to {shape} along axes {axes:?}", a.shape()));
    }
    if a.shape() == shape && axes.is_sorted() {
        return a.clone();
    }
    each_dtype!(a.dtype(), T => broadcast_typed::<T>(a, shape, axes))
}

fn broadcast_typed<T: Element>(a: &Array, shape: &Shape, axes: &[usize]) -> Array {
    let x = values::<T>(a);
    let size = shape.size();
    if a.rank() == 0 {
        return result(shape, vec![x[0]; size]);
    }
    let view = View::new(shape.iter().enumerate().map(|(out_axis, &len)| {
        let stride = match axes.iter().position(|&axis| axis == out_axis) {
            Some(i) => a.shape()[i + 1..].iter().product(),
            None => 0,
        };
        Axis { len, stride }
    }));
    result(shape, strided::read(x, 0, &view, size))
}
