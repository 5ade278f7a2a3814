//! Matrix products in the one canonical order.
//!
//! Note [canonical product]: each output is the sum over `k` of `a[k] * b[k]`, cut into blocks of 256 terms. A block is a
//! chain of fused multiply-adds, `k` ascending, starting from `+0`; the total is the first block, then later blocks are added
//! ascending. No terms give `+0`. The tilings here change which outputs are computed together, never a chain.
//!
//! The method is that of Goto and van de Geijn (2008), Anatomy of high-performance matrix multiplication: the right factor is
//! copied in panels of a few registers' width that stay in the caches, and tiles of sums in registers run along them.

mod factor;
#[cfg(test)]
mod tests;
mod tile;
mod vector;
mod windows;

use factor::Factor;
pub(crate) use factor::Matrix;
pub(crate) use vector::Registers;
use vector::Vector;
use windows::add_entries;
pub(crate) use windows::{Entries, Geometry, Places, Runs, Windows, window_argmax};

use super::scratch::{Alone, Buffer, Out, Scratch, Workers};
use tile::{Left, Tiles, height};

/// Terms of one fma chain.
pub(crate) const BLOCK: usize = 256;

/// Registers of columns that one copy of a part of the right factor spans: with 256 terms of 64 bytes 384 KiB, well inside
/// the second cache of current machines (1 to 2 MiB).
const COLUMNS: usize = 24;
/// Rows of the left factor copied at a time: with 256 terms at most 256 KiB.
const ROWS: usize = 128;
/// The same of a factor that works out where its entries lie: once for many rows.
const LINES: usize = 512;
/// Registers of columns in a tile: with 8 rows 24 sums, 3 registers for the right and one for the left factor, of 32.
const WIDTH: usize = 3;

/// Rows up to which the right factor is read as it lies, if its rows are contiguous: copying would not pay.
const FEW_ROWS: usize = 16;

/// Multiply-adds below which a product is not shared among threads: some microseconds, a few times what a helper that is awake
/// takes to begin. An interpreter shares small ones too.
const SHARED: usize = if cfg!(miri) { 1 << 8 } else { 1 << 19 };

/// `count` products of an `[m, k]` and a `[k, n]` matrix into `out`, row-major `[count, m, n]`. `factors` gives the two of
/// each: the lines of the left one are rows, those of the right one columns.
pub(crate) fn product<T, A, B>(
    count: usize,
    factors: impl Fn(usize) -> (A, B) + Sync,
    [m, k, n]: [usize; 3],
    out: &mut [T],
    workers: &dyn Workers,
    scratch: &mut Scratch,
) where
    T: Registers,
    A: Factor<T>,
    B: Factor<T>,
{
    assert!(
        out.len() == count * m * n,
        "products of {count} by {m} by {n} into {} entries; this is a bug in retrograde",
        out.len()
    );
    if k == 0 {
        out.fill(T::ZERO);
    }
    if k == 0 || out.is_empty() {
        return;
    }
    let n_workers = if count * m * k * n < SHARED { 1 } else { workers.count() };
    if n_workers == 1 {
        let [packed, _] = scratch.own();
        for (i, out) in out.chunks_exact_mut(m * n).enumerate() {
            let (a, b) = factors(i);
            // SAFETY: the outputs of the whole product are those of `out`.
            unsafe { Part { rows: 0..m, columns: 0..n, k }.multiply(a, b, out.as_mut_ptr(), n, packed) };
        }
        return;
    }
    let [n_row_parts, n_column_parts] = grid(n_workers.div_ceil(count), m, n);
    let out = Out(out.as_mut_ptr());
    let part = |i: usize, [packed, _]: &mut [Buffer; 2]| {
        let (i, column_part) = (i / n_column_parts, i % n_column_parts);
        let (i, row_part) = (i / n_row_parts, i % n_row_parts);
        let rows = cut(m, n_row_parts, 8, row_part);
        let columns = cut(n, n_column_parts, 64 / size_of::<T>(), column_part);
        let (a, b) = factors(i);
        let part = Part { rows, columns, k };
        // SAFETY: this part of the output of product `i` lies inside, and no other part has it: `share` hands each out once.
        unsafe { part.multiply(a, b, out.entry(i * m * n), n, packed) };
    };
    scratch.share(workers, count * n_row_parts * n_column_parts, &part);
}

