//! One tile of a product: so few sums that they stay in registers while all terms of a block are added.

use super::vector::Vector;
use crate::kernel::Num;

/// Entries `(i, k)` of a left factor, `i * row + k * column` further.
#[derive(Clone, Copy)]
pub(crate) struct Left<T> {
    pub(super) data: *const T,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Rows of sums and where their factors are.
#[derive(Clone, Copy)]
pub(crate) struct Tiles<T> {
    /// Terms.
    pub(super) len: usize,
    /// The left factor as it lies, or packed in groups of rows: a group of `height` rows from row `i` on starts at
    /// `i * len`, with entry `(i + r, k)` at `k * height + r`.
    pub(super) left: Left<T>,
    pub(super) is_packed: bool,
    /// Entry `(k, j)` of the right factor lies `k * right_row + j` further.
    pub(super) right: *const T,
    pub(super) right_row: usize,
    /// Output `(i, j)` lies `i * out_row + j` further.
    pub(super) out: *mut T,
    pub(super) out_row: usize,
    /// Columns: at least one, at most three registers.
    pub(super) width: usize,
    /// Whether the sums are the total so far, or are added to it.
    pub(super) first: bool,
}

impl<T: Num> Tiles<T> {
    /// Sums of `rows` rows, in tiles of at most `R`.
    ///
    /// # Safety
    /// The machine has the instructions of `V`, and all entries that the fields name lie inside their allocations.
    #[inline(always)]
    pub(super) unsafe fn multiply<V: Vector<Entry = T>, const R: usize>(self, rows: usize) {
        let n_registers = self.width.div_ceil(V::LANES);
        let mut i = 0;
        while i < rows {
            let height = height(R, rows - i);
            let left = if self.is_packed {
                Left { data: self.left.data.wrapping_add(i * self.len), row: 1, column: height }
            } else {
                Left { data: self.left.data.wrapping_add(i * self.left.row), ..self.left }
            };
            let tile = Tiles { left, out: self.out.wrapping_add(i * self.out_row), ..self };
            // SAFETY: there are `height` rows from `i` on; the rest as promised.
            unsafe {
                match (height, n_registers) {
                    (8, 3) if R == 8 => tile.one::<V, 8, 3>(),
                    (8, 2) if R == 8 => tile.one::<V, 8, 2>(),
                    (8, _) if R == 8 => tile.one::<V, 8, 1>(),
                    (4, 3) => tile.one::<V, 4, 3>(),
                    (4, 2) => tile.one::<V, 4, 2>(),
                    (4, _) => tile.one::<V, 4, 1>(),
                    (2, 3) => tile.one::<V, 2, 3>(),
                    (2, 2) => tile.one::<V, 2, 2>(),
                    (2, _) => tile.one::<V, 2, 1>(),
                    (_, 3) => tile.one::<V, 1, 3>(),
                    (_, 2) => tile.one::<V, 1, 2>(),
                    (_, _) => tile.one::<V, 1, 1>(),
                }
            }
            i += height;
        }
    }

    /// `R` rows by `C` registers, of which the last may be used in part.
    ///
    /// # Safety
    /// As for [`Tiles::multiply`].
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "sums at constant places after unrolling, so in registers")]
    unsafe fn one<V: Vector<Entry = T>, const R: usize, const C: usize>(self) {
        let Tiles { len, left, mut right, right_row, out, out_row, width, first, .. } = self;
        let mut a = left.data;
        // SAFETY: the caller promises the instructions and the places; the mask ends with the last column.
        unsafe {
            let mask = V::lanes(0, width - (C - 1) * V::LANES);
            let mut sums = [[V::splat(T::ZERO); C]; R];
            for _ in 0..len {
                let mut b = [V::load_masked(right.add((C - 1) * V::LANES), mask); C];
                for c in 0..C - 1 {
                    b[c] = V::load(right.add(c * V::LANES));
                }
                for r in 0..R {
                    let factor = V::splat(*a.add(r * left.row));
                    for c in 0..C {
                        sums[r][c] = factor.fma(b[c], sums[r][c]);
                    }
                }
                a = a.wrapping_add(left.column);
                right = right.wrapping_add(right_row);
            }
            for (r, sums) in sums.iter().enumerate() {
                let row = out.add(r * out_row);
                for (c, &sum) in sums.iter().enumerate() {
                    let at = row.add(c * V::LANES);
                    if c + 1 < C {
                        let total = if first { sum } else { V::load(at).plus(sum) };
                        total.store(at);
                    } else {
                        let total = if first { sum } else { V::load_masked(at, mask).plus(sum) };
                        total.store_masked(at, mask);
                    }
                }
            }
        }
    }
}

/// Rows of the next tile: `most` (4 or 8) or the largest power of two that is left.
#[inline(always)]
pub(super) fn height(most: usize, left: usize) -> usize {
    if left >= most {
        most
    } else if left >= 4 {
        4
    } else if left >= 2 {
        2
    } else {
        1
    }
}
