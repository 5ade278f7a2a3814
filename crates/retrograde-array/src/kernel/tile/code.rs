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
//!
//! Note [checked code]: [`Code::new`] proves of every step, before anything runs, that each address lies inside its block or
//! array for every tile, that types fit the routine, that the result overlaps no operand, and that nothing but outputs is written. [`Code::run`] compares
//! the arrays it is given with what was promised. So no input of theirs can make the loop read or write anywhere else.

use std::sync::{Mutex, PoisonError};

use super::super::{Level, level};
use super::body::{Begun, Routine, STATE, at, padded};
use super::routine::{
    Move, Op, Reduction, Stage, move_routine, op_routine, product_routine, reduction_routine,
};
use crate::{Array, DType};

/// Bytes that start where a cache line does, so that vectors of any width are aligned.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE]);

/// Bytes of a cache line of the machines that have AVX-512, and of their widest vectors.
const LINE: usize = 64;

/// Zeroed or filled bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block(Vec<Line>);

impl Block {
    fn bytes(&self) -> usize {
        self.0.len() * LINE
    }

    fn grow(&mut self, bytes: usize) {
        let lines = bytes.div_ceil(LINE);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; LINE]));
        }
    }

    /// Appends bytes, then as many as make the next offset a round one; the offset of the first.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> u32 {
        let offset = self.bytes();
        for chunk in bytes.chunks(LINE) {
            let mut line = [0; LINE];
            line[..chunk.len()].copy_from_slice(chunk);
            self.0.push(Line(line));
        }
        u32::try_from(offset).expect("constants of four gigabytes; this is a bug in retrograde")
    }

    fn words(&self, offset: usize, n: usize) -> Option<Vec<i32>> {
        let byte = |i: usize| self.0.get(i / LINE).map(|line| line.0[i % LINE]);
        (0..n)
            .map(|i| {
                let at = offset + 4 * i;
                Some(i32::from_ne_bytes([byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?]))
            })
            .collect()
    }
}

/// A place while the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// 0: registers. 1: constants. From [`STREAMS`] on: streams.
    pub(crate) base: u32,
    /// In bytes.
    pub(crate) offset: u32,
}

const REGISTERS: u32 = 0;
const CONSTANTS: u32 = 1;
/// The base of the first stream.
pub(crate) const STREAMS: u32 = 2;

/// An array that the code reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// Given to each run.
    Input(usize),
    /// Kept by the code.
    Kept(usize),
    /// Given to each run, written.
    Output(usize),
}

/// A pointer that moves along an array from tile to tile.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Which array.
    pub(crate) array: Where,
    /// Where the first tile starts, in entries.
    pub(crate) offset: isize,
    /// How far the next index of each outer axis of the nest is, in entries.
    pub(crate) strides: Vec<isize>,
    /// The offset of the register that stands in for a tile which is not round: then as many entries as the tile has, from
    /// the pointer on, are operands or results. Without one, steps say what they read.
    pub(crate) fallback: Option<u32>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Computes entries.
    Op(Op),
    /// Moves entries.
    Move(Move),
    /// Reduces. A value: the middle axis of `[outer, n, inner]` lengths, which its second operand holds. A tile: the same, with the last
    /// two lengths. Over several tiles: its result is a state, or its operand.
    Reduce(Reduction, Stage),
    /// Multiplies small matrices: the third operand holds their lengths and strides.
    Product,
    /// Clears the state of a reduction over several tiles.
    Begin,
}

/// One step, as it is handed over to be checked.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) out: Address,
    /// With the dtype of each.
    pub(crate) operands: Vec<(Address, DType)>,
    /// Entries of the result, `None` for those of the tile.
    pub(crate) len: Option<u32>,
}

/// The iteration space: outer axes, of which the last counts blocks of `block` of `rows` rows of `inner` entries.
#[derive(Debug, Clone)]
pub(crate) struct Nest {
    /// Lengths of the outer axes before the one that is cut into blocks.
    pub(crate) outer: Vec<usize>,
    pub(crate) rows: usize,
    pub(crate) block: usize,
    pub(crate) inner: usize,
}

impl Nest {
    /// Entries of a tile but the last ones.
    pub(crate) fn whole(&self) -> usize {
        self.block.min(self.rows) * self.inner
    }