/// The transposes of convolutions, in which windows overlap: for each of `count` examples and groups, the product of `[c·e, k]`
/// by `[k, places]` holds the entry `e` of a channel's window at each place, and is added to the channel's `[lens..]` of `out`,
/// `[count, c, lens..]`, in the order of places.
pub(crate) fn product_of_windows<T, A, B>(
    count: usize,
    factors: impl Fn(usize) -> (A, B) + Sync,
    [n_channels, k]: [usize; 2],
    geometry: &Geometry,
    out: &mut [T],
    workers: &dyn Workers,
    scratch: &mut Scratch,
) where
    T: Registers,
    A: Factor<T>,
    B: Factor<T>,
{
    let (n_entries, n_places) = (geometry.n_entries(), geometry.n_places());
    let n_lens: usize = geometry.lens.iter().product();
    assert!(
        out.len() == count * n_channels * n_lens,
        "windows into {} entries; this is a bug in retrograde",
        out.len()
    );
    if k == 0 || n_places == 0 {
        out.fill(T::ZERO);
    }
    if k == 0 || n_places == 0 || out.is_empty() {
        return;
    }
    // Parts of places and channels whose windows stay in the second cache.
    let places_at_once = n_places.min((WINDOWS / n_entries).max(1));
    let channels_at_once = n_channels.min((WINDOWS / n_entries / places_at_once).max(1));
    let n_parts = n_channels.div_ceil(channels_at_once);
    let out = Out(out.as_mut_ptr());
    let part = |i: usize, [packed, sums]: &mut [Buffer; 2]| {
        let (i, c0) = (i / n_parts, i % n_parts * channels_at_once);
        let channels = channels_at_once.min(n_channels - c0);
        let (a, b) = factors(i);
        // SAFETY: these channels lie inside, and no other part has them: `share` hands each out once.
        let to = unsafe {
            std::slice::from_raw_parts_mut(out.entry((i * n_channels + c0) * n_lens), channels * n_lens)
        };
        to.fill(T::ZERO);
        for j0 in (0..n_places).step_by(places_at_once) {
            let columns = j0..n_places.min(j0 + places_at_once);
            let width = columns.len();
            let rows = c0 * n_entries..(c0 + channels) * n_entries;
            let [sums] = sums.slices::<T, 1>([rows.len() * width]);
            let first = sums.as_mut_ptr().wrapping_sub(rows.start * width + columns.start);
            let part = Part { rows, columns: columns.clone(), k };
            // SAFETY: the outputs of the part are those of `sums`, which is this thread's own.
            unsafe { part.multiply(a, b, first, width, packed) };
            add_entries(geometry, columns, sums, to);
        }
    };
    if count * n_channels * n_entries * n_places * k < SHARED {
        scratch.share(&Alone, count * n_parts, &part);
    } else {
        scratch.share(workers, count * n_parts, &part);
    }
}

/// Entries of windows that are computed at a time: 256 KiB of four-byte numbers, well inside the second cache. Few for an interpreter.
const WINDOWS: usize = if cfg!(miri) { 64 } else { 64 * 1024 };

/// Into how many parts rows and columns are cut for `n` workers, so that the least is copied twice.
fn grid(n: usize, m: usize, columns: usize) -> [usize; 2] {
    let mut best = [1, 1];
    let mut least = usize::MAX;
    for n_row_parts in 1..=n {
        let n_column_parts = n / n_row_parts;
        // Each part of the rows reads the whole right factor, each part of the columns the whole left one. Fewer parts than
        // workers count as a whole factor more.
        let idle = n - n_row_parts * n_column_parts;
        let copied = n_row_parts * columns + n_column_parts * m + idle * (columns + m);
        if copied < least && n_row_parts <= m.div_ceil(8) && n_column_parts <= columns.div_ceil(16) {
            (best, least) = ([n_row_parts, n_column_parts], copied);
        }
    }
    best
}

/// Part `i` of `0..len` cut into `n_parts` at multiples of `unit`.
fn cut(len: usize, n_parts: usize, unit: usize, i: usize) -> std::ops::Range<usize> {
    let n_units = len.div_ceil(unit);
    let at = |i: usize| (n_units * i / n_parts * unit).min(len);
    at(i)..at(i + 1)
}

/// Some of the outputs of a product.
pub(crate) struct Part {
    pub(crate) rows: std::ops::Range<usize>,
    pub(crate) columns: std::ops::Range<usize>,
    pub(crate) k: usize,
}

impl Part {
    /// Computes the outputs; `(i, j)` lies `i * out_row + j` after `out`.
    ///
    /// # Safety
    /// All outputs of the part lie in one allocation that nobody else uses meanwhile.
    pub(crate) unsafe fn multiply<T: Registers, A: Factor<T>, B: Factor<T>>(
        &self,
        a: A,
        b: B,
        out: *mut T,
        out_row: usize,
        buffer: &mut Buffer,
    ) {
        // SAFETY: as promised to this function.
        unsafe { T::multiply(self, a, b, out, out_row, buffer) };
    }

