//! Sums in the one canonical order.
//!
//! Note [canonical sum]: `n` terms are numbered by their logical row-major index over the reduced axes. With `L` lanes
//! (16 for four-byte numbers, 8 for eight-byte ones) and `n <= L` the terms are added ascending, starting from the first;
//! otherwise term `i` belongs to lane `i % L`, each lane starts with its first term and adds ascending, and the lanes are
//! folded by halves: lane `j` takes lane `j + L/2`, then `j + L/4`, and so on down to lane 0. No terms give `+0`.

use super::{Num, dispatch};

dispatch! {
    /// Sums runs of `n` adjacent terms: `x` is `[out.len(), n]`.
    pub(crate) fn sum_inner [T: Num, const L: usize] [T, L] (x: &[T], n: usize, out: &mut [T]) {
        if n == 0 {
            return;
        }
        for (out, row) in out.iter_mut().zip(x.chunks_exact(n)) {
            *out = if n <= L { sum_short(row) } else { sum_long::<T, L>(row) };
        }
    }
}

#[inline(always)]
fn sum_short<T: Num>(row: &[T]) -> T {
    let mut total = row[0];
    for &term in &row[1..] {
        total = total.plus(term);
    }
    total
}

#[inline(always)]
fn sum_long<T: Num, const L: usize>(row: &[T]) -> T {
    let mut lanes = [T::ZERO; L];
    lanes.copy_from_slice(&row[..L]);
    let mut chunks = row[L..].chunks_exact(L);
    for chunk in &mut chunks {
        for (lane, &term) in lanes.iter_mut().zip(chunk) {
            *lane = lane.plus(term);
        }
    }
    for (lane, &term) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = lane.plus(term);
    }
    let mut half = L / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] = lanes[j].plus(lanes[j + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Columns that `sum_middle` handles together.
const COLUMNS: usize = 32;

dispatch! {
    /// Sums over the middle axis of `x`, which is `[outer, n, inner]`; `out` is `[outer, inner]`, zero on entry.
    pub(crate) fn sum_middle [T: Num, const L: usize] [T, L] (x: &[T], n: usize, inner: usize, out: &mut [T]) {
        if n == 0 || inner == 0 {
            return;
        }
        for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
            let mut start = 0;
            while start + COLUMNS <= inner {
                sum_columns::<T, L, COLUMNS>(x, inner, start, &mut out[start..start + COLUMNS]);
                start += COLUMNS;
            }
            while start + 4 <= inner {
                sum_columns::<T, L, 4>(x, inner, start, &mut out[start..start + 4]);
                start += 4;
            }
            while start < inner {
                sum_columns::<T, L, 1>(x, inner, start, &mut out[start..=start]);
                start += 1;
            }
        }
    }
}

/// Sums `C` adjacent columns of the rows of `x`.
#[inline(always)]
fn sum_columns<T: Num, const L: usize, const C: usize>(x: &[T], inner: usize, start: usize, out: &mut [T]) {
    let n = x.len() / inner;
    let row = |i: usize| &x[i * inner + start..i * inner + start + C];
    let mut lanes = [[T::ZERO; C]; L];
    lanes[0].copy_from_slice(row(0));
    if n <= L {
        for i in 1..n {
            add(&mut lanes[0], row(i));
        }
    } else {
        for (i, lane) in lanes.iter_mut().enumerate().skip(1) {
            lane.copy_from_slice(row(i));
        }
        let mut i = L;
        while i < n {
            for lane in lanes.iter_mut().take(n - i) {
                add(lane, row(i));
                i += 1;
            }
        }
        let mut half = L / 2;
        while half > 0 {
            let (low, high) = lanes.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                add(low, &high[..]);
            }
            half /= 2;
        }
    }
    out.copy_from_slice(&lanes[0]);
}

#[inline(always)]
fn add<T: Num, const C: usize>(total: &mut [T; C], terms: &[T]) {
    for (total, &term) in total.iter_mut().zip(terms) {
        *total = total.plus(term);
    }
}
