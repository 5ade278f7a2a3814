//! Functions made of straight pieces: the smaller, absolute value, sign, rounding to integers, remainder, clamp.
//!
//! All are exact, so their bits are the same on every machine, whatever computes them.

use crate::kernel::{self, Num};
use crate::{Array, ArrayError, DType, Shape};

use super::bf16::in_f32;
use super::elementwise::{check_divisor, expand, pairs, result};
use super::{each_num, no_such, values};

/// A piecewise function of one number. Integers have `Abs` (which wraps) and `Sign`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piecewise {
    /// `|x|`
    Abs,
    /// -1, 0 or 1; `-0` and NaN stay as they are.
    Sign,
    /// The largest integer that is not above.
    Floor,
    /// The smallest integer that is not below.
    Ceil,
    /// The nearest integer; halves go to the even one.
    Round,
}

/// A number with the pieces.
pub(crate) trait Pieces: Num {
    const ONE: Self;
    fn magnitude(self) -> Self;
    fn sign(self) -> Self;
    fn remainder(self, other: Self) -> Self;
}

/// A number that may lie between two integers.
pub(crate) trait Fractions: Num {
    fn below(self) -> Self;
    fn above(self) -> Self;
    fn nearest(self) -> Self;
}

macro_rules! pieces {
    ($($t:ident)*) => { $(impl Pieces for $t {
        const ONE: $t = 1.0;

        #[inline(always)]
        fn magnitude(self) -> $t {
            self.abs()
        }
        #[inline(always)]
        fn sign(self) -> $t {
            if self == 0.0 || self.is_nan() { self } else { (1.0 as $t).copysign(self) }
        }
        #[inline(always)]
        fn remainder(self, other: $t) -> $t {
            self % other
        }
    }
    impl Fractions for $t {
        #[inline(always)]
        fn below(self) -> $t {
            self.floor()
        }
        #[inline(always)]
        fn above(self) -> $t {
            self.ceil()
        }
        #[inline(always)]
        fn nearest(self) -> $t {
            self.round_ties_even()
        }
    })* };
    (integers: $($t:ident $magnitude:expr, $sign:expr;)*) => { $(impl Pieces for $t {
        const ONE: $t = 1;

        #[inline(always)]
        fn magnitude(self) -> $t {
            let magnitude: fn($t) -> $t = $magnitude;
            magnitude(self)
        }
        #[inline(always)]
        fn sign(self) -> $t {
            let sign: fn($t) -> $t = $sign;
            sign(self)
        }
        #[inline(always)]
        fn remainder(self, other: $t) -> $t {
            self.wrapping_rem(other)
        }
    })* };
}
pieces!(f64 f32);
pieces! {
    integers:
    i64 i64::wrapping_abs, i64::signum;
    i32 i32::wrapping_abs, i32::signum;
    u8 |x| x, |x| x.min(1);
}

/// `op` of every entry.
///
/// # Panics
/// When the dtype has no such operation: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops, ops::Piecewise};
/// let x = array([-1.5, 0.5, -0.0, f64::NAN]);
/// assert_eq!(ops::piecewise(Piecewise::Round, &x), array([-2.0, 0.0, -0.0, f64::NAN]));
/// assert_eq!(ops::piecewise(Piecewise::Sign, &x), array([-1.0, 1.0, -0.0, f64::NAN]));
/// assert_eq!(ops::piecewise(Piecewise::Abs, &array([-3, i32::MIN])), array([3, i32::MIN]));
/// ```
pub fn piecewise(op: Piecewise, a: &Array) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a], |[a]| piecewise(op, a));
    }
    match op {
        Piecewise::Abs => {
            each_num!(a.dtype(), "abs", T => result(a.shape(), kernel::map(values::<T>(a), |x| x.magnitude())))
        }
        Piecewise::Sign => {
            each_num!(a.dtype(), "sign", T => result(a.shape(), kernel::map(values::<T>(a), |x| x.sign())))
        }
        Piecewise::Floor | Piecewise::Ceil | Piecewise::Round => match a.dtype() {
            DType::F64 => to_integers::<f64>(op, a),
            DType::F32 => to_integers::<f32>(op, a),
            dtype => no_such(&format!("{op:?}"), dtype),
        },
    }
}

