//! Pieces and bits: methods of [`Var`] for truth values, integers and functions made of straight pieces.

use std::ops::{BitAnd, BitOr, BitXor, Not, Rem, Shl, Shr};

use super::frame;
use super::var::{IntoOperand, Var, caller, matched, unary};
use crate::prim::{abs, ceil, clamp, floor, is_finite, logic, min, not, rem, round, shift, sign};
use retrograde_array::ops::{Logic, Shift};

macro_rules! operators {
    ($($(#[$doc:meta])* $trait:ident $method:ident $prim:expr;)*) => { $(
        $(#[$doc])*
        impl<B: IntoOperand> $trait<B> for Var {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: B) -> Var {
                let location = caller();
                let (a, b) = matched(self, other.operand(&self.ty(), location), location);
                frame::record1($prim, &[a, b], location)
            }
        }
    )* };
}
operators! {
    /// Both, of truth values; every bit, of integers.
    BitAnd bitand logic::Logic { op: Logic::And };
    /// At least one, of truth values; every bit, of integers.
    BitOr bitor logic::Logic { op: Logic::Or };
    /// Exactly one, of truth values; every bit, of integers.
    BitXor bitxor logic::Logic { op: Logic::Xor };
    /// Bits towards higher ones.
    Shl shl shift::Shift { op: Shift::Left };
    /// Bits towards lower ones, the sign kept: division by a power of two, rounded down.
    Shr shr shift::Shift { op: Shift::Right };
    /// The remainder of the division rounded towards zero: it has the sign of the left operand.
    Rem rem rem::Rem;
}

/// The opposite truth value, or every bit of an integer turned over.
impl Not for Var {
    type Output = Var;
    #[track_caller]
    fn not(self) -> Var {
        frame::record1(not::Not, &[self], caller())
    }
}

unary! {
    /// |x|, entry by entry; the derivative at 0 is 0.
    abs abs::Abs;
    /// -1, 0 or 1, entry by entry; the derivative is zero everywhere.
    sign sign::Sign;
    /// The largest integer that is not above, entry by entry; the derivative is zero everywhere.
    floor floor::Floor;
    /// The smallest integer that is not below, entry by entry; the derivative is zero everywhere.
    ceil ceil::Ceil;
    /// The nearest integer, halves to the even one; the derivative is zero everywhere.
    round round::Round;
    /// `bool`: neither infinite nor NaN.
    is_finite is_finite::IsFinite;
}

/// Functions made of straight pieces, and bits:
///
/// ```
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_array::array;
/// let x = array([-1.5, 0.0, 2.5]);
/// let whole = jit(|x: Var| (x.floor(), x.ceil(), x.round())).call(&x)?;
/// assert_eq!(whole, (array([-2.0, 0.0, 2.0]), array([-1.0, 0.0, 3.0]), array([-2.0, 0.0, 2.0])));
/// assert_eq!(grad(|x: Var| x.abs().sum()).call(&x)?, array([-1.0, 0.0, 1.0]));
/// assert_eq!(jit(|x: Var| (x.sign(), (1.0 / x).is_finite())).call(&x)?, (array([-1.0, 0.0, 1.0]), array([true, false, true])));
/// assert_eq!(grad(|x: Var| x.min(0.0).sum()).call(&x)?, array([1.0, 0.5, 0.0]));
/// assert_eq!(jit(|n: Var| (n >> 1, n.shift_right_logical(63))).call(&array(-3_i64))?, (array(-2_i64), array(1_i64)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
impl Var {
    /// The smaller, entry by entry; the derivative is shared equally at ties.
    #[track_caller]
    pub fn min(self, other: impl IntoOperand) -> Var {
        let location = caller();
        let (a, b) = matched(self, other.operand(&self.ty(), location), location);
        frame::record1(min::Min, &[a, b], location)
    }
    /// At least `low` and at most `high`, entry by entry. The derivative is 1 inside and on both edges, 0 outside.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_array::array;
    /// let slope = grad(|x: Var| x.clamp(0.0, 1.0).sum()).call(&array([-0.5, 0.0, 0.5, 1.0, 1.5]))?;
    /// assert_eq!(slope, array([0.0, 1.0, 1.0, 1.0, 0.0]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp(self, low: impl IntoOperand, high: impl IntoOperand) -> Var {
        let location = caller();
        let (low, high) = (low.operand(&self.ty(), location), high.operand(&self.ty(), location));
        let (x, low) = matched(self, low, location);
        let (x, high) = matched(x, high, location);
        let (x, low) = matched(x, low, location);
        frame::record1(clamp::Clamp, &[x, low, high], location)
    }
    /// The bits of integers towards lower ones, zeros coming in.
    #[track_caller]
    pub fn shift_right_logical(self, by: impl IntoOperand) -> Var {
        let location = caller();
        let (a, b) = matched(self, by.operand(&self.ty(), location), location);
        frame::record1(shift::Shift { op: Shift::RightLogical }, &[a, b], location)
    }
}
