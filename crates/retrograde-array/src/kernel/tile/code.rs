//! Checked code, and the loop that runs it.
//!
//! Code is a list of steps, each a routine with the addresses of its result and operands. An address is a base and an offset:
//! bases are the block of registers, the block of constants, and the *streams*, which point into the arrays that are read and
//! written. A nest is run tile by tile, each tile a run of entries that are adjacent in row-major order; before each tile the
//! streams move on. Arrays that are read straight through are operands as they lie, and results are computed into the arrays
//! they belong to: nothing is copied that need not be.
//!
//! Note [padding]: routines take whole vectors, so lengths of tiles are rounded up to [`padded`]. Registers have room for
//! that; their entries past the end repeat the last one, or are computed from such. A tile whose length is not round has its
//! streams moved to registers of their own, copied there before and from there after.

use std::sync::{Mutex, PoisonError};

use super::super::{Level, Workers, share};
use super::body::{Routine, padded};
use super::check::{broken, check, checked};
use super::native::Natives;
use super::parts::{Address, Block, Parts, STREAMS, Where};
use super::scalar::{Room, Scalar};
use crate::{Array, DType};

/// A step ready to run.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) routine: Routine,
    pub(super) out: Address,
    pub(super) operands: [Address; 3],
    pub(super) len: Length,
}

/// How many entries a routine is told of.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Fixed(u32),
    /// Those of the tile, rounded up.
    Tile,
    /// Those of the tile.
    Exact,
}

/// Straight-line code over the entries of arrays; see [`tile`](crate::tile).
///
/// ```
/// use retrograde_array::{Array, DType, array, ops::Unary, tile::{Builder, Level, Op, Scratch, View}};
/// let mut b = Builder::nest(&[2]);
/// let x = b.input(DType::F64, 2);
/// let x = b.read(x, &View::whole(&[2]));
/// let y = b.op(Op::Unary(Unary::Neg), &[x]);
/// b.output(y);
/// let code = b.finish(Level::best());
/// assert_eq!((code.tiles(), code.most_parts(), code.steps()), (1, 1, 1));
/// let mut y = [Array::zeros(DType::F64, [2])];
/// code.run(&[&array([1.0, 2.0])], &mut y, &mut Scratch::default(), None);
/// assert_eq!(y[0], array([-1.0, -2.0]));
/// ```
pub struct Code {
    pub(super) parts: Parts,
    pub(super) once: Vec<Call>,
    pub(super) begin: Vec<Call>,
    pub(super) calls: Vec<Call>,
    pub(super) end: Vec<Call>,
    /// Which of the calls can be one loop instead.
    pub(super) natives: Natives,
    pub(super) moving: Vec<Moving>,
    /// How many tiles there are; if there is one and it is round, its entries.
    pub(super) n_tiles: usize,
    pub(super) only_tile: Option<usize>,
    /// The same over single numbers, where that takes less time.
    pub(super) scalar: Option<Scalar>,
    /// The instruction set that was asked for.
    pub(super) level: Level,
}

/// What moves a stream on.
pub(super) struct Moving {
    pub(super) array: Where,
    /// In bytes, from here on.
    pub(super) offset: isize,
    pub(super) strides: Vec<isize>,
    pub(super) fallback: Option<u32>,
    /// Whether tiles have entries before they are written.
    pub(super) is_read: bool,
    /// Copies a tile that is not round to its stand-in.
    pub(super) pad: Routine,
    /// And back.
    pub(super) store: Routine,
}

/// Memory that runs of code reuse: registers, for each thread.
///
/// ```
/// use retrograde_array::tile::Scratch;
/// assert_eq!(Scratch::default().size_bytes(), 0);
/// ```
#[derive(Default)]
pub struct Scratch {
    lanes: Vec<Mutex<Lane>>,
    room: Room,
    inputs: Vec<Pointer>,
    outputs: Vec<Pointer>,
}