fn to_integers<T: Fractions>(op: Piecewise, a: &Array) -> Array {
    let x = values::<T>(a);
    let y = match op {
        Piecewise::Floor => kernel::map(x, |x| x.below()),
        Piecewise::Ceil => kernel::map(x, |x| x.above()),
        Piecewise::Round | Piecewise::Abs | Piecewise::Sign => kernel::map(x, |x| x.nearest()),
    };
    result(a.shape(), y)
}

/// The smaller of every pair of entries; NaN if either is NaN, `-0` below `+0`. A rank-0 operand pairs with every entry of
/// the other.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::min(&array([0.0, f64::NAN, 3.0]), &array([-0.0, 1.0, 2.0])), array([-0.0, f64::NAN, 2.0]));
/// ```
pub fn min(a: &Array, b: &Array) -> Array {
    if a.dtype() == DType::BF16 {
        return in_f32([a, b], |[a, b]| min(a, b));
    }
    each_num!(a.dtype(), "min", T => pairs(a, b, |x: T, y| x.smaller(y)))
}

/// The remainder of the division of every pair of entries, rounded towards zero: it has the sign of `a`. Exact.
///
/// # Errors
/// [`ArrayError::DivisionByZero`] for integers; floats give NaN.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// assert_eq!(ops::rem(&array([7.0, -7.0, 1.0]), &array([3.0, 3.0, 0.0]))?, array([1.0, -1.0, f64::NAN]));
/// assert!(ops::rem(&array([7]), &array([0])).is_err());
/// # Ok::<(), retrograde_array::ArrayError>(())
/// ```
pub fn rem(a: &Array, b: &Array) -> Result<Array, ArrayError> {
    if a.dtype() == DType::BF16 {
        // No integer division here, so no error.
        return Ok(in_f32([a, b], |[a, b]| float_rem(a, b)));
    }
    each_num!(a.dtype(), "rem", T => {
        if a.dtype().is_int() {
            check_divisor::<T>(b)?;
        }
        Ok(pairs(a, b, |x: T, y| x.remainder(y)))
    })
}

fn float_rem(a: &Array, b: &Array) -> Array {
    pairs(a, b, |x: f32, y| x.remainder(y))
}

/// The smaller of `high` and the larger of `x` and `low`, entry by entry: `high` where the bounds cross, NaN where one of the
/// three is. A rank-0 operand serves every entry of the others.
///
/// # Panics
/// When dtypes or shapes differ or the dtype is `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops};
/// let x = array([-2.0, 0.5, f64::NAN]);
/// assert_eq!(ops::clamp(&x, &array(0.0), &array(1.0)), array([0.0, 0.5, f64::NAN]));
/// assert_eq!(ops::clamp(&x, &array(1.0), &array(0.0)), array([0.0, 0.0, f64::NAN]));
/// ```
pub fn clamp(x: &Array, low: &Array, high: &Array) -> Array {
    if x.dtype() == DType::BF16 {
        return in_f32([x, low, high], |[x, low, high]| clamp(x, low, high));
    }
    let shape: &Shape =
        [x, low, high].into_iter().map(Array::shape).max_by_key(|shape| shape.rank()).unwrap_or(x.shape());
    let (x, low, high) = (&expand(x, shape), &expand(low, shape), &expand(high, shape));
    each_num!(x.dtype(), "clamp", T => {
        result(shape, kernel::zip3(values::<T>(x), values::<T>(low), values::<T>(high), |x, low, high| {
            x.larger(low).smaller(high)
        }))
    })
}
