//! The loops behind the steps of tile code: each writes entries of one place from the entries of others.
//!
//! All have one signature, so that a step is a function pointer and a few addresses. A truth value is a byte that is zero or one.

use std::marker::PhantomData;

use super::super::num::Functions;
use super::super::{Float, Level, Num};
use crate::ops::logic::{Bits, ShiftBits};
use crate::ops::piecewise::{Fractions, Pieces};

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
unsafe fn read<'a, T>(from: *const u8, n: usize) -> &'a [T] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(from.cast(), n) }
}

/// `n` entries to be written.
///
/// # Safety
/// As [`Body::run`] says of the result.
#[inline(always)]
unsafe fn write<'a, T>(to: *mut u8, n: usize) -> &'a mut [T] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(to.cast(), n) }
}

/// Entries that a loop over simple arithmetic takes at once: two registers of 64 bytes of the widest type.
const CHUNK: usize = 16;

#[inline(always)]
fn map<A: Copy, B>(a: &[A], out: &mut [B], f: impl Fn(A) -> B) {
    let ((a, a_rest), (out, rest)) = (a.as_chunks::<CHUNK>(), out.as_chunks_mut::<CHUNK>());
    for (out, a) in out.iter_mut().zip(a) {
        for i in 0..CHUNK {
            out[i] = f(a[i]);
        }
    }
    for (out, &a) in rest.iter_mut().zip(a_rest) {
        *out = f(a);
    }
}

#[inline(always)]
fn zip<A: Copy, B: Copy, C>(a: &[A], b: &[B], out: &mut [C], f: impl Fn(A, B) -> C) {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<CHUNK>(), b.as_chunks::<CHUNK>());
    let (out, rest) = out.as_chunks_mut::<CHUNK>();
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        for i in 0..CHUNK {
            out[i] = f(a[i], b[i]);
        }
    }
    for ((out, &a), &b) in rest.iter_mut().zip(a_rest).zip(b_rest) {
        *out = f(a, b);
    }
}

#[inline(always)]
fn zip3<A: Copy, B: Copy, C: Copy, D>(a: &[A], b: &[B], c: &[C], out: &mut [D], f: impl Fn(A, B, C) -> D) {
    let ((a, a_rest), (b, b_rest), (c, c_rest)) =
        (a.as_chunks::<CHUNK>(), b.as_chunks::<CHUNK>(), c.as_chunks::<CHUNK>());
    let (out, rest) = out.as_chunks_mut::<CHUNK>();
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        for i in 0..CHUNK {
            out[i] = f(a[i], b[i], c[i]);
        }
    }
    for (((out, &a), &b), &c) in rest.iter_mut().zip(a_rest).zip(b_rest).zip(c_rest) {
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
        // SAFETY: the caller of `run` promises the four places.
        let (a, b, c, out) =
            unsafe { (read::<$in>($a, $n), read::<$in2>($b, $n), read::<$in3>($c, $n), write::<$out>($to, $n)) };
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
    StrongTimes [Float + PartialOrd] (x: T, y: T) -> T { crate::ops::strong::product(x, y) }
    StrongDivided [Float + PartialOrd] (x: T, y: T) -> T { crate::ops::strong::quotient(x, y) }
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

/// Entries that tiles are padded to: see Note [padding] of `code`.
pub(super) const PAD: usize = 8;

/// `n` rounded up to what tiles are padded to.
pub(super) const fn padded(n: usize) -> usize {
    n.next_multiple_of(PAD)
}

/// Repeats the last of `n >= 1` entries up to [`padded`] `n`.
///
/// # Safety
/// `out` is valid for writing `padded(n)` entries, of which the first `n` are initialised.
#[inline(always)]
unsafe fn pad<T: Copy>(out: *mut T, n: usize) {
    // SAFETY: `n - 1` is an initialised entry and every place below `padded(n)` may be written.
    unsafe {
        let last = *out.add(n - 1);
        for i in n..padded(n) {
            *out.add(i) = last;
        }
    }
}

/// The operand's `n >= 1` entries, padded.
pub(super) struct Padded<T>(PhantomData<T>);
impl<T: Copy> Body for Padded<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        // SAFETY: `n` entries may be read; `padded(n)` may be written, in another place.
        unsafe {
            std::ptr::copy_nonoverlapping(a.cast::<T>(), out.cast::<T>(), n);
            pad(out.cast::<T>(), n);
        }
    }
}

