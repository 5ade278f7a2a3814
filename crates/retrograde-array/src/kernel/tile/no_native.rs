//! In the place of machine code, where there is none: another processor, an interpreter, or a build without the feature `jit`.

use super::code::Pointer;
use super::parts::Parts;
use crate::kernel::Level;

/// No loops.
pub(super) struct Natives;

/// Nothing is one.
pub(super) enum Native {}

impl Natives {
    pub(super) fn of(_: &Parts, _: Level) -> Natives {
        Natives
    }

    pub(super) fn all(&self) -> &[Native] {
        &[]
    }
}

impl Native {
    pub(super) fn steps(&self) -> std::ops::Range<usize> {
        match *self {}
    }

    pub(super) unsafe fn run(&self, _: &[Pointer], _: usize) -> bool {
        match *self {}
    }
}
