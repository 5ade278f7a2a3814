//! Truth values and bits: and, or, exclusive or, not, shifts; and which numbers are finite.

use crate::{Array, DType, Element, bf16, kernel};

use super::elementwise::{pairs, result};
use super::{no_such, values};

/// A function of two truth values, or of every bit of two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Logic {
    /// Both.
    And,
    /// At least one.
    Or,
    /// Exactly one.
    Xor,
}

/// A shift of the bits of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shift {
    /// Towards higher bits; zeros come in.
    Left,
    /// Towards lower bits; copies of the sign come in (zeros for `u8`): division by a power of two, rounded down.
    Right,
    /// Towards lower bits; zeros come in.
    RightLogical,
}

/// A type with bits.
pub(crate) trait Bits: Element {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn not(self) -> Self;
}

/// An integer whose bits can be shifted; by a negative amount or by more than there are bits, all are shifted out.
pub(crate) trait ShiftBits: Bits {
    fn left(self, by: Self) -> Self;
    fn right(self, by: Self) -> Self;
    fn right_logical(self, by: Self) -> Self;
}

macro_rules! bits {
    ($($t:ty),*) => { $(impl Bits for $t {
        #[inline(always)]
        fn and(self, other: $t) -> $t {
            self & other
        }
        #[inline(always)]
        fn or(self, other: $t) -> $t {
            self | other
        }
        #[inline(always)]
        fn xor(self, other: $t) -> $t {
            self ^ other
        }
        #[inline(always)]
        fn not(self) -> $t {
            !self
        }
    })* };
}
bits!(bool, i64, i32, u8);

macro_rules! shifts {
    ($($t:ident $unsigned:ident),*) => { $(impl ShiftBits for $t {
        #[inline(always)]
        fn left(self, by: $t) -> $t {
            if (by as $unsigned) < $t::BITS as $unsigned { self << by } else { 0 }
        }
        #[inline(always)]
        fn right(self, by: $t) -> $t {
            if (by as $unsigned) < $t::BITS as $unsigned { self >> by } else { (self >> ($t::BITS - 1)) >> 1 }
        }
        #[inline(always)]
        fn right_logical(self, by: $t) -> $t {
            if (by as $unsigned) < $t::BITS as $unsigned { ((self as $unsigned) >> by) as $t } else { 0 }
        }
    })* };
}
shifts!(i64 u64, i32 u32, u8 u8);

/// `$body` with `$t` the Rust type of an integer dtype.
macro_rules! each_int {
    ($dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::I64 => {
                type $t = i64;
                $body
            }
            DType::I32 => {
                type $t = i32;
                $body
            }
            DType::U8 => {
                type $t = u8;
                $body
            }
            dtype @ (DType::F64 | DType::F32 | DType::BF16 | DType::Bool) => no_such($op, dtype),
        }
    };
}

/// `$body` with `$t` the Rust type of a dtype with bits.
macro_rules! each_bits {
    ($dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::Bool => {
                type $t = bool;
                $body
            }
            other => each_int!(other, $op, $t => $body),
        }
    };
}

/// `op` of every pair of entries, both `bool` or of one integer dtype. A rank-0 operand pairs with every entry of the other.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops, ops::Logic};
/// assert_eq!(ops::logic(Logic::Xor, &array([true, true]), &array([true, false])), array([false, true]));
/// assert_eq!(ops::logic(Logic::And, &array([6, 5]), &array(3)), array([2, 1]));
/// ```
pub fn logic(op: Logic, a: &Array, b: &Array) -> Array {
    each_bits!(a.dtype(), "logic", T => match op {
        Logic::And => pairs(a, b, |x: T, y| x.and(y)),
        Logic::Or => pairs(a, b, |x: T, y| x.or(y)),
        Logic::Xor => pairs(a, b, |x: T, y| x.xor(y)),
    })
}

/// The opposite truth value, or every bit of an integer turned over.
///
/// # Panics
/// When the dtype is a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!((ops::not(&array([true])), ops::not(&array([0]))), (array([false]), array([-1])));
/// ```
pub fn not(a: &Array) -> Array {
    each_bits!(a.dtype(), "not", T => result(a.shape(), kernel::map(values::<T>(a), |x| x.not())))
}

/// The bits of every integer of `a`, shifted by the entry of `by`; all out where that is negative or at least the
/// number of bits. A rank-0 operand pairs with every entry of the other.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is not an integer: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops, ops::Shift};
/// let x = array([-5_i64, 5]);
/// assert_eq!(ops::shift(Shift::Right, &x, &array(1_i64)), array([-3_i64, 2]));
/// assert_eq!(ops::shift(Shift::Left, &x, &array([1_i64, 64])), array([-10_i64, 0]));
/// ```
pub fn shift(op: Shift, a: &Array, by: &Array) -> Array {
    each_int!(a.dtype(), "shift", T => match op {
        Shift::Left => pairs(a, by, |x: T, y| x.left(y)),
        Shift::Right => pairs(a, by, |x: T, y| x.right(y)),
        Shift::RightLogical => pairs(a, by, |x: T, y| x.right_logical(y)),
    })
}

/// `bool`: neither infinite nor NaN.
///
/// # Panics
/// When the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::is_finite(&array([1.0, f64::INFINITY, f64::NAN])), array([true, false, false]));
/// ```
pub fn is_finite(a: &Array) -> Array {
    match a.dtype() {
        DType::F64 => result(a.shape(), kernel::map(values(a), f64::is_finite)),
        DType::F32 => result(a.shape(), kernel::map(values(a), f32::is_finite)),
        DType::BF16 => result(a.shape(), kernel::map(values(a), bf16::is_finite)),
        dtype @ (DType::I64 | DType::I32 | DType::U8 | DType::Bool) => no_such("is_finite", dtype),
    }
}