/// The operand's `n` entries, to a place with room for no more.
pub(super) struct Stored<T>(PhantomData<T>);
impl<T: Copy> Body for Stored<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        // SAFETY: `n` entries may be read and written, in different places.
        unsafe { std::ptr::copy_nonoverlapping(a.cast::<T>(), out.cast::<T>(), n) }
    }
}

/// The operand's only entry, `padded(n)` times.
pub(super) struct Repeated<T>(PhantomData<T>);
impl<T: Copy> Body for Repeated<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        // SAFETY: one entry may be read; `padded(n)` may be written.
        let (value, out) = unsafe { (*a.cast::<T>(), write::<T>(out, padded(n))) };
        out.fill(value);
    }
}

/// For each of `n >= 1` entries, the operand's entry at the place that the second operand, of `i32`, says; padded.
pub(super) struct Gathered<T>(PhantomData<T>);
impl<T: Copy> Body for Gathered<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, places: *const u8, _: *const u8, n: usize) {
        let (from, to) = (a.cast::<T>(), out.cast::<T>());
        // SAFETY: `n` places may be read, the operand at each of them; `padded(n)` entries may be written.
        unsafe {
            for (i, &place) in read::<i32>(places, n).iter().enumerate() {
                *to.add(i) = *from.offset(place as isize);
            }
            pad(to, n);
        }
    }
}

/// Writes the operand's `n` entries to the places that the second operand, of `i32`, says; other entries of the result stay.
pub(super) struct Placed<T>(PhantomData<T>);
impl<T: Copy> Body for Placed<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, places: *const u8, _: *const u8, n: usize) {
        let (from, to) = (a.cast::<T>(), out.cast::<T>());
        // SAFETY: `n` entries and as many places may be read, the result written at each of them.
        unsafe {
            for (i, &place) in read::<i32>(places, n).iter().enumerate() {
                *to.offset(place as isize) = *from.add(i);
            }
        }
    }
}

/// The canonical sum of an operand `[outer, n, inner]` over its middle axis; the second operand holds the three lengths as
/// `i32`. Padded.
pub(super) struct Reduced<T, F>(PhantomData<(T, F)>);

/// An associative function of two numbers.
pub(super) trait Combine<T> {
    fn combine(a: T, b: T) -> T;
}
macro_rules! combine {
    ($($name:ident $method:ident;)*) => {$(
        pub(super) struct $name;
        impl<T: Num> Combine<T> for $name {
            #[inline(always)]
            fn combine(a: T, b: T) -> T {
                a.$method(b)
            }
        }
    )*};
}
combine! {
    Sum plus;
    Prod times;
    Largest larger;
    Smallest smaller;
}

impl<T: Num, F: Combine<T>> Body for Reduced<T, F> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, lengths: *const u8, _: *const u8, _: usize) {
        // SAFETY: three lengths may be read.
        let lengths = unsafe { read::<i32>(lengths, 3) };
        let [outer, n, inner] = [0, 1, 2].map(|i| lengths[i] as usize);
        let kept = outer * inner;
        // SAFETY: all entries of the operand may be read, and the padded result may be written.
        let (from, to) = unsafe { (read::<T>(a, kept * n), write::<T>(out, padded(kept))) };
        match T::LANES {
            16 => reduce::<T, F, 16>(from, n, inner, &mut to[..kept]),
            _ => reduce::<T, F, 8>(from, n, inner, &mut to[..kept]),
        }
        // SAFETY: `kept >= 1` entries have been written.
        unsafe { pad(out.cast::<T>(), kept) }
    }
}

/// Columns of a product that are computed together: a vector of the widest numbers.
const COLUMNS: usize = 8;

/// Terms of one chain of a product: Note [canonical product] of `dot`.
const BLOCK: usize = 256;