    /// # Safety
    /// As for [`Part::multiply`]; the machine has the instructions of `V`.
    #[inline(always)]
    unsafe fn run<V: Vector, A: Factor<V::Entry>, B: Factor<V::Entry>>(
        &self,
        a: A,
        b: B,
        out: *mut V::Entry,
        out_row: usize,
        buffer: &mut Buffer,
    ) {
        let (n_rows, n_columns) = (self.rows.len(), self.columns.len());
        if n_rows == 0 || n_columns == 0 {
            return;
        }
        let n_registers = n_columns.div_ceil(V::LANES);
        let n_chunks = n_registers.div_ceil(COLUMNS);
        let block = BLOCK.min(self.k);
        // The left factor is read as it lies where a row's terms are contiguous, or read only once.
        let a_lies = a.as_lies().filter(|&(_, _, term)| term == 1 || n_registers <= WIDTH);
        let b_lies = b.as_lies().filter(|&(_, line, _)| line == 1 && n_rows <= FEW_ROWS);
        let rows_at_once = if a.packs_lines() { LINES } else { ROWS }.min(n_rows);
        let packed_a_len = if a_lies.is_some() { 0 } else { block * rows_at_once };
        let packed_b_len = if b_lies.is_some() { 0 } else { block * n_registers.min(COLUMNS) * V::LANES };
        let [packed_a, packed_b] = buffer.slices::<V::Entry, 2>([packed_a_len, packed_b_len]);
        for k0 in (0..self.k).step_by(BLOCK) {
            let len = BLOCK.min(self.k - k0);
            for chunk in 0..n_chunks {
                let (r0, r1) = (n_registers * chunk / n_chunks, n_registers * (chunk + 1) / n_chunks);
                let j0 = self.columns.start + r0 * V::LANES;
                let j1 = (self.columns.start + r1 * V::LANES).min(self.columns.end);
                let n_panels = (r1 - r0).div_ceil(WIDTH);
                for i0 in self.rows.clone().step_by(rows_at_once) {
                    let rows = rows_at_once.min(self.rows.end - i0);
                    let left = match a_lies {
                        Some((data, row, column)) => {
                            Left { data: data.wrapping_add(i0 * row + k0 * column), row, column }
                        }
                        None if a.packs_lines() => {
                            let to = &mut packed_a[..rows * len];
                            // SAFETY: the machine has the instructions.
                            unsafe { a.pack::<V>(i0, rows, k0, len, 0, to) };
                            Left { data: packed_a.as_ptr(), row: len, column: 1 }
                        }
                        None => {
                            let mut i = 0;
                            while i < rows {
                                let height = height(V::ROWS, rows - i);
                                let to = &mut packed_a[i * len..][..height * len];
                                // SAFETY: the machine has the instructions.
                                unsafe { a.pack::<V>(i0 + i, height, k0, len, height, to) };
                                i += height;
                            }
                            Left { data: packed_a.as_ptr(), row: 0, column: 0 }
                        }
                    };
                    for panel in 0..n_panels {
                        let (p0, p1) = ((r1 - r0) * panel / n_panels, (r1 - r0) * (panel + 1) / n_panels);
                        let j = j0 + p0 * V::LANES;
                        let width = ((p1 - p0) * V::LANES).min(j1 - j);
                        let (right, right_row) = match b_lies {
                            Some((data, _, term)) => (data.wrapping_add(k0 * term + j), term),
                            None => {
                                let padded = (p1 - p0) * V::LANES;
                                let to = &mut packed_b[p0 * V::LANES * len..][..padded * len];
                                if i0 == self.rows.start {
                                    // SAFETY: the machine has the instructions.
                                    unsafe { b.pack::<V>(j, width, k0, len, padded, to) };
                                }
                                (to.as_ptr(), padded)
                            }
                        };
                        let tiles = Tiles {
                            len,
                            left,
                            is_packed: a_lies.is_none() && !a.packs_lines(),
                            right,
                            right_row,
                            out: out.wrapping_add(i0 * out_row + j),
                            out_row,
                            width,
                            first: k0 == 0,
                        };
                        // SAFETY: factors have their entries where they say, packed ones where they were just put; outputs
                        // lie as promised.
                        unsafe { V::tiles(tiles, rows) };
                    }
                }
            }
        }
    }
}
