//! Batches row by row and in parts, so that memory does not grow with their length.

use std::ops::Range;

use retrograde_array::{Array, ops};
use retrograde_core::trace::Tree;
use retrograde_core::trace::function::Traceable;

use super::error::Cause;
use crate::curvature::arrays;

/// Numbers that are held at once beside the parameters, unless a single row takes more: 8 MiB of `f64`.
pub(super) const NUMBERS_AT_ONCE: usize = 1 << 20;

/// How many rows a batch has.
pub(super) fn count<T: Tree<Leaf = Array>>(batch: &T, what: &'static str) -> Result<usize, Cause> {
    let lengths: Vec<Option<usize>> =
        arrays(batch).iter().map(|leaf| leaf.shape().first().copied()).collect();
    match lengths.first() {
        None | Some(Some(0)) => Err(Cause::Empty { what }),
        Some(Some(n)) if lengths.iter().all(|other| *other == Some(*n)) => Ok(*n),
        Some(_) => {
            let name = |n: &Option<usize>| n.map_or("no".into(), |n| n.to_string());
            Err(Cause::Uneven { what, found: lengths.iter().map(name).collect::<Vec<_>>().join(", ") })
        }
    }
}

/// Some rows in a row; a view where that is possible.
pub(super) fn part<B: Traceable>(batch: &B::Arrays, rows: Range<usize>) -> B::Arrays {
    B::map_arrays(batch, &mut |leaf| {
        let (mut starts, mut limits) = (vec![0; leaf.rank()], leaf.shape().to_vec());
        (starts[0], limits[0]) = (rows.start, rows.end);
        ops::slice(leaf, &starts, &limits, &vec![1; leaf.rank()])
    })
}

/// `0..n` in parts of `size`, the last one smaller.
pub(super) fn parts(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(size.max(1)).map(move |start| start..n.min(start + size.max(1)))
}
