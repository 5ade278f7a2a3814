//! Reductions with any associative function of two values, in the canonical order of Note [canonical sum].

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
