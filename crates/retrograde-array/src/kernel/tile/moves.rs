//! Loops that move entries as they are.

use std::marker::PhantomData;

use super::body::{Body, pad, padded, read, write};

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

/// Entries that [`Neighbours`] and [`Spread`] move at once: a vector of the widest numbers.
pub(crate) const GROUP: usize = 8;

/// For each [`GROUP`] of `n >= 1` entries, as many of the operand from the place on that the second operand, of `i32`, says; padded.
pub(super) struct Neighbours<T>(PhantomData<T>);
impl<T: Copy> Body for Neighbours<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, places: *const u8, _: *const u8, n: usize) {
        let (from, to) = (a.cast::<T>(), out.cast::<T>());
        // SAFETY: a place for each group may be read, the operand from each of them on; `padded(n)` entries may be written.
        unsafe {
            for (i, &place) in read::<i32>(places, n / GROUP).iter().enumerate() {
                std::ptr::copy_nonoverlapping(from.offset(place as isize), to.add(GROUP * i), GROUP);
            }
            pad(to, n);
        }
    }
}

/// For each [`GROUP`] of `n >= 1` entries, as often the operand's entry at the place that the second operand, of `i32`, says; padded.
pub(super) struct Spread<T>(PhantomData<T>);
impl<T: Copy> Body for Spread<T> {
    #[inline(always)]
    unsafe fn run(out: *mut u8, a: *const u8, places: *const u8, _: *const u8, n: usize) {
        let (from, to) = (a.cast::<T>(), out.cast::<T>());
        // SAFETY: a place for each group may be read, the operand at each of them; `padded(n)` entries may be written.
        unsafe {
            for (i, &place) in read::<i32>(places, n / GROUP).iter().enumerate() {
                write::<T>(to.add(GROUP * i).cast(), GROUP).fill(*from.offset(place as isize));
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
