//! Products that read a factor once, and small ones: nothing is copied.

use super::{BLOCK, Matrix, accumulate};
use crate::kernel::{Num, dispatch};

/// Rows whose chains run side by side.
const TOGETHER: usize = 8;

dispatch! {
    /// `[m, k]` by `[k, 1]`, the rows of `a` contiguous (`a.column == 1`).
    pub(crate) fn rows_by_vector [T: Num] [T]
        (a: Matrix<'_, T>, b: Matrix<'_, T>, m: usize, k: usize, out: &mut [T]) {
        let mut k0 = 0;
        while k0 < k {
            let len = BLOCK.min(k - k0);
            let mut vector = [T::ZERO; BLOCK];
            for (i, entry) in vector[..len].iter_mut().enumerate() {
                *entry = b.data[(k0 + i) * b.row];
            }
            let row = |i: usize| &a.data[i * a.row + k0..][..len];
            let mut i = 0;
            while i + TOGETHER <= m {
                let rows: [&[T]; TOGETHER] = std::array::from_fn(|r| row(i + r));
                accumulate(&mut out[i..i + TOGETHER], &chains(rows, &vector[..len]), k0 == 0);
                i += TOGETHER;
            }
            while i < m {
                accumulate(&mut out[i..=i], &chains([row(i)], &vector[..len]), k0 == 0);
                i += 1;
            }
            k0 += len;
        }
    }
}

#[inline(always)]
fn chains<T: Num, const R: usize>(rows: [&[T]; R], vector: &[T]) -> [T; R] {
    let mut sums = [T::ZERO; R];
    let rows = rows.map(|row| &row[..vector.len()]);
    for (k, &b) in vector.iter().enumerate() {
        for r in 0..R {
            sums[r] = rows[r][k].fma(b, sums[r]);
        }
    }
    sums
}

dispatch! {
    /// `[m, k]` by `[k, n]` row by row, the rows of `b` contiguous (`b.column == 1`).
    pub(crate) fn by_rows [T: Num] [T]
        (a: Matrix<'_, T>, b: Matrix<'_, T>, m: usize, k: usize, n: usize, out: &mut [T]) {
        let mut k0 = 0;
        while k0 < k {
            let len = BLOCK.min(k - k0);
            let b = Matrix { data: &b.data[k0 * b.row..], ..b };
            for i in 0..m {
                let a = Matrix { data: &a.data[i * a.row + k0 * a.column..], ..a };
                let out = &mut out[i * n..(i + 1) * n];
                let mut c = 0;
                while c + 64 <= n {
                    columns::<T, 64>(a, b, len, c, k0 == 0, out);
                    c += 64;
                }
                while c + 16 <= n {
                    columns::<T, 16>(a, b, len, c, k0 == 0, out);
                    c += 16;
                }
                while c + 4 <= n {
                    columns::<T, 4>(a, b, len, c, k0 == 0, out);
                    c += 4;
                }
                while c < n {
                    columns::<T, 1>(a, b, len, c, k0 == 0, out);
                    c += 1;
                }
            }
            k0 += len;
        }
    }
}

/// `W` columns of one row.
#[inline(always)]
fn columns<T: Num, const W: usize>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    len: usize,
    c: usize,
    first: bool,
    out: &mut [T],
) {
    let mut sums = [T::ZERO; W];
    for k in 0..len {
        let factor = a.data[k * a.column];
        for (sum, &b) in sums.iter_mut().zip(&b.data[k * b.row + c..][..W]) {
            *sum = factor.fma(b, *sum);
        }
    }
    accumulate(&mut out[c..c + W], &sums, first);
}
