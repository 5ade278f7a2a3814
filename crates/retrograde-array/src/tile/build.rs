//! From values to code: where each value lies, and when registers are free again.

use super::nest::Axes;
use super::{Op, Reduction, View};
use crate::kernel::Level;
use crate::kernel::tile::{
    Action, Address, Block, Code, Move, Nest, Parts, STATE, STREAMS, Stage, Step, Stream, Where, has_product,
    has_reduction, padded,
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
    Assemble { fill: Value, parts: Vec<(Value, View)> },
    Product { a: Value, b: Value, lengths: [i32; 10] },
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
        let expected = self.shape.as_ref().map(|shape| shape.iter().product::<usize>());
        let is_reduced = matches!(source, Source::Reduce { .. });
        if size == 0 || (!is_reduced && expected.is_some_and(|expected| expected != size)) {
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
        let is_reduced =
            |v: &Value| self.shape.is_some() && matches!(self.values[v.0].source, Source::Reduce { .. });
        if operands.iter().any(|v| self.values[v.0].size != size || is_reduced(v)) {
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

    /// A value of small code of that many entries: those of the parts, each at the places of a view of the whole, and else the
    /// only entry of `fill`.
    ///
    /// # Panics
    /// When views leave the whole, or sizes or dtypes differ: internal misuse.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::{Builder, Level, Scratch, View}};
    /// let mut b = Builder::small();
    /// let x = b.input(DType::F64, 2);
    /// let (x, zero) = (b.read(x, &View::whole(&[2])), b.constant(0.0.into(), &[]));
    /// let y = b.assemble(5, zero, &[(x, View::whole(&[5]).sliced(&[1], &[4], &[2]))]);
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [5])];
    /// b.finish(Level::best()).run(&[&array([1.0, 2.0])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([0.0, 1.0, 0.0, 2.0, 0.0]));
    /// ```
    pub fn assemble(&mut self, size: usize, fill: Value, parts: &[(Value, View)]) -> Value {
        let Definition { dtype, size: n, .. } = self.values[fill.0];
        let fits = parts.iter().all(|(v, view)| {
            let value = &self.values[v.0];
            value.dtype == dtype && value.size == view.size() && view.places().all(|place| place < size)
        });
        if self.shape.is_some() || n != 1 || !fits {
            bug("parts of a value");
        }
        self.define(Source::Assemble { fill, parts: parts.to_vec() }, dtype, size)
    }

    /// The products of matrices in small code, in the order of [`ops::dot_general`](crate::ops::dot_general): of the value `a` seen through a
    /// view of shape `[batch, m, k]` and `b` through one of shape `[batch, k, n]`.
    ///
    /// # Panics
    /// When shapes or dtypes do not fit, or a view goes backwards: internal misuse.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, array, tile::{Builder, Level, Scratch, View}};
    /// // The product of a matrix and its transpose.
    /// let mut b = Builder::small();
    /// let x = b.input(DType::F64, 4);
    /// let (x, view) = (b.read(x, &View::whole(&[1, 2, 2])), View::whole(&[1, 2, 2]));
    /// let y = b.product((x, &view), (x, &view.transposed(&[0, 2, 1])));
    /// b.output(y);
    /// let mut y = [Array::zeros(DType::F64, [2, 2])];
    /// b.finish(Level::best()).run(&[&array([[1.0, 2.0], [3.0, 4.0]])], &mut y, &mut Scratch::default(), None);
    /// assert_eq!(y[0], array([[5.0, 11.0], [11.0, 25.0]]));
    /// ```
    pub fn product(&mut self, a: (Value, &View), b: (Value, &View)) -> Value {
        let ([a, b], [a_view, b_view]) = ([a.0, b.0], [a.1, b.1]);
        let dtype = self.values[a.0].dtype;
        let inside = |v: Value, view: &View| view.places().all(|place| place < self.values[v.0].size);
        let forwards = |view: &View| view.offset() == 0 && view.strides().iter().all(|&stride| stride >= 0);
        let (&[batch, m, k], &[batch_b, k_b, n]) = (a_view.shape(), b_view.shape()) else {
            bug("matrices of other axes")
        };
        let fits = batch == batch_b && k == k_b && k > 0 && dtype == self.values[b.0].dtype;
        let views = inside(a, a_view) && inside(b, b_view) && forwards(a_view) && forwards(b_view);
        if self.shape.is_some() || !fits || !views || !has_product(dtype) {
            bug("a product of values");
        }
        let strides = a_view.strides().iter().chain(b_view.strides()).map(|&stride| far(stride));
        let all: Vec<i32> = [batch, m, k, n].iter().map(|&n| far(n as isize)).chain(strides).collect();
        let Ok(lengths) = all.try_into() else { bug("matrices of other axes") };
        self.define(Source::Product { a, b, lengths }, dtype, batch * m * n)
    }

    /// The reduction of a value of `[outer, n, inner]` entries over the middle axis.
    ///
    /// In a nest: all reductions have the same lengths, for which [`Builder::reduces`] holds, and what is reduced can only be
    /// written.
    ///
    /// # Panics
    /// When the value has another size, its dtype no such reduction, or a nest cannot have it: internal misuse.
    pub fn reduce(&mut self, reduction: Reduction, of: Value, lengths: [usize; 3]) -> Value {
        let Definition { dtype, size, .. } = self.values[of.0];
        let [outer, n, inner] = lengths;
        let fits = match &self.shape {
            Some(shape) => {
                Builder::reduces(shape, lengths) && self.lengths().is_none_or(|own| own == lengths)
            }
            None => true,
        };
        if !fits || outer * n * inner != size || !has_reduction(reduction, dtype) {
            bug("a reduction of a value");
        }
        self.define(Source::Reduce { reduction, of, lengths }, dtype, outer * inner)
    }

    /// Whether a nest of that shape can reduce `[outer, n, inner]` entries over the middle axis: a tile holds whole
    /// results, or the middle axis is the last and the tiles of a result come one after another.
    ///
    /// ```
    /// use retrograde_array::tile::Builder;
    /// assert!(Builder::reduces(&[90, 8, 3], [90, 8, 3]) && Builder::reduces(&[9, 5000], [9, 5000, 1]));
    /// assert!(!Builder::reduces(&[5000, 9], [1, 5000, 9]));
    /// ```
    pub fn reduces(shape: &[usize], [outer, n, inner]: [usize; 3]) -> bool {
        outer * n * inner == shape.iter().product::<usize>() && n > 0 && (inner == 1 || n * inner <= TILE)
    }

    /// The lengths of the reductions, if there are any.
    fn lengths(&self) -> Option<[usize; 3]> {
        self.values.iter().find_map(|value| match value.source {
            Source::Reduce { lengths, .. } => Some(lengths),
            _ => None,
        })
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
pub(super) struct Plan {
    nest: Nest,
    constants: Block,
    streams: Vec<Stream>,
    once: Vec<Item>,
    items: Vec<Item>,
    /// Tiles in a row, and what runs before and after each row.
    row: usize,
    begin: Vec<Step>,
    end: Vec<Step>,
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
            row: 1,
            begin: vec![],
            end: vec![],
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
    pub(super) fn nest(builder: &Builder, shape: &[usize]) -> Plan {
        let views = builder.values.iter().filter_map(|value| match &value.source {
            Source::Read { view, .. } => Some(view),
            _ => None,
        });
        let views: Vec<&View> = views.collect();
        let whole = View::whole(shape);
        let breaks = builder.lengths().map_or(vec![], |[outer, _, inner]| {
            let product = |axes: &[usize]| axes.iter().product::<usize>();
            let first = (0..shape.len()).find(|&axis| product(&shape[..axis]) == outer);
            let end = (0..shape.len()).find(|&axis| product(&shape[axis..]) == inner);
            first.into_iter().chain(end).collect()
        });
        let axes = Axes::new(shape, &views.iter().copied().chain([&whole]).collect::<Vec<_>>(), &breaks);
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
                Source::Reduce { reduction, of, lengths } => {
                    let from = (plan.places[of.0], builder.values[of.0].dtype);
                    let Some(output) = written else { bug("a reduction that is not written") };
                    let out = plan.reduced(*reduction, from, *lengths, output);
                    plan.places.push(out);
                    continue;
                }
                Source::View { .. } | Source::Assemble { .. } | Source::Product { .. } => {
                    bug("an arrangement in a nest")
                }
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

    /// A reduction in a nest.
    fn reduced(
        &mut self,
        reduction: Reduction,
        from: (Place, DType),
        [outer, n, inner]: [usize; 3],
        output: usize,
    ) -> Place {
        let reduce = |stage, out, operands| Item {
            action: Action::Reduce(reduction, stage),
            out,
            operands,
            len: None,
        };
        let strides = self.nest.strides();
        if n * inner <= TILE {
            let divided = strides.iter().map(|stride| stride / n as isize).collect();
            let out = self.stream(Where::Output(output), 0, divided, None);
            let lengths = self.table(&[n as i32, inner as i32]);
            self.items.push(reduce(Stage::Tile, out, vec![from, (lengths, DType::I32)]));
            return out;
        }
        self.row = self.nest.tiles() / outer;
        // Along the outermost axes, results follow each other; along the others, they stay.
        let mut kept = 0;
        let own = strides.iter().enumerate().map(|(axis, stride)| {
            let stays = kept == axis && self.nest.outer[..axis].iter().product::<usize>() < outer;
            kept += usize::from(stays);
            if stays { stride / (n * inner) as isize } else { 0 }
        });
        let own = own.collect();
        let state = self.stand_in(Some(STATE.next_multiple_of(ALIGNMENT))).unwrap_or_default();
        let state = Address { base: 0, offset: state };
        self.begin.push(Step { action: Action::Begin, out: state, operands: vec![], len: None });
        self.items.push(reduce(Stage::Accumulate, Place::Fixed(state), vec![from]));
        let out = self.stream(Where::Output(output), 0, own, None);
        if let Place::Fixed(out) = out {
            let action = Action::Reduce(reduction, Stage::Fold);
            self.end.push(Step { action, out, operands: vec![(state, from.1)], len: Some(1) });
        }
        out
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
            let mut is_made = false;
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
                Source::Product { a, b, lengths } => {
                    let lengths = plan.table(lengths);
                    let operands = vec![of(&plan, a), of(&plan, b), (lengths, DType::I32)];
                    let out = result(&mut plan);
                    (out, Some(Item { action: Action::Product, out, operands, len }))
                }
                Source::Assemble { fill, parts } => {
                    let out = result(&mut plan);
                    let operands = vec![of(&plan, fill)];
                    plan.items.push(Item { action: Action::Move(Move::Repeated), out, operands, len });
                    for (v, view) in parts {
                        let places: Vec<i32> = view.places().map(|place| place as i32).collect();
                        let operands = vec![of(&plan, v), (plan.table(&places), DType::I32)];
                        let len = Some(places.len() as u32);
                        plan.items.push(Item { action: Action::Move(Move::Placed), out, operands, len });
                    }
                    is_made = true;
                    (out, None)
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
                    (out, Some(Item { action: Action::Reduce(*reduction, Stage::Value), out, operands, len }))
                }
            };
            let is_direct = direct.is_some() && (is_made || item.is_some());
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
    pub(super) fn parts(self, builder: &Builder) -> Parts {
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
                offsets[register].get_or_insert_with(|| memory.take(self.registers[register]));
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
            row: self.row,
            begin: self.begin,
            end: self.end,
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
