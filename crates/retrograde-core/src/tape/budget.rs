//! The planner behind `Tape::Budget`: the cheapest way back through a program that holds no more than so many bytes.
//!
//! # What is bounded
//! *Held* at a moment of the backward part is every value that depends on no seed, from the tape or computed again, be it an
//! operand or a result of the equation that runs, with the states that the sweeps over loops keep and what one of their
//! steps computes again. Each array weighs its entries and its header, a view also what it is a view of. Not held are the
//! inputs, which are the caller's, the outputs, and *scratch*: cotangents, what a kernel takes for itself, the tables of an
//! executor, and all that the first run of the program needs anyway. So the tape, which is what is held in the beginning,
//! is bounded too.
//!
//! # The choices
//! A program without its loops is a chain of equations p = 1..n, those that the backward part needs something from. A
//! backward equation belongs to the last position that it or one after it reads from. For cuts 0 = c₀ < c₁ < .. < cₘ = n, the
//! interval (a, b] is gone back through, starting with all that it reads from before a, in one of two ways:
//! - as a *leaf*: its equations run once, what its backward equations read is held until its last reader, and they run;
//! - *split* at a cut m inside: what (m, b] reads from (a, m] is computed and held while (m, b] is gone back through, then
//!   dropped, and (a, m] follows.
//!
//! What an interval starts with is held until it ends. On the way to the leaf that comes first nothing runs again: what is
//! held there is the tape. All positions are cuts up to [`CUTS`]; of longer programs the least wide of as many stretches.
//! Numbers, shapes and views of inputs are made right where they are read. To that, `Store` as it stands is one more choice.
//! A loop stores, or keeps its states in 1, 2, .. slots by the binomial schedule; the loops inside it store, keep √T states
//! or one. A loop with a policy of its own keeps it. Where slots make each step run more than twice and its updates can be
//! undone, the loop is reversed within a quarter of the bytes of its slots, the rest being slots in reserve: the states in these
//! are kept on the way, so that nothing is lost when the bits do not suffice.
//!
//! *Least possible* is the least over all these choices, where loops store or have one slot (and there are at most
//! [`LOOPS`] of them, otherwise one slot). Among the choices within a budget the planner takes, of loops, the most slots one
//! loop after another, the dearest first, and then the splits with the least work, to within a [`LEVELS`]th of the budget.
//!
//! # Cost
//! Of a program of n equations: CUTS² runs over n numbers at most, and CUTS³ · LEVELS sums; once more for each slot tried, log T of
//! them for each loop.
//!
//! # Source
//! Splits: O. Beaumont, L. Eyraud-Dubois, J. Herrmann, A. Joly, A. Shilova, Optimal checkpointing for heterogeneous chains, 2019
//! (INRIA RR-9302), with frontiers of a graph in the place of single activations. Slots: `prim::schedule`.

use super::annotate::annotate;
use super::cut::{Parts, TapeEntry, cut, entry};
use super::minimise::{Repeat, producers};
use crate::ir::{Equation, Kind, Location, Op, Type, ValueId, builder, check};
use crate::prim::record::Record;
use crate::prim::replay::{Plan, Replay};
use crate::prim::schedule::forward_steps;
use crate::prim::{Checkpoint, Prim, Program, Tape, bodies};
use crate::transform::invert;

/// Most cuts of a chain: planning takes their third power.
const CUTS: usize = 64;
/// Steps in which a budget is divided among the parts of a chain: half as many as there are cuts, as about every second is
/// held at the largest budget that does not store.
const LEVELS: u64 = 32;
/// Most loops of which every combination of least choices is tried.
const LOOPS: usize = 4;
/// What an array takes beside its entries: the counts and the vector of its buffer.
const BUFFER_BYTES: u64 = 40;
/// What a view takes more: its layout with counts, offset, strides and the place for a copy.
const LAYOUT_BYTES: u64 = 104;
/// What one axis takes in a shape or in strides.
const AXIS_BYTES: u64 = 8;
/// How many steps forward for each step of a loop cost more than to reverse it: recording what rounding destroys and the
/// inverse step take about as long as a step each.
const MANY_REPEATS: u128 = 2;
/// The part of a loop's bytes that its bits may take, one in so many: small steps of an integrator take a fraction of it, and the
/// slots that are left cost little more than all.
const BITS_SHARE: usize = 4;
/// The number of a step.
const NUMBER_BYTES: u64 = 8;
/// A weight that is not known before running; sums of it stay below overflow.
const UNKNOWN: u64 = 1 << 56;
/// Steps of a loop of unknown length, where only a comparison needs a number.
const SOME_STEPS: usize = 1000;

/// What was planned for a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The bytes that may be held.
    pub budget_bytes: usize,
    /// Most bytes that are held at once.
    pub planned_bytes: usize,
    /// Most bytes of cotangents, results included, beside them.
    pub scratch_bytes: usize,
    /// Equations that run again, each as often as it does.
    pub n_repeated: usize,
    /// What was chosen for each loop and for the rest, in words.
    pub choices: Vec<String>,
}

/// Why there is no plan.
pub(super) enum NoPlan<E> {
    /// Not within these bytes, and the least that is possible.
    TooLittle { least: usize },
    /// A loop leaves a number of bytes that is not known before running.
    Unknown(Option<Location>),
    /// The program cannot be lowered at all.
    Other(E),
}

impl<E> From<E> for NoPlan<E> {
    fn from(e: E) -> NoPlan<E> {
        NoPlan::Other(e)
    }
}

/// A program within its budget, and what else its lowering found.
pub(super) struct Within<F> {
    pub(super) parts: Parts,
    pub(super) planned: Planned,
    pub(super) found: F,
}

