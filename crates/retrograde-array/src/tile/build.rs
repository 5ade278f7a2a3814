//! From values to code: where each value lies, and when registers are free again.

use super::nest::Axes;
use super::{Op, Reduction, View};
use crate::kernel::Level;
use crate::kernel::tile::{
    Action, Address, Block, Code, Move, Nest, Parts, STREAMS, Step, Stream, Where, has_reduction, padded,
};
use crate::{Array, DType, Scalar};

/// Entries of a tile: a dozen registers of eight-byte numbers stay in the first cache, and the cost of a step for each
/// tile is small beside its work.
pub const TILE: usize = 512;

/// Names one input of code under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Input(usize);

/// Names one value of code under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(usize);

/// How a value comes about.
enum Source {
    Read { array: Where, view: View },
    Constant(Scalar),
    Op { op: Op, operands: Vec<Value> },
    View { of: Value, view: View },
    Reduce { reduction: Reduction, of: Value, lengths: [usize; 3] },
}

struct Definition {
    source: Source,
    dtype: DType,
    size: usize,
}

/// Code under construction; see [`tile`](super).
pub struct Builder {
    /// The shape of all values, but in small code.
    shape: Option<Vec<usize>>,
    inputs: Vec<(DType, usize)>,
    kept: Vec<Array>,
    values: Vec<Definition>,
    outputs: Vec<Value>,
}

#[cold]
#[track_caller]
fn bug(what: &str) -> ! {
    panic!("tile code: {what}; this is a bug in retrograde")
}

impl Builder {
    /// Code whose values all have one shape, of at least one entry.
    pub fn nest(shape: &[usize]) -> Builder {
        Builder { shape: Some(shape.to_vec()), inputs: vec![], kept: vec![], values: vec![], outputs: vec![] }
    }

    /// Code whose values have any shapes, of at least one entry each, and stay in registers as wholes.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::{Builder, Level, Reduction, Scratch, View}};
    /// // The sums of the columns, repeated.
    /// let mut b = Builder::small();
    /// let x = b.input(DType::F64, 4);
    /// let x = b.read(x, &View::whole(&[2, 2]));
    /// let sums = b.reduce(Reduction::Sum, x, [1, 2, 2]);
    /// let twice = b.view(sums, &View::whole(&[2]).broadcast(&[2, 2], &[1]));
    /// let factor = b.kept(array([[1.0, 2.0], [3.0, 4.0]]), &View::whole(&[2, 2]));
    /// let y = b.op(retrograde_array::tile::Op::StrongMul, &[twice, factor]);
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [2, 2])];
    /// b.finish(Level::best()).run(&[&array([[1.0, 2.0], [3.0, 4.0]])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([[4.0, 12.0], [12.0, 24.0]]));
    /// ```
    pub fn small() -> Builder {
        Builder { shape: None, inputs: vec![], kept: vec![], values: vec![], outputs: vec![] }
    }

    fn define(&mut self, source: Source, dtype: DType, size: usize) -> Value {
        let expected = self.shape.as_ref().map(|shape| shape.iter().product());
        if size == 0 || expected.is_some_and(|expected: usize| expected != size) {
            bug(&format!("a value of {size} entries"));
        }
        self.values.push(Definition { source, dtype, size });
        Value(self.values.len() - 1)
    }

    /// A further input: an array of that dtype and size.
    pub fn input(&mut self, dtype: DType, size: usize) -> Input {
        self.inputs.push((dtype, size));
        Input(self.inputs.len() - 1)
    }

    /// Entries of an input.
    pub fn read(&mut self, input: Input, view: &View) -> Value {
        let (dtype, _) = self.inputs[input.0];
        self.define(Source::Read { array: Where::Input(input.0), view: view.clone() }, dtype, view.size())
    }

    /// Entries of an array that the code keeps.
    pub fn kept(&mut self, array: Array, view: &View) -> Value {
        let (dtype, at) = (array.dtype(), self.kept.len());
        self.kept.push(array.compact());
        self.define(Source::Read { array: Where::Kept(at), view: view.clone() }, dtype, view.size())
    }

    /// The same value everywhere.
    pub fn constant(&mut self, value: Scalar, shape: &[usize]) -> Value {
        self.define(Source::Constant(value), value.dtype(), shape.iter().product())
    }

    /// An operation on every entry of operands of one size.
    ///
    /// # Panics
    /// When the dtypes have no such operation ([`Op::dtype`]) or sizes differ: internal misuse.
    pub fn op(&mut self, op: Op, operands: &[Value]) -> Value {
        let dtypes: Vec<DType> = operands.iter().map(|v| self.values[v.0].dtype).collect();
        let Some(dtype) = op.dtype(&dtypes) else { bug(&format!("{op:?} of {dtypes:?}")) };
        let size = self.values[operands[0].0].size;
        if operands.iter().any(|v| self.values[v.0].size != size) {
            bug("operands of different sizes");
        }
        self.define(Source::Op { op, operands: operands.to_vec() }, dtype, size)
    }

    /// Entries of a value of small code.
    pub fn view(&mut self, of: Value, view: &View) -> Value {
        let Definition { dtype, size, .. } = self.values[of.0];
        if self.shape.is_some() || view.places().any(|place| place >= size) {
            bug("a view of a value");
        }
        self.define(Source::View { of, view: view.clone() }, dtype, view.size())
    }

    /// The reduction of a value of small code, of `[outer, n, inner]` entries, over the middle axis.
    pub fn reduce(&mut self, reduction: Reduction, of: Value, lengths: [usize; 3]) -> Value {
        let Definition { dtype, size, .. } = self.values[of.0];
        let [outer, n, inner] = lengths;
        if self.shape.is_some() || outer * n * inner != size || !has_reduction(reduction, dtype) {
            bug("a reduction of a value");
        }
        self.define(Source::Reduce { reduction, of, lengths }, dtype, outer * inner)
    }

    /// Writes a value to a further output: an array of its dtype and size. Each value once.
    pub fn output(&mut self, value: Value) {
        if self.outputs.contains(&value) {
            bug("a value that is written twice");
        }
        self.outputs.push(value);
    }

    /// The code, for at most the given instruction set.
    pub fn finish(self, level: Level) -> Code {
        let parts = match &self.shape {
            Some(shape) => Plan::nest(&self, shape).parts(&self),
            None => Plan::small(&self).parts(&self),
        };
        Code::new(parts, level)
    }
}

