//! Cuts a program where the seeds come in. What crosses the cut is the tape: as little as residual minimisation allows.

use super::made::{LoopSize, operation};
use super::minimise::{Repeat, bytes_of, choose, in_parts, packs, producers, rebuild};
use super::quantise::{dissolve, quantiser};
use crate::ir::{Equation, Kind, Location, Type, ValueId, builder, check};
use crate::prim::pack_bits::PackBits;
use crate::prim::replay::Plan;
use crate::prim::unpack_bits::UnpackBits;
use crate::prim::{Checkpoint, Prim, Program, Tape, bodies};

/// One value on the tape.
#[derive(Clone, Debug)]
pub struct TapeEntry {
    /// Its type.
    pub ty: Type,
    /// The operation that made it; of what a loop leaves, the one inside its body.
    pub op: &'static str,
    /// Where the user wrote that.
    pub location: Option<Location>,
    /// The loop that left it.
    pub of_loop: Option<LoopSize>,
    /// The policy it belongs to.
    pub policy: Tape,
    /// Bytes, where they are known before running.
    pub bytes: Option<usize>,
}

/// A program in two.
pub(super) struct Parts {
    /// inputs -> outputs, tape
    pub(super) forward: Program,
    /// inputs, tape, seeds -> rest
    pub(super) backward: Program,
    pub(super) tape: Vec<TapeEntry>,
}

/// Cuts (inputs.., seeds.. -> outputs.., rest..) in two. The second part has the inputs at hand and repeats what `repeat`
/// allows, each equation right before it is first needed.
pub(super) fn cut(program: &Program, n_outputs: usize, n_seeds: usize, repeat: Repeat) -> Parts {
    let n_inputs = program.inputs.len() - n_seeds;
    let is_seed: Vec<bool> = (0..program.inputs.len()).map(|i| i >= n_inputs).collect();
    let mut after = bodies::depending(program, &is_seed);
    let rest = &program.outputs[n_outputs..];
    for equation in &program.equations {
        if equation.outputs.iter().any(|v| after[v.index()]) {
            equation.outputs.iter().for_each(|v| after[v.index()] = true);
        }
    }
    let seconds = |program: &'_ Program| -> Vec<usize> {
        let is_second = |e: &usize| program.equations[*e].outputs.iter().any(|v| after[v.index()]);
        (0..program.equations.len()).filter(is_second).collect()
    };
    let mut at_hand = vec![false; program.types.len()];
    program.inputs.iter().for_each(|v| at_hand[v.index()] = true);
    let mut needed: Vec<ValueId> = seconds(program)
        .into_iter()
        .flat_map(|e| &program.equations[e].inputs)
        .chain(rest)
        .copied()
        .filter(|v| !after[v.index()])
        .collect();
    needed.sort_unstable();
    needed.dedup();
    let producer = producers(program);
    let cost = |v: ValueId| if at_hand[v.index()] { 0 } else { bytes_of(program, &producer, v) };
    let kept = choose(program, &needed, repeat, &cost);
    let program = &dissolve(program, &|v| !kept.contains(&v));
    let kept = in_parts(program, &kept);
    let (outputs, rest) = program.outputs.split_at(n_outputs);
    let second: Vec<&Equation<Prim>> = seconds(program).into_iter().map(|e| &program.equations[e]).collect();

    let kept_type = |v: ValueId| {
        if packs(program.ty(v)) { PackBits::packed(program.ty(v)) } else { program.ty(v).clone() }
    };
    let tape = kept.iter().map(|&v| entry(program, v, producer[v.index()], &kept_type(v))).collect();
    let mut types = program.types.clone();
    // The tape as it is kept: truth values as bits.
    let mut packing: Vec<(ValueId, ValueId)> = vec![];
    let crossing: Vec<ValueId> = kept
        .iter()
        .map(|&v| {
            if !packs(program.ty(v)) {
                return v;
            }
            let packed = ValueId(types.len() as u32);
            types.push(PackBits::packed(program.ty(v)));
            packing.push((v, packed));
            packed
        })
        .collect();
    let equation = |op: Prim, from: ValueId, to: ValueId| Equation {
        op,
        inputs: vec![from],
        outputs: vec![to],
        location: None,
    };

    let mut forward = Program { types: types.clone(), ..program.clone() };
    forward.equations.retain(|e| !e.outputs.iter().any(|v| after[v.index()]));
    forward.equations.extend(packing.iter().map(|&(v, packed)| equation(PackBits.into(), v, packed)));
    forward.inputs.truncate(n_inputs);
    let results: Vec<ValueId> = outputs.iter().chain(&crossing).copied().collect();
    let forward = bodies::restrict(&forward, &vec![true; n_inputs], &results);

    let mut equations: Vec<Equation<Prim>> = packing
        .iter()
        .map(|&(v, packed)| equation(UnpackBits { shape: program.ty(v).shape.to_vec() }.into(), packed, v))
        .collect();
    kept.iter().for_each(|v| at_hand[v.index()] = true);
    for e in second {
        let missing = e.inputs.iter().copied().filter(|v| !after[v.index()]);
        rebuild(program, &producer, &mut at_hand, missing, &mut |e| equations.push(e.clone()));
        equations.push(e.clone());
    }
    let missing = rest.iter().copied().filter(|v| !after[v.index()]);
    rebuild(program, &producer, &mut at_hand, missing, &mut |e| equations.push(e.clone()));
    let inputs = program.inputs[..n_inputs].iter().chain(&crossing).chain(&program.inputs[n_inputs..]);
    let backward = Program { inputs: inputs.copied().collect(), equations, outputs: rest.to_vec(), types };
    let backward = builder::renumber(backward);
    check::debug_check(&forward, "cut");
    check::debug_check(&backward, "cut");
    Parts { forward, backward, tape }
}

/// The entry of a value that is kept as this type.
pub(super) fn entry(program: &Program, v: ValueId, producer: Option<usize>, ty: &Type) -> TapeEntry {
    let equation = producer.map(|e| &program.equations[e]);
    let ty = ty.clone();
    let policy = match equation.map(|e| &e.op) {
        Some(Prim::Record(r)) => match r.plan {
            Plan::Reverse | Plan::ReverseStep { .. } | Plan::ReverseWithin { .. } => Tape::Reverse,
            Plan::Slots(slots) => Checkpoint::Slots(slots).into(),
            Plan::Every(1) if r.length.is_some_and(|n| n > 1) => Tape::Recompute,
            Plan::Every(_) => Checkpoint::Sqrt.into(),
        },
        Some(_) if let Some(op) = equation.and_then(|e| quantiser(e, v)) => {
            Tape::Quantise { bits: op.bits, seed: op.seed }
        }
        _ => Tape::Store,
    };
    let bytes = (ty.kind == Kind::Array).then(|| ty.size_bytes());
    let (op, location) = operation(program, v).unwrap_or(("input", None));
    let of_loop = producer.and_then(|id| LoopSize::of(id, &program.equations[id]));
    TapeEntry { ty, op, location, of_loop, policy, bytes }
}