/// Products of small matrices `[batch, m, k]` and `[batch, k, n]`. The third operand holds, as `i32`, batch, m, k and n, then how
/// far apart the entries of the first operand lie along its axes, and those of the second. Padded.
pub(super) struct Product<T>(PhantomData<T>);
impl<T: Num> Body for Product<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, b: *const u8, lengths: *const u8, _: usize) {
        // SAFETY: ten lengths may be read.
        let lengths = unsafe { read::<i32>(lengths, 10) };
        let [batch, m, k, n] = [0, 1, 2, 3].map(|i| lengths[i] as usize);
        let strides = |first: usize| [0, 1, 2].map(|i| lengths[first + i] as isize);
        let ([a_batch, a_row, a_column], [b_batch, b_row, b_column]) = (strides(4), strides(7));
        let kept = batch * m * n;
        // SAFETY: the padded result may be written.
        let to = unsafe { write::<T>(out, padded(kept)) };
        for (i, to) in to[..kept].chunks_exact_mut(m * n).enumerate() {
            let (a, b) = (
                a.cast::<T>().wrapping_offset(i as isize * a_batch),
                b.cast::<T>().wrapping_offset(i as isize * b_batch),
            );
            // SAFETY: the entries at these strides may be read.
            unsafe {
                if n >= m {
                    product((a, [a_row, a_column]), (b, [b_row, b_column]), [m, k, n], to, [n, 1]);
                } else {
                    // The transposed product: factors of a term change places, which changes no bit.
                    product((b, [b_column, b_row]), (a, [a_column, a_row]), [n, k, m], to, [1, n]);
                }
            }
        }
        // SAFETY: `kept >= 1` entries have been written.
        unsafe { pad(out.cast::<T>(), kept) }
    }
}

/// One product, each matrix with its strides.
///
/// # Safety
/// The entries of both may be read; those of the result are inside.
#[inline(always)]
unsafe fn product<T: Num>(
    (a, [a_row, a_column]): (*const T, [isize; 2]),
    (b, [b_row, b_column]): (*const T, [isize; 2]),
    [m, k, n]: [usize; 3],
    out: &mut [T],
    [out_row, out_column]: [usize; 2],
) {
    for i in 0..m as isize {
        for first in (0..n).step_by(COLUMNS) {
            let width = COLUMNS.min(n - first);
            let mut totals = [T::ZERO; COLUMNS];
            for block in (0..k).step_by(BLOCK) {
                let mut chains = [T::ZERO; COLUMNS];
                for at in block..k.min(block + BLOCK) {
                    // SAFETY: row `i` and columns `first` to `first + width` are inside.
                    unsafe {
                        let x = *a.offset(i * a_row + at as isize * a_column);
                        let row = b.offset(at as isize * b_row + first as isize * b_column);
                        if width == COLUMNS && b_column == 1 {
                            for (j, chain) in chains.iter_mut().enumerate() {
                                *chain = x.fma(*row.add(j), *chain);
                            }
                        } else {
                            for (j, chain) in chains.iter_mut().enumerate().take(width) {
                                *chain = x.fma(*row.offset(j as isize * b_column), *chain);
                            }
                        }
                    }
                }
                for (total, &chain) in totals.iter_mut().zip(&chains) {
                    *total = if block == 0 { chain } else { total.plus(chain) };
                }
            }
            for (j, &total) in totals.iter().enumerate().take(width) {
                out[i as usize * out_row + (first + j) * out_column] = total;
            }
        }
    }
}

/// As [`Reduced`] for the `n` entries of a tile, with the lengths of the middle and last axis in the second operand; not padded.
pub(super) struct ReducedTile<T, F>(PhantomData<(T, F)>);
impl<T: Num, F: Combine<T>> Body for ReducedTile<T, F> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, lengths: *const u8, _: *const u8, entries: usize) {
        // SAFETY: two lengths may be read.
        let lengths = unsafe { read::<i32>(lengths, 2) };
        let [n, inner] = [0, 1].map(|i| lengths[i] as usize);
        // SAFETY: the entries of the tile may be read, and as many written as are left of them.
        let (from, to) = unsafe { (read::<T>(a, entries), write::<T>(out, entries / n)) };
        match T::LANES {
            16 => reduce::<T, F, 16>(from, n, inner, to),
            _ => reduce::<T, F, 8>(from, n, inner, to),
        }
    }
}

/// Bytes of what a reduction over several tiles has so far: in the first cache line the number of terms, then sixteen lanes.
pub(super) const STATE: usize = LANES + 16 * 8;
const LANES: usize = 64;

