//! Threads of a pool as workers of one operation.

use retrograde_array::Workers;

/// At most so many threads of the pool that the caller runs in; of the pool of the process where it runs in none.
///
/// Without the feature `threads` it is the caller alone.
///
/// ```
/// use retrograde_array::Workers;
/// use retrograde_engine::direct::Threads;
/// let calls = std::sync::atomic::AtomicUsize::new(0);
/// Threads(3).each(&|| _ = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
/// assert_eq!(calls.into_inner(), Threads(3).count());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(pub usize);

#[cfg(feature = "threads")]
impl Workers for Threads {
    fn count(&self) -> usize {
        self.0.max(1)
    }

    fn each(&self, work: &(dyn Fn() + Sync)) {
        // A fork takes no memory, unlike tasks that are spawned.
        match self.count() {
            1 => work(),
            n => {
                let (half, rest) = (Threads(n / 2), Threads(n - n / 2));
                rayon::join(|| half.each(work), || rest.each(work));
            }
        }
    }
}

#[cfg(not(feature = "threads"))]
impl Workers for Threads {
    fn count(&self) -> usize {
        1
    }

    fn each(&self, work: &(dyn Fn() + Sync)) {
        work();
    }
}
