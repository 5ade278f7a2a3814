//! What the loops behind the steps of tile code have in common: each writes entries of one place from the entries of others.
//!
//! All have one signature, so that a step is a function pointer and a few addresses. A truth value is a byte that is zero or one.

use super::super::Level;

/// A loop: where to write, up to three operands, and how many entries.
///
/// # Safety
/// What [`Body::run`] asks for; and the CPU has the instruction set that the function was compiled for.
pub(crate) type Routine = unsafe fn(*mut u8, *const u8, *const u8, *const u8, usize);

/// A loop over entries.
pub(crate) trait Body {
    /// Writes `n` entries to `out` from the operands it has.
    ///
    /// # Safety
    /// `out` is valid for writing `n` entries of the type of the result, each operand for reading as many of its own type (or
    /// what the body says), all aligned and initialised; `out` overlaps no operand.
    unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
unsafe fn avx512<B: Body>(out: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize) {
    // SAFETY: as promised by the caller of the routine.
    unsafe { B::run(out, a, b, c, n) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<B: Body>(out: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize) {
    // SAFETY: as promised by the caller of the routine.
    unsafe { B::run(out, a, b, c, n) }
}

unsafe fn portable<B: Body>(out: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize) {
    // SAFETY: as promised by the caller of the routine.
    unsafe { B::run(out, a, b, c, n) }
}

/// The loop compiled for an instruction set.
pub(crate) fn at<B: Body>(level: Level) -> Routine {
    #[cfg(target_arch = "x86_64")]
    match level {
        Level::Avx512 => return avx512::<B>,
        Level::Avx2 => return avx2::<B>,
        Level::Portable => {}
    }
    let _ = level;
    portable::<B>
}

/// `n` entries.
///
/// # Safety
/// As [`Body::run`] says of an operand.
#[inline(always)]
pub(super) unsafe fn read<'a, T>(from: *const u8, n: usize) -> &'a [T] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(from.cast(), n) }
}

/// `n` entries to be written.
///
/// # Safety
/// As [`Body::run`] says of the result.
#[inline(always)]
pub(super) unsafe fn write<'a, T>(to: *mut u8, n: usize) -> &'a mut [T] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(to.cast(), n) }
}

/// Entries of a vector of the widest numbers.
const VECTOR: usize = 8;

/// `n` rounded up to what tiles are padded to: whole vectors, and two at least, because compiled loops take single ones entry by entry.
pub(super) const fn padded(n: usize) -> usize {
    if n <= VECTOR { 2 * VECTOR } else { n.next_multiple_of(VECTOR) }
}

/// Repeats the last of `n >= 1` entries up to [`padded`] `n`.
///
/// # Safety
/// `out` is valid for writing `padded(n)` entries, of which the first `n` are initialised.
#[inline(always)]
pub(super) unsafe fn pad<T: Copy>(out: *mut T, n: usize) {
    // SAFETY: `n - 1` is an initialised entry and every place below `padded(n)` may be written.
    unsafe {
        let last = *out.add(n - 1);
        for i in n..padded(n) {
            *out.add(i) = last;
        }
    }
}