/// Plans (inputs.., seeds.. -> outputs.., rest..). `prepare` lowers the loops of a program as their policies say.
pub(super) fn within<F, E>(
    program: &Program,
    n_outputs: usize,
    n_seeds: usize,
    budget_bytes: usize,
    prepare: &dyn Fn(&Program) -> Result<(Program, F), E>,
) -> Result<Within<F>, NoPlan<E>> {
    let budget = budget_bytes as u64;
    let loops: Vec<Free> = free_loops(program);
    let attempt = |ways: &[Way]| -> Result<Tried<F>, E> {
        let (program, found) = prepare(&chosen(program, &loops, ways))?;
        Ok(Tried::new(program, found, n_outputs, n_seeds, budget))
    };

    // The least choice of the loops.
    let mut ways = vec![Way::SLOT; loops.len()];
    let mut tried = attempt(&ways)?;
    if loops.len() <= LOOPS {
        for set in 1..1_usize << loops.len() {
            let way = |i: usize| {
                if set >> i & 1 == 1 && loops[i].length.is_some() { Way::STORE } else { Way::SLOT }
            };
            let other: Vec<Way> = (0..loops.len()).map(way).collect();
            let of_other = attempt(&other)?;
            if of_other.least() < tried.least() {
                (ways, tried) = (other, of_other);
            }
        }
    }
    let least = tried.least();
    if least > budget {
        return Err(match usize::try_from(least) {
            Ok(least) if (least as u64) < UNKNOWN => NoPlan::TooLittle { least },
            _ => NoPlan::Unknown(tried.unknown),
        });
    }
    // More for one loop after another, as long as the rest need not run again for it, or has to anyway.
    let mut order: Vec<usize> = (0..loops.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(loops[i].work));
    for i in order {
        let mut try_way = |way: Way| -> Result<bool, E> {
            let mut other = ways.clone();
            other[i] = way;
            let of_other = attempt(&other)?;
            let fits = of_other.least() <= budget && (of_other.stored <= budget || tried.stored > budget);
            if fits {
                (ways, tried) = (other, of_other);
            }
            Ok(fits)
        };
        if loops[i].length.is_some() && try_way(Way::STORE)? {
            continue;
        }
        let most = loops[i].length.unwrap_or(SOME_STEPS).max(1);
        let inner = if loops[i].is_nest { &[Tape::Store, SQRT, ONE][..] } else { &[Tape::Store][..] };
        for &inner in inner {
            if !try_way(Way { outer: ONE, inner })? {
                continue;
            }
            // The most slots that fit: doubled, then halved in between.
            let (mut low, mut high) = (1, most + 1);
            while high - low > 1 {
                let middle = if high > most && low < most / 2 { 2 * low } else { low + (high - low) / 2 };
                if try_way(Way { outer: Checkpoint::Slots(middle).into(), inner })? {
                    low = middle
                } else {
                    high = middle
                }
            }
            // Where that takes many steps again: reversal, with most of the slots in reserve.
            for bytes in loops[i].bytes_for_reversal(low) {
                if try_way(Way { outer: Tape::Budget(bytes), inner })? {
                    break;
                }
            }
            break;
        }
    }

    let Tried { program, found, stored, tables, .. } = tried;
    let chain = Chain::new(&program, n_outputs, n_seeds);
    let mut choices: Vec<String> = loops.iter().zip(&ways).map(|(l, way)| l.in_words(*way)).collect();
    let tables = tables.filter(|_| stored > budget);
    let (parts, planned, n_repeated) = if let Some(tables) = tables {
        let plan = tables.plan(budget);
        let planned = tables.weight(0, tables.n_cuts - 1, false, &plan).max(tables.rest);
        let (parts, n_repeated) = emit(&chain, &plan);
        choices.push(format!(
            "the rest: {} parts, {} of {} equations run again",
            plan.n_leaves(),
            n_repeated,
            chain.steps.len()
        ));
        (parts, planned, n_repeated)
    } else {
        (cut(&program, n_outputs, n_seeds, Repeat::Cheap), stored, 0)
    };
    let (held, scratch) = held_and_scratch(&parts, n_outputs);
    debug_assert!(held <= planned, "held {held} bytes, planned {planned}; this is a bug in retrograde");
    debug_assert!(planned <= budget, "planned {planned} bytes of {budget}; this is a bug in retrograde");
    let planned = Planned {
        budget_bytes,
        planned_bytes: planned as usize,
        scratch_bytes: scratch as usize,
        n_repeated,
        choices,
    };
    Ok(Within { parts, planned, found })
}

/// The most slots of a loop with a budget of its own, which bounds its states: those in the slots, with the last, and the one
/// at work.
///
/// # Errors
/// The bytes for one slot, where there are fewer.
pub(super) fn slots_within(
    budget_bytes: usize,
    state: &[Type],
    length: Option<usize>,
) -> Result<usize, usize> {
    let of_states = |slots: usize| {
        let n = length.map_or(slots, |n| Plan::Slots(slots).n_states(n).max(slots.min(n)));
        let stacks: u64 = state.iter().map(|ty| array_weight(&ty.stacked(n))).sum();
        stacks
            .saturating_add(state.iter().map(array_weight).sum())
            .saturating_add(slot_numbers(slots, length))
    };
    let least = of_states(1);
    let (mut low, mut high) = (1, length.unwrap_or(usize::MAX / 2).max(1) + 1);
    if least > budget_bytes as u64 {
        return Err(usize::try_from(least).unwrap_or(usize::MAX));
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if of_states(middle) <= budget_bytes as u64 { low = middle } else { high = middle }
    }
    Ok(low)
}

/// How a loop with a budget may be reversed: at most so many bits, and slots in reserve. `None` where slots alone do not make many
/// steps run again, or those that are left would make twice as many.
pub(super) fn bits_and_reserve(
    budget: usize,
    state: &[Type],
    length: Option<usize>,
) -> Option<(usize, usize)> {
    let n_steps = length?;
    let of_bits = budget / BITS_SHARE;
    let slots = slots_within(budget - of_bits, state, length).ok()?;
    let alone = forward_steps(n_steps, slots_within(budget, state, length).ok()?);
    let is_better = alone > MANY_REPEATS * n_steps as u128 && forward_steps(n_steps, slots) <= 2 * alone;
    is_better.then_some((8 * of_bits, slots))
}

const SQRT: Tape = Tape::Checkpoint(Checkpoint::Sqrt);
const ONE: Tape = Tape::Checkpoint(Checkpoint::Slots(1));

/// What a loop does, and the loops inside it.
#[derive(Clone, Copy, PartialEq)]
struct Way {
    outer: Tape,
    inner: Tape,
}

impl Way {
    const STORE: Way = Way { outer: Tape::Store, inner: Tape::Store };
    const SLOT: Way = Way { outer: ONE, inner: ONE };
}

/// A loop that may be given any policy.
struct Free {
    equation: usize,
    length: Option<usize>,
    is_nest: bool,
    /// Of all its steps.
    work: u64,
    /// The types of its carries.
    state: Vec<Type>,
    /// Whether its steps can be turned round update by update.
    is_invertible: bool,
    location: Option<Location>,
}

impl Free {
    /// What the states in these slots weigh, and somewhat less, as far as reversal is worth trying with that.
    fn bytes_for_reversal(&self, slots: usize) -> Vec<usize> {
        let Some(n) = self.length.filter(|_| self.is_invertible) else { return vec![] };
        let weigh =
            |n_states: usize| self.state.iter().map(|ty| array_weight(&ty.stacked(n_states))).sum::<u64>();
        let all = weigh(Plan::Slots(slots).n_states(n)) as usize;
        // The last state, and those at work, come on top.
        let less = all.saturating_sub(4 * weigh(1) as usize);
        let pays = |bytes: &usize| bits_and_reserve(*bytes, &self.state, self.length).is_some();
        [all, less].into_iter().filter(pays).collect()
    }
    fn in_words(&self, way: Way) -> String {
        let place = self.location.map(|l| format!(" at {l}")).unwrap_or_default();
        let again = match (way.outer, self.length) {
            (Tape::Checkpoint(Checkpoint::Slots(slots)), Some(n)) => {
                format!(", {} forward steps of {n}", forward_steps(n, slots))
            }
            (Tape::Budget(bytes), Some(n)) => {
                let (bits, slots) = bits_and_reserve(bytes, &self.state, self.length).unwrap_or_default();
                let again = forward_steps(n, slots);
                format!(
                    ", reversed within {bits} bits, otherwise checkpoint-{slots}, {again} forward steps of {n}"
                )
            }
            _ => String::new(),
        };
        let inner = if self.is_nest { format!(", loops inside {}", way.inner) } else { String::new() };
        format!("loop{place}: {}{again}{inner}", way.outer)
    }
}

