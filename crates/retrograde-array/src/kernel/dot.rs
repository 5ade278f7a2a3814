//! Matrix products in the one canonical order.
//!
//! Note [canonical product]: each output is the sum over `k` of `a[k] * b[k]`, cut into blocks of 256 terms. A block is a
//! chain of fused multiply-adds, `k` ascending, starting from `+0`; the total is the first block, then later blocks are added
//! ascending. No terms give `+0`. The tiling below changes which outputs are computed together, never a chain.

use super::{Num, dispatch};

/// Terms of one fma chain.
const BLOCK: usize = 256;
/// Rows computed together.
const ROWS: usize = 4;
/// Rows computed together when there is a single column.
const TALL: usize = 8;

/// Where entry `(i, j)` of a matrix lies: at `i * row + j * column`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// Product of an `[m, k]` and a `[k, n]` matrix into `out`, row-major `[m, n]` and zero on entry.
pub(crate) fn dot<T: Num>(a: &[T], sa: Strides, b: &[T], sb: Strides, [m, k, n]: [usize; 3], out: &mut [T]) {
    // With one row or one column the output has one layout and the roles may be swapped to read along memory.
    let one_row_down_columns = m == 1 && n > 1 && sb.column != 1;
    let one_column_along_rows = n == 1 && m > 1 && sa.row == 1;
    let (a, sa, b, sb, m, n) = if one_row_down_columns || one_column_along_rows {
        let flip = |s: Strides| Strides { row: s.column, column: s.row };
        (b, flip(sb), a, flip(sa), n, m)
    } else {
        (a, sa, b, sb, m, n)
    };
    if T::LANES == 16 {
        matrix::<T, 32>(a, sa, b, sb, m, k, n, out);
    } else {
        matrix::<T, 16>(a, sa, b, sb, m, k, n, out);
    }
}

dispatch! {
    /// The product by panels of `W` columns.
    pub(crate) fn matrix [T: Num, const W: usize] [T, W]
        (a: &[T], sa: Strides, b: &[T], sb: Strides, m: usize, k: usize, n: usize, out: &mut [T]) {
        let mut panel = Vec::new();
        let mut k0 = 0;
        while k0 < k {
            let len = BLOCK.min(k - k0);
            let block = Block { a, sa, k0, len, m, n };
            let mut column = 0;
            while column < n {
                let left = n - column;
                if left == 1 {
                    block.panel::<1, TALL>(b, sb, column, 1, &mut panel, out);
                    column += 1;
                } else if left <= 4 {
                    block.panel::<4, ROWS>(b, sb, column, left, &mut panel, out);
                    column += left;
                } else {
                    let width = left.min(W);
                    block.panel::<W, ROWS>(b, sb, column, width, &mut panel, out);
                    column += width;
                }
            }
            k0 += len;
        }
    }
}

/// The left factor and one block of `k`.
struct Block<'a, T> {
    a: &'a [T],
    sa: Strides,
    k0: usize,
    len: usize,
    m: usize,
    n: usize,
}

impl<T: Num> Block<'_, T> {
    /// All rows of `width <= W` columns, `R` rows at a time.
    #[inline(always)]
    fn panel<const W: usize, const R: usize>(
        &self,
        b: &[T],
        sb: Strides,
        column: usize,
        width: usize,
        packed: &mut Vec<T>,
        out: &mut [T],
    ) {
        let start = self.k0 * sb.row + column * sb.column;
        // Copied to adjacent memory unless a row of the panel already is, and is read too rarely to pay for a copy.
        let direct = width == W && (sb.column == 1 || W == 1) && (self.m <= 2 * R || sb.row <= W);
        let (b, stride) = if direct {
            (&b[start..], sb.row)
        } else {
            packed.clear();
            packed.resize(self.len * W, T::ZERO);
            for (i, row) in packed.chunks_exact_mut(W).enumerate() {
                let from = start + i * sb.row;
                if sb.column == 1 {
                    row[..width].copy_from_slice(&b[from..from + width]);
                } else {
                    for (c, entry) in row[..width].iter_mut().enumerate() {
                        *entry = b[from + c * sb.column];
                    }
                }
            }
            (&packed[..], W)
        };
        let mut i = 0;
        while i + R <= self.m {
            self.tile::<W, R>(b, stride, i, column, width, out);
            i += R;
        }
        while i < self.m {
            self.tile::<W, 1>(b, stride, i, column, width, out);
            i += 1;
        }
    }

    /// `R` rows of `W` columns, of which the first `width` are kept.
    #[inline(always)]
    fn tile<const W: usize, const R: usize>(
        &self,
        b: &[T],
        stride: usize,
        i: usize,
        column: usize,
        width: usize,
        out: &mut [T],
    ) {
        let mut sums = [[T::ZERO; W]; R];
        let start = i * self.sa.row + self.k0 * self.sa.column;
        let rows: [&[T]; R] = std::array::from_fn(|r| &self.a[start + r * self.sa.row..]);
        for k in 0..self.len {
            let b: &[T; W] = b[k * stride..].first_chunk().expect("panel row; this is a bug in retrograde");
            for r in 0..R {
                let a = rows[r][k * self.sa.column];
                for c in 0..W {
                    sums[r][c] = a.fma(b[c], sums[r][c]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let at = (i + r) * self.n + column;
            for (out, &sum) in out[at..at + width].iter_mut().zip(sums) {
                *out = if self.k0 == 0 { sum } else { out.plus(sum) };
            }
        }
    }
}