    /// How far along an array that is read or written in row-major order the next index of each outer axis lies.
    pub(crate) fn strides(&self) -> Vec<isize> {
        let mut strides = vec![(self.block * self.inner) as isize];
        let mut far = (self.rows * self.inner) as isize;
        for &len in self.outer.iter().rev() {
            strides.push(far);
            far *= len as isize;
        }
        strides.reverse();
        strides
    }

    fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block)
    }

    pub(crate) fn tiles(&self) -> usize {
        self.outer.iter().product::<usize>() * self.blocks()
    }

    fn entries(&self) -> usize {
        self.outer.iter().product::<usize>() * self.rows * self.inner
    }

    /// Entries of the last tile along the axis that is cut.
    pub(crate) fn last(&self) -> usize {
        (self.rows - (self.blocks() - 1) * self.block) * self.inner
    }
}

/// Code before it is checked.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) inputs: Vec<(DType, usize)>,
    pub(crate) outputs: Vec<(DType, usize)>,
    pub(crate) kept: Vec<Array>,
    /// Bytes of registers.
    pub(crate) registers: usize,
    pub(crate) constants: Block,
    pub(crate) nest: Nest,
    pub(crate) streams: Vec<Stream>,
    /// Run once, on the first tile's streams.
    pub(crate) once: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    /// So many tiles, one after another, are a row: before the first of them and after the last, further steps run.
    pub(crate) row: usize,
    pub(crate) begin: Vec<Step>,
    pub(crate) end: Vec<Step>,
}

/// A step ready to run.
#[derive(Clone, Copy)]
struct Call {
    routine: Routine,
    out: Address,
    operands: [Address; 3],
    len: Length,
}

/// How many entries a routine is told of.
#[derive(Clone, Copy)]
enum Length {
    Fixed(u32),
    /// Those of the tile, rounded up.
    Tile,
    /// Those of the tile.
    Exact,
}

/// Straight-line code over the entries of arrays; see [`tile`](crate::tile).
pub struct Code {
    parts: Parts,
    once: Vec<Call>,
    begin: Vec<Call>,
    calls: Vec<Call>,
    end: Vec<Call>,
    moving: Vec<Moving>,
}

/// What moves a stream on.
struct Moving {
    array: Where,
    /// In bytes, from here on.
    offset: isize,
    strides: Vec<isize>,
    fallback: Option<u32>,
    /// Copies a tile that is not round to its stand-in.
    pad: Routine,
    /// And back.
    store: Routine,
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
    inputs: Vec<Pointer>,
    outputs: Vec<Pointer>,
}

impl Scratch {
    /// Bytes of all registers.
    pub fn size_bytes(&self) -> usize {
        let bytes =
            |lane: &Mutex<Lane>| lane.lock().unwrap_or_else(PoisonError::into_inner).registers.bytes();
        self.lanes.iter().map(bytes).sum()
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
struct Pointer(*mut u8);
// SAFETY: a pointer is an address; it is followed in `run` only, which says there why it may be.
unsafe impl Send for Pointer {}
// SAFETY: the same.
unsafe impl Sync for Pointer {}

#[cold]
#[track_caller]
fn broken(what: &str) -> ! {
    panic!("tile code: {what}; this is a bug in retrograde")
}

#[track_caller]
fn check(holds: bool, what: &str) {
    if !holds {
        broken(what)
    }
}

/// A range of bytes behind a base.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Extent {
    base: u32,
    from: usize,
    to: usize,
}

impl Extent {
    fn new(address: Address, bytes: usize) -> Extent {
        Extent { base: address.base, from: address.offset as usize, to: address.offset as usize + bytes }
    }

    fn overlaps(&self, other: &Extent) -> bool {
        self.base == other.base && self.from < other.to && other.from < self.to
    }