impl Scratch {
    /// Bytes of all registers.
    pub fn size_bytes(&self) -> usize {
        let bytes =
            |lane: &Mutex<Lane>| lane.lock().unwrap_or_else(PoisonError::into_inner).registers.bytes();
        self.lanes.iter().map(bytes).sum::<usize>() + self.room.bytes()
    }
}

/// What one thread has for itself.
#[derive(Default)]
struct Lane {
    registers: Block,
    bases: Vec<Pointer>,
    /// Where the streams start, and where they are at the tile.
    starts: Vec<Pointer>,
    places: Vec<Pointer>,
    /// The tile's index along each outer axis.
    counts: Vec<usize>,
}

/// A pointer that is meaningful only during one run.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Pointer(pub(super) *mut u8);
// SAFETY: a pointer is an address; it is followed in `run` only, which says there why it may be.
unsafe impl Send for Pointer {}
// SAFETY: the same.
unsafe impl Sync for Pointer {}

/// The memory of an array to be read, of which that dtype and size were promised.
#[inline]
fn read(array: &Array, promised: (DType, usize)) -> Pointer {
    let (dtype, pointer, len) = array.memory();
    check((dtype, len) == promised, "another input than was promised");
    Pointer(pointer.cast_mut())
}

/// The same to be written.
#[inline]
fn written(array: &mut Array, promised: (DType, usize)) -> Pointer {
    let (dtype, pointer, len) = array.memory_mut();
    check((dtype, len) == promised, "another output than was promised");
    Pointer(pointer)
}

/// Values of which some are arrays, such as those of a workspace.
///
/// ```
/// use retrograde_array::{Array, array, tile::AsArray};
/// let mut x = array(1.0);
/// assert!(x.as_array().is_some() && x.as_array_mut().is_some());
/// ```
pub trait AsArray {
    /// The array, where it is one.
    fn as_array(&self) -> Option<&Array>;
    /// The array for writing.
    fn as_array_mut(&mut self) -> Option<&mut Array>;
}

impl AsArray for Array {
    fn as_array(&self) -> Option<&Array> {
        Some(self)
    }
    fn as_array_mut(&mut self) -> Option<&mut Array> {
        Some(self)
    }
}

/// Where in a workspace code reads and writes: every output in a place of its own.
///
/// ```
/// use retrograde_array::tile::Places;
/// assert!(std::panic::catch_unwind(|| Places::new(vec![0, 1], vec![1])).is_err());
/// let places = Places::new(vec![0, 0], vec![1]);
/// ```
#[derive(Debug, Clone)]
pub struct Places {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Places {
    /// The places of the inputs and outputs, in order.
    ///
    /// # Panics
    /// When an output has the place of another, or of an input: internal misuse.
    pub fn new(inputs: Vec<usize>, outputs: Vec<usize>) -> Places {
        let is_own = |(i, place): (usize, &usize)| !inputs.contains(place) && !outputs[..i].contains(place);
        check(outputs.iter().enumerate().all(is_own), "an output in the place of another array");
        Places { inputs, outputs }
    }
}

impl Code {
    /// Code that may run: Note [checked code].
    ///
    /// # Panics
    /// When it may not: internal misuse.
    pub(crate) fn new(parts: Parts, scalar: Option<Scalar>, at: Level) -> Code {
        checked(parts, scalar, at)
    }

    /// Tiles of a run.
    pub fn tiles(&self) -> usize {
        self.n_tiles
    }

    /// Parts that can run at one time: tiles, or rows of them.
    pub fn most_parts(&self) -> usize {
        self.tiles() / self.parts.row
    }

    /// Steps of a tile.
    pub fn steps(&self) -> usize {
        self.calls.len()
    }

    /// Whether a tile is one loop of machine code.
    pub(crate) fn is_one_loop(&self) -> bool {
        matches!(self.natives.all(), [native] if native.steps() == (0..self.calls.len()))
    }

