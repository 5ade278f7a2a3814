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
//! held there is the tape. All positions are cuts up to 64; of longer programs the least wide of as many stretches.
//! Numbers, shapes and views of inputs are made right where they are read. To that, `Store` as it stands is one more choice.
//! A loop stores, or keeps its states in 1, 2, .. slots by the binomial schedule; the loops inside it store, keep √T states
//! or one. A loop with a policy of its own keeps it. Where slots make each step run more than twice and its updates can be
//! undone, the loop is reversed within a quarter of the bytes of its slots, the rest being slots in reserve: the states in these
//! are kept on the way, so that nothing is lost when the bits do not suffice.
//!
//! *Least possible* is the least over all these choices, where loops store or have one slot (and there are at most
//! [`LOOPS`] of them, otherwise one slot). Among the choices within a budget the planner takes, of loops, the most slots one
//! loop after another, the dearest first, and then the splits with the least work, to within a 32nd of the budget.
//!
//! # Cost
//! Of a program of n equations: 64² runs over n numbers at most, and 64³ · 32 sums; once more for each slot tried, log T of
//! them for each loop.
//!
//! # Source
//! Splits: O. Beaumont, L. Eyraud-Dubois, J. Herrmann, A. Joly, A. Shilova, Optimal checkpointing for heterogeneous chains, 2019
//! (INRIA RR-9302), with frontiers of a graph in the place of single activations. Slots: `prim::schedule`.

use super::annotate::annotate;
use super::chain::{Chain, SOME_STEPS, work};
use super::cut::{Parts, cut};
use super::emit::emit;
use super::held::{UNKNOWN, array_weight, held_and_scratch, slot_numbers};
use super::minimise::Repeat;
use super::splits::Tables;
use crate::ir::{Equation, Location, Op, Type, ValueId};
use crate::prim::replay::Plan;
use crate::prim::schedule::forward_steps;
use crate::prim::{Checkpoint, Prim, Program, Tape, bodies};
use crate::transform::invert;

/// Most loops of which every combination of least choices is tried.
const LOOPS: usize = 4;
/// How many steps forward for each step of a loop cost more than to reverse it: recording what rounding destroys and the
/// inverse step take about as long as a step each.
const MANY_REPEATS: u128 = 2;
/// The part of a loop's bytes that its bits may take, one in so many: small steps of an integrator take a fraction of it, and the
/// slots that are left cost little more than all.
const BITS_SHARE: usize = 4;

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
    prepare: impl Fn(&Program) -> Result<(Program, F), E>,
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
    // More slots than this are more than the budget by their states alone.
    let of_one: u64 = state.iter().map(array_weight).sum();
    let most = usize::try_from(budget_bytes as u64 / of_one.max(1)).unwrap_or(usize::MAX).min(usize::MAX / 2);
    let (mut low, mut high) = (1, length.unwrap_or(usize::MAX / 2).min(most).max(1) + 1);
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
        let less = |n_states: usize| all.saturating_sub(n_states * weigh(1) as usize);
        let pays = |bytes: &usize| bits_and_reserve(*bytes, &self.state, self.length).is_some();
        (0..=4).map(less).filter(pays).collect()
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