/// No terms so far.
pub(super) struct Begun;
impl Body for Begun {
    #[inline(always)]
    unsafe fn run(out: *mut u8, _: *const u8, _: *const u8, _: *const u8, _: usize) {
        // SAFETY: a state may be written.
        unsafe { *out.cast::<usize>() = 0 }
    }
}

/// Takes `n` further terms, the operand, into a state.
pub(super) struct Accumulated<T, F>(PhantomData<(T, F)>);
impl<T: Num, F: Combine<T>> Body for Accumulated<T, F> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        // SAFETY: the terms may be read; a state may be read and written, and it lies apart from them.
        let (terms, count, lanes) =
            unsafe { (read::<T>(a, n), &mut *out.cast::<usize>(), write::<T>(out.add(LANES), T::LANES)) };
        match T::LANES {
            16 => accumulate::<T, F, 16>(terms, *count, lanes),
            _ => accumulate::<T, F, 8>(terms, *count, lanes),
        }
        *count = count.wrapping_add(n);
    }
}

/// Note [canonical sum] of `reduce`: term `i` goes to lane `i % L`.
#[inline(always)]
fn accumulate<T: Num, F: Combine<T>, const L: usize>(mut terms: &[T], mut count: usize, lanes: &mut [T]) {
    let mut own = [T::ZERO; L];
    own.copy_from_slice(lanes);
    if count < L {
        let first;
        (first, terms) = terms.split_at(terms.len().min(L - count));
        own[count..count + first.len()].copy_from_slice(first);
        count += first.len();
    }
    let (head, terms) = terms.split_at(terms.len().min((L - count % L) % L));
    for (lane, &term) in own[count % L..].iter_mut().zip(head) {
        *lane = F::combine(*lane, term);
    }
    let (rounds, tail) = terms.as_chunks::<L>();
    for round in rounds {
        for j in 0..L {
            own[j] = F::combine(own[j], round[j]);
        }
    }
    for (lane, &term) in own.iter_mut().zip(tail) {
        *lane = F::combine(*lane, term);
    }
    lanes.copy_from_slice(&own);
}

/// The reduction of the terms that a state, the operand, has.
pub(super) struct Folded<T, F>(PhantomData<(T, F)>);
impl<T: Num, F: Combine<T>> Body for Folded<T, F> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, _: *const u8, _: *const u8, _: usize) {
        // SAFETY: a state may be read, and one entry written.
        let (count, from, to) =
            unsafe { (*a.cast::<usize>(), read::<T>(a.add(LANES), T::LANES), &mut *out.cast::<T>()) };
        let mut lanes = [T::ZERO; 16];
        lanes[..T::LANES].copy_from_slice(from);
        if count <= T::LANES {
            *to = lanes[1..count.max(1)].iter().fold(lanes[0], |total, &term| F::combine(total, term));
            return;
        }
        let mut half = T::LANES / 2;
        while half > 0 {
            for j in 0..half {
                lanes[j] = F::combine(lanes[j], lanes[j + half]);
            }
            half /= 2;
        }
        *to = lanes[0];
    }
}

/// Note [canonical sum] of `reduce`, for few terms: column by column if the middle axis is the last.
#[inline(always)]
fn reduce<T: Num, F: Combine<T>, const L: usize>(x: &[T], n: usize, inner: usize, out: &mut [T]) {
    if n <= L {
        for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
            out.copy_from_slice(&x[..inner]);
            for row in x[inner..].chunks_exact(inner) {
                for (total, &term) in out.iter_mut().zip(row) {
                    *total = F::combine(*total, term);
                }
            }
        }
        return;
    }
    for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
        for (j, out) in out.iter_mut().enumerate() {
            let mut lanes = [T::ZERO; L];
            for (lane, row) in lanes.iter_mut().zip(0..L) {
                *lane = x[row * inner + j];
            }
            for first in (L..n).step_by(L) {
                for (lane, row) in lanes.iter_mut().zip(first..n) {
                    *lane = F::combine(*lane, x[row * inner + j]);
                }
            }
            let mut half = L / 2;
            while half > 0 {
                for j in 0..half {
                    lanes[j] = F::combine(lanes[j], lanes[j + half]);
                }
                half /= 2;
            }
            *out = lanes[0];
        }
    }
}