    fn holds(&self, other: &Extent) -> bool {
        self.base == other.base && self.from <= other.from && other.to <= self.to
    }
}

/// What is read behind a base, in entries from the address on: the first and the last, in a whole tile and in the last one.
#[derive(Clone, Copy)]
struct Reach {
    whole: (isize, isize),
    last: (isize, isize),
}

impl Reach {
    fn first(n: usize) -> Reach {
        let range = (0, n as isize - 1);
        Reach { whole: range, last: range }
    }
}

/// What is known while the steps are checked, one after the other.
struct Checker<'a> {
    parts: &'a Parts,
    fallbacks: Vec<Extent>,
    /// What stands in the registers.
    written: Vec<(Extent, DType)>,
    /// What stands there for all tiles.
    pinned: Vec<Extent>,
    /// The states of reductions over several tiles.
    states: Vec<Extent>,
    level: Level,
}

impl Checker<'_> {
    fn array(&self, array: Where) -> (DType, usize) {
        let found = match array {
            Where::Input(i) => self.parts.inputs.get(i).copied(),
            Where::Kept(i) => self.parts.kept.get(i).map(|array| (array.dtype(), array.size())),
            Where::Output(i) => self.parts.outputs.get(i).copied(),
        };
        found.unwrap_or_else(|| broken("a stream of an array that is not there"))
    }

    fn stream(&self, base: u32) -> &Stream {
        let index = base.checked_sub(STREAMS).map(|i| i as usize);
        index.and_then(|i| self.parts.streams.get(i)).unwrap_or_else(|| broken("a base that is not there"))
    }

    /// Whether tiles behind a stream are round, or are read and written elsewhere where they are not.
    fn is_padded(&self, stream: &Stream) -> bool {
        let nest = &self.parts.nest;
        let round = |n: usize| n == padded(n);
        stream.fallback.is_some() || (round(nest.last()) && (nest.blocks() == 1 || round(nest.whole())))
    }

    /// Finds the states of reductions over several tiles.
    fn states(&mut self) {
        for step in self.parts.begin.iter().filter(|step| step.action == Action::Begin) {
            let state = Extent::new(step.out, STATE);
            check(state.base == REGISTERS && state.to <= self.parts.registers, "a state outside");
            check(state.from % LINE == 0, "a state that is not aligned");
            check(!self.states.iter().any(|other| other.overlaps(&state)), "two states in one place");
            self.states.push(state);
        }
    }

    fn streams(&mut self) {
        let nest = &self.parts.nest;
        for (i, stream) in self.parts.streams.iter().enumerate() {
            let is_written = matches!(stream.array, Where::Output(_));
            let again = self.parts.streams[..i].iter().any(|other| other.array == stream.array);
            check(!(is_written && again), "two streams of one output");
            check(stream.strides.len() == nest.outer.len() + 1, "strides of a stream");
            let (dtype, _) = self.array(stream.array);
            let Some(offset) = stream.fallback else { continue };
            check(self.is_inside(stream, self.tile()), "a stream that leaves its array");
            let bytes = padded(nest.whole()) * dtype.size_bytes();
            let fallback = Extent::new(Address { base: REGISTERS, offset }, bytes);
            check(fallback.to <= self.parts.registers && fallback.from % LINE == 0, "a stand-in outside");
            check(
                !self.fallbacks.iter().any(|other| other.overlaps(&fallback)),
                "two stand-ins in one place",
            );
            self.fallbacks.push(fallback);
        }
    }

    /// The entries of a tile.
    fn tile(&self) -> Reach {
        let nest = &self.parts.nest;
        Reach { whole: (0, nest.whole() as isize - 1), last: (0, nest.last() as isize - 1) }
    }

    /// Whether these entries, from the pointer on, lie inside the array for every tile.
    fn is_inside(&self, stream: &Stream, reach: Reach) -> bool {
        let nest = &self.parts.nest;
        let (_, size) = self.array(stream.array);
        let (mut low, mut high) = (stream.offset as i128, stream.offset as i128);
        let outer = stream.strides.iter().zip(&nest.outer);
        for (&stride, &len) in outer {
            let far = stride as i128 * (len as i128 - 1);
            (low, high) = (low + far.min(0), high + far.max(0));
        }
        let along = stream.strides[nest.outer.len()] as i128;
        let fits = |far: i128, (first, last): (isize, isize)| {
            low + far + first as i128 >= 0 && high + far + (last as i128) < size as i128
        };
        // The last block may be shorter; those before it are whole.
        let blocks = nest.blocks() as i128;
        fits(along * (blocks - 1), reach.last)
            && (blocks == 1 || (fits(0, reach.whole) && fits(along * (blocks - 2), reach.whole)))
    }

    /// The step ready to run, with its result noted as written.
    fn call(&mut self, step: &Step) -> Call {
        let nest = &self.parts.nest;
        let whole = step.len.map_or(nest.whole(), |len| len as usize);
        check(whole > 0, "a step without entries");
        check(step.operands.len() <= 3, "more than three operands");
        let dtypes: Vec<DType> = step.operands.iter().map(|&(_, dtype)| dtype).collect();
        let operand = |i: usize| step.operands.get(i).copied().unwrap_or_else(|| broken("too few operands"));
        let (routine, dtype, room, reads) = match step.action {
            Action::Op(op) => {
                let found = op_routine(op, &dtypes, self.level);
                let (routine, dtype) =
                    found.unwrap_or_else(|| broken("an operation on types it does not have"));
                let reach = if step.len.is_none() { self.tile() } else { Reach::first(padded(whole)) };
                (routine, dtype, padded(whole), vec![reach; dtypes.len()])
            }
            Action::Move(how) => {
                let dtype = operand(0).1;
                let (room, mut reads) = match how {
                    Move::Repeated => (padded(whole), vec![Reach::first(1)]),
                    Move::Padded => (padded(whole), vec![Reach::first(whole)]),
                    Move::Stored => (whole, vec![Reach::first(whole)]),
                    Move::Placed => {
                        let (first, last) = range(&self.words(operand(1).0, whole));
                        check(first >= 0, "a place before the first");
                        (last as usize + 1, vec![Reach::first(whole), Reach::first(whole)])
                    }
                    Move::Gathered => {
                        let table = self.words(operand(1).0, whole);
                        let last = if step.len.is_none() { nest.last() } else { whole };
                        (padded(whole), vec![Reach { whole: range(&table), last: range(&table[..last]) }])
                    }
                };
                check(
                    how == Move::Gathered || how == Move::Repeated || step.len.is_some(),
                    "a move of a tile",
                );
                if how == Move::Gathered {
                    reads.push(Reach::first(whole));
                }
                (move_routine(how, dtype, self.level), dtype, room, reads)
            }
            Action::Begin => return self.state(step, at::<Begun>(self.level)),
            Action::Reduce(reduction, Stage::Accumulate) => {
                let (address, dtype) = operand(0);
                check(step.len.is_none() && step.operands.len() == 1, "terms that are no tile");
                if let Some(read) = self.operand(step, address, dtype, self.tile()) {
                    check(!self.states.iter().any(|state| state.overlaps(&read)), "a state that is a term");
                }
                return self.state(step, self.reduction(reduction, Stage::Accumulate, dtype));
            }
            Action::Reduce(reduction, stage @ Stage::Fold) => {
                let (address, dtype) = operand(0);
                let state = Extent::new(address, STATE);
                check(self.states.contains(&state) && step.operands.len() == 1, "the end of nothing");
                self.reduced(step, dtype, stage, 1);
                let routine = self.reduction(reduction, stage, dtype);
                return Call { routine, out: step.out, operands: [address; 3], len: Length::Fixed(1) };
            }
            Action::Reduce(reduction, stage @ Stage::Tile) => {
                let (address, dtype) = operand(0);
                let lengths = self.words(operand(1).0, 2);
                let [n, inner] = [0, 1].map(|i| usize::try_from(lengths[i]).unwrap_or(0));
                let is_whole = |entries: usize| n * inner > 0 && entries.is_multiple_of(n * inner);
                check(
                    is_whole(nest.whole()) && is_whole(nest.last()) && step.len.is_none(),
                    "the lengths of a reduction",
                );
                self.reduced(step, dtype, stage, n);
                // What is reduced is never an output of the same kind, so nothing lies on anything.
                self.operand(step, address, dtype, self.tile());
                let routine = self.reduction(reduction, stage, dtype);
                let operands = [address, operand(1).0, operand(1).0];
                return Call { routine, out: step.out, operands, len: Length::Exact };
            }
            Action::Product => {
                let words = self.words(operand(2).0, 10);
                let count: Vec<usize> =
                    words.iter().map(|&word| usize::try_from(word).unwrap_or(0)).collect();
                let (batch, m, k, n) = (count[0], count[1], count[2], count[3]);
                check(step.len.is_some() && k > 0 && batch * m * n == whole, "the lengths of a product");
                check(operand(0).1 == operand(1).1, "a product of different types");
                let far = |lens: [usize; 3], first: usize| {
                    let far = (0..3).map(|i| (lens[i] - 1) * count[first + i]).sum::<usize>();
                    check(words[first..first + 3].iter().all(|&stride| stride >= 0), "a stride of a product");
                    Reach::first(far + 1)
                };
                let dtype = operand(0).1;
                let routine = product_routine(dtype, self.level);
                let routine = routine.unwrap_or_else(|| broken("a product of a type that has none"));
                let reads = vec![far([batch, m, k], 4), far([batch, k, n], 7), Reach::first(10)];
                (routine, dtype, padded(whole), reads)
            }
            Action::Reduce(reduction, Stage::Value) => {
                let lengths = self.words(operand(1).0, 3);
                let [outer, n, inner] = [0, 1, 2].map(|i| usize::try_from(lengths[i]).unwrap_or(0));
                check(n > 0 && outer * inner == whole && step.len.is_some(), "the lengths of a reduction");
                let dtype = operand(0).1;
                let routine = self.reduction(reduction, Stage::Value, dtype);
                (routine, dtype, padded(whole), vec![Reach::first(outer * n * inner), Reach::first(3)])
            }
        };
        check(reads.len() == step.operands.len(), "the number of operands");
        let out = self.out(step, dtype, room);
        for (&(address, dtype), reach) in step.operands.iter().zip(reads) {
            if let Some(read) = self.operand(step, address, dtype, reach) {
                check(!read.overlaps(&out), "a result on top of an operand");
            }
        }
        if step.action == Action::Move(Move::Placed) {
            let known = self.written.iter().any(|(extent, other)| extent.holds(&out) && *other == dtype);
            check(known, "entries that are placed in nothing");
        } else {
            self.written.retain(|(other, _)| !other.overlaps(&out));
            self.written.push((out, dtype));
        }
        let mut operands = [step.out; 3];
        for (to, &(address, _)) in operands.iter_mut().zip(&step.operands) {
            *to = address;
        }
        let len = match (step.len, step.action) {
            (None, Action::Op(_)) => Length::Tile,
            (None, _) => Length::Exact,
            (Some(len), Action::Op(_)) => Length::Fixed(padded(len as usize) as u32),
            (Some(len), _) => Length::Fixed(len),
        };
        Call { routine, out: step.out, operands, len }
    }

    fn reduction(&self, reduction: Reduction, stage: Stage, dtype: DType) -> Routine {
        let routine = reduction_routine(reduction, stage, dtype, self.level);
        routine.unwrap_or_else(|| broken("a reduction of a type that has none"))
    }

    /// A step whose result is a state.
    fn state(&self, step: &Step, routine: Routine) -> Call {
        check(self.states.contains(&Extent::new(step.out, STATE)), "a state that is none");
        let from = step.operands.first().map_or(step.out, |&(address, _)| address);
        Call { routine, out: step.out, operands: [from; 3], len: Length::Exact }
    }

    /// Checks where the reductions of tiles, each of `n` entries, or of rows go.
    fn reduced(&self, step: &Step, dtype: DType, stage: Stage, n: usize) {
        let stream = self.stream(step.out.base);
        let (expected, size) = self.array(stream.array);
        check(matches!(stream.array, Where::Output(_)) && expected == dtype, "an input that is written");
        check(
            step.out.offset == 0 && stream.offset == 0 && stream.fallback.is_none(),
            "a reduction not at its start",
        );
        let nest = &self.parts.nest;
        let strides = nest.strides();
        // So no entry belongs to two tiles, or to two rows of tiles.
        let fits = if stage == Stage::Tile {
            let divided: Vec<isize> = strides.iter().map(|stride| stride / n as isize).collect();
            stream.strides == divided && size * n == nest.entries()
        } else {
            let kept = stream.strides.iter().take_while(|&&stride| stride != 0).count();
            let rows: usize = nest.outer[..kept.min(nest.outer.len())].iter().product();
            let whole = (nest.entries() / rows) as isize;
            let own = stream.strides[..kept].iter().zip(&strides).all(|(own, stride)| own * whole == *stride);
            own && stream.strides[kept..].iter().all(|&stride| stride == 0)
                && size == rows
                && nest.tiles() / rows == self.parts.row
        };
        check(fits, "a reduction out of order");
    }

    fn words(&self, address: Address, n: usize) -> Vec<i32> {
        check(address.base == CONSTANTS, "a table that is no constant");
        self.parts
            .constants
            .words(address.offset as usize, n)
            .unwrap_or_else(|| broken("a table that is too short"))
    }

    /// The place of a result.
    fn out(&self, step: &Step, dtype: DType, room: usize) -> Extent {
        let extent = Extent::new(step.out, room * dtype.size_bytes());
        match step.out.base {
            REGISTERS => {
                check(extent.to <= self.parts.registers && extent.from % LINE == 0, "a result outside");
                check(!self.fallbacks.iter().any(|other| other.overlaps(&extent)), "a result on a stand-in");
                let stays = self.pinned.iter().chain(&self.states);
                check(!stays.into_iter().any(|other| other.overlaps(&extent)), "a result on what stays");
            }
            CONSTANTS => broken("a constant that is written"),
            base => {
                let stream = self.stream(base);
                let (expected, size) = self.array(stream.array);
                check(
                    matches!(stream.array, Where::Output(_)) && expected == dtype,
                    "an input that is written",
                );
                check(
                    step.out.offset == 0 && stream.offset == 0,
                    "an output that does not start at its start",
                );
                if step.len.is_none() {
                    check(self.is_padded(stream), "a tile of an output that is not round");
                    check(self.is_inside(stream, self.tile()), "an output that leaves its array");
                    // So no entry belongs to two tiles, whichever thread they run on.
                    check(stream.strides == self.parts.nest.strides(), "an output out of order");
                } else {
                    check(self.parts.nest.tiles() == 1 && room <= size, "a part of an output");
                }
            }
        }
        extent
    }

    /// Checks what is read; the place, if it is one that steps write.
    fn operand(&self, step: &Step, address: Address, dtype: DType, reach: Reach) -> Option<Extent> {
        let (first, last) = (reach.whole.0.min(reach.last.0), reach.whole.1.max(reach.last.1));
        let bytes = |entries: isize| {
            usize::try_from(entries).unwrap_or_else(|_| broken("before its place")) * dtype.size_bytes()
        };
        match address.base {
            REGISTERS => {
                // What a routine reads of a tile is padded.
                let last = if step.len.is_none() { padded(last as usize + 1) as isize - 1 } else { last };
                let from = address.offset as usize + bytes(first);
                let read = Extent { base: REGISTERS, from, to: address.offset as usize + bytes(last + 1) };
                check(address.offset as usize % LINE == 0, "a register that is not aligned");
                let known = self.written.iter().any(|(extent, other)| extent.holds(&read) && *other == dtype);
                check(known, "a register that is read before it is written");
                Some(read)
            }
            CONSTANTS => {
                let last = if step.len.is_none() { padded(last as usize + 1) as isize - 1 } else { last };
                let to = address.offset as usize + bytes(last + 1);
                check(first >= 0 && to <= self.parts.constants.bytes(), "a constant outside");
                check(address.offset as usize % LINE == 0, "a constant that is not aligned");
                let is_truth = |line: &Line| line.0.iter().all(|&byte| byte <= 1);
                let lines = address.offset as usize / LINE..to.div_ceil(LINE);
                check(
                    dtype != DType::Bool || self.parts.constants.0[lines].iter().all(is_truth),
                    "no truth values",
                );
                None
            }
            base => {
                let stream = self.stream(base);
                check(address.offset == 0, "an array that is not read from its start");
                check(self.array(stream.array).0 == dtype, "an array of another type");
                check(self.is_inside(stream, reach), "a stream that leaves its array");
                if step.len.is_none() && matches!(step.action, Action::Op(_)) {
                    check(self.is_padded(stream), "a tile of an array that is not round");
                }
                if step.len.is_some() && !matches!(step.action, Action::Move(Move::Repeated)) {
                    check(self.parts.nest.tiles() == 1, "a part of an array");
                }
                let Where::Output(_) = stream.array else { return None };
                let read = Extent { base, from: bytes(first), to: bytes(last + 1) };
                let known = self.written.iter().any(|(extent, other)| extent.holds(&read) && *other == dtype);
                check(known, "an output that is read before it is written");
                Some(read)
            }
        }
    }
}

