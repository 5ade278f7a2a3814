//! What a backward part holds, equation by equation: see `budget` for what counts.
//!
//! An array weighs its entries and its header, a view also what it is a view of, as that stays alive with it. Of loops and other
//! bodies counts what they hold inside. Cost: linear in the equations, those of bodies once for each time that they stand in the
//! program.

use super::cut::Parts;
use crate::ir::{Equation, Kind, Op, Type, ValueId};
use crate::prim::record::Record;
use crate::prim::replay::{Plan, Replay};
use crate::prim::{Prim, Program, Value, bodies};

/// What an array takes beside its entries: the counts and the vector of its buffer.
const BUFFER_BYTES: u64 = 40;
/// What a view takes more: its layout with counts, offset, strides and the place for a copy.
const LAYOUT_BYTES: u64 = 104;
/// What one axis takes in strides.
const AXIS_BYTES: u64 = 8;
/// The number of a step.
const NUMBER_BYTES: u64 = 8;
/// What a body that is ready to run has for each parameter and result, beside the arrays.
const VALUE_BYTES: u64 = size_of::<Option<Value>>() as u64;
/// A weight that is not known before running; sums of it stay below overflow.
pub(super) const UNKNOWN: u64 = 1 << 56;

pub(super) fn is_view(op: &Prim) -> bool {
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
pub(super) fn array_weight(ty: &Type) -> u64 {
    ty.size_bytes() as u64 + BUFFER_BYTES + ty.shape.heap_bytes() as u64
}

/// What each value of a program weighs while it is held.
pub(super) fn weights(program: &Program) -> Vec<u64> {
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
pub(super) fn inside(equation: &Equation<Prim>, seeded: &[bool]) -> u64 {
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
    (parameters(body, &marks, n_consts..marks.len()) + ready(body)).saturating_add(in_body(body, &marks))
}

/// What a body takes to be ready.
fn ready(body: &Program) -> u64 {
    VALUE_BYTES * (body.inputs.len() + body.outputs.len()) as u64
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
        .saturating_add(rows.saturating_add(numbers + ready(step) + ready(back)))
        .saturating_add(forward.max(in_body(back, &marks)))
}

/// The list of the steps that the states in the slots stand before.
pub(super) fn slot_numbers(slots: usize, length: Option<usize>) -> u64 {
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
pub(super) fn held_and_scratch(parts: &Parts, n_outputs: usize) -> (u64, u64) {
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
pub(super) fn after_seeds(program: &Program, is_seed: &[bool]) -> Vec<bool> {
    let mut after = bodies::depending(program, is_seed);
    for equation in &program.equations {
        if equation.outputs.iter().any(|v| after[v.index()]) {
            equation.outputs.iter().for_each(|v| after[v.index()] = true);
        }
    }
    after
}
