//! Proves that code does only what it may.
//!
//! Note [checked code]: [`checked`] proves of every step, before anything runs, that each address lies inside its block or
//! array for every tile, that types fit the routine, that the result overlaps no operand, and that nothing but outputs is written. What an
//! output has before it is written is read by the tile that writes it, and by no other. [`Code::run`] compares the arrays it is
//! given with what was promised. So no input of theirs can make the loop read or write anywhere else.

use super::super::{Level, level};
use super::body::{Routine, at, padded};
use super::code::{Call, Code, Length, Moving};
use super::moves::GROUP;
use super::native::Natives;
use super::parts::{Action, Address, CONSTANTS, LINE, Line, Parts, REGISTERS, STREAMS, Step, Stream, Where};
use super::reduce::{Begun, STATE};
use super::routine::{Move, Reduction, Stage, move_routine, op_routine, product_routine, reduction_routine};
use super::scalar::Scalar;
use crate::DType;

/// Code that may run: Note [checked code].
///
/// # Panics
/// When it may not: internal misuse.
pub(super) fn checked(parts: Parts, scalar: Option<Scalar>, at: Level) -> Code {
    let nest = &parts.nest;
    check(nest.block > 0 && nest.inner > 0 && nest.rows > 0 && nest.tiles() > 0, "an empty nest");
    check(u32::try_from(parts.registers.max(parts.constants.bytes())).is_ok(), "registers of four gigabytes");
    let mut checker = Checker {
        parts: &parts,
        fallbacks: vec![],
        written: vec![],
        pinned: vec![],
        states: vec![],
        is_tile: false,
        level: at.min(level()),
    };
    check(scalar.is_none() || parts.updated.is_empty(), "scalar code that updates");
    let rows = parts.row > 0 && nest.tiles().is_multiple_of(parts.row);
    check(rows && (nest.tiles() > 1 || parts.begin.is_empty()), "rows of tiles");
    checker.states();
    checker.streams();
    let once = parts.once.iter().map(|step| checker.call(step)).collect();
    checker.pinned = checker.written.iter().map(|&(extent, _)| extent).collect();
    let begin = parts.begin.iter().map(|step| checker.call(step)).collect();
    checker.is_tile = true;
    let calls = parts.steps.iter().map(|step| checker.call(step)).collect();
    checker.is_tile = false;
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
            is_read: checker.begins(stream.array) || !matches!(stream.array, Where::Output(_)),
            pad: move_routine(Move::Padded, dtype, checker.level),
            store: move_routine(Move::Stored, dtype, checker.level),
        }
    });
    let (n_tiles, moving) = (nest.tiles(), moving.collect());
    let only_tile = Some(nest.whole()).filter(|&whole| n_tiles == 1 && whole == padded(whole));
    let natives = Natives::of(&parts, at.min(level()));
    Code { once, begin, calls, end, natives, moving, n_tiles, only_tile, parts, scalar, level: at }
}

#[cold]
#[track_caller]
pub(super) fn broken(what: &str) -> ! {
    panic!("tile code: {what}; this is a bug in retrograde")
}

#[inline]
#[track_caller]
pub(super) fn check(holds: bool, what: &str) {
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
    /// Whether the steps are those of each tile.
    is_tile: bool,
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

    /// Whether it is an output that has entries before it is written.
    fn begins(&self, array: Where) -> bool {
        matches!(array, Where::Output(i) if self.parts.updated.contains(&i))
    }

    /// Whether a step may read from a stream what lies there before the tile is written.
    ///
    /// An operation on the tile reads the entries that are this tile's as [`Checker::out`] has it: no other thread writes them.
    fn may_update(&self, step: &Step, base: u32) -> bool {
        let stream = self.stream(base);
        let is_own = stream.offset == 0 && stream.strides == self.parts.nest.strides();
        let takes_tile = step.len.is_none() && matches!(step.action, Action::Op(_));
        let is_before = self.written.iter().all(|(extent, _)| extent.base != base);
        self.begins(stream.array) && self.is_tile && is_own && takes_tile && is_before
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
            check(state.from.is_multiple_of(LINE), "a state that is not aligned");
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
            check(
                fallback.to <= self.parts.registers && fallback.from.is_multiple_of(LINE),
                "a stand-in outside",
            );
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
                let (room, reads) = match how {
                    Move::Repeated => (padded(whole), vec![Reach::first(1)]),
                    Move::Padded => (padded(whole), vec![Reach::first(whole)]),
                    Move::Stored => (whole, vec![Reach::first(whole)]),
                    Move::Placed => {
                        let (first, last) = range(&self.words(operand(1).0, whole));
                        check(first >= 0, "a place before the first");
                        (last as usize + 1, vec![Reach::first(whole), Reach::first(whole)])
                    }
                    Move::Neighbours | Move::Spread => {
                        let last = if step.len.is_none() { nest.last() } else { whole };
                        let are_groups = whole.is_multiple_of(GROUP) && last.is_multiple_of(GROUP);
                        check(are_groups, "entries that are no groups");
                        let table = self.words(operand(1).0, whole / GROUP);
                        let beyond = if how == Move::Neighbours { GROUP as isize - 1 } else { 0 };
                        let reach = |table: &[i32]| {
                            let (first, last) = range(table);
                            (first, last + beyond)
                        };
                        let read = Reach { whole: reach(&table), last: reach(&table[..last / GROUP]) };
                        (padded(whole), vec![read, Reach::first(whole / GROUP)])
                    }
                    Move::Gathered => {
                        let table = self.words(operand(1).0, whole);
                        let last = if step.len.is_none() { nest.last() } else { whole };
                        let read = Reach { whole: range(&table), last: range(&table[..last]) };
                        (padded(whole), vec![read, Reach::first(whole)])
                    }
                };
                let is_of_tiles =
                    matches!(how, Move::Gathered | Move::Neighbours | Move::Spread | Move::Repeated);
                check(is_of_tiles || step.len.is_some(), "a move of a tile");
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
                check(address.base != step.out.base, "a result on top of an operand");
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
                check(
                    extent.to <= self.parts.registers && extent.from.is_multiple_of(LINE),
                    "a result outside",
                );
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
                check((address.offset as usize).is_multiple_of(LINE), "a register that is not aligned");
                let known = self.written.iter().any(|(extent, other)| extent.holds(&read) && *other == dtype);
                check(known, "a register that is read before it is written");
                Some(read)
            }
            CONSTANTS => {
                let last = if step.len.is_none() { padded(last as usize + 1) as isize - 1 } else { last };
                let to = address.offset as usize + bytes(last + 1);
                check(first >= 0 && to <= self.parts.constants.bytes(), "a constant outside");
                check((address.offset as usize).is_multiple_of(LINE), "a constant that is not aligned");
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
                check(known || self.may_update(step, base), "an output that is read before it is written");
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
