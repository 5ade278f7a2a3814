//! Memory that operations pack their factors into, kept from call to call, and the threads that share an operation.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Num;

/// Threads that share the parts of one operation. What they compute does not depend on them.
///
/// ```
/// use retrograde_array::{Alone, Workers};
/// let calls = std::sync::atomic::AtomicUsize::new(0);
/// Alone.each(&|| _ = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
/// assert_eq!((Alone.count(), calls.into_inner()), (1, 1));
/// ```
pub trait Workers: Sync {
    /// How many there are, at least one.
    fn count(&self) -> usize;

    /// Calls `work` at least once and at most once for each worker, at the same time where it can, and returns when all calls
    /// have returned.
    fn each(&self, work: &(dyn Fn() + Sync));
}

/// One worker: the caller's thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Workers for Alone {
    fn count(&self) -> usize {
        1
    }

    fn each(&self, work: &(dyn Fn() + Sync)) {
        work();
    }
}

/// Buffers that operations pack their factors into, one for each worker. They grow when an operation first needs them and
/// are kept, so that the same operations take no more memory later.
///
/// ```
/// use retrograde_array::Scratch;
/// assert_eq!(Scratch::default().size_bytes(), 0);
/// ```
#[derive(Debug, Default)]
pub struct Scratch {
    /// For factors as they are copied, and for sums that are no results yet.
    buffers: Vec<Mutex<[Buffer; 2]>>,
    /// For a result that is to be put in order.
    unordered: Buffer,
}

impl Scratch {
    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let bytes = |buffer: &Buffer| buffer.lines.len() * size_of::<Line>();
        let of_workers = self.buffers.iter().map(|buffers| lock(buffers).iter().map(bytes).sum::<usize>());
        of_workers.sum::<usize>() + bytes(&self.unordered)
    }

    /// Calls `work` with room for `len` numbers, besides the buffers of workers.
    pub(crate) fn with_unordered<T: Num>(&mut self, len: usize, work: impl FnOnce(&mut [T], &mut Scratch)) {
        let mut buffer = std::mem::take(&mut self.unordered);
        let [numbers] = buffer.slices([len]);
        work(numbers, self);
        self.unordered = buffer;
    }

    /// The buffers of the caller's thread.
    pub(crate) fn own(&mut self) -> &mut [Buffer; 2] {
        if self.buffers.is_empty() {
            self.buffers.push(Mutex::default());
        }
        self.buffers[0].get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`chunked`] with the buffers of the worker.
    pub(crate) fn chunked<T: Send>(
        &mut self,
        out: &mut [T],
        unit: usize,
        cost: usize,
        workers: &dyn Workers,
        part: impl Fn(usize, &mut [T], &mut [Buffer; 2]) + Sync,
    ) {
        let n_units = out.len().checked_div(unit).unwrap_or(0);
        if workers.count() == 1 || cost < SHARED || n_units < 2 {
            if n_units > 0 {
                part(0, out, self.own());
            }
            return;
        }
        let n_parts = (PARTS * workers.count()).min(n_units);
        let first = |i: usize| n_units * i / n_parts;
        let out = Out(out.as_mut_ptr());
        self.share(workers, n_parts, &|i, buffers| {
            let len = (first(i + 1) - first(i)) * unit;
            // SAFETY: the part lies inside, and `share` hands part `i` out once.
            let some = unsafe { std::slice::from_raw_parts_mut(out.entry(first(i) * unit), len) };
            part(first(i), some, buffers);
        });
    }

    /// Calls `part` for each number below `n_parts`, once, shared among the workers.
    pub(crate) fn share(
        &mut self,
        workers: &dyn Workers,
        n_parts: usize,
        part: &(dyn Fn(usize, &mut [Buffer; 2]) + Sync),
    ) {
        let n_workers = workers.count().min(n_parts).max(1);
        if self.buffers.len() < n_workers {
            self.buffers.resize_with(n_workers, Mutex::default);
        }
        // Every part is claimed here, so that it is computed once whatever the workers do.
        let (next_part, next_buffer) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            let own = next_buffer.fetch_add(1, Ordering::Relaxed);
            if own >= n_workers {
                return;
            }
            let mut buffers = lock(&self.buffers[own]);
            loop {
                let i = next_part.fetch_add(1, Ordering::Relaxed);
                if i >= n_parts {
                    break;
                }
                part(i, &mut buffers);
            }
        };
        if n_workers > 1 {
            workers.each(&work);
        }
        next_buffer.store(0, Ordering::Relaxed);
        work();
    }
}

/// Entries read and written below which an operation is not shared among threads: ten microseconds or so, a few times
/// what a helper that is awake takes to begin. An interpreter shares small ones too.
const SHARED: usize = if cfg!(miri) { 1 << 4 } else { 1 << 16 };

/// Parts for each worker: a few, so that one that is late delays the others little.
const PARTS: usize = 4;

