//! Exact reversal, many at a time.

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

impl<T: Real> SliceStep<'_, T> {
    fn at(self, i: usize) -> Step<T> {
        match self {
            SliceStep::Add(d) => Step::Add(d[i]),
            SliceStep::Fma(a, b) => Step::Fma(a[i], b[i]),
        }
    }

    /// Candidates for `xs`, and for each whether it is certain, unless all are.
    fn candidates(self, ys: &[T]) -> (Vec<T>, Option<Vec<bool>>) {
        let lens = match self {
            SliceStep::Add(d) => [d.len(); 2],
            SliceStep::Fma(a, b) => [a.len(), b.len()],
        };
        assert!(
            lens == [ys.len(); 2],
            "{lens:?} operands of {} additions; this is a bug in retrograde",
            ys.len()
        );
        let mut candidates = vec![T::ZERO; ys.len()];
        let mut certain = vec![false; ys.len()];
        let any_uncertain = match self {
            SliceStep::Add(d) => kernel::detect_add(ys, d, &mut candidates, &mut certain),
            SliceStep::Fma(a, b) => kernel::detect_fma(ys, a, b, &mut candidates, &mut certain),
        };
        (candidates, any_uncertain.then_some(certain))
    }
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
    let (candidates, certain) = step.candidates(ys);
    for i in 0..ys.len() {
        if certain.as_ref().is_none_or(|certain| certain[i]) {
            if candidates[i] != xs[i] {
                return Err(LostError::Mismatch);
            }
        } else {
            record_slowly(ys[i], xs[i], candidates[i], step.at(i), stack)?;
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
pub fn restore_slice<T: Real>(
    ys: &[T],
    step: SliceStep<'_, T>,
    stack: &mut BitStack,
) -> Result<Vec<T>, LostError> {
    let (mut xs, certain) = step.candidates(ys);
    if let Some(certain) = certain {
        for i in (0..ys.len()).rev() {
            if !certain[i] {
                xs[i] = restore_slowly(ys[i], xs[i], step.at(i), stack)?;
            }
        }
    }
    Ok(xs)
}