    /// Runs the code: writes every entry of the outputs, of which those that [lie over an input](Code::over) have its entries before.
    /// With `shared`, tiles are split into so many parts, which the workers take; every entry is computed by itself, so bits do not depend
    /// on it.
    ///
    /// # Panics
    /// When arrays are not of the number, dtypes and sizes that the code was made for: internal misuse.
    ///
    /// # Cost
    /// No allocation once `scratch` has seen the code and so many parts.
    pub fn run(
        &self,
        inputs: &[&Array],
        outputs: &mut [Array],
        scratch: &mut Scratch,
        shared: Option<(usize, &dyn Workers)>,
    ) {
        check(inputs.len() == self.parts.inputs.len(), "another number of inputs");
        check(outputs.len() == self.parts.outputs.len(), "another number of outputs");
        let Scratch { inputs: ins, outputs: outs, .. } = scratch;
        outs.clear();
        outs.extend(
            outputs.iter_mut().zip(&self.parts.outputs).map(|(array, &expected)| written(array, expected)),
        );
        ins.clear();
        ins.extend(inputs.iter().zip(&self.parts.inputs).map(|(array, &expected)| read(array, expected)));
        // SAFETY: these are the arrays, borrowed until this function returns.
        unsafe { self.run_at(scratch, shared) };
    }

    /// [`Code::run`] on arrays among the values of a workspace.
    ///
    /// # Panics
    /// When there are no arrays of the promised dtypes and sizes at the places: internal misuse.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, ops::Unary, tile::{Builder, Level, Op, Places, Scratch, View}};
    /// let mut b = Builder::nest(&[2]);
    /// let x = b.input(DType::F64, 2);
    /// let x = b.read(x, &View::whole(&[2]));
    /// let y = b.op(Op::Unary(Unary::Neg), &[x]);
    /// b.output(y);
    /// let mut slots = [Array::zeros(DType::F64, [2]), array([1.0, 2.0])];
    /// let places = Places::new(vec![1], vec![0]);
    /// b.finish(Level::best()).run_in(&mut slots, &places, &mut Scratch::default(), None);
    /// assert_eq!(slots[0], array([-1.0, -2.0]));
    /// ```
    pub fn run_in<S: AsArray>(
        &self,
        slots: &mut [S],
        places: &Places,
        scratch: &mut Scratch,
        shared: Option<(usize, &dyn Workers)>,
    ) {
        check(places.inputs.len() == self.parts.inputs.len(), "another number of inputs");
        check(places.outputs.len() == self.parts.outputs.len(), "another number of outputs");
        scratch.outputs.clear();
        for (&place, &expected) in places.outputs.iter().zip(&self.parts.outputs) {
            let Some(array) = slots[place].as_array_mut() else { broken("an output that is no array") };
            scratch.outputs.push(written(array, expected));
        }
        // From here on nobody can change a slot: what the outputs point to stays theirs, and is no input's, as they are the only holders.
        let slots = &*slots;
        scratch.inputs.clear();
        for (&place, &expected) in places.inputs.iter().zip(&self.parts.inputs) {
            let Some(array) = slots[place].as_array() else { broken("an input that is no array") };
            scratch.inputs.push(read(array, expected));
        }
        // SAFETY: these are the arrays, in slots that are borrowed until this function returns; `Places` has seen that no output is in
        // the slot of another array.
        unsafe { self.run_at(scratch, shared) };
    }

