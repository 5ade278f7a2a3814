//! Exact reversal of one rounded addition.
//!
//! From `y = fl(x + d)` and `d`, the values `x` that could have been are one interval of floats, because rounding is monotone.
//! Usually it is a single float and nothing is kept. Otherwise the index of `x` in the interval goes on a [`BitStack`], and
//! takes it back from there. Both directions decide from `(y, d)` alone whether bits are needed.
//!
//! Note [float order]: floats are ordered as sign and magnitude, so that `-0` and `+0` are adjacent and distinct. In this order
//! `x -> fl(x + d)` and `x -> fma(a, b, x)` are monotone, zeros included: an exact cancellation gives `+0` and everything below it
//! gives a negative number; a sum of zeros is `-0` only if both are.
//!
//! ```
//! use retrograde_array::{bits::BitStack, lost::{Step, record, restore}};
//! let mut stack = BitStack::default();
//! let (x, d) = (0.1_f64, 3.0);
//! record(x + d, x, Step::Add(d), &mut stack).unwrap();
//! assert_eq!(restore(x + d, Step::Add(d), &mut stack), Ok(x));
//! ```

mod array;
mod real;
mod residual;
mod slice;
mod whole;

pub use array::{ArrayStep, record_array, restore_array, restore_array_into};
pub use real::Real;
pub use residual::{Mark, ResidualStack};
pub use slice::{SliceStep, record_slice, restore_slice, restore_slice_into};
pub use whole::{correct, is_finite, pop_residuals, pop_whole, push_residuals, push_whole};

use crate::bits::BitStack;
use crate::kernel;

/// Why an addition cannot be reversed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LostError {
    /// NaN or infinity: reversal ends there.
    #[error("a value is not finite, so the step cannot be reversed")]
    NotFinite,
    /// The stack holds fewer bits than the step needs.
    #[error("the bit stack is exhausted")]
    Exhausted,
    /// The stack or the result is not what was recorded.
    #[error("the bit stack does not belong to these values")]
    Corrupt,
    /// Asked to record an `x` that the step does not take to `y`.
    #[error("the step does not lead from the value before to the value after")]
    Mismatch,
}

/// The addition that led from `x` to `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<T> {
    /// `y = fl(x + d)`
    Add(T),
    /// `y = fma(a, b, x)`
    Fma(T, T),
}

impl<T: Real> Step<T> {
    /// The step from `x`.
    #[inline(always)]
    fn apply(self, x: T) -> T {
        match self {
            Step::Add(d) => x.plus(d),
            Step::Fma(a, b) => a.fma(b, x),
        }
    }

    fn is_finite(self) -> bool {
        match self {
            Step::Add(d) => d.is_finite(),
            Step::Fma(a, b) => a.is_finite() && b.is_finite(),
        }
    }

    /// The likeliest value before `y`, and whether it is certain: it leads to `y` and neither neighbour does.
    ///
    /// Zeros are never certain, which spares this test their signs.
    #[inline(always)]
    pub(crate) fn candidate(self, y: T) -> (T, bool) {
        let x = match self {
            Step::Add(d) => y.minus(d),
            Step::Fma(a, b) => a.negated().fma(b, y),
        };
        let (below, above) = x.neighbours();
        let hit = self.apply(x) == y;
        let alone = (self.apply(below) != y) & (self.apply(above) != y);
        let plain = (x != T::ZERO) & (y != T::ZERO) & x.is_finite() & y.is_finite();
        (x, hit & alone & plain)
    }

    /// The smallest and largest value, as ordered integers, that lead to `y`. `x` is a guess to search from.
    #[inline(always)]
    pub(crate) fn preimages(self, y: T, x: T) -> Result<(i64, i64), LostError> {
        let target = y.place();
        let image = |key: i64| self.apply(T::from_place(key)).place();
        let first = first_where::<T>(x.place(), |key| image(key) >= target);
        let last = first_where::<T>(x.place(), |key| image(key) > target) - 1;
        let exists = first <= last && first <= T::LARGEST_PLACE && image(first) == target;
        if exists { Ok((first, last)) } else { Err(LostError::Corrupt) }
    }
}

