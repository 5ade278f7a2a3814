//! How an array lies in a buffer that it shares with others.
//!
//! Note [views]: an array is a whole buffer in row-major order, or a *view*: places of a buffer given by an offset and one
//! stride per axis. Transposes, slices, broadcasts and reversals of many entries are views, made without touching an entry.
//! Whatever needs the entries one after another asks for a slice, for which a scattered view is copied once and
//! remembers the copy; so every operation sees the same entries in the same order, and results cannot depend on storage.
//! Arrays of few entries are copied at once: that is as quick, and keeps no larger buffer alive.

use std::sync::OnceLock;

use crate::data::{data, each_data};
use crate::ops::strided::{Axis, View, read};
use crate::{Data, Shape};

/// Arrays of at most this many entries are never views.
pub(crate) const COPIED: usize = 256;

/// The places of a view: entry `(i, j, ..)` lies at `offset + i * strides[0] + j * strides[1] + ..`.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) offset: usize,
    pub(crate) strides: Vec<isize>,
    /// The entries lie one after another, from `offset` on.
    pub(crate) is_contiguous: bool,
    /// The entries in row-major order, once somebody asked for them.
    packed: OnceLock<Data>,
}

impl Layout {
    pub(crate) fn new(shape: &Shape, offset: usize, strides: Vec<isize>) -> Layout {
        let is_contiguous = axes(shape, &strides).is_contiguous();
        Layout { offset, strides, is_contiguous, packed: OnceLock::new() }
    }

    /// The entries of a view of `buffer` in row-major order, copied at the first call.
    pub(crate) fn packed(&self, buffer: &Data, shape: &Shape) -> &Data {
        self.packed.get_or_init(|| pack(buffer, shape, self.offset, &self.strides))
    }

    /// The same, not remembered.
    pub(crate) fn copied(&self, buffer: &Data, shape: &Shape) -> Data {
        match self.packed.get() {
            Some(packed) => packed.clone(),
            None => pack(buffer, shape, self.offset, &self.strides),
        }
    }

    /// Where the entry at a row-major position lies.
    pub(crate) fn place(&self, shape: &Shape, mut position: usize) -> usize {
        let mut place = self.offset;
        for (&len, &stride) in shape.iter().zip(&self.strides).rev() {
            place = place.wrapping_add_signed((position % len) as isize * stride);
            position /= len;
        }
        place
    }
}

/// The entries of a view in row-major order.
pub(crate) fn pack(buffer: &Data, shape: &Shape, offset: usize, strides: &[isize]) -> Data {
    let view = axes(shape, strides);
    each_data!(buffer, values => data(read(values, offset, &view, shape.size())))
}

fn axes(shape: &Shape, strides: &[isize]) -> View {
    View::new(shape.iter().zip(strides).map(|(&len, &stride)| Axis { len, stride }))
}
