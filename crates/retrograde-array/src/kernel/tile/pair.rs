//! Two operations of arithmetic in one pass: the second takes the result of the first, which is never written.
//!
//! The bits are those of one after the other: each rounds by itself.

use std::marker::PhantomData;

use super::super::{Float, Level};
use super::body::{Body, Routine, at, read, write};
use crate::ops::strong;

/// An operation of two floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// The sum.
    Add,
    /// The difference.
    Sub,
    /// The product.
    Mul,
    /// [`ops::strong_mul`](crate::ops::strong_mul)
    StrongMul,
}

/// `second(first(a, b), c)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Of the first two operands.
    pub first: Arithmetic,
    /// Of that and the third operand.
    pub second: Arithmetic,
    /// Whether the result of the first is the second's second operand: `second(c, first(a, b))`.
    pub turned: bool,
}

/// What one entry of each operand becomes.
pub(super) trait Two<T> {
    /// The result, unless [`Two::is_rare`] holds of it.
    fn common(x: T, y: T) -> T;
    /// The result.
    fn exact(x: T, y: T) -> T;
    /// Whether what [`Two::common`] gives may not be the result.
    fn is_rare(common: T) -> bool;
}

macro_rules! plain {
    ($($name:ident ($x:ident, $y:ident) $e:expr;)*) => {$(
        pub(super) struct $name;
        impl<T: Float + PartialOrd> Two<T> for $name {
            #[inline(always)]
            fn common($x: T, $y: T) -> T {
                $e
            }
            #[inline(always)]
            fn exact($x: T, $y: T) -> T {
                $e
            }
            #[inline(always)]
            fn is_rare(_: T) -> bool {
                false
            }
        }
    )*};
}
plain! {
    Sum (x, y) x.plus(y);
    Difference (x, y) x.minus(y);
    Turned (x, y) y.minus(x);
    Product (x, y) x.times(y);
}

/// Products in which a zero wins, and quotients: the plain ones, but where those are NaN.
pub(super) struct StrongProduct;
pub(super) struct StrongQuotient;

macro_rules! strong {
    ($($name:ident $plain:ident $exact:path;)*) => {$(
        impl<T: Float + PartialOrd> Two<T> for $name {
            #[inline(always)]
            fn common(x: T, y: T) -> T {
                x.$plain(y)
            }
            #[inline(always)]
            fn exact(x: T, y: T) -> T {
                $exact(x, y)
            }
            #[inline(always)]
            fn is_rare(common: T) -> bool {
                common.partial_cmp(&common).is_none()
            }
        }
    )*};
}
strong! {
    StrongProduct times strong::product;
    StrongQuotient divided strong::quotient;
}

/// One operation.
pub(super) struct One<T, F>(PhantomData<(T, F)>);
/// Two, the second on the result of the first.
pub(super) struct Both<T, F, S>(PhantomData<(T, F, S)>);

impl<T: Float, F: Two<T>> Body for One<T, F> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
        // SAFETY: the caller of `run` promises the three places.
        let (a, b, out) = unsafe { (read::<T>(a, n), read::<T>(b, n), write::<T>(out, n)) };
        let mut any_rare = false;
        for ((out, &x), &y) in out.iter_mut().zip(a).zip(b) {
            *out = F::common(x, y);
            any_rare |= F::is_rare(*out);
        }
        if any_rare {
            for ((out, &x), &y) in out.iter_mut().zip(a).zip(b) {
                *out = F::exact(x, y);
            }
        }
    }
}

impl<T: Float, F: Two<T>, S: Two<T>> Body for Both<T, F, S> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize) {
        // SAFETY: the caller of `run` promises these places, and those below.
        let (a, b) = unsafe { (read::<T>(a, n), read::<T>(b, n)) };
        // SAFETY: as above.
        let (c, out) = unsafe { (read::<T>(c, n), write::<T>(out, n)) };
        let mut any_rare = false;
        for (((out, &x), &y), &z) in out.iter_mut().zip(a).zip(b).zip(c) {
            let first = F::common(x, y);
            *out = S::common(first, z);
            any_rare |= F::is_rare(first) | S::is_rare(*out);
        }
        if any_rare {
            for (((out, &x), &y), &z) in out.iter_mut().zip(a).zip(b).zip(c) {
                *out = S::exact(F::exact(x, y), z);
            }
        }
    }
}

/// The routine of a pair.
pub(super) fn pair_routine<T: Float + PartialOrd>(pair: Pair, level: Level) -> Routine {
    fn after<T: Float + PartialOrd, F: Two<T>>(pair: Pair, level: Level) -> Routine {
        match (pair.second, pair.turned) {
            (Arithmetic::Add, _) => at::<Both<T, F, Sum>>(level),
            (Arithmetic::Sub, false) => at::<Both<T, F, Difference>>(level),
            (Arithmetic::Sub, true) => at::<Both<T, F, Turned>>(level),
            (Arithmetic::Mul, _) => at::<Both<T, F, Product>>(level),
            (Arithmetic::StrongMul, _) => at::<Both<T, F, StrongProduct>>(level),
        }
    }
    match pair.first {
        Arithmetic::Add => after::<T, Sum>(pair, level),
        Arithmetic::Sub => after::<T, Difference>(pair, level),
        Arithmetic::Mul => after::<T, Product>(pair, level),
        Arithmetic::StrongMul => after::<T, StrongProduct>(pair, level),
    }
}