/// The first key at which a monotone condition holds, one past the largest if none.
#[inline(always)]
fn first_where<T: Real>(guess: i64, holds: impl Fn(i64) -> bool) -> i64 {
    let (least, end) = (-1 - T::LARGEST_PLACE, T::LARGEST_PLACE + 1);
    let guess = guess.clamp(least, end - 1);
    // Invariant: false below `low`, true from `high` on. Steps double until the guess is bracketed.
    let (mut low, mut high) = (least, end);
    let mut reach = 1_i64;
    if holds(guess) {
        high = guess;
        while high > least {
            let probe = high.saturating_sub(reach).max(least);
            if !holds(probe) {
                low = probe + 1;
                break;
            }
            high = probe;
            reach = reach.saturating_mul(2);
        }
    } else {
        low = guess + 1;
        while low < end {
            let probe = low.saturating_add(reach).min(end - 1);
            if holds(probe) {
                high = probe;
                break;
            }
            low = probe + 1;
            reach = reach.saturating_mul(2);
        }
    }
    while low < high {
        // The average rounded down, without overflow.
        let middle = (low & high) + ((low ^ high) >> 1);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Records what is lost of `x` when only `y`, the result of the step, is kept.
///
/// # Errors
/// [`LostError::NotFinite`] when anything is infinite or NaN, [`LostError::Mismatch`] when `x` does not lead to `y`.
///
/// # Cost
/// Usually three additions and no bits; otherwise about ten more per bit written.
pub fn record<T: Real>(y: T, x: T, step: Step<T>, stack: &mut BitStack) -> Result<(), LostError> {
    let (candidate, certain) = kernel::candidate(step, y);
    if certain && candidate == x { Ok(()) } else { record_slowly(y, x, candidate, step, stack) }
}

/// The value before `y`, taking back what [`record`] put on the stack.
///
/// # Errors
/// [`LostError::NotFinite`] when anything is infinite or NaN, [`LostError::Exhausted`] or [`LostError::Corrupt`] when the stack
/// is not the one that was recorded.
pub fn restore<T: Real>(y: T, step: Step<T>, stack: &mut BitStack) -> Result<T, LostError> {
    let (candidate, certain) = kernel::candidate(step, y);
    if certain { Ok(candidate) } else { restore_slowly(y, candidate, step, stack) }
}

#[cold]
fn record_slowly<T: Real>(
    y: T,
    x: T,
    candidate: T,
    step: Step<T>,
    stack: &mut BitStack,
) -> Result<(), LostError> {
    if !(y.is_finite() && x.is_finite() && step.is_finite()) {
        return Err(LostError::NotFinite);
    }
    if step.apply(x).place() != y.place() {
        return Err(LostError::Mismatch);
    }
    let (first, last) = kernel::preimages(step, y, candidate)?;
    stack.push(x.place().wrapping_sub(first) as u64, index_bits(first, last));
    Ok(())
}

#[cold]
fn restore_slowly<T: Real>(y: T, candidate: T, step: Step<T>, stack: &mut BitStack) -> Result<T, LostError> {
    if !(y.is_finite() && step.is_finite()) {
        return Err(LostError::NotFinite);
    }
    let (first, last) = kernel::preimages(step, y, candidate)?;
    let index = stack.pop(index_bits(first, last)).ok_or(LostError::Exhausted)?;
    if index > last.wrapping_sub(first) as u64 {
        return Err(LostError::Corrupt);
    }
    Ok(T::from_place(first.wrapping_add(index as i64)))
}

/// Bits of an index into `first..=last`.
fn index_bits(first: i64, last: i64) -> u32 {
    // One less than the number of candidates.
    64 - (last.wrapping_sub(first) as u64).leading_zeros()
}

#[cfg(test)]
mod tests;
