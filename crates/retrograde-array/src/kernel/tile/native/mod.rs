//! Runs of arithmetic over tiles as one loop of machine code, made at run time.
//!
//! A pass over a tile takes longer to read and write the first cache than to add and multiply. So steps of a large nest that follow each
//! other, are arithmetic of floats and have one type become one loop, whose values stay in registers: [`select`] finds
//! what the loop does, [`emit`] gives it registers and [`encode`] writes it down. The bits are those of the steps, each of which rounds by itself.
//!
//! Note [machine code]: the loop is made from steps that were checked (Note [checked code]). It reads and writes what they read and write, an
//! entry of each place at a time, so it touches nothing else. It does so in another order, all steps for one entry before the next entry, which
//! is the same where places are the same or apart; other steps are not made a loop. Where a result lies over what was read, the entry is
//! in a register before it is written over. What only the loop itself takes is not written at all.
//! A product in which a zero wins is the plain one unless that is NaN: if the loop meets one, the steps run as if there were no loop, so a
//! loop with such products must not write what it reads.
//!
//! Memory is written while it is not executable and executable when it is no longer written. Where a system allows neither
//! or the machine has no AVX2, the steps run as they are.

mod emit;
mod encode;
#[cfg(test)]
mod encode_tests;
mod select;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

use super::code::Pointer;
use super::parts::Parts;
use crate::kernel::Level;
use emit::emit;
use select::{Loop, Step, longest, select};

/// Entries of a nest from which it is worth ten or twenty microseconds to make machine code.
const ENTRIES: usize = 4096;

/// Operations of a loop: one alone is as fast as a step.
const OPERATIONS: usize = 2;

/// The loops of a tile, in order.
#[derive(Default)]
pub(super) struct Natives {
    all: Vec<Native>,
}

/// Some steps as one loop.
pub(super) struct Native {
    steps: Range<usize>,
    function: Function,
    /// Where the function lies.
    _memory: Arc<Mmap>,
}

type Function = unsafe extern "sysv64" fn(bases: *const Pointer, n: usize) -> u32;

impl Natives {
    /// Those of parts that were checked.
    pub(super) fn of(parts: &Parts, level: Level) -> Natives {
        if parts.nest.entries() < ENTRIES || level == Level::Portable {
            return Natives::default();
        }
        let mut found = vec![];
        let mut first = 0;
        while first < parts.steps.len() {
            let most = longest(parts, first);
            match fitting(parts, first, most, level) {
                Some((n, code)) => {
                    found.push((first, first + n, code));
                    first += n;
                }
                None => first += most.max(1),
            }
        }
        Natives { all: executable(found).unwrap_or_default() }
    }

    pub(super) fn all(&self) -> &[Native] {
        &self.all
    }
}

/// The longest loop of at most `most` steps for which there are registers, with its length.
fn fitting(parts: &Parts, first: usize, most: usize, level: Level) -> Option<(usize, Vec<u8>)> {
    let made = |n: usize| {
        let body = select(parts, first, first + n).filter(is_right)?;
        let operations = body.steps.iter().filter(|step| matches!(step, Step::Compute(_))).count();
        Some((n, emit(&body, level)?, operations))
    };
    if most == 0 {
        return None;
    }
    let mut longest = made(most);
    // What fits, fits without its last step.
    let (mut fits, mut too_many) = if longest.is_some() { (most, most + 1) } else { (0, most) };
    while too_many - fits > 1 {
        let n = fits.midpoint(too_many);
        match made(n) {
            Some(found) => (fits, longest) = (n, Some(found)),
            None => too_many = n,
        }
    }
    let (n, code, operations) = longest?;
    (operations >= OPERATIONS).then_some((n, code))
}

/// Whether the steps can run after a loop that met what it cannot do.
fn is_right(body: &Loop) -> bool {
    let is_strong = body.steps.iter().any(|step| matches!(step, Step::Compute(compute) if compute.is_strong));
    let is_read = |to| body.steps.iter().any(|step| matches!(step, Step::Load(from) if from == to));
    !is_strong || !body.steps.iter().any(|step| matches!(step, Step::Store { to, .. } if is_read(to)))
}

/// The functions in memory that can be executed.
fn executable(found: Vec<(usize, usize, Vec<u8>)>) -> Option<Vec<Native>> {
    let bytes: usize = found.iter().map(|(.., code)| code.len().next_multiple_of(LINE)).sum();
    if bytes == 0 {
        return None;
    }
    let mut memory = MmapMut::map_anon(bytes).ok()?;
    let mut at = 0;
    let mut starts = vec![];
    for (.., code) in &found {
        memory[at..at + code.len()].copy_from_slice(code);
        starts.push(at);
        at += code.len().next_multiple_of(LINE);
    }
    let memory = Arc::new(memory.make_exec().ok()?);
    let native = |((first, end, _), start): ((usize, usize, Vec<u8>), usize)| {
        let code: *const u8 = &raw const memory[start];
        // SAFETY: a function of that signature starts there: `emit` has written it, and the memory stays as long as the pointer.
        let function = unsafe { std::mem::transmute::<*const u8, Function>(code) };
        Native { steps: first..end, function, _memory: memory.clone() }
    };
    Some(found.into_iter().zip(starts).map(native).collect())
}

/// Functions start at cache lines.
const LINE: usize = 64;

impl Native {
    /// Those that the loop stands for.
    pub(super) fn steps(&self) -> Range<usize> {
        self.steps.clone()
    }

    /// Runs the loop over `n` entries; false where the steps are to run instead.
    ///
    /// # Safety
    /// The bases are those of the checked code at one of its tiles, of which `n` is the padded length.
    #[inline]
    pub(super) unsafe fn run(&self, bases: &[Pointer], n: usize) -> bool {
        // SAFETY: Note [machine code]; the CPU has the level that the loop was made for, as the code was.
        unsafe { (self.function)(bases.as_ptr(), n) == 0 }
    }
}