    /// Runs the code on the arrays that the scratch memory points to.
    ///
    /// # Safety
    /// They are as many, of the dtypes and sizes that the code was made for, and the outputs are not to be used otherwise until this
    /// returns.
    unsafe fn run_at(&self, scratch: &mut Scratch, shared: Option<(usize, &dyn Workers)>) {
        let Scratch { lanes, room, inputs: ins, outputs: outs } = scratch;
        if let Some(scalar) = &self.scalar {
            // SAFETY: the caller's.
            return unsafe { scalar.run(ins, outs, room) };
        }
        let (row, rows) = (self.parts.row, if shared.is_some() { self.most_parts() } else { 1 });
        let parts = shared.map_or(1, |(n, _)| n.clamp(1, rows));
        if lanes.len() < parts {
            lanes.resize_with(parts, Mutex::default);
        }
        let (ins, outs): (&[Pointer], &[Pointer]) = (ins, outs);
        match shared {
            Some((_, workers)) if parts > 1 => share(workers, parts, &|part| {
                let mut lane = lanes[part].lock().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: the arrays are those that were promised, until `share` returns. Parts have no tile in common, and
                // the same part runs once, as `share` says.
                unsafe {
                    let (first, end) = (part * rows / parts, (part + 1) * rows / parts);
                    self.tiles_of(first * row, end * row, ins, outs, &mut lane)
                };
            }),
            _ => {
                let lane = lanes[0].get_mut().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: as above, but that there is no other thread.
                unsafe { self.tiles_of(0, self.n_tiles, ins, outs, lane) };
            }
        }
    }

    /// Runs the tiles from `first` to before `end`.
    ///
    /// # Safety
    /// The pointers are those of the arrays that were promised, not to be used otherwise until this returns; no other thread
    /// runs the same tiles meanwhile.
    unsafe fn tiles_of(&self, first: usize, end: usize, ins: &[Pointer], outs: &[Pointer], lane: &mut Lane) {
        let nest = &self.parts.nest;
        lane.registers.grow(self.parts.registers);
        let registers = lane.registers.0.as_mut_ptr().cast::<u8>();
        let constants = self.parts.constants.0.as_ptr().cast_mut().cast::<u8>();
        let start = |stream: &Moving| {
            let array = match stream.array {
                Where::Input(i) => ins[i].0,
                Where::Output(i) => outs[i].0,
                Where::Kept(i) => self.parts.kept[i].memory().1.cast_mut(),
            };
            Pointer(array.wrapping_offset(stream.offset))
        };
        lane.bases.clear();
        lane.bases.extend([Pointer(registers), Pointer(constants)]);
        lane.bases.extend(self.moving.iter().map(start));
        if !self.once.is_empty() {
            // SAFETY: these steps read entries that are the same for all tiles: those where the streams start.
            unsafe { self.calls(&self.once, &lane.bases, nest.whole()) };
        }
        if let Some(whole) = self.only_tile {
            // SAFETY: the streams start at the only tile; what else there is, the caller promises.
            unsafe { self.steps_of(&lane.bases, whole) };
            return;
        }
        lane.starts.clear();
        lane.starts.extend_from_slice(&lane.bases[STREAMS as usize..]);
        lane.places.clear();
        lane.places.extend_from_slice(&lane.starts);
        let blocks = nest.blocks();
        let axes = nest.outer.len();
        lane.counts.clear();
        lane.counts.resize(axes + 1, 0);
        lane.counts[axes] = first % blocks;
        let mut rest = first / blocks;
        for (count, &len) in lane.counts.iter_mut().zip(&nest.outer).rev() {
            *count = rest % len;
            rest /= len;
        }
        let mut is_moved = false;
        for tile in first..end {
            if !is_moved {
                for ((place, start), stream) in lane.places.iter_mut().zip(&lane.starts).zip(&self.moving) {
                    let far = lane.counts.iter().zip(&stream.strides).map(|(&i, stride)| i as isize * stride);
                    place.0 = start.0.wrapping_offset(far.sum());
                }
            }
            let n = if lane.counts[axes] + 1 == blocks { nest.last() } else { nest.whole() };
            // SAFETY: the streams point at this tile; what else there is, the caller promises. Parts begin and end with rows.
            unsafe {
                if !self.begin.is_empty() && tile % self.parts.row == 0 {
                    self.calls(&self.begin, &lane.bases, n);
                }
                self.tile(n, registers, &lane.places, &mut lane.bases);
                if !self.end.is_empty() && (tile + 1) % self.parts.row == 0 {
                    self.calls(&self.end, &lane.bases, n);
                }
            }
            lane.counts[axes] += 1;
            is_moved = lane.counts[axes] < blocks;
            if is_moved {
                for (place, stream) in lane.places.iter_mut().zip(&self.moving) {
                    place.0 = place.0.wrapping_offset(stream.strides[axes]);
                }
                continue;
            }
            let mut axis = axes;
            while axis > 0 && lane.counts[axis] == if axis == axes { blocks } else { nest.outer[axis] } {
                lane.counts[axis] = 0;
                axis -= 1;
                lane.counts[axis] += 1;
            }
        }
    }

