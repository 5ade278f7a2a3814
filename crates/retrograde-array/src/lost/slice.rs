//! Exact reversal, many at a time.

use std::ops::Range;

use super::{LostError, Real, Step, record_slowly, restore_slowly};
use crate::bits::BitStack;
use crate::kernel;

/// The additions that led from `xs` to `ys`, entry by entry.
#[derive(Debug, Clone, Copy)]
pub enum SliceStep<'a, T> {
    /// `y = fl(x + d)`
    Add(&'a [T]),
    /// `y = fma(a, b, x)`
    Fma(&'a [T], &'a [T]),
}

/// Entries looked at together.
const TOGETHER: usize = 256;

impl<T: Real> SliceStep<'_, T> {
    fn at(self, i: usize) -> Step<T> {
        match self {
            SliceStep::Add(d) => Step::Add(d[i]),
            SliceStep::Fma(a, b) => Step::Fma(a[i], b[i]),
        }
    }

    fn check_len(self, n: usize) {
        let lens = match self {
            SliceStep::Add(d) => [d.len(); 2],
            SliceStep::Fma(a, b) => [a.len(), b.len()],
        };
        assert!(lens == [n; 2], "{lens:?} operands of {n} additions; this is a bug in retrograde");
    }

    /// Writes the candidates for the entries of `range`, and which are certain; true if all are.
    fn detect(self, ys: &[T], range: Range<usize>, candidates: &mut [T], certain: &mut [bool]) -> bool {
        let ys = &ys[range.clone()];
        match self {
            SliceStep::Add(d) => kernel::detect_add(ys, &d[range], candidates, certain),
            SliceStep::Fma(a, b) => kernel::detect_fma(ys, &a[range.clone()], &b[range], candidates, certain),
        }
    }

    /// Whether all candidates for the entries of `range` are certain, and whether a certain one is not the entry of `xs`.
    fn compare(self, ys: &[T], xs: &[T], range: Range<usize>, certain: &mut [bool]) -> (bool, bool) {
        let (ys, xs) = (&ys[range.clone()], &xs[range.clone()]);
        match self {
            SliceStep::Add(d) => kernel::compare_add(ys, &d[range], xs, certain),
            SliceStep::Fma(a, b) => kernel::compare_fma(ys, &a[range.clone()], &b[range], xs, certain),
        }
    }
}

/// `0..n` in ranges of at most [`TOGETHER`].
fn ranges(n: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    (0..n.div_ceil(TOGETHER)).map(move |block| block * TOGETHER..n.min((block + 1) * TOGETHER))
}

/// [`record`](super::record) for every entry, first to last.
///
/// # Errors
/// As [`record`](super::record), for the first entry that fails; what was recorded before it stays on the stack.
///
/// # Panics
/// When lengths differ: internal misuse.
pub fn record_slice<T: Real>(
    ys: &[T],
    xs: &[T],
    step: SliceStep<'_, T>,
    stack: &mut BitStack,
) -> Result<(), LostError> {
    assert!(
        xs.len() == ys.len(),
        "{} values before, {} after; this is a bug in retrograde",
        xs.len(),
        ys.len()
    );
    step.check_len(ys.len());
    let mut certain = [false; TOGETHER];
    for range in ranges(ys.len()) {
        let certain = &mut certain[..range.len()];
        let (all_certain, contradicts) = step.compare(ys, xs, range.clone(), certain);
        if contradicts {
            return Err(LostError::Mismatch);
        }
        if all_certain {
            continue;
        }
        for (i, &certain) in range.zip(&*certain) {
            if !certain {
                let (candidate, _) = kernel::candidate(step.at(i), ys[i]);
                record_slowly(ys[i], xs[i], candidate, step.at(i), stack)?;
            }
        }
    }
    Ok(())
}

/// [`restore`](super::restore) for every entry, last to first, so that bits come back in the opposite order.
///
/// # Errors
/// As [`restore`](super::restore), for the last entry that fails; the stack is then partly consumed.
///
/// # Panics
/// When lengths differ: internal misuse.
///
/// ```
/// use retrograde_array::bits::BitStack;
/// use retrograde_array::lost::{LostError, SliceStep, record_slice, restore_slice, restore_slice_into};
/// let (x, d) = ([0.1, 1e-20], [3.0, 1.0]);
/// let (y, step) = ([0.1 + 3.0, 1e-20 + 1.0], SliceStep::Add(&d));
/// let mut stack = BitStack::new();
/// record_slice(&y, &x, step, &mut stack)?;
/// let mut found = [0.0; 2];
/// restore_slice_into(&y, step, &mut stack.clone(), &mut found)?;
/// assert_eq!(found, x);
/// assert_eq!(restore_slice(&y, step, &mut stack)?, x);
/// assert_eq!(restore_slice(&y, step, &mut stack), Err(LostError::Exhausted));
/// # Ok::<(), LostError>(())
/// ```
pub fn restore_slice<T: Real>(
    ys: &[T],
    step: SliceStep<'_, T>,
    stack: &mut BitStack,
) -> Result<Vec<T>, LostError> {
    let mut xs = vec![T::ZERO; ys.len()];
    restore_slice_into(ys, step, stack, &mut xs)?;
    Ok(xs)
}

/// [`restore_slice`] into memory that is there.
///
/// # Errors
/// As [`restore_slice`].
///
/// # Panics
/// As [`restore_slice`].
pub fn restore_slice_into<T: Real>(
    ys: &[T],
    step: SliceStep<'_, T>,
    stack: &mut BitStack,
    xs: &mut [T],
) -> Result<(), LostError> {
    step.check_len(ys.len());
    assert!(
        xs.len() == ys.len(),
        "room for {} of {} values; this is a bug in retrograde",
        xs.len(),
        ys.len()
    );
    let mut certain = [false; TOGETHER];
    for range in ranges(ys.len()).rev() {
        let (xs, certain) = (&mut xs[range.clone()], &mut certain[..range.len()]);
        if step.detect(ys, range.clone(), xs, certain) {
            continue;
        }
        for ((i, x), &certain) in range.zip(xs).zip(&*certain).rev() {
            if !certain {
                *x = restore_slowly(ys[i], *x, step.at(i), stack)?;
            }
        }
    }
    Ok(())
}