/// Where a value lies while the code runs.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the register of that number.
    Register(usize),
    Fixed(Address),
}

struct Item {
    action: Action,
    out: Place,
    operands: Vec<(Place, DType)>,
    len: Option<u32>,
}

/// The steps, with registers by number.
struct Plan {
    nest: Nest,
    constants: Block,
    streams: Vec<Stream>,
    once: Vec<Item>,
    items: Vec<Item>,
    /// Bytes of each register.
    registers: Vec<usize>,
    places: Vec<Place>,
    /// Bytes of stand-ins, at the end of the registers.
    stand_ins: usize,
}

impl Plan {
    fn new(nest: Nest) -> Plan {
        Plan {
            nest,
            constants: Block::default(),
            streams: vec![],
            once: vec![],
            items: vec![],
            registers: vec![],
            places: vec![],
            stand_ins: 0,
        }
    }

    fn register(&mut self, dtype: DType, entries: usize) -> Place {
        self.registers.push(padded(entries) * dtype.size_bytes());
        Place::Register(self.registers.len() - 1)
    }

    fn constant(&mut self, bytes: &[u8]) -> Place {
        Place::Fixed(Address { base: 1, offset: self.constants.push(bytes) })
    }

    fn table(&mut self, words: &[i32]) -> Place {
        self.constant(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>())
    }

    /// The same value, as often as a tile needs it.
    fn scalar(&mut self, value: Scalar, entries: usize) -> Place {
        self.constant(&bytes(value).repeat(padded(entries)))
    }

    fn stream(&mut self, array: Where, offset: isize, strides: Vec<isize>, fallback: Option<u32>) -> Place {
        self.streams.push(Stream { array, offset, strides, fallback });
        Place::Fixed(Address { base: STREAMS + (self.streams.len() - 1) as u32, offset: 0 })
    }

