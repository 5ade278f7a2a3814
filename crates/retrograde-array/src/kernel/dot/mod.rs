//! Matrix products in the one canonical order.
//!
//! Note [canonical product]: each output is the sum over `k` of `a[k] * b[k]`, cut into blocks of 256 terms. A block is a
//! chain of fused multiply-adds, `k` ascending, starting from `+0`; the total is the first block, then later blocks are added
//! ascending. No terms give `+0`. The tilings here change which outputs are computed together, never a chain.

mod thin;
mod tiled;

use super::{Level, Num, level};

/// Terms of one fma chain.
const BLOCK: usize = 256;

/// Products below this many multiplications are not worth copying a factor for.
const SMALL: usize = 32 * 1024;

/// A matrix in memory: entry `(i, j)` lies at `i * row + j * column`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a, T> Matrix<'a, T> {
    fn transposed(self) -> Matrix<'a, T> {
        Matrix { data: self.data, row: self.column, column: self.row }
    }
}

/// Product of an `[m, k]` and a `[k, n]` matrix into `out`, row-major `[m, n]` and zero on entry.
pub(crate) fn dot<T: Num>(a: Matrix<'_, T>, b: Matrix<'_, T>, [m, k, n]: [usize; 3], out: &mut [T]) {
    // With one row or one column the output has one layout, and the factors may change places (multiplication commutes).
    if n == 1 && a.column == 1 {
        thin::rows_by_vector(a, b, m, k, out);
    } else if m == 1 && b.row == 1 {
        thin::rows_by_vector(b.transposed(), a.transposed(), n, k, out);
    } else if n == 1 && a.row == 1 {
        thin::by_rows(b.transposed(), a.transposed(), 1, k, m, out);
    } else if b.column == 1 && (m == 1 || m * k * n <= SMALL) {
        thin::by_rows(a, b, m, k, n, out);
    } else {
        // Tiles that fill the registers: 8 x 2 of 32 wide ones, or 4 x 2 of 16 narrow ones.
        match (level(), T::LANES) {
            (Level::Avx512, 16) => tiled::product::<T, 32, 16, 8>(a, b, m, k, n, out),
            (Level::Avx512, _) => tiled::product::<T, 16, 8, 8>(a, b, m, k, n, out),
            (_, 16) => tiled::product::<T, 16, 8, 4>(a, b, m, k, n, out),
            (_, _) => tiled::product::<T, 8, 4, 4>(a, b, m, k, n, out),
        }
    }
}

/// Puts a block's sums where they belong: the first block is the total so far.
#[inline(always)]
fn accumulate<T: Num>(out: &mut [T], sums: &[T], first: bool) {
    for (out, &sum) in out.iter_mut().zip(sums) {
        *out = if first { sum } else { out.plus(sum) };
    }
}
