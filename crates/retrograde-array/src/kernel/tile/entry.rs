//! Loops that compute entry by entry.

use std::marker::PhantomData;

use super::super::num::Functions;
use super::super::{Float, Level, Num};
use super::body::{Body, Routine, at, read, write};
use crate::ops::logic::{Bits, ShiftBits};
use crate::ops::piecewise::{Fractions, Pieces};

// Plain loops: what is written is not known to lie apart from what is read, so the compiler tests that once, before its vector loop. Blocks of
// fixed length are unrolled before that test can be made, and then run one entry at a time.

#[inline(always)]
fn map<A: Copy, B>(a: &[A], out: &mut [B], f: impl Fn(A) -> B) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a);
    }
}

#[inline(always)]
fn zip<A: Copy, B: Copy, C>(a: &[A], b: &[B], out: &mut [C], f: impl Fn(A, B) -> C) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

#[inline(always)]
fn zip3<A: Copy, B: Copy, C: Copy, D>(a: &[A], b: &[B], c: &[C], out: &mut [D], f: impl Fn(A, B, C) -> D) {
    for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = f(a, b, c);
    }
}

/// A body for each formula of one, two or three entries.
macro_rules! entrywise {
    ($($name:ident [$($bound:tt)*] ($($x:ident: $in:ty),*) -> $out:ty { $e:expr })*) => {$(
        pub(super) struct $name<T>(PhantomData<T>);
        impl<T: $($bound)*> Body for $name<T> {
            #[inline(always)]
            unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, c: *const u8, n: usize) {
                entrywise!(loop out, [a b c], n, [$($x: $in),*], $out, $e)
            }
        }
    )*};
    (loop $to:ident, [$a:ident $b:ident $c:ident], $n:ident, [$x:ident: $in:ty], $out:ty, $e:expr) => {{
        let _ = ($b, $c);
        // SAFETY: the caller of `run` promises both places.
        let (a, out) = unsafe { (read::<$in>($a, $n), write::<$out>($to, $n)) };
        map(a, out, #[inline(always)] |$x: $in| -> $out { $e })
    }};
    (loop $to:ident, [$a:ident $b:ident $c:ident], $n:ident, [$x:ident: $in:ty, $y:ident: $in2:ty], $out:ty, $e:expr) => {{
        let _ = $c;
        // SAFETY: the caller of `run` promises the three places.
        let (a, b, out) = unsafe { (read::<$in>($a, $n), read::<$in2>($b, $n), write::<$out>($to, $n)) };
        zip(a, b, out, #[inline(always)] |$x: $in, $y: $in2| -> $out { $e })
    }};
    (loop $to:ident, [$a:ident $b:ident $c:ident], $n:ident,
        [$x:ident: $in:ty, $y:ident: $in2:ty, $z:ident: $in3:ty], $out:ty, $e:expr) => {{
        // SAFETY: the caller of `run` promises these places, and those below.
        let (a, b) = unsafe { (read::<$in>($a, $n), read::<$in2>($b, $n)) };
        // SAFETY: as above.
        let (c, out) = unsafe { (read::<$in3>($c, $n), write::<$out>($to, $n)) };
        zip3(a, b, c, out, #[inline(always)] |$x: $in, $y: $in2, $z: $in3| -> $out { $e })
    }};
}

entrywise! {
    Copied [Copy] (x: T) -> T { x }
    Negated [Num] (x: T) -> T { x.negated() }
    Root [Float] (x: T) -> T { x.root() }
    Plus [Num] (x: T, y: T) -> T { x.plus(y) }
    Minus [Num] (x: T, y: T) -> T { x.minus(y) }
    Times [Num] (x: T, y: T) -> T { x.times(y) }
    Divided [Float] (x: T, y: T) -> T { x.divided(y) }
    Larger [Num] (x: T, y: T) -> T { x.larger(y) }
    Smaller [Num] (x: T, y: T) -> T { x.smaller(y) }
    Remainder [Pieces] (x: T, y: T) -> T { x.remainder(y) }
    Fused [Num] (x: T, y: T, z: T) -> T { x.fma(y, z) }
    Clamped [Num] (x: T, low: T, high: T) -> T { x.larger(low).smaller(high) }
    Magnitude [Pieces] (x: T) -> T { x.magnitude() }
    Signed [Pieces] (x: T) -> T { x.sign() }
    Below [Fractions] (x: T) -> T { x.below() }
    Above [Fractions] (x: T) -> T { x.above() }
    Nearest [Fractions] (x: T) -> T { x.nearest() }
    Equal [Copy + PartialEq] (x: T, y: T) -> u8 { u8::from(x == y) }
    Unequal [Copy + PartialEq] (x: T, y: T) -> u8 { u8::from(x != y) }
    Less [Copy + PartialOrd] (x: T, y: T) -> u8 { u8::from(x < y) }
    LessOrEqual [Copy + PartialOrd] (x: T, y: T) -> u8 { u8::from(x <= y) }
    Greater [Copy + PartialOrd] (x: T, y: T) -> u8 { u8::from(x > y) }
    GreaterOrEqual [Copy + PartialOrd] (x: T, y: T) -> u8 { u8::from(x >= y) }
    Chosen [Copy] (mask: u8, x: T, y: T) -> T { if mask != 0 { x } else { y } }
    And [Bits] (x: T, y: T) -> T { x.and(y) }
    Or [Bits] (x: T, y: T) -> T { x.or(y) }
    Xor [Bits] (x: T, y: T) -> T { x.xor(y) }
    Turned [Bits] (x: T) -> T { x.not() }
    Left [ShiftBits] (x: T, by: T) -> T { x.left(by) }
    Right [ShiftBits] (x: T, by: T) -> T { x.right(by) }
    RightLogical [ShiftBits] (x: T, by: T) -> T { x.right_logical(by) }
    Finite [Finiteness] (x: T) -> u8 { u8::from(x.finite()) }
    Truth [Num + PartialEq] (x: T) -> u8 { u8::from(x != T::ZERO) }
    // The type says only that this is about truth values.
    Opposite [IsTruth] (x: u8) -> u8 { x ^ 1 }
}

/// Stands for the bytes of truth values.
pub(super) struct Truths;
pub(super) trait IsTruth {}
impl IsTruth for Truths {}

/// Numbers that may be infinite.
pub(super) trait Finiteness: Copy {
    fn finite(self) -> bool;
}
impl Finiteness for f64 {
    #[inline(always)]
    fn finite(self) -> bool {
        self.is_finite()
    }
}
impl Finiteness for f32 {
    #[inline(always)]
    fn finite(self) -> bool {
        self.is_finite()
    }
}

/// Change of the number type, as [`convert`](crate::ops::convert) rounds and saturates.
pub(super) struct Converted<A, B>(PhantomData<(A, B)>);

macro_rules! conversions {
    ($($from:ident: $($to:ident)*;)*) => {$($(
        impl Body for Converted<$from, $to> {
            #[inline(always)]
            unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
                // SAFETY: the caller of `run` promises both places.
                let (a, out) = unsafe { (read::<$from>(a, n), write::<$to>(out, n)) };
                map(a, out, #[inline(always)] |x: $from| x as $to)
            }
        }
    )*)*};
}
conversions! {
    f64: f32 i64 i32 u8;
    f32: f64 i64 i32 u8;
    i64: f64 f32 i32 u8;
    i32: f64 f32 i64 u8;
    u8: f64 f32 i64 i32;
}

/// A body for each function of [`map`](crate::map).
macro_rules! functions {
    (
        plain { $($name:ident $variant:ident $wide:ident $narrow:ident $bound:literal, $at:expr => $value:expr, $doc:literal;)* }
        turning { $($turn:ident $turn_variant:ident $common:ident $turn_wide:ident $turn_narrow:ident
            $common_wide:ident $common_narrow:ident $turn_bound:literal, $turn_at:expr => $turn_value:expr, $turn_doc:literal;)* }
        binary { $($two:ident $two_variant:ident $two_wide:ident $two_narrow:ident $two_bound:literal,
            $x:expr, $y:expr => $two_value:expr, $two_doc:literal;)* }
    ) => {
        /// The functions of one or two numbers.
        pub(crate) mod function {
            use super::*;

            $(
                #[doc = $doc]
                pub(crate) struct $variant<T>(PhantomData<T>);
                impl<T: Functions> Body for $variant<T> {
                    #[inline(always)]
                    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
                        // SAFETY: the caller of `run` promises both places.
                        let (a, out) = unsafe { (read::<T>(a, n), write::<T>(out, n)) };
                        for (out, &a) in out.iter_mut().zip(a) {
                            *out = a.$name();
                        }
                    }
                }
            )*
            $(
                #[doc = $turn_doc]
                ///
                /// Every entry by the fast argument reduction; then the rare ones that need the exact one are repaired.
                pub(crate) struct $turn_variant<T>(PhantomData<T>);
                impl<T: Functions> Body for $turn_variant<T> {
                    #[inline(always)]
                    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
                        // SAFETY: the caller of `run` promises both places.
                        let (a, out) = unsafe { (read::<T>(a, n), write::<T>(out, n)) };
                        let mut any_rare = false;
                        for (out, &a) in out.iter_mut().zip(a) {
                            *out = a.$common();
                            any_rare |= a.turn_is_rare();
                        }
                        if any_rare {
                            for (out, &a) in out.iter_mut().zip(a) {
                                if a.turn_is_rare() {
                                    *out = a.$turn();
                                }
                            }
                        }
                    }
                }
            )*
            $(
                #[doc = $two_doc]
                pub(crate) struct $two_variant<T>(PhantomData<T>);
                impl<T: Functions> Body for $two_variant<T> {
                    #[inline(always)]
                    unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
                        // SAFETY: the caller of `run` promises the three places.
                        let (a, b, out) = unsafe { (read::<T>(a, n), read::<T>(b, n), write::<T>(out, n)) };
                        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                            *out = a.$two(b);
                        }
                    }
                }
            )*
        }

        /// The routine of a function, for the type of its numbers.
        pub(super) fn function_routine<T: Functions>(f: crate::map::Function, level: Level) -> Routine {
            match f {
                $(crate::map::Function::$variant => at::<function::$variant<T>>(level),)*
                $(crate::map::Function::$turn_variant => at::<function::$turn_variant<T>>(level),)*
            }
        }

        /// The routine of a function of two numbers.
        pub(super) fn function2_routine<T: Functions>(f: crate::map::BinaryFunction, level: Level) -> Routine {
            match f {
                $(crate::map::BinaryFunction::$two_variant => at::<function::$two_variant<T>>(level),)*
            }
        }
    };
}
crate::map::each_function!(functions);