/// The loops of a program, not of its bodies, that leave something to a sweep and whose policy is open.
fn free_loops(program: &Program) -> Vec<Free> {
    let mut is_x = vec![false; program.types.len()];
    for equation in &program.equations {
        if let Prim::Scan(sweep) = &equation.op {
            equation.inputs[sweep.n_consts + sweep.n_carry..].iter().for_each(|v| is_x[v.index()] = true);
        }
    }
    let of = |(e, equation): (usize, &Equation<Prim>)| {
        let (body, length, n_consts, n_carry) = match &equation.op {
            Prim::Scan(s) if s.policy.is_none() && s.length.is_some() => {
                (&s.body, s.length, s.n_consts, s.n_carry)
            }
            Prim::While(w) if w.policy.is_none() => (&w.body, None, w.n_body_consts, w.n_carry()),
            _ => return None,
        };
        if !equation.outputs[n_carry..].iter().any(|v| is_x[v.index()]) {
            return None;
        }
        let is_nest = body.equations.iter().any(|e| matches!(e.op, Prim::Scan(_) | Prim::While(_)));
        let state = body.input_types()[n_consts..n_consts + n_carry].to_vec();
        let carries = bodies::restrict(body, &vec![true; body.inputs.len()], &body.outputs[..n_carry]);
        let inverse = length.and_then(|_| invert(&carries, n_consts, n_carry).ok());
        let is_invertible = inverse.is_some_and(|inverse| inverse.derived.is_empty());
        let work = work(program, equation);
        Some(Free { equation: e, length, is_nest, work, state, is_invertible, location: equation.location })
    };
    program.equations.iter().enumerate().filter_map(of).collect()
}

/// The program with these policies on its loops.
fn chosen(program: &Program, loops: &[Free], ways: &[Way]) -> Program {
    let mut program = program.clone();
    for (l, way) in loops.iter().zip(ways) {
        let equation = &mut program.equations[l.equation];
        equation.op = equation.op.map_bodies(&mut |body| annotate(body, way.inner));
        match &mut equation.op {
            Prim::Scan(scan) => scan.policy = Some(way.outer),
            Prim::While(while_loop) => while_loop.policy = Some(way.outer),
            _ => {}
        }
    }
    program
}

/// Machine operations of an equation, roughly: for comparisons among ways of computing the same.
fn work(program: &Program, equation: &Equation<Prim>) -> u64 {
    let size = |v: &ValueId| program.ty(*v).shape.size() as u64;
    let of_body = |body: &Program| body.equations.iter().map(|e| work(body, e)).fold(1, u64::saturating_add);
    let times =
        |n: Option<usize>, body: &Program| of_body(body).saturating_mul(n.unwrap_or(SOME_STEPS) as u64);
    match &equation.op {
        Prim::Scan(s) => times(s.length, &s.body),
        Prim::While(w) => times(None, &w.body),
        Prim::Record(r) => times(r.length, &r.body),
        Prim::Call(c) => of_body(&c.body),
        Prim::DotGeneral(dot) => {
            let ty = program.ty(equation.inputs[0]);
            let inner: usize = dot.dims.lhs_contract.iter().map(|&axis| ty.shape[axis]).product();
            equation.outputs.iter().map(size).sum::<u64>().saturating_mul(2 * inner as u64)
        }
        op => {
            let entries = equation.outputs.iter().chain(&equation.inputs).map(size).max().unwrap_or(0);
            // A function is some twenty operations of its expansion in arithmetic.
            entries.saturating_mul(if Repeat::Cheap.allows(op) { 1 } else { 20 })
        }
    }
}

fn is_view(op: &Prim) -> bool {
    matches!(
        op,
        Prim::Reshape(_)
            | Prim::Transpose(_)
            | Prim::Slice(_)
            | Prim::Broadcast(_)
            | Prim::Reverse(_)
            | Prim::DynamicSlice(_)
    )
}

/// What an array of this type weighs.
fn array_weight(ty: &Type) -> u64 {
    ty.size_bytes() as u64 + BUFFER_BYTES + AXIS_BYTES * ty.shape.rank() as u64
}

/// What each value of a program weighs while it is held.
fn weights(program: &Program) -> Vec<u64> {
    // Bits are passed on within a step, so that only the loop that leaves them has them.
    let of_ty = |ty: &Type| match ty.kind {
        Kind::Array => array_weight(ty),
        Kind::List => UNKNOWN,
        Kind::Bits => 0,
    };
    let mut weights: Vec<u64> = program.types.iter().map(of_ty).collect();
    let mut is_input = vec![false; program.types.len()];
    program.inputs.iter().for_each(|v| is_input[v.index()] = true);
    for equation in &program.equations {
        match &equation.op {
            op if is_view(op) => {
                let (base, v) = (equation.inputs[0], equation.outputs[0]);
                let of_base = if is_input[base.index()] { 0 } else { weights[base.index()] };
                let layout = LAYOUT_BYTES + BUFFER_BYTES + AXIS_BYTES * program.ty(v).shape.rank() as u64;
                weights[v.index()] = weights[v.index()].saturating_add(layout + of_base).min(UNKNOWN);
            }
            Prim::Record(Record {
                plan: plan @ Plan::ReverseWithin { bits, .. },
                length: Some(n),
                n_carry,
                ..
            }) => {
                // The bits, and behind them the states in reserve.
                let of_bits = equation.outputs.len() - n_carry - 1;
                weights[equation.outputs[of_bits].index()] = bits.div_ceil(8) as u64 + BUFFER_BYTES;
                for &v in &equation.outputs[of_bits + 1..] {
                    weights[v.index()] = array_weight(&program.ty(v).unstacked().stacked(plan.n_states(*n)));
                }
            }
            Prim::Record(Record { plan: Plan::Reverse | Plan::ReverseStep { .. }, .. }) => {
                let is_bits = |v: &&ValueId| program.ty(**v).kind == Kind::Bits;
                equation.outputs.iter().filter(is_bits).for_each(|v| weights[v.index()] = UNKNOWN);
            }
            Prim::Record(r) if r.length.is_none() => {
                // A loop of unknown length leaves at most its slots.
                if let Plan::Slots(slots) = r.plan {
                    let n_outputs = equation.outputs.len();
                    for &v in &equation.outputs[n_outputs - 1 - r.n_carry..n_outputs - 1] {
                        weights[v.index()] = array_weight(&program.ty(v).unstacked().stacked(slots));
                    }
                }
            }
            _ => {}
        }
    }
    weights
}

/// Most bytes that an equation holds inside beside its operands and results. `seeded` marks operands that depend on seeds.
fn inside(equation: &Equation<Prim>, seeded: &[bool]) -> u64 {
    let seeded: Vec<bool> = equation.inputs.iter().map(|v| seeded[v.index()]).collect();
    match &equation.op {
        Prim::Scan(s) => in_loop(&s.body, s.n_consts, s.n_carry, &seeded),
        Prim::While(w) => in_loop(&w.body, w.n_body_consts, w.n_carry(), &seeded[w.n_cond_consts..]),
        Prim::Record(r) => {
            let mut of_body = seeded[r.n_cond_consts..].to_vec();
            of_body.resize(r.body.inputs.len(), false);
            in_loop(&r.body, r.n_consts, r.n_carry, &of_body)
        }
        Prim::Replay(replay) => in_replay(replay, &seeded),
        op if op.has_bodies() => {
            let mut most = 0;
            op.map_bodies(&mut |body| {
                // A branch has no parameter for what chooses it.
                let n_more = seeded.len().saturating_sub(body.inputs.len());
                let mut marks = seeded[n_more..].to_vec();
                marks.resize(body.inputs.len(), false);
                most = most.max(in_body(body, &marks));
                body.clone()
            });
            most
        }
        _ => 0,
    }
}

