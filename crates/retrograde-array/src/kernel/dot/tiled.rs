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
                let b = Matrix { data: &b.data[k0 * b.row + j0 * b.column..], ..b };
                packed_b.clear();
                let mut j = 0;
                while j < columns {
                    let width = panel_width::<W, H>(columns - j);
                    pack(b.transposed(), j, width, width.min(columns - j), len, &mut packed_b);
                    j += width;
                }
                for i0 in (0..m).step_by(ROWS) {
                    let rows = ROWS.min(m - i0);
                    let a = Matrix { data: &a.data[i0 * a.row + k0 * a.column..], ..a };
                    packed_a.clear();
                    let mut i = 0;
                    while i < rows {
                        let height = tile_height::<R>(rows - i);
                        pack(a, i, height, height, len, &mut packed_a);
                        i += height;
                    }
                    let block = Block { n, columns, rows, len, first: k0 == 0 };
                    block.multiply::<T, W, H, R>(&packed_a, &packed_b, &mut out[i0 * n + j0..]);
                }
            }
        }
    }
}

/// Columns of the next panel: the last one may be narrow, or partly empty.
#[inline(always)]
fn panel_width<const W: usize, const H: usize>(left: usize) -> usize {
    if left <= H { H } else { W }
}

/// Rows of the next tile: `R` while there are as many, then one.
#[inline(always)]
fn tile_height<const R: usize>(left: usize) -> usize {
    if left >= R { R } else { 1 }
}

/// A block of the product: `rows` by `columns` outputs, `n` apart from row to row, over `len` terms.
struct Block {
    n: usize,
    columns: usize,
    rows: usize,
    len: usize,
    first: bool,
}

impl Block {
    // No closures here: they would be compiled without the instruction set of the kernel.
    #[inline(always)]
    fn multiply<T: Num, const W: usize, const H: usize, const R: usize>(
        &self,
        a: &[T],
        b: &[T],
        out: &mut [T],
    ) {
        let &Block { n, columns, rows, len, first } = self;
        let mut j = 0;
        while j < columns {
            let width = panel_width::<W, H>(columns - j);
            let kept = width.min(columns - j);
            let panel = &b[j * len..][..width * len];
            let mut i = 0;
            while i < rows {
                let height = tile_height::<R>(rows - i);
                let tile = &a[i * len..][..height * len];
                let out = &mut out[i * n + j..];
                match (height == R, width == W) {
                    (true, true) => multiply::<T, R, W>(tile, panel, kept, n, first, out),
                    (true, false) => multiply::<T, R, H>(tile, panel, kept, n, first, out),
                    (false, true) => multiply::<T, 1, W>(tile, panel, kept, n, first, out),
                    (false, false) => multiply::<T, 1, H>(tile, panel, kept, n, first, out),
                }
                i += height;
            }
            j += width;
        }
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
        // Rows innermost: in this order the compiler keeps the sums in vector registers.
        for c in 0..W {
            for r in 0..R {
                sums[r][c] = a[r].fma(b[c], sums[r][c]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        accumulate(&mut out[r * n..][..kept], &sums[..kept], first);
    }
}