/// The smallest and largest entry.
fn range(table: &[i32]) -> (isize, isize) {
    table.iter().fold((isize::MAX, isize::MIN), |(low, high), &place| {
        (low.min(place as isize), high.max(place as isize))
    })
}

/// `work` called with each number below the first argument, on whatever threads: what [`Code::run`] takes.
pub type Spread<'a> = &'a (dyn Fn(usize, &(dyn Fn(usize) + Sync)) + Sync + 'a);

impl Code {
    /// Code that may run: Note [checked code].
    ///
    /// # Panics
    /// When it may not: internal misuse.
    pub(crate) fn new(parts: Parts, at: Level) -> Code {
        let nest = &parts.nest;
        check(nest.block > 0 && nest.inner > 0 && nest.rows > 0 && nest.tiles() > 0, "an empty nest");
        check(
            u32::try_from(parts.registers.max(parts.constants.bytes())).is_ok(),
            "registers of four gigabytes",
        );
        let mut checker = Checker {
            parts: &parts,
            fallbacks: vec![],
            written: vec![],
            pinned: vec![],
            states: vec![],
            level: at.min(level()),
        };
        let rows = parts.row > 0 && nest.tiles().is_multiple_of(parts.row);
        check(rows && (nest.tiles() > 1 || parts.begin.is_empty()), "rows of tiles");
        checker.states();
        checker.streams();
        let once = parts.once.iter().map(|step| checker.call(step)).collect();
        checker.pinned = checker.written.iter().map(|&(extent, _)| extent).collect();
        let begin = parts.begin.iter().map(|step| checker.call(step)).collect();
        let calls = parts.steps.iter().map(|step| checker.call(step)).collect();
        let only = |step: &Step| matches!(step.action, Action::Reduce(_, Stage::Fold));
        check(parts.end.iter().all(only), "more than the end of reductions");
        let end = parts.end.iter().map(|step| checker.call(step)).collect();
        let moving = parts.streams.iter().map(|stream| {
            let (dtype, _) = checker.array(stream.array);
            let bytes = |entries: isize| entries * dtype.size_bytes() as isize;
            Moving {
                array: stream.array,
                offset: bytes(stream.offset),
                strides: stream.strides.iter().map(|&stride| bytes(stride)).collect(),
                fallback: stream.fallback,
                pad: move_routine(Move::Padded, dtype, checker.level),
                store: move_routine(Move::Stored, dtype, checker.level),
            }
        });
        Code { once, begin, calls, end, moving: moving.collect(), parts }
    }

    /// Tiles of a run.
    pub fn tiles(&self) -> usize {
        self.parts.nest.tiles()
    }

    /// Parts that can run at one time: tiles, or rows of them.
    pub fn most_parts(&self) -> usize {
        self.tiles() / self.parts.row
    }

    /// Steps of a tile.
    pub fn steps(&self) -> usize {
        self.calls.len()
    }

    /// Runs the code: writes every entry of the outputs. With `spread`, tiles are split into so many parts, which it may run
    /// at one time; every entry is computed by itself, so bits do not depend on it.
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
        spread: Option<(usize, Spread<'_>)>,
    ) {
        check(inputs.len() == self.parts.inputs.len(), "another number of inputs");
        check(outputs.len() == self.parts.outputs.len(), "another number of outputs");
        let Scratch { lanes, inputs: ins, outputs: outs } = scratch;
        ins.clear();
        for (array, &expected) in inputs.iter().zip(&self.parts.inputs) {
            let (dtype, pointer, len) = array.memory();
            check((dtype, len) == expected, "another input than was promised");
            ins.push(Pointer(pointer.cast_mut()));
        }
        outs.clear();
        for (array, &expected) in outputs.iter_mut().zip(&self.parts.outputs) {
            let (dtype, pointer, len) = array.memory_mut();
            check((dtype, len) == expected, "another output than was promised");
            outs.push(Pointer(pointer));
        }
        let (row, rows) = (self.parts.row, self.most_parts());
        let parts = spread.as_ref().map_or(1, |&(n, _)| n.clamp(1, rows));
        if lanes.len() < parts {
            lanes.resize_with(parts, Mutex::default);
        }
        let (ins, outs): (&[Pointer], &[Pointer]) = (ins, outs);
        match spread {
            Some((_, spread)) if parts > 1 => spread(parts, &|part| {
                let mut lane = lanes[part].lock().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: `run` has compared the arrays with what was promised, and borrows them until `spread` returns. Parts
                // have no tile in common, and the same part runs once at a time, as it holds the lock.
                unsafe {
                    let (first, end) = (part * rows / parts, (part + 1) * rows / parts);
                    self.tiles_of(first * row, end * row, ins, outs, &mut lane)
                };
            }),
            _ => {
                let lane = lanes[0].get_mut().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: as above, but that there is no other thread.
                unsafe { self.tiles_of(0, rows * row, ins, outs, lane) };
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
        lane.starts.clear();
        lane.starts.extend(self.moving.iter().map(|stream| {
            let array = match stream.array {
                Where::Input(i) => ins[i].0,
                Where::Output(i) => outs[i].0,
                Where::Kept(i) => self.parts.kept[i].memory().1.cast_mut(),
            };
            Pointer(array.wrapping_offset(stream.offset))
        }));
        lane.bases.clear();
        lane.bases.extend([Pointer(registers), Pointer(constants)]);
        lane.bases.extend_from_slice(&lane.starts);
        lane.places.clear();
        lane.places.extend_from_slice(&lane.starts);
        // SAFETY: these steps read entries that are the same for all tiles: those where the streams start.
        unsafe { self.calls(&self.once, &lane.bases, nest.whole()) };
        if nest.tiles() == 1 {
            // SAFETY: the streams start at the only tile; what else there is, the caller promises.
            unsafe { self.tile(nest.whole(), registers, &lane.places, &mut lane.bases) };
            return;
        }
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
        for tile in first..end {
            for ((place, start), stream) in lane.places.iter_mut().zip(&lane.starts).zip(&self.moving) {
                let far: isize =
                    lane.counts.iter().zip(&stream.strides).map(|(&i, stride)| i as isize * stride).sum();
                place.0 = start.0.wrapping_offset(far);
            }
            let n = if lane.counts[axes] + 1 == blocks { nest.last() } else { nest.whole() };
            // SAFETY: the streams point at this tile; what else there is, the caller promises. Parts begin and end with rows.
            unsafe {
                if tile % self.parts.row == 0 {
                    self.calls(&self.begin, &lane.bases, n);
                }
                self.tile(n, registers, &lane.places, &mut lane.bases);
                if (tile + 1) % self.parts.row == 0 {
                    self.calls(&self.end, &lane.bases, n);
                }
            }
            lane.counts[axes] += 1;
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
            unsafe { self.calls(&self.calls, bases, n) };
            return;
        }
        let null = std::ptr::null();
        let stand_in = |fallback: u32| registers.wrapping_add(fallback as usize);
        for (base, stream) in bases[STREAMS as usize..].iter_mut().zip(&self.moving) {
            let Some(fallback) = stream.fallback else { continue };
            if !matches!(stream.array, Where::Output(_)) {
                // SAFETY: `n` entries lie behind the pointer and `padded(n)` have room in the stand-in: both were checked.
                unsafe { (stream.pad)(stand_in(fallback), base.0, null, null, n) };
            }
            base.0 = stand_in(fallback);
        }
        // SAFETY: stand-ins hold the entries of the tile, padded.
        unsafe { self.calls(&self.calls, bases, n) };
        for (place, stream) in places.iter().zip(&self.moving) {
            if let (Where::Output(_), Some(fallback)) = (stream.array, stream.fallback) {
                // SAFETY: the stand-in holds `n` entries, which have room behind the pointer: it was checked.
                unsafe { (stream.store)(place.0, stand_in(fallback), null, null, n) };
            }
        }
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