/// In a loop: its carries, the slices that a step reads, and what the step holds.
fn in_loop(body: &Program, n_consts: usize, n_carry: usize, seeded: &[bool]) -> u64 {
    let mut marks = seeded.to_vec();
    loop {
        let reached = bodies::depending(body, &marks);
        let before = marks.clone();
        for i in 0..n_carry {
            marks[n_consts + i] |= reached[body.outputs[i].index()];
        }
        if marks == before {
            break;
        }
    }
    parameters(body, &marks, n_consts..marks.len()).saturating_add(in_body(body, &marks))
}

/// What parameters weigh that depend on no seed.
fn parameters(body: &Program, marks: &[bool], range: std::ops::Range<usize>) -> u64 {
    range.filter(|&i| !marks[i]).map(|i| array_weight(body.ty(body.inputs[i]))).sum()
}

/// In a sweep that makes its states again: those beside its slots, and what it computes of one step.
fn in_replay(replay: &Replay, seeded: &[bool]) -> u64 {
    let (step, back) = (&*replay.step, &*replay.back);
    let Replay { plan, length, n_consts, n_carry, n_xs, n_sweep_consts, n_sweep_carry, .. } = *replay;
    let n_loop = n_consts + n_carry + n_xs;
    let n_states = match (plan, length) {
        // The slots are the tape's; those that it has not come later. One state is at work.
        (Plan::Slots(slots), Some(n)) => 1 + slots.min(n).saturating_sub(plan.n_states(n)),
        (Plan::Slots(_), None) => 1,
        (Plan::ReverseWithin { slots, .. }, n) => {
            2 + slots.min(n.unwrap_or(0)).saturating_sub(plan.n_states(n.unwrap_or(0)))
        }
        (Plan::Every(k), Some(n)) => k.min(n),
        (Plan::Every(_), None) => return UNKNOWN,
        (Plan::Reverse | Plan::ReverseStep { .. }, _) => 2,
    };
    let n_sweep = back.inputs.len() - n_loop;
    let of_sweep = &seeded[seeded.len() - n_sweep..];
    let mut marks = vec![false; n_loop];
    let is_carry = |i: usize| (n_sweep_consts..n_sweep_consts + n_sweep_carry).contains(&i);
    marks.extend((0..n_sweep).map(|i| of_sweep[i] || is_carry(i)));
    let state = parameters(back, &marks, n_consts..n_consts + n_carry);
    let rows = parameters(back, &marks, n_consts + n_carry..n_loop)
        + parameters(back, &marks, n_loop + n_sweep_consts..marks.len());
    let forward = in_body(step, &vec![false; step.inputs.len()]);
    let numbers = match plan {
        Plan::Slots(slots) | Plan::ReverseWithin { slots, .. } => slot_numbers(slots, length),
        _ => 0,
    };
    state
        .saturating_mul(n_states as u64)
        .saturating_add(rows.saturating_add(numbers))
        .saturating_add(forward.max(in_body(back, &marks)))
}

/// The list of the steps that the states in the slots stand before.
fn slot_numbers(slots: usize, length: Option<usize>) -> u64 {
    NUMBER_BYTES.saturating_mul(slots.min(length.unwrap_or(usize::MAX)) as u64 + 1)
}

/// Most bytes that a body holds beside its parameters.
fn in_body(body: &Program, marks: &[bool]) -> u64 {
    let mut weight = weights(body);
    body.inputs.iter().for_each(|v| weight[v.index()] = 0);
    walk(body, &bodies::depending(body, marks), &weight).0
}

/// Most bytes at once, while the equations run in order, of values that depend on no seed, and of those that do.
fn walk(program: &Program, seeded: &[bool], weight: &[u64]) -> (u64, u64) {
    // After which equation a value is gone; after none, if it is a result.
    let mut last: Vec<Option<usize>> = vec![None; program.types.len()];
    for (e, equation) in program.equations.iter().enumerate() {
        equation.inputs.iter().chain(&equation.outputs).for_each(|v| last[v.index()] = Some(e));
    }
    let mut now = [0_u64; 2];
    for v in program.inputs.iter().filter(|v| last[v.index()].is_some()) {
        now[usize::from(seeded[v.index()])] += weight[v.index()];
    }
    program.outputs.iter().for_each(|v| last[v.index()] = None);
    let mut most = now;
    for (e, equation) in program.equations.iter().enumerate() {
        for v in &equation.outputs {
            let sum = &mut now[usize::from(seeded[v.index()])];
            *sum = sum.saturating_add(weight[v.index()]);
        }
        most = [most[0].max(now[0].saturating_add(inside(equation, seeded))), most[1].max(now[1])];
        for v in equation.inputs.iter().chain(&equation.outputs) {
            if last[v.index()] == Some(e) {
                last[v.index()] = None;
                let sum = &mut now[usize::from(seeded[v.index()])];
                *sum = sum.saturating_sub(weight[v.index()]);
            }
        }
    }
    (most[0].min(UNKNOWN), most[1].min(UNKNOWN))
}

/// Most bytes that the backward part (inputs, tape, seeds -> rest) holds at once, and most of its cotangents and results. It
/// reads the two parts alone, so it also judges the planner.
fn held_and_scratch(parts: &Parts, n_outputs: usize) -> (u64, u64) {
    let Parts { forward, backward, .. } = parts;
    let (n_inputs, tape) = (forward.inputs.len(), &forward.outputs[n_outputs..]);
    let marks: Vec<bool> = (0..backward.inputs.len()).map(|i| i >= n_inputs + tape.len()).collect();
    let mut seeded = after_seeds(backward, &marks);
    backward.outputs.iter().for_each(|v| seeded[v.index()] = true);
    let (mut weight, of_forward) = (weights(backward), weights(forward));
    for (i, v) in backward.inputs[..n_inputs + tape.len()].iter().enumerate() {
        // On the tape nothing is a view, and lists have the length that they were made with.
        weight[v.index()] = match (i.checked_sub(n_inputs), backward.ty(*v).kind) {
            (None, _) => 0,
            (Some(_), Kind::Array) => array_weight(backward.ty(*v)),
            (Some(i), _) => of_forward[tape[i].index()],
        };
    }
    walk(backward, &seeded, &weight)
}

/// Which values an equation makes that reads a seed or what depends on one.
fn after_seeds(program: &Program, is_seed: &[bool]) -> Vec<bool> {
    let mut after = bodies::depending(program, is_seed);
    for equation in &program.equations {
        if equation.outputs.iter().any(|v| after[v.index()]) {
            equation.outputs.iter().for_each(|v| after[v.index()] = true);
        }
    }
    after
}

