//! Cuts an iteration space into tiles.

use super::View;
use crate::kernel::tile::Nest;

/// The axes of an iteration space, with the strides of each view of it: no axis of length 1, neighbours merged where that
/// serves all views. Each view's strides are in a row of its own.
pub(super) struct Axes {
    pub(super) lens: Vec<usize>,
    pub(super) strides: Vec<Vec<isize>>,
}

impl Axes {
    /// Axes on both sides of a break stay apart: a break is the index of the axis behind it.
    pub(super) fn new(shape: &[usize], views: &[&View], breaks: &[usize]) -> Axes {
        let mut axes = Axes { lens: vec![], strides: vec![vec![]; views.len()] };
        let mut before = 0;
        for (axis, &len) in shape.iter().enumerate().filter(|&(_, &len)| len != 1) {
            let of = |view: &View| view.strides()[axis];
            let parts = breaks.iter().any(|&at| before < at && at <= axis);
            before = axis;
            let merges = !axes.lens.is_empty()
                && !parts
                && axes
                    .strides
                    .iter()
                    .zip(views)
                    .all(|(own, view)| own.last() == Some(&(of(view) * len as isize)));
            if merges {
                let last = axes.lens.len() - 1;
                axes.lens[last] *= len;
                axes.strides.iter_mut().zip(views).for_each(|(own, view)| own[last] = of(view));
            } else {
                axes.lens.push(len);
                axes.strides.iter_mut().zip(views).for_each(|(own, view)| own.push(of(view)));
            }
        }
        axes
    }

    /// Tiles of at most about `most` entries: whole inner axes, and a block of rows of the one before them.
    pub(super) fn nest(&self, most: usize) -> Nest {
        let mut split = self.lens.len();
        let mut inner = 1;
        while split > 0 && inner * self.lens[split - 1] <= most {
            split -= 1;
            inner *= self.lens[split];
        }
        if split == 0 {
            return Nest { outer: vec![], rows: 1, block: 1, inner };
        }
        let rows = self.lens[split - 1];
        let most = (most / inner).max(1);
        // Blocks of about one size, of round numbers of entries where they can be.
        let even = rows.div_ceil(rows.div_ceil(most));
        let unit = (1..=16).find(|unit| unit * inner % 16 == 0).unwrap_or(1);
        let round = even.next_multiple_of(unit);
        let block = if round <= most { round } else { (even / unit * unit).max(even.min(unit)) };
        Nest { outer: self.lens[..split - 1].to_vec(), rows, block, inner }
    }

    /// For the view of that row: the strides along the outer axes of the nest, and where the entries of a tile lie, from its
    /// first on.
    pub(super) fn tile(&self, row: usize, nest: &Nest) -> (Vec<isize>, Vec<isize>) {
        let strides = &self.strides[row];
        let split = nest.outer.len();
        if self.lens.is_empty() || (nest.rows == 1 && nest.block == 1) {
            return (vec![0], places(&self.lens, strides));
        }
        let mut outer = strides[..=split].to_vec();
        outer[split] *= nest.block as isize;
        let mut lens = self.lens[split..].to_vec();
        lens[0] = nest.block.min(nest.rows);
        (outer, places(&lens, &strides[split..]))
    }
}

fn places(lens: &[usize], strides: &[isize]) -> Vec<isize> {
    let mut places = vec![0];
    for (&len, stride) in lens.iter().zip(strides) {
        places = places.iter().flat_map(|place| (0..len as isize).map(move |i| place + i * stride)).collect();
    }
    places
}