    /// Code over one shape.
    fn nest(builder: &Builder, shape: &[usize]) -> Plan {
        let views = builder.values.iter().filter_map(|value| match &value.source {
            Source::Read { view, .. } => Some(view),
            _ => None,
        });
        let views: Vec<&View> = views.collect();
        let whole = View::whole(shape);
        let axes = Axes::new(shape, &views.iter().copied().chain([&whole]).collect::<Vec<_>>());
        let mut plan = Plan::new(axes.nest(TILE));
        let tile = plan.nest.whole();
        let rounds = [tile, plan.nest.last()].iter().all(|&n| n == padded(n));
        let mut row = 0;
        for (index, value) in builder.values.iter().enumerate() {
            let bytes = (padded(tile) * value.dtype.size_bytes()).next_multiple_of(64);
            let written = builder.outputs.iter().position(|v| v.0 == index);
            let place = match &value.source {
                Source::Constant(scalar) => plan.scalar(*scalar, tile),
                Source::Read { array, view } => {
                    let (outer, places) = axes.tile(row, &plan.nest);
                    row += 1;
                    plan.read(*array, view.offset(), outer, &places, value.dtype, (!rounds).then_some(bytes))
                }
                Source::Op { op, operands } => {
                    let operands =
                        operands.iter().map(|v| (plan.places[v.0], builder.values[v.0].dtype)).collect();
                    let out = match written {
                        Some(output) => plan.written(output, (!rounds).then_some(bytes)),
                        None => plan.register(value.dtype, tile),
                    };
                    plan.items.push(Item { action: Action::Op(*op), out, operands, len: None });
                    plan.places.push(out);
                    continue;
                }
                Source::View { .. } | Source::Reduce { .. } => bug("an arrangement in a nest"),
            };
            plan.places.push(place);
            if let Some(output) = written {
                let out = plan.written(output, (!rounds).then_some(bytes));
                plan.items.push(Item {
                    action: Action::Op(Op::Copy),
                    out,
                    operands: vec![(place, value.dtype)],
                    len: None,
                });
            }
        }
        plan
    }

    fn stand_in(&mut self, bytes: Option<usize>) -> Option<u32> {
        let offset = self.stand_ins as u32;
        self.stand_ins += bytes?;
        Some(offset)
    }

    /// An output of a nest.
    fn written(&mut self, output: usize, stand_in: Option<usize>) -> Place {
        let fallback = self.stand_in(stand_in);
        self.stream(Where::Output(output), 0, self.nest.strides(), fallback)
    }

    /// What is read in a nest: `places` are those of a tile, from its first on.
    fn read(
        &mut self,
        array: Where,
        offset: isize,
        outer: Vec<isize>,
        places: &[isize],
        dtype: DType,
        stand_in: Option<usize>,
    ) -> Place {
        if is_run(places) {
            let fallback = self.stand_in(stand_in);
            return self.stream(array, offset, outer, fallback);
        }
        let is_single = places.iter().chain(&outer).all(|&far| far == 0);
        let from = self.stream(array, offset, outer, None);
        let out = self.register(dtype, places.len());
        let item = self.moved(out, (from, dtype), places, None);
        let items = if is_single { &mut self.once } else { &mut self.items };
        items.push(item);
        out
    }

    /// Moves the entries at these places of an operand to a register or output.
    fn moved(&mut self, out: Place, from: (Place, DType), places: &[isize], len: Option<u32>) -> Item {
        let mut operands = vec![from];
        let how = if places.iter().all(|&place| place == 0) {
            Move::Repeated
        } else if is_run(places) {
            Move::Padded
        } else {
            let table: Vec<i32> = places.iter().map(|&place| far(place)).collect();
            operands.push((self.table(&table), DType::I32));
            Move::Gathered
        };
        Item { action: Action::Move(how), out, operands, len }
    }