/// Calls `part(i, some)` with parts of `out`, whole units of it, the first of which is unit `i`; shared among the workers where the
/// operation touches many entries, `cost` of them.
pub(crate) fn chunked<T: Send>(
    out: &mut [T],
    unit: usize,
    cost: usize,
    workers: &dyn Workers,
    part: impl Fn(usize, &mut [T]) + Sync,
) {
    let n_units = out.len().checked_div(unit).unwrap_or(0);
    if workers.count() == 1 || cost < SHARED || n_units < 2 {
        if n_units > 0 {
            part(0, out);
        }
        return;
    }
    let n_parts = (PARTS * workers.count()).min(n_units);
    let first = |i: usize| n_units * i / n_parts;
    let out = Out(out.as_mut_ptr());
    share(workers, n_parts, &|i| {
        let len = (first(i + 1) - first(i)) * unit;
        // SAFETY: the part lies inside, and `share` hands part `i` out once.
        let some = unsafe { std::slice::from_raw_parts_mut(out.entry(first(i) * unit), len) };
        part(first(i), some);
    });
}

/// Calls `part` for each number below `n_parts`, once, shared among the workers.
pub(crate) fn share(workers: &dyn Workers, n_parts: usize, part: &(dyn Fn(usize) + Sync)) {
    // Every part is claimed here, so that it is computed once whatever the workers do.
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n_parts {
                break;
            }
            part(i);
        }
    };
    workers.each(&work);
    work();
}

/// A pointer that threads may share: each writes to its own places.
#[derive(Clone, Copy)]
pub(super) struct Out<T>(pub(super) *mut T);

// SAFETY: whoever writes through it says why nobody else has the place.
unsafe impl<T: Send> Sync for Out<T> {}

impl<T> Out<T> {
    pub(super) fn entry(&self, i: usize) -> *mut T {
        self.0.wrapping_add(i)
    }
}

fn lock(buffers: &Mutex<[Buffer; 2]>) -> std::sync::MutexGuard<'_, [Buffer; 2]> {
    // Nothing in a buffer outlives an operation, so one that a panic left is as good as any.
    buffers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of the cache, and the largest register.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line {
    _words: [u64; 8],
}

/// Memory for numbers of any type.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// Slices of the given lengths, each at the start of a line; what is in them is left over from earlier.
    pub(crate) fn slices<T: Num, const N: usize>(&mut self, lens: [usize; N]) -> [&mut [T]; N] {
        let n_lines = lens.map(|len| (len * size_of::<T>()).div_ceil(size_of::<Line>()));
        let total: usize = n_lines.iter().sum();
        if self.lines.len() < total {
            self.lines.resize(total, Line { _words: [0; 8] });
        }
        let mut rest = &mut self.lines[..];
        let mut i = 0;
        lens.map(|len| {
            let (lines, after) = std::mem::take(&mut rest).split_at_mut(n_lines[i]);
            rest = after;
            i += 1;
            // SAFETY: the lines hold at least `len` numbers and are aligned to more than one; a number type has no
            // invalid bits, and a line has no padding.
            unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<T>(), len) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Threads;

    /// Units of three entries, each of which is to hold the number of its unit and how often it was computed.
    fn numbered(n_units: usize) -> Vec<[usize; 2]> {
        (0..3 * n_units).map(|i| [i / 3, 1]).collect()
    }

    fn number(first: usize, some: &mut [[usize; 2]]) {
        for (i, unit) in some.chunks_exact_mut(3).enumerate() {
            unit.iter_mut().for_each(|entry| *entry = [first + i, entry[1] + 1]);
        }
    }

    #[test]
    fn every_unit_is_in_one_part() {
        for (n_units, n_threads) in [(0, 2), (1, 2), (2, 2), (7, 3), (23, 2), (40, 3)] {
            let mut out = vec![[0; 2]; 3 * n_units];
            chunked(&mut out, 3, SHARED, &Threads(n_threads), number);
            assert_eq!(out, numbered(n_units));
            out.fill([0; 2]);
            Scratch::default().chunked(&mut out, 3, SHARED, &Threads(n_threads), |first, some, buffers| {
                let [numbers] = buffers[0].slices::<i64, 1>([some.len()]);
                numbers.fill(first as i64);
                number(numbers.first().map_or(first, |&first| first as usize), some);
            });
            assert_eq!(out, numbered(n_units));
        }
    }

    #[test]
    fn slices_of_a_buffer_lie_apart_and_start_where_lines_do() {
        let mut buffer = Buffer::default();
        for lens in [[0, 1, 3], [9, 0, 17], [1, 64, 2]] {
            let slices = buffer.slices::<u8, 3>(lens);
            assert_eq!(slices.each_ref().map(|slice| slice.len()), lens);
            for (i, slice) in slices.into_iter().enumerate() {
                assert!(slice.as_ptr().addr().is_multiple_of(64));
                slice.fill(i as u8);
            }
            let slices = buffer.slices::<u8, 3>(lens);
            assert!(slices.into_iter().enumerate().all(|(i, slice)| slice.iter().all(|&x| x == i as u8)));
            // What is left over is numbers of any type.
            let [numbers] = buffer.slices::<f64, 1>([24]);
            numbers[23] = f64::from_bits(numbers[23].to_bits());
        }
    }
}
