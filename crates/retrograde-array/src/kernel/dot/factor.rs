//! The factors of a product, and how they are copied in the order in which tiles read them.

use super::vector::Vector;
use crate::kernel::Num;

/// A factor of a product, as lines of terms: the rows of a left factor, the columns of a right one.
///
/// # Safety
/// [`Factor::as_lies`] gives a place for every line and term,.
pub(crate) unsafe trait Factor<T: Num>: Copy + Sync {
    /// Where entry `(line, term)` lies at `line * .1 + term * .2` from a pointer, if there are such numbers.
    fn as_lies(&self) -> Option<(*const T, usize, usize)>;

    /// Whether [`Factor::pack`] puts lines one after another, `len` terms each, and not terms: for left factors only.
    #[inline(always)]
    fn packs_lines(&self) -> bool {
        false
    }

    /// Copies terms `k0..k0 + len` of `count` lines from `line0` on: `to` holds `len` groups of `width` entries, one for each
    /// line, and anything after the last.
    ///
    /// # Safety
    /// The machine has the instructions of `V`.
    unsafe fn pack<V: Vector<Entry = T>>(
        &self,
        line0: usize,
        count: usize,
        k0: usize,
        len: usize,
        width: usize,
        to: &mut [T],
    );
}

/// A matrix in memory: entry `(line, term)` lies at `line * self.line + term * self.term`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    line: usize,
    term: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// # Panics
    /// When an entry of the lines and terms would lie outside.
    pub(crate) fn new(data: &'a [T], [line, n_lines]: [usize; 2], [term, n_terms]: [usize; 2]) -> Self {
        if n_lines > 0 && n_terms > 0 {
            let last = (n_lines - 1) * line + (n_terms - 1) * term;
            assert!(
                last < data.len(),
                "a factor of {} entries with its last at {last}; this is a bug in retrograde",
                data.len()
            );
        }
        Matrix { data, line, term }
    }
}

// SAFETY: `new` has seen that all entries lie inside.
unsafe impl<T: Num> Factor<T> for Matrix<'_, T> {
    #[inline(always)]
    fn as_lies(&self) -> Option<(*const T, usize, usize)> {
        Some((self.data.as_ptr(), self.line, self.term))
    }

    #[inline(always)]
    unsafe fn pack<V: Vector<Entry = T>>(
        &self,
        line0: usize,
        count: usize,
        k0: usize,
        len: usize,
        width: usize,
        to: &mut [T],
    ) {
        let from = &self.data[line0 * self.line + k0 * self.term..];
        // SAFETY: as promised by the caller.
        unsafe { pack::<V>(from, self.line, self.term, count, len, width, to) };
    }
}

/// Copies `count` lines of `len` terms: entry `(i, k)` from `i * line + k * term` to `k * width + i`.
///
/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn pack<V: Vector>(
    from: &[V::Entry],
    line: usize,
    term: usize,
    count: usize,
    len: usize,
    width: usize,
    to: &mut [V::Entry],
) {
    if line == 1 {
        // SAFETY: as promised by the caller.
        unsafe { copy_groups::<V>(from, term, count, len, width, to) };
    } else if term == 1 && width.is_multiple_of(V::LANES) {
        // SAFETY: as promised by the caller.
        unsafe { transpose_lines::<V>(from, line, count, len, width, to) };
    } else {
        for (k, group) in to.chunks_exact_mut(width).enumerate().take(len) {
            for (i, entry) in group.iter_mut().enumerate().take(count) {
                *entry = from[i * line + k * term];
            }
        }
    }
}

/// Copies `len` runs of `count` entries, `stride` apart, to groups of `width`.
///
/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
unsafe fn copy_groups<V: Vector>(
    from: &[V::Entry],
    stride: usize,
    count: usize,
    len: usize,
    width: usize,
    to: &mut [V::Entry],
) {
    assert!(
        count <= width && len * width <= to.len() && (len == 0 || (len - 1) * stride + count <= from.len())
    );
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    let whole = count / V::LANES * V::LANES;
    // SAFETY: all runs and groups lie inside, as just seen; a group of whole registers is written by registers.
    unsafe {
        if width.is_multiple_of(V::LANES) {
            let mask = V::lanes(0, count - whole);
            for k in 0..len {
                let (from, to) = (from.add(k * stride), to.add(k * width));
                let mut i = 0;
                while i < whole {
                    V::load(from.add(i)).store(to.add(i));
                    i += V::LANES;
                }
                if whole < count {
                    V::load_masked(from.add(whole), mask).store(to.add(whole));
                }
            }
        } else if count == 8 && width == 8 {
            for k in 0..len {
                *to.add(k * 8).cast::<[V::Entry; 8]>() = *from.add(k * stride).cast::<[V::Entry; 8]>();
            }
        } else {
            for k in 0..len {
                let (from, to) = (from.add(k * stride), to.add(k * width));
                for i in 0..count {
                    *to.add(i) = *from.add(i);
                }
            }
        }
    }
}

/// Copies `count` runs of `len` entries, `stride` apart, to the columns of groups of `width`, which is whole registers.
///
/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
unsafe fn transpose_lines<V: Vector>(
    from: &[V::Entry],
    stride: usize,
    count: usize,
    len: usize,
    width: usize,
    to: &mut [V::Entry],
) {
    assert!(
        count <= width && len * width <= to.len() && (count == 0 || (count - 1) * stride + len <= from.len())
    );
    let mut i = 0;
    while i < count {
        let n_lines = V::LANES.min(count - i);
        let mut k = 0;
        while k < len {
            let n_terms = V::LANES.min(len - k);
            // SAFETY: runs and columns lie inside, as just seen; `width` is whole registers.
            unsafe {
                let (from, to) = (from.as_ptr().add(i * stride + k), to.as_mut_ptr().add(k * width + i));
                V::transpose(from, stride, n_lines, n_terms, to, width);
            }
            k += n_terms;
        }
        i += n_lines;
    }
}