    /// Runs one tile of `n` entries.
    ///
    /// # Safety
    /// The places are those of the streams at this tile, as [`Code::tiles_of`] says, and the bases before the streams' are in place.
    unsafe fn tile(&self, n: usize, registers: *mut u8, places: &[Pointer], bases: &mut [Pointer]) {
        bases[STREAMS as usize..].copy_from_slice(places);
        if n == padded(n) {
            // SAFETY: the caller's.
            unsafe { self.steps_of(bases, n) };
            return;
        }
        let null = std::ptr::null();
        let stand_in = |fallback: u32| registers.wrapping_add(fallback as usize);
        for (base, stream) in bases[STREAMS as usize..].iter_mut().zip(&self.moving) {
            let Some(fallback) = stream.fallback else { continue };
            if stream.is_read {
                // SAFETY: `n` entries lie behind the pointer and `padded(n)` have room in the stand-in: both were checked.
                unsafe { (stream.pad)(stand_in(fallback), base.0, null, null, n) };
            }
            base.0 = stand_in(fallback);
        }
        // SAFETY: stand-ins hold the entries of the tile, padded.
        unsafe { self.steps_of(bases, n) };
        for (place, stream) in places.iter().zip(&self.moving) {
            if let (Where::Output(_), Some(fallback)) = (stream.array, stream.fallback) {
                // SAFETY: the stand-in holds `n` entries, which have room behind the pointer: it was checked.
                unsafe { (stream.store)(place.0, stand_in(fallback), null, null, n) };
            }
        }
    }

    /// Runs the steps of a tile of `n` entries, as machine code where there is some.
    ///
    /// # Safety
    /// As for [`Code::calls`].
    #[inline(always)]
    unsafe fn steps_of(&self, bases: &[Pointer], n: usize) {
        let mut at = 0;
        for native in self.natives.all() {
            let steps = native.steps();
            // SAFETY: the caller's; the loop was made of these steps.
            unsafe {
                self.calls(&self.calls[at..steps.start], bases, n);
                if !native.run(bases, padded(n)) {
                    self.calls(&self.calls[steps.clone()], bases, n);
                }
            }
            at = steps.end;
        }
        // SAFETY: the caller's.
        unsafe { self.calls(&self.calls[at..], bases, n) };
    }

    /// Runs steps on a tile of `n` entries.
    ///
    /// # Safety
    /// The bases are those of this code at one of its tiles, as [`Code::tiles_of`] says.
    #[inline(always)]
    unsafe fn calls(&self, calls: &[Call], bases: &[Pointer], n: usize) {
        let place = |address: Address| {
            // The bases of all addresses were found to be there when the code was checked.
            debug_assert!((address.base as usize) < bases.len());
            // SAFETY: so this one is.
            let base = unsafe { bases.get_unchecked(address.base as usize) };
            base.0.wrapping_add(address.offset as usize)
        };
        for call in calls {
            let len = match call.len {
                Length::Fixed(len) => len as usize,
                Length::Tile => padded(n),
                Length::Exact => n,
            };
            let [a, b, c] = call.operands.map(place);
            // SAFETY: Note [checked code]: every place lies inside its block or array for this tile, with room for as many entries
            // as the routine reads or writes there, and the result apart from the operands. The routine was compiled for a level
            // that the CPU has.
            unsafe { (call.routine)(place(call.out), a, b, c, len) };
        }
    }
}