/// A program as a chain: see the module.
struct Chain<'a> {
    program: &'a Program,
    n_outputs: usize,
    n_seeds: usize,
    producer: Vec<Option<usize>>,
    after: Vec<bool>,
    /// Values that are at hand wherever they are read: inputs, results of the whole, and what is made of nothing.
    is_free: Vec<bool>,
    /// Of free values none.
    weight: Vec<u64>,
    /// Of each value the position of its equation, 0 if it is free or nothing needs it.
    position: Vec<usize>,
    /// The equation at each position, from 1 on.
    steps: Vec<usize>,
    /// What each of them takes inside, and its work.
    step_inside: Vec<u64>,
    step_work: Vec<u64>,
    /// The backward equations.
    back: Vec<usize>,
    back_inside: Vec<u64>,
    /// What they read from the chain.
    reads: Vec<Vec<ValueId>>,
    /// The position that each belongs to.
    level: Vec<usize>,
    cuts: Vec<usize>,
}

/// What running some equations of the chain takes.
#[derive(Clone, Copy, Default)]
struct Run {
    /// Most bytes at once, beside what the interval starts with.
    peak: u64,
    work: u64,
}

/// A program whose loops are decided.
struct Tried<F> {
    program: Program,
    found: F,
    /// Bytes as `Store` stands.
    stored: u64,
    /// Where that is more than the budget: the splits.
    tables: Option<Tables>,
    /// A loop that leaves nobody knows how much.
    unknown: Option<Location>,
}

impl<F> Tried<F> {
    fn new(program: Program, found: F, n_outputs: usize, n_seeds: usize, budget: u64) -> Tried<F> {
        let chain = Chain::new(&program, n_outputs, n_seeds);
        let stored = held_and_scratch(&cut(&program, n_outputs, n_seeds, Repeat::Cheap), n_outputs).0;
        let is_unknown = |v: &&ValueId| chain.weight[v.index()] >= UNKNOWN;
        let unknown = chain.reads.iter().flatten().find(is_unknown).and_then(|v| chain.producer[v.index()]);
        let unknown = unknown.and_then(|e| program.equations[e].location);
        let tables = (stored > budget).then(|| Tables::new(&chain));
        Tried { program, found, stored, tables, unknown }
    }
    fn least(&self) -> u64 {
        self.tables.as_ref().map_or(self.stored, |tables| tables.least().min(self.stored))
    }
}

impl<'a> Chain<'a> {
    fn new(program: &'a Program, n_outputs: usize, n_seeds: usize) -> Chain<'a> {
        let n_inputs = program.inputs.len() - n_seeds;
        let is_seed: Vec<bool> = (0..program.inputs.len()).map(|i| i >= n_inputs).collect();
        let after = after_seeds(program, &is_seed);
        let mut is_free = vec![false; program.types.len()];
        program
            .inputs
            .iter()
            .chain(&program.outputs[n_outputs..])
            .for_each(|v| is_free[v.index()] = !after[v.index()]);
        // What the sources of an equation weigh while it runs.
        let all_weights = weights(program);
        let mut of_source = vec![0_u64; program.types.len()];
        for equation in program.equations.iter().filter(|e| !e.outputs.iter().any(|v| after[v.index()])) {
            if is_source(equation, &is_free) {
                let v = equation.outputs[0].index();
                is_free[v] = true;
                let of_operands: u64 = equation.inputs.iter().map(|u| of_source[u.index()]).sum();
                of_source[v] = all_weights[v] + of_operands;
            }
        }
        let sources =
            |e: &Equation<Prim>| e.inputs.iter().map(|v| of_source[v.index()]).fold(0, u64::saturating_add);

        let is_back = |e: &Equation<Prim>| e.outputs.iter().any(|v| after[v.index()]);
        let back: Vec<usize> =
            (0..program.equations.len()).filter(|&e| is_back(&program.equations[e])).collect();
        let is_read = |v: &ValueId| !after[v.index()] && !is_free[v.index()];
        let reads: Vec<Vec<ValueId>> = back
            .iter()
            .map(|&e| {
                let mut reads: Vec<ValueId> =
                    program.equations[e].inputs.iter().copied().filter(is_read).collect();
                reads.sort_unstable();
                reads.dedup();
                reads
            })
            .collect();
        let mut is_needed = vec![false; program.types.len()];
        reads.iter().flatten().for_each(|v| is_needed[v.index()] = true);
        let mut steps = vec![];
        for (e, equation) in program.equations.iter().enumerate().rev() {
            if !is_back(equation) && equation.outputs.iter().any(|v| is_needed[v.index()]) {
                equation.inputs.iter().filter(|v| is_read(v)).for_each(|v| is_needed[v.index()] = true);
                steps.push(e);
            }
        }
        steps.reverse();
        let (mut position, mut weight) = (vec![0; program.types.len()], vec![0; program.types.len()]);
        for (p, &e) in steps.iter().enumerate() {
            for v in program.equations[e].outputs.iter().filter(|v| is_read(v)) {
                (position[v.index()], weight[v.index()]) = (p + 1, all_weights[v.index()]);
            }
        }
        let last = |reads: &Vec<ValueId>| reads.iter().map(|v| position[v.index()]).max().unwrap_or(0);
        let mut level: Vec<usize> = reads.iter().map(last).collect();
        for j in (1..level.len()).rev() {
            level[j - 1] = level[j - 1].max(level[j]);
        }
        let no_seeds = vec![false; program.types.len()];
        let with_sources = |e: &usize, seeded: &[bool]| {
            let equation = &program.equations[*e];
            inside(equation, seeded).saturating_add(sources(equation))
        };
        let step_inside = steps.iter().map(|e| with_sources(e, &no_seeds)).collect();
        let back_inside = back.iter().map(|e| with_sources(e, &after)).collect();
        let step_work = steps.iter().map(|&e| work(program, &program.equations[e])).collect();
        let producer = producers(program);
        let mut chain = Chain {
            program,
            n_outputs,
            n_seeds,
            producer,
            after,
            is_free,
            weight,
            position,
            steps,
            step_inside,
            step_work,
            back,
            back_inside,
            reads,
            level,
            cuts: vec![],
        };
        chain.cuts = chain.narrow_places();
        chain
    }

    /// Where values are read, for each: positions of the chain, and of backward equations those that they belong to.
    fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![vec![]; self.program.types.len()];
        for (p, &e) in self.steps.iter().enumerate() {
            for v in self.program.equations[e].inputs.iter().filter(|v| self.position[v.index()] > 0) {
                readers[v.index()].push(p + 1);
            }
        }
        for (reads, &level) in self.reads.iter().zip(&self.level) {
            reads.iter().for_each(|v| readers[v.index()].push(level));
        }
        readers.iter_mut().for_each(|readers| readers.sort_unstable());
        readers
    }

