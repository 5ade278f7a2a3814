//! Splits the tiles of a kernel over threads.

use retrograde_array::tile::Code;

/// Work for which a further thread is woken, in nanoseconds: waking one takes 5 to 10 µs.
const WORTH_A_THREAD_NS: f64 = 25_000.0;

/// How many parts a kernel is divided into, by what it takes on one thread.
pub(super) fn parts(code: &Code, estimate_ns: f64, threads: usize) -> usize {
    let worth = threads.min((estimate_ns / WORTH_A_THREAD_NS) as usize);
    if cfg!(feature = "threads") && worth > 1 { worth.min(code.most_parts()).max(1) } else { 1 }
}

/// Calls `work` with each number below `n`, on the threads of the pool that this one belongs to, or the global one.
#[cfg(feature = "threads")]
pub(super) fn spread(n: usize, work: &(dyn Fn(usize) + Sync)) {
    fn halves(first: usize, end: usize, work: &(dyn Fn(usize) + Sync)) {
        let middle = first.midpoint(end);
        if middle == first {
            work(first);
        } else {
            rayon::join(|| halves(first, middle, work), || halves(middle, end, work));
        }
    }
    halves(0, n, work);
}

/// Without threads, one after the other.
#[cfg(not(feature = "threads"))]
pub(super) fn spread(n: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..n).for_each(work);
}
