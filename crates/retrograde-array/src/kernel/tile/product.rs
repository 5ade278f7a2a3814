//! Products of small matrices.

use std::marker::PhantomData;

use super::super::Num;
use super::body::{Body, pad, padded, read, write};

/// Columns of a product that are computed together: a vector of the widest numbers.
const COLUMNS: usize = 8;

/// Terms of one chain of a product: Note [canonical product] of `dot`.
const BLOCK: usize = 256;

/// Products of small matrices `[batch, m, k]` and `[batch, k, n]`. The third operand holds, as `i32`, batch, m, k and n, then how
/// far apart the entries of the first operand lie along its axes, and those of the second. Padded.
pub(super) struct Product<T>(PhantomData<T>);
impl<T: Num> Body for Product<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, lengths: *const u8, _: usize) {
        // SAFETY: ten lengths may be read.
        let lengths = unsafe { read::<i32>(lengths, 10) };
        let [batch, m, k, n] = [0, 1, 2, 3].map(|i| lengths[i] as usize);
        let strides = |first: usize| [0, 1, 2].map(|i| lengths[first + i] as isize);
        let ([a_batch, a_row, a_column], [b_batch, b_row, b_column]) = (strides(4), strides(7));
        let kept = batch * m * n;
        // SAFETY: the padded result may be written.
        let to = unsafe { write::<T>(out, padded(kept)) };
        for (i, to) in to[..kept].chunks_exact_mut(m * n).enumerate() {
            let (a, b) = (
                a.cast::<T>().wrapping_offset(i as isize * a_batch),
                b.cast::<T>().wrapping_offset(i as isize * b_batch),
            );
            // SAFETY: the entries at these strides may be read.
            unsafe {
                if n >= m {
                    product((a, [a_row, a_column]), (b, [b_row, b_column]), [m, k, n], to, [n, 1]);
                } else {
                    // The transposed product: factors of a term change places, which changes no bit.
                    product((b, [b_column, b_row]), (a, [a_column, a_row]), [n, k, m], to, [1, n]);
                }
            }
        }
        // SAFETY: `kept >= 1` entries have been written.
        unsafe { pad(out.cast::<T>(), kept) }
    }
}

/// One product, each matrix with its strides.
///
/// # Safety
/// The entries of both may be read; those of the result are inside.
#[inline(always)]
unsafe fn product<T: Num>(
    (a, [a_row, a_column]): (*const T, [isize; 2]),
    (b, [b_row, b_column]): (*const T, [isize; 2]),
    [m, k, n]: [usize; 3],
    out: &mut [T],
    [out_row, out_column]: [usize; 2],
) {
    for i in 0..m as isize {
        for first in (0..n).step_by(COLUMNS) {
            let width = COLUMNS.min(n - first);
            let mut totals = [T::ZERO; COLUMNS];
            for block in (0..k).step_by(BLOCK) {
                let mut chains = [T::ZERO; COLUMNS];
                for at in block..k.min(block + BLOCK) {
                    // SAFETY: row `i` and columns `first` to `first + width` are inside.
                    unsafe {
                        let x = *a.offset(i * a_row + at as isize * a_column);
                        let row = b.offset(at as isize * b_row + first as isize * b_column);
                        if width == COLUMNS && b_column == 1 {
                            for (j, chain) in chains.iter_mut().enumerate() {
                                *chain = x.fma(*row.add(j), *chain);
                            }
                        } else {
                            for (j, chain) in chains.iter_mut().enumerate().take(width) {
                                *chain = x.fma(*row.offset(j as isize * b_column), *chain);
                            }
                        }
                    }
                }
                for (total, &chain) in totals.iter_mut().zip(&chains) {
                    *total = if block == 0 { chain } else { total.plus(chain) };
                }
            }
            for (j, &total) in totals.iter().enumerate().take(width) {
                out[i as usize * out_row + (first + j) * out_column] = total;
            }
        }
    }
}
