//! Large products: both factors copied in pieces that fit the caches, in the order in which they are read.
//!
//! The method of Goto and van de Geijn (2008), Anatomy of high-performance matrix multiplication.

use super::{BLOCK, Matrix, accumulate};
use crate::kernel::{Num, dispatch};

/// Columns of the right factor copied at a time: with 256 terms at most 1 MiB.
const COLUMNS: usize = 512;
/// Rows of the left factor copied at a time: with 256 terms at most 256 KiB.
const ROWS: usize = 128;

dispatch! {
    /// The product by tiles of `R` rows and `W` columns, or `H` columns where fewer are left.
    pub(crate) fn product [T: Num, const W: usize, const H: usize, const R: usize] [T, W, H, R]
        (a: Matrix<'_, T>, b: Matrix<'_, T>, m: usize, k: usize, n: usize, out: &mut [T]) {
        let (mut packed_a, mut packed_b) = (Vec::new(), Vec::new());
        for k0 in (0..k).step_by(BLOCK) {
            let len = BLOCK.min(k - k0);
            for j0 in (0..n).step_by(COLUMNS) {
                let columns = COLUMNS.min(n - j0);
                packed_b.clear();
                let b = Matrix { data: &b.data[k0 * b.row + j0 * b.column..], ..b };
                each_panel::<W, H>(columns, |j, width, kept| pack(b.transposed(), j, width, kept, len, &mut packed_b));
                for i0 in (0..m).step_by(ROWS) {
                    let rows = ROWS.min(m - i0);
                    packed_a.clear();
                    let a = Matrix { data: &a.data[i0 * a.row + k0 * a.column..], ..a };
                    each_tile::<R>(rows, |i, height| pack(a, i, height, height, len, &mut packed_a));
                    each_panel::<W, H>(columns, |j, width, kept| {
                        let panel = &packed_b[j * len..][..width * len];
                        each_tile::<R>(rows, |i, height| {
                            let tile = &packed_a[i * len..][..height * len];
                            let out = &mut out[(i0 + i) * n + j0 + j..];
                            match (height == R, width == W) {
                                (true, true) => multiply::<T, R, W>(tile, panel, kept, n, k0 == 0, out),
                                (true, false) => multiply::<T, R, H>(tile, panel, kept, n, k0 == 0, out),
                                (false, true) => multiply::<T, 1, W>(tile, panel, kept, n, k0 == 0, out),
                                (false, false) => multiply::<T, 1, H>(tile, panel, kept, n, k0 == 0, out),
                            }
                        });
                    });
                }
            }
        }
    }
}

/// Cuts columns into panels: `(first column, width, columns that exist)`.
#[inline(always)]
fn each_panel<const W: usize, const H: usize>(columns: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let mut j = 0;
    while j < columns {
        let left = columns - j;
        let width = if left <= H { H } else { W };
        visit(j, width, left.min(width));
        j += width;
    }
}

/// Cuts rows into tiles of `R`, then single ones: `(first row, height)`.
#[inline(always)]
fn each_tile<const R: usize>(rows: usize, mut visit: impl FnMut(usize, usize)) {
    let mut i = 0;
    while i < rows {
        let height = if rows - i >= R { R } else { 1 };
        visit(i, height);
        i += height;
    }
}

/// Appends `len` groups of `width` entries, group `k` holding column `k` of rows `first..first + kept`, then zeros.
#[inline(always)]
fn pack<T: Num>(x: Matrix<'_, T>, first: usize, width: usize, kept: usize, len: usize, packed: &mut Vec<T>) {
    let start = packed.len();
    packed.resize(start + len * width, T::ZERO);
    let packed = &mut packed[start..];
    let x = Matrix { data: &x.data[first * x.row..], ..x };
    if x.row == 1 {
        for (k, group) in packed.chunks_exact_mut(width).enumerate() {
            group[..kept].copy_from_slice(&x.data[k * x.column..][..kept]);
        }
    } else {
        for i in 0..kept {
            let row = x.data[i * x.row..].iter().step_by(x.column);
            for (group, &entry) in packed.chunks_exact_mut(width).zip(row) {
                group[i] = entry;
            }
        }
    }
}

/// One tile: `R` rows by `W` columns over one block of terms, of which `kept` columns are stored.
#[inline(always)]
fn multiply<T: Num, const R: usize, const W: usize>(
    tile: &[T],
    panel: &[T],
    kept: usize,
    n: usize,
    first: bool,
    out: &mut [T],
) {
    let mut sums = [[T::ZERO; W]; R];
    let (tile, _) = tile.as_chunks::<R>();
    let (panel, _) = panel.as_chunks::<W>();
    for (a, b) in tile.iter().zip(panel) {
        for r in 0..R {
            for c in 0..W {
                sums[r][c] = a[r].fma(b[c], sums[r][c]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        accumulate(&mut out[r * n..][..kept], &sums[..kept], first);
    }
}
