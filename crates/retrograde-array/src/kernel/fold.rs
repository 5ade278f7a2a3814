//! Reductions in the one canonical order.
//!
//! Note [canonical sum]: `n` terms are numbered by their logical row-major index over the reduced axes. With `L` lanes
//! (16 for four-byte numbers, 8 for eight-byte ones) and `n <= L` the terms are added ascending, starting from the first;
//! otherwise term `i` belongs to lane `i % L`, each lane starts with its first term and adds ascending, and the lanes are
//! folded by halves: lane `j` takes lane `j + L/2`, then `j + L/4`, and so on down to lane 0. No terms give `+0`. Products,
//! extremes and alternatives are taken in the same order.

use super::dispatch;

dispatch! {
    /// Folds runs of `n >= 1` adjacent entries: `x` is `[out.len(), n]`.
    pub(crate) fn fold_inner [T: Copy, F: Fn(T, T) -> T, const L: usize] [T, F, L]
        (x: &[T], n: usize, f: F, out: &mut [T]) {
        for (out, row) in out.iter_mut().zip(x.chunks_exact(n)) {
            *out = if n <= L {
                let mut total = row[0];
                for &term in &row[1..] {
                    total = f(total, term);
                }
                total
            } else {
                fold_long::<T, F, L>(row, &f)
            };
        }
    }
}

#[inline(always)]
fn fold_long<T: Copy, F: Fn(T, T) -> T, const L: usize>(row: &[T], f: &F) -> T {
    let mut lanes = [row[0]; L];
    lanes.copy_from_slice(&row[..L]);
    let mut chunks = row[L..].chunks_exact(L);
    for chunk in &mut chunks {
        for (lane, &term) in lanes.iter_mut().zip(chunk) {
            *lane = f(*lane, term);
        }
    }
    for (lane, &term) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = f(*lane, term);
    }
    let mut half = L / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] = f(lanes[j], lanes[j + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Columns that `fold_middle` handles together.
const COLUMNS: usize = 32;

dispatch! {
    /// Folds the columns of `x`, rows of `inner` entries, at least one row: `out` are those from column `start` on.
    pub(crate) fn fold_middle [T: Copy, F: Fn(T, T) -> T, const L: usize] [T, F, L]
        (x: &[T], inner: usize, start: usize, f: F, out: &mut [T]) {
        let mut c = 0;
        while c + COLUMNS <= out.len() {
            fold_columns::<T, F, L, COLUMNS>(x, inner, start + c, &f, &mut out[c..c + COLUMNS]);
            c += COLUMNS;
        }
        while c + 4 <= out.len() {
            fold_columns::<T, F, L, 4>(x, inner, start + c, &f, &mut out[c..c + 4]);
            c += 4;
        }
        while c < out.len() {
            fold_columns::<T, F, L, 1>(x, inner, start + c, &f, &mut out[c..=c]);
            c += 1;
        }
    }
}

/// Folds `C` adjacent columns of the rows of `x`.
#[inline(always)]
fn fold_columns<T: Copy, F: Fn(T, T) -> T, const L: usize, const C: usize>(
    x: &[T],
    inner: usize,
    start: usize,
    f: &F,
    out: &mut [T],
) {
    let n = x.len() / inner;
    let row = |i: usize| &x[i * inner + start..i * inner + start + C];
    let mut lanes = [[x[start]; C]; L];
    lanes[0].copy_from_slice(row(0));
    if n <= L {
        for i in 1..n {
            add(&mut lanes[0], row(i), f);
        }
    } else {
        for (i, lane) in lanes.iter_mut().enumerate().skip(1) {
            lane.copy_from_slice(row(i));
        }
        let mut i = L;
        while i < n {
            for lane in lanes.iter_mut().take(n - i) {
                add(lane, row(i), f);
                i += 1;
            }
        }
        let mut half = L / 2;
        while half > 0 {
            let (low, high) = lanes.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                add(low, &high[..], f);
            }
            half /= 2;
        }
    }
    out.copy_from_slice(&lanes[0]);
}

#[inline(always)]
fn add<T: Copy, F: Fn(T, T) -> T, const C: usize>(total: &mut [T; C], terms: &[T], f: &F) {
    for (total, &term) in total.iter_mut().zip(terms) {
        *total = f(*total, term);
    }
}