    /// The cuts: all positions, or the least wide of so many stretches.
    fn narrow_places(&self) -> Vec<usize> {
        let n = self.steps.len();
        if n < CUTS {
            return (0..=n).collect();
        }
        let mut change = vec![0_i128; n + 2];
        for (v, readers) in self.readers().iter().enumerate() {
            if let (p @ 1.., Some(&last)) = (self.position[v], readers.last()) {
                change[p] += i128::from(self.weight[v]);
                change[last.max(p)] -= i128::from(self.weight[v]);
            }
        }
        let width: Vec<i128> = change
            .iter()
            .scan(0, |sum, c| {
                *sum += c;
                Some(*sum)
            })
            .collect();
        let n_between = CUTS - 2;
        let narrow = |s: usize| {
            (1 + s * (n - 1) / n_between..1 + (s + 1) * (n - 1) / n_between).min_by_key(|&p| width[p])
        };
        std::iter::once(0).chain((0..n_between).filter_map(narrow)).chain([n]).collect()
    }

    /// The positions in (from, to] that `wanted` is made by, and what running them takes. `last` is empty for every value, and
    /// is so again in the end.
    fn run(&self, from: usize, to: usize, wanted: &[ValueId], last: &mut [usize]) -> (Run, Vec<usize>) {
        let is_inside = |v: &ValueId| self.position[v.index()] > from;
        // The last reader of each value, 0 for none, beyond the end where it is wanted.
        wanted.iter().for_each(|v| last[v.index()] = usize::MAX);
        let mut positions = vec![];
        for p in (from + 1..=to).rev() {
            let equation = &self.program.equations[self.steps[p - 1]];
            if equation.outputs.iter().any(|v| last[v.index()] > 0) {
                positions.push(p);
                for v in equation.inputs.iter().filter(|v| is_inside(v)) {
                    let last = &mut last[v.index()];
                    *last = if *last == 0 { p } else { *last };
                }
            }
        }
        positions.reverse();
        let (mut run, mut now) = (Run::default(), 0_u64);
        for &p in &positions {
            let equation = &self.program.equations[self.steps[p - 1]];
            let made = equation.outputs.iter().map(|v| self.weight[v.index()]);
            now = made.fold(now, u64::saturating_add);
            run.peak = run.peak.max(now.saturating_add(self.step_inside[p - 1])).min(UNKNOWN);
            run.work = run.work.saturating_add(self.step_work[p - 1]);
            let unread = equation.outputs.iter().filter(|v| last[v.index()] == 0);
            now = unread.map(|v| self.weight[v.index()]).fold(now, u64::saturating_sub);
            for v in &equation.inputs {
                if last[v.index()] == p {
                    last[v.index()] = 0;
                    now = now.saturating_sub(self.weight[v.index()]);
                }
            }
        }
        wanted.iter().for_each(|v| last[v.index()] = 0);
        (run, positions)
    }

    /// What the backward equations of (from, to] read of it.
    fn wanted_by_leaf(&self, from: usize, to: usize) -> Vec<ValueId> {
        let of = self.backward_equations(from, to).flat_map(|j| &self.reads[j]);
        let mut wanted: Vec<ValueId> = of.copied().filter(|v| self.position[v.index()] > from).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    fn backward_equations(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let first = self.level.partition_point(|&level| level > to);
        first..self.level.partition_point(|&level| level > from)
    }

    /// Most bytes while the backward equations of (from, to] run, beside what the interval starts with. `last` as in
    /// [`Chain::run`].
    fn peak_of_leaf(&self, from: usize, to: usize, wanted: &[ValueId], last: &mut [usize]) -> u64 {
        let range = self.backward_equations(from, to);
        range.clone().for_each(|j| self.reads[j].iter().for_each(|v| last[v.index()] = j + 1));
        let mut now: u64 = wanted.iter().map(|v| self.weight[v.index()]).fold(0, u64::saturating_add);
        let mut peak = now;
        for j in range {
            peak = peak.max(now.saturating_add(self.back_inside[j]));
            for v in &self.reads[j] {
                if last[v.index()] == j + 1 {
                    last[v.index()] = 0;
                    let is_inside = self.position[v.index()] > from;
                    now = now.saturating_sub(if is_inside { self.weight[v.index()] } else { 0 });
                }
            }
        }
        peak.min(UNKNOWN)
    }

    /// What is read in (middle, to] of what (from, middle] makes.
    fn wanted_after(&self, readers: &[Vec<usize>], from: usize, middle: usize, to: usize) -> Vec<ValueId> {
        let is_wanted = |v: &ValueId| {
            let readers = &readers[v.index()];
            readers.get(readers.partition_point(|&r| r <= middle)).is_some_and(|&r| r <= to)
        };
        let made = (from..middle).flat_map(|p| &self.program.equations[self.steps[p]].outputs);
        made.copied().filter(|v| self.position[v.index()] > 0 && is_wanted(v)).collect()
    }
}

/// Whether an equation makes its result of nothing but what is free, at the cost of a move.
fn is_source(equation: &Equation<Prim>, is_free: &[bool]) -> bool {
    equation.inputs.iter().all(|v| is_free[v.index()])
        && (equation.inputs.is_empty() || is_view(&equation.op))
}

/// A way back through an interval between two cuts.
enum Tree {
    Leaf,
    /// At this cut: first what comes after it.
    Split(usize, Box<[Tree; 2]>),
}

impl Tree {
    fn n_leaves(&self) -> usize {
        match self {
            Tree::Leaf => 1,
            Tree::Split(_, of) => of.iter().map(Tree::n_leaves).sum(),
        }
    }
}

/// What the parts of a chain weigh; intervals by the numbers of their cuts.
struct Tables {
    n_cuts: usize,
    /// What (cut i, cut k] reads of what (cut h, cut i] makes.
    grown: Vec<u64>,
    /// Running the leaf again, and its backward equations.
    leaf: Vec<(Run, u64)>,
    /// Running to a cut for what is read after it.
    forward: Vec<Run>,
    /// Least bytes for an interval, where it is the first way through it and where it is not, and the split for that.
    least: Vec<[(u64, Option<usize>); 2]>,
    /// Of backward equations that belong to no position.
    rest: u64,
}

impl Tables {
    fn new(chain: &Chain<'_>) -> Tables {
        let (cuts, n) = (&chain.cuts, chain.cuts.len());
        let readers = chain.readers();
        let of_rest = chain.level.partition_point(|&level| level > 0)..chain.back.len();
        let mut tables = Tables {
            n_cuts: n,
            grown: vec![0; n * n * n],
            leaf: vec![Default::default(); n * n],
            forward: vec![Run::default(); n * n],
            least: vec![[(u64::MAX, None); 2]; n * n],
            rest: chain.back_inside[of_rest].iter().copied().max().unwrap_or(0),
        };
        let next_cut = |position: usize| cuts.partition_point(|&cut| cut < position);
        for i in 0..n {
            // By the stretch that a value is made in and the one of its next reader, then summed up.
            for (v, readers) in readers.iter().enumerate() {
                let position = chain.position[v];
                let reader = readers.get(readers.partition_point(|&r| r <= cuts[i]));
                if let (1.., Some(&reader)) = (position, reader)
                    && position <= cuts[i]
                {
                    let at = tables.at3(next_cut(position) - 1, i, next_cut(reader));
                    tables.grown[at] = tables.grown[at].saturating_add(chain.weight[v]);
                }
            }
            for h in (0..n).rev() {
                for k in 0..n {
                    let at = |h, k| (h * n + i) * n + k;
                    let above = if h + 1 < n { tables.grown[at(h + 1, k)] } else { 0 };
                    let before = if k > 0 { tables.grown[at(h, k - 1)] } else { 0 };
                    let both = if h + 1 < n && k > 0 { tables.grown[at(h + 1, k - 1)] } else { 0 };
                    let sum = tables.grown[at(h, k)].saturating_add(above).saturating_add(before);
                    tables.grown[at(h, k)] = sum.saturating_sub(both);
                }
            }
        }
        let mut last = vec![0; chain.program.types.len()];
        for i in 0..n {
            for k in i + 1..n {
                let wanted = chain.wanted_by_leaf(cuts[i], cuts[k]);
                let run = chain.run(cuts[i], cuts[k], &wanted, &mut last).0;
                tables.leaf[i * n + k] = (run, chain.peak_of_leaf(cuts[i], cuts[k], &wanted, &mut last));
                let wanted = chain.wanted_after(&readers, cuts[i], cuts[k], chain.steps.len());
                tables.forward[i * n + k] = chain.run(cuts[i], cuts[k], &wanted, &mut last).0;
            }
        }
        for length in 1..n {
            for i in 0..n - length {
                for (again, way) in [false, true].into_iter().enumerate() {
                    let k = i + length;
                    let splits = (i + 1..k).map(|m| (tables.of_split(i, m, k, way), Some(m)));
                    let leaf = (tables.of_leaf(i, k, way), None);
                    tables.least[i * n + k][again] =
                        splits.chain([leaf]).min_by_key(|(bytes, _)| *bytes).unwrap_or(leaf);
                }
            }
        }
        tables
    }