    /// Code over small values.
    fn small(builder: &Builder) -> Plan {
        let mut plan = Plan::new(Nest { outer: vec![], rows: 1, block: 1, inner: padded(1) });
        let mut scalars: Vec<(Scalar, usize, Place)> = vec![];
        for (index, value) in builder.values.iter().enumerate() {
            let Definition { dtype, size, .. } = *value;
            let len = Some(size as u32);
            let written = builder.outputs.iter().position(|v| v.0 == index);
            let direct = written.filter(|_| size == padded(size));
            // Results whose length is round are computed where they belong.
            let result = |plan: &mut Plan| match direct {
                Some(output) => plan.stream(Where::Output(output), 0, vec![0], None),
                None => plan.register(dtype, size),
            };
            let of = |plan: &Plan, v: &Value| (plan.places[v.0], builder.values[v.0].dtype);
            let (place, item) = match &value.source {
                Source::Constant(scalar) => {
                    let known =
                        scalars.iter().find(|(known, entries, _)| known == scalar && *entries >= size);
                    let place = match known {
                        Some(&(_, _, place)) => place,
                        None => {
                            let place = plan.scalar(*scalar, size);
                            scalars.push((*scalar, size, place));
                            place
                        }
                    };
                    (place, None)
                }
                Source::Read { array: Where::Kept(array), view } => {
                    (plan.entries(&builder.kept[*array], view), None)
                }
                Source::Read { array, view } => {
                    let first = view.places().next().unwrap_or_default() as isize;
                    let places: Vec<isize> = view.places().map(|place| place as isize - first).collect();
                    let from = plan.stream(*array, first, vec![0], None);
                    if is_run(&places) && size == padded(size) {
                        (from, None)
                    } else {
                        let out = result(&mut plan);
                        let item = plan.moved(out, (from, dtype), &places, len);
                        (out, Some(item))
                    }
                }
                Source::View { of: source, view } => {
                    let from = of(&plan, source);
                    let places: Vec<isize> = view.places().map(|place| place as isize).collect();
                    let out = result(&mut plan);
                    let item = plan.moved(out, from, &places, len);
                    (out, Some(item))
                }
                Source::Op { op, operands } => {
                    let operands = operands.iter().map(|v| of(&plan, v)).collect();
                    let out = result(&mut plan);
                    (out, Some(Item { action: Action::Op(*op), out, operands, len }))
                }
                Source::Reduce { reduction, of: source, lengths } => {
                    let from = of(&plan, source);
                    let lengths = plan.table(&lengths.map(|n| n as i32));
                    let out = result(&mut plan);
                    let operands = vec![from, (lengths, DType::I32)];
                    (out, Some(Item { action: Action::Reduce(*reduction), out, operands, len }))
                }
            };
            let is_direct = direct.is_some() && item.is_some();
            plan.items.extend(item);
            plan.places.push(place);
            if let Some(output) = written.filter(|_| !is_direct) {
                let out = plan.stream(Where::Output(output), 0, vec![0], None);
                let operands = vec![(place, dtype)];
                plan.items.push(Item { action: Action::Move(Move::Stored), out, operands, len });
            }
        }
        plan
    }
}

impl Plan {
    /// The entries of a view of an array that is known now.
    fn entries(&mut self, array: &Array, view: &View) -> Place {
        let n = padded(view.size());
        let entries: Vec<Scalar> = view.places().filter_map(|place| array.get(place)).collect();
        let last = entries.last().copied();
        let all = entries.into_iter().chain(std::iter::repeat(last).flatten()).take(n);
        self.constant(&all.flat_map(bytes).collect::<Vec<u8>>())
    }

