//! Loops that reduce, in the order of Note [canonical sum] of `kernel::reduce`.

use std::marker::PhantomData;

use super::super::Num;
use super::body::{Body, pad, padded, read, write};

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
    if n <= L && inner == 1 {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(n)) {
            // Not in the result's place: each sum would wait for the one before to be written.
            *out = x[1..].iter().fold(x[0], |total, &term| F::combine(total, term));
        }
        return;
    }
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
    if inner == 1 {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(n)) {
            let mut lanes = [T::ZERO; L];
            let (first, rest) = x.split_at(L);
            lanes.copy_from_slice(first);
            let (rounds, tail) = rest.as_chunks::<L>();
            for round in rounds {
                for j in 0..L {
                    lanes[j] = F::combine(lanes[j], round[j]);
                }
            }
            for (lane, &term) in lanes.iter_mut().zip(tail) {
                *lane = F::combine(*lane, term);
            }
            *out = halved::<T, F, L>(lanes);
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
            *out = halved::<T, F, L>(lanes);
        }
    }
}

/// The fold of the lanes by halves.
#[inline(always)]
fn halved<T: Num, F: Combine<T>, const L: usize>(mut lanes: [T; L]) -> T {
    let mut half = L / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] = F::combine(lanes[j], lanes[j + half]);
        }
        half /= 2;
    }
    lanes[0]
}