    fn at3(&self, h: usize, i: usize, k: usize) -> usize {
        (h * self.n_cuts + i) * self.n_cuts + k
    }
    /// What the interval starts with.
    fn base(&self, i: usize, k: usize) -> u64 {
        self.grown[self.at3(0, i, k)]
    }
    /// Bytes for a leaf; `again` where it is not the first way through it.
    fn of_leaf(&self, i: usize, k: usize, again: bool) -> u64 {
        let (run, back) = self.leaf[i * self.n_cuts + k];
        self.base(i, k).saturating_add(if again { run.peak.max(back) } else { back })
    }
    /// What is held besides what (m, k] starts with, while that is gone back through.
    fn held_below(&self, i: usize, m: usize, k: usize) -> u64 {
        let of_both = self.base(i, k).saturating_add(self.grown[self.at3(i, m, k)]);
        of_both.saturating_sub(self.base(m, k))
    }
    /// What (i, k] starts with and (i, m] does not.
    fn held_on(&self, i: usize, m: usize, k: usize) -> u64 {
        self.base(i, k).saturating_sub(self.base(i, m))
    }
    /// Running from cut i to cut m, where that is not the first time.
    fn of_way(&self, i: usize, m: usize, k: usize, again: bool) -> u64 {
        if again { self.base(i, k).saturating_add(self.forward[i * self.n_cuts + m].peak) } else { 0 }
    }
    /// The least bytes with a split at m.
    fn of_split(&self, i: usize, m: usize, k: usize, again: bool) -> u64 {
        let after = self.least[m * self.n_cuts + k][usize::from(again)].0;
        let before = self.least[i * self.n_cuts + m][1].0.saturating_add(self.held_on(i, m, k));
        let after = after.saturating_add(self.held_below(i, m, k));
        self.of_way(i, m, k, again).max(after).max(before).min(UNKNOWN)
    }
    fn least(&self) -> u64 {
        if self.n_cuts < 2 { self.rest } else { self.least[self.n_cuts - 1][0].0.max(self.rest) }
    }
    fn least_tree(&self, i: usize, k: usize, again: bool) -> Tree {
        match self.least[i * self.n_cuts + k][usize::from(again)].1 {
            None => Tree::Leaf,
            Some(m) => Tree::Split(m, Box::new([self.least_tree(m, k, again), self.least_tree(i, m, true)])),
        }
    }

    /// The way with the least work within the budget, to within a level of it; otherwise the one with the least bytes.
    fn plan(&self, budget: u64) -> Tree {
        let n = self.n_cuts;
        if n < 2 {
            return Tree::Leaf;
        }
        let found = vec![None; n * n * 2 * (LEVELS as usize + 1)];
        let mut search = Search { tables: self, quantum: (budget / LEVELS).max(1), found };
        match search.work(0, n - 1, false, budget) {
            Some(_) => search.tree(0, n - 1, false, budget),
            None => self.least_tree(0, n - 1, false),
        }
    }
    /// What a way through an interval weighs.
    fn weight(&self, i: usize, k: usize, again: bool, tree: &Tree) -> u64 {
        match tree {
            Tree::Leaf if i == k => 0,
            Tree::Leaf => self.of_leaf(i, k, again),
            Tree::Split(m, of) => {
                let after = self.weight(*m, k, again, &of[0]).saturating_add(self.held_below(i, *m, k));
                let before = self.weight(i, *m, true, &of[1]).saturating_add(self.held_on(i, *m, k));
                self.of_way(i, *m, k, again).max(after).max(before)
            }
        }
    }
}

/// The search for the least work.
struct Search<'a> {
    tables: &'a Tables,
    /// Bytes of one level.
    quantum: u64,
    /// By interval, whether it is not the first way, and level: once looked for, the work and the split, if there is one.
    found: Vec<Option<Option<(u64, Option<usize>)>>>,
}

impl Search<'_> {
    fn at(&self, i: usize, k: usize, again: bool, level: u64) -> usize {
        ((i * self.tables.n_cuts + k) * 2 + usize::from(again)) * (LEVELS as usize + 1) + level as usize
    }
    /// The bytes of the level below.
    fn level(&self, i: usize, k: usize, bytes: u64) -> Option<(u64, u64)> {
        let base = self.tables.base(i, k);
        let level = (bytes.checked_sub(base)? / self.quantum).min(LEVELS);
        Some((level, base + level * self.quantum))
    }
    /// What is left for (m, k] and for (i, m].
    fn shares(&self, i: usize, m: usize, k: usize, bytes: u64) -> Option<(u64, u64)> {
        let after = bytes.checked_sub(self.tables.held_below(i, m, k))?;
        Some((after, bytes.checked_sub(self.tables.held_on(i, m, k))?))
    }
    fn work(&mut self, i: usize, k: usize, again: bool, bytes: u64) -> Option<u64> {
        let (level, bytes) = self.level(i, k, bytes)?;
        let at = self.at(i, k, again, level);
        if let Some(found) = self.found[at] {
            return found.map(|(work, _)| work);
        }
        let t = self.tables;
        let mut best = None;
        if t.of_leaf(i, k, again) <= bytes {
            best = Some((if again { t.leaf[i * t.n_cuts + k].0.work } else { 0 }, None));
        }
        for m in i + 1..k {
            if best.is_some_and(|(work, _)| work == 0)
                || t.of_way(i, m, k, again) > bytes
                || t.of_split(i, m, k, again) > bytes
            {
                continue;
            }
            let of_way = if again { t.forward[i * t.n_cuts + m].work } else { 0 };
            let Some((for_after, for_before)) = self.shares(i, m, k, bytes) else { continue };
            let Some(after) = self.work(m, k, again, for_after) else { continue };
            let Some(before) = self.work(i, m, true, for_before) else { continue };
            let work = of_way.saturating_add(after).saturating_add(before);
            if best.is_none_or(|(least, _)| work < least) {
                best = Some((work, Some(m)));
            }
        }
        self.found[at] = Some(best);
        best.map(|(work, _)| work)
    }
    /// The way that [`Search::work`] found.
    fn tree(&mut self, i: usize, k: usize, again: bool, bytes: u64) -> Tree {
        let of_level = self.level(i, k, bytes);
        let found = of_level.and_then(|(level, _)| self.found[self.at(i, k, again, level)].flatten());
        let (Some((_, Some(m))), Some((_, bytes))) = (found, of_level) else { return Tree::Leaf };
        let (after, before) = self.shares(i, m, k, bytes).unwrap_or_default();
        Tree::Split(m, Box::new([self.tree(m, k, again, after), self.tree(i, m, true, before)]))
    }
}

