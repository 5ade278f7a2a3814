//! Which instruction set the machine has.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that kernels are compiled for. The bits are the same at each.
///
/// ```
/// use retrograde_array::tile::Level;
/// assert!(Level::Portable <= Level::best());
/// assert_eq!(Level::available().last(), Some(Level::best()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever the build targets.
    Portable = 1,
    /// AVX2 and FMA.
    Avx2 = 2,
    /// AVX-512 F, DQ, BW and VL, besides AVX2 and FMA.
    Avx512 = 3,
}

impl Level {
    /// The widest that this CPU supports.
    pub fn best() -> Level {
        level()
    }

    /// All that this CPU supports, the narrowest first.
    pub fn available() -> impl Iterator<Item = Level> {
        [Level::Portable, Level::Avx2, Level::Avx512].into_iter().filter(|&other| other <= level())
    }
}

static DETECTED: AtomicU8 = AtomicU8::new(0);

/// The widest level this CPU supports, detected once.
#[inline]
pub(crate) fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = FORCED.get() {
        return level.min(detect());
    }
    match DETECTED.load(Ordering::Relaxed) {
        3 => Level::Avx512,
        2 => Level::Avx2,
        1 => Level::Portable,
        _ => detect(),
    }
}

#[cold]
fn detect() -> Level {
    let level = detect_cpu();
    DETECTED.store(level as u8, Ordering::Relaxed);
    level
}

#[cfg(target_arch = "x86_64")]
fn detect_cpu() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        (false, _) => Level::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect_cpu() -> Level {
    Level::Portable
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

/// Runs `work` with at most the given level on this thread, to compare bits between levels.
#[cfg(test)]
pub(crate) fn at_level<R>(level: Level, work: impl FnOnce() -> R) -> R {
    FORCED.set(Some(level));
    let result = work();
    FORCED.set(None);
    result
}