    /// The parts of the code: registers get their places.
    ///
    /// A register is taken before those of the operands are given back: a result never lies on an operand. In one place, a loop would
    /// have to find out that they are the same, and falls back to one entry at a time.
    fn parts(self, builder: &Builder) -> Parts {
        let mut last_use = vec![0; self.registers.len()];
        for (at, item) in self.items.iter().enumerate() {
            for (place, _) in item.operands.iter().chain([&(item.out, DType::U8)]) {
                if let Place::Register(register) = place {
                    last_use[*register] = at;
                }
            }
        }
        let mut memory = Memory { free: vec![], end: self.stand_ins };
        let mut offsets: Vec<Option<usize>> = vec![None; self.registers.len()];
        let address = |offsets: &[Option<usize>], place: Place| match place {
            Place::Fixed(address) => address,
            Place::Register(register) => match offsets[register] {
                Some(offset) => Address { base: 0, offset: offset as u32 },
                None => bug("a register that is used before it is written"),
            },
        };
        let step = |offsets: &mut Vec<Option<usize>>, memory: &mut Memory, item: &Item| {
            if let Place::Register(register) = item.out {
                offsets[register] = Some(memory.take(self.registers[register]));
            }
            let operands =
                item.operands.iter().map(|&(place, dtype)| (address(offsets, place), dtype)).collect();
            Step { action: item.action, out: address(offsets, item.out), operands, len: item.len }
        };
        let once: Vec<Step> = self.once.iter().map(|item| step(&mut offsets, &mut memory, item)).collect();
        let pinned: Vec<usize> = (0..offsets.len()).filter(|&i| offsets[i].is_some()).collect();
        let mut steps = vec![];
        for (at, item) in self.items.iter().enumerate() {
            steps.push(step(&mut offsets, &mut memory, item));
            let mut ended: Vec<usize> = item
                .operands
                .iter()
                .chain([&(item.out, DType::U8)])
                .filter_map(|(place, _)| match place {
                    Place::Register(register) => Some(*register),
                    Place::Fixed(_) => None,
                })
                .filter(|register| last_use[*register] == at && !pinned.contains(register))
                .collect();
            ended.sort_unstable();
            ended.dedup();
            for register in ended {
                if let Some(offset) = offsets[register] {
                    memory.give(offset, self.registers[register]);
                }
            }
        }
        let sizes = |v: &Value| (builder.values[v.0].dtype, builder.values[v.0].size);
        Parts {
            inputs: builder.inputs.clone(),
            outputs: builder.outputs.iter().map(sizes).collect(),
            kept: builder.kept.clone(),
            registers: memory.end,
            constants: self.constants,
            nest: self.nest,
            streams: self.streams,
            once,
            steps,
        }
    }
}

/// Free bytes between registers.
struct Memory {
    /// Offsets and lengths, ascending, no two adjacent.
    free: Vec<(usize, usize)>,
    end: usize,
}

/// Registers start at cache lines.
const ALIGNMENT: usize = 64;

impl Memory {
    /// The smallest gap that serves, or new bytes.
    fn take(&mut self, bytes: usize) -> usize {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let best = (0..self.free.len()).filter(|&i| self.free[i].1 >= bytes).min_by_key(|&i| self.free[i].1);
        match best {
            Some(i) => {
                let (offset, len) = self.free[i];
                if len == bytes {
                    self.free.remove(i);
                } else {
                    self.free[i] = (offset + bytes, len - bytes);
                }
                offset
            }
            None => {
                self.end += bytes;
                self.end - bytes
            }
        }
    }

    fn give(&mut self, offset: usize, bytes: usize) {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let at = self.free.partition_point(|&(other, _)| other < offset);
        self.free.insert(at, (offset, bytes));
        if at + 1 < self.free.len() && offset + bytes == self.free[at + 1].0 {
            self.free[at].1 += self.free.remove(at + 1).1;
        }
        if at > 0 && self.free[at - 1].0 + self.free[at - 1].1 == offset {
            self.free[at - 1].1 += self.free.remove(at).1;
        }
    }
}

/// Whether entries lie one after another.
fn is_run(places: &[isize]) -> bool {
    places.iter().enumerate().all(|(i, &place)| place == i as isize)
}

fn far(place: isize) -> i32 {
    i32::try_from(place).unwrap_or_else(|_| bug("entries of a tile four gigabytes apart"))
}

/// The bytes of a value in memory.
fn bytes(value: Scalar) -> Vec<u8> {
    match value {
        Scalar::F64(x) => x.to_ne_bytes().to_vec(),
        Scalar::F32(x) => x.to_ne_bytes().to_vec(),
        Scalar::BF16(x) => x.to_bits().to_ne_bytes().to_vec(),
        Scalar::I64(x) => x.to_ne_bytes().to_vec(),
        Scalar::I32(x) => x.to_ne_bytes().to_vec(),
        Scalar::U8(x) => vec![x],
        Scalar::Bool(x) => vec![u8::from(x)],
    }
}
