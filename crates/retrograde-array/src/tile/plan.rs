//! From values to steps: where each value lies.

use super::build::{Builder, Definition, Source, TILE, Value, bug};
use super::nest::Axes;
use super::registers::ALIGNMENT;
use super::{Op, Reduction, View};
use crate::kernel::tile::{
    Action, Address, Block, GROUP, Move, Nest, STATE, STREAMS, Stage, Step, Stream, Where, padded,
};
use crate::{Array, DType, Scalar};

/// Where a value lies while the code runs.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// In the register of that number.
    Register(usize),
    Fixed(Address),
}

pub(super) struct Item {
    pub(super) action: Action,
    pub(super) out: Place,
    pub(super) operands: Vec<(Place, DType)>,
    pub(super) len: Option<u32>,
}

/// The steps, with registers by number.
pub(super) struct Plan {
    pub(super) nest: Nest,
    pub(super) constants: Block,
    pub(super) streams: Vec<Stream>,
    pub(super) once: Vec<Item>,
    pub(super) items: Vec<Item>,
    /// Tiles in a row, and what runs before and after each row.
    pub(super) row: usize,
    pub(super) begin: Vec<Step>,
    pub(super) end: Vec<Step>,
    /// Bytes of each register.
    pub(super) registers: Vec<usize>,
    pub(super) places: Vec<Place>,
    /// Bytes of stand-ins, at the end of the registers.
    pub(super) stand_ins: usize,
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

    /// Code over one shape, in tiles of at most about `most` entries.
    pub(super) fn nest(builder: &Builder, shape: &[usize], most: usize) -> Plan {
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
        let mut plan = Plan::new(axes.nest(most));
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
        } else if let Some(how) =
            in_groups(places).filter(|_| len.is_some() || self.nest.last().is_multiple_of(GROUP))
        {
            let table: Vec<i32> = places.iter().step_by(GROUP).map(|&place| far(place)).collect();
            operands.push((self.table(&table), DType::I32));
            how
        } else {
            let table: Vec<i32> = places.iter().map(|&place| far(place)).collect();
            operands.push((self.table(&table), DType::I32));
            Move::Gathered
        };
        Item { action: Action::Move(how), out, operands, len }
    }

    /// Code over small values.
    pub(super) fn small(builder: &Builder) -> Plan {
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

    /// The entries of a view of an array that is known now.
    fn entries(&mut self, array: &Array, view: &View) -> Place {
        let n = padded(view.size());
        let entries: Vec<Scalar> = view.places().filter_map(|place| array.get(place)).collect();
        let last = entries.last().copied();
        let all = entries.into_iter().chain(std::iter::repeat(last).flatten()).take(n);
        self.constant(&all.flat_map(bytes).collect::<Vec<u8>>())
    }
}

/// Whether entries lie one after another.
fn is_run(places: &[isize]) -> bool {
    places.iter().enumerate().all(|(i, &place)| place == i as isize)
}

/// How entries can be moved a group at a time, if they can.
fn in_groups(places: &[isize]) -> Option<Move> {
    let (groups, rest) = places.as_chunks::<GROUP>();
    let all =
        |step: isize| groups.iter().all(|group| (0..GROUP).all(|i| group[i] == group[0] + step * i as isize));
    match () {
        () if !rest.is_empty() => None,
        () if all(1) => Some(Move::Neighbours),
        () if all(0) => Some(Move::Spread),
        () => None,
    }
}

pub(super) fn far(place: isize) -> i32 {
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