/// Writes the two parts of a program as a way back says. Returns also how many equations run again.
fn emit(chain: &Chain<'_>, tree: &Tree) -> (Parts, usize) {
    let program = chain.program;
    let n_inputs = program.inputs.len() - chain.n_seeds;
    let mut w = Writer {
        chain,
        readers: chain.readers(),
        types: program.types.clone(),
        equations: vec![],
        now: vec![None; program.types.len()],
        tape: vec![],
        n_repeated: 0,
        last: vec![0; program.types.len()],
        next: 0,
    };
    let (inputs, seeds) = program.inputs.split_at(n_inputs);
    program.inputs.iter().for_each(|v| w.now[v.index()] = Some(*v));
    // Results that no seed enters are at hand from the start.
    let (outputs, rest) = program.outputs.split_at(chain.n_outputs);
    let mut pinned: Vec<ValueId> =
        rest.iter().copied().filter(|v| w.now[v.index()].is_none() && !chain.after[v.index()]).collect();
    pinned.sort_unstable();
    pinned.dedup();
    w.cross(&pinned);
    if chain.cuts.len() > 1 {
        w.interval(0, chain.cuts.len() - 1, false, tree);
    }
    w.backward(chain.back.len());
    let results: Vec<ValueId> = rest.iter().map(|v| w.read(*v)).collect();

    let Writer { types, equations, tape, n_repeated, .. } = w;
    let mut forward = Program { types: types.clone(), ..program.clone() };
    forward.equations.retain(|e| !e.outputs.iter().any(|v| chain.after[v.index()]));
    forward.inputs.truncate(n_inputs);
    let of_forward: Vec<ValueId> = outputs.iter().copied().chain(tape.iter().map(|(v, _)| *v)).collect();
    let forward = bodies::restrict(&forward, &vec![true; n_inputs], &of_forward);
    let parameters =
        inputs.iter().copied().chain(tape.iter().map(|(_, new)| *new)).chain(seeds.iter().copied());
    let backward = Program { inputs: parameters.collect(), equations, outputs: results, types };
    let backward = builder::renumber(backward);
    check::debug_check(&forward, "budget");
    check::debug_check(&backward, "budget");
    let tape: Vec<TapeEntry> =
        tape.iter().map(|&(v, _)| entry(program, v, chain.producer[v.index()], program.ty(v))).collect();
    (Parts { forward, backward, tape }, n_repeated)
}

/// A backward part that is being written.
struct Writer<'a> {
    chain: &'a Chain<'a>,
    readers: Vec<Vec<usize>>,
    types: Vec<Type>,
    equations: Vec<Equation<Prim>>,
    /// What stands for each value of the program now.
    now: Vec<Option<ValueId>>,
    /// Values that cross, and their parameters.
    tape: Vec<(ValueId, ValueId)>,
    n_repeated: usize,
    /// See [`Chain::run`].
    last: Vec<usize>,
    /// The next backward equation.
    next: usize,
}

impl Writer<'_> {
    fn fresh(&mut self, v: ValueId) -> ValueId {
        self.types.push(self.chain.program.ty(v).clone());
        ValueId(self.types.len() as u32 - 1)
    }
    fn cross(&mut self, values: &[ValueId]) {
        for &v in values {
            let parameter = self.fresh(v);
            self.now[v.index()] = Some(parameter);
            self.tape.push((v, parameter));
        }
    }
    /// What stands for a value; what is made of nothing is made now.
    fn read(&mut self, v: ValueId) -> ValueId {
        if let Some(now) = self.now[v.index()] {
            return now;
        }
        let e =
            self.chain.producer[v.index()].expect("only equations are left out; this is a bug in retrograde");
        assert!(
            self.chain.is_free[v.index()],
            "a value is read that nobody holds; this is a bug in retrograde"
        );
        let outputs = self.write(e);
        outputs[0]
    }
    /// Writes an equation with fresh results.
    fn write(&mut self, e: usize) -> Vec<ValueId> {
        let equation = &self.chain.program.equations[e];
        let inputs = equation.inputs.iter().map(|v| self.read(*v)).collect();
        let outputs: Vec<ValueId> = equation.outputs.iter().map(|v| self.fresh(*v)).collect();
        self.equations.push(Equation { inputs, outputs: outputs.clone(), ..equation.clone() });
        outputs
    }
    /// Makes what is wanted of (from, to] available: by the tape on the first way, otherwise by running equations again.
    fn provide(&mut self, from: usize, to: usize, wanted: &[ValueId], again: bool) {
        if !again {
            return self.cross(wanted);
        }
        let mut made = vec![];
        for p in self.chain.run(from, to, wanted, &mut self.last).1 {
            let e = self.chain.steps[p - 1];
            let outputs = self.write(e);
            for (v, new) in self.chain.program.equations[e].outputs.iter().zip(outputs) {
                if self.chain.position[v.index()] > 0 {
                    self.now[v.index()] = Some(new);
                    made.push(*v);
                }
            }
            self.n_repeated += 1;
        }
        made.iter().filter(|v| !wanted.contains(v)).for_each(|v| self.now[v.index()] = None);
    }
    fn forget(&mut self, values: &[ValueId]) {
        values.iter().for_each(|v| self.now[v.index()] = None);
    }
    fn interval(&mut self, i: usize, k: usize, again: bool, tree: &Tree) {
        let (from, to) = (self.chain.cuts[i], self.chain.cuts[k]);
        match tree {
            Tree::Leaf => {
                let wanted = self.chain.wanted_by_leaf(from, to);
                self.provide(from, to, &wanted, again);
                self.backward(self.chain.backward_equations(from, to).end);
                self.forget(&wanted);
            }
            Tree::Split(m, of) => {
                let middle = self.chain.cuts[*m];
                let wanted = self.chain.wanted_after(&self.readers, from, middle, to);
                self.provide(from, middle, &wanted, again);
                self.interval(*m, k, again, &of[0]);
                self.forget(&wanted);
                self.interval(i, *m, true, &of[1]);
            }
        }
    }
    /// Writes backward equations up to this one.
    fn backward(&mut self, end: usize) {
        while self.next < end {
            let e = self.chain.back[self.next];
            let outputs = self.write(e);
            for (v, new) in self.chain.program.equations[e].outputs.iter().zip(outputs) {
                self.now[v.index()] = Some(new);
            }
            self.next += 1;
        }
    }
}
