//! Regions with a policy of their own. Where that is [`Tape::Recompute`], their residuals are not kept: the sweep that reads
//! them runs the region once more. All others, and those with loops in them, are opened, so that loops inside meet their
//! sweeps and minimisation sees across.

use std::sync::Arc;

use super::minimise::producers;
use crate::ir::ValueId;
use crate::prim::call::Call;
use crate::prim::{Builder, Prim, Program, Tape, bodies};

/// The program in which each sweep over a region with [`Tape::Recompute`] starts from the region's operands.
pub(super) fn recompute_regions(program: &Program) -> Program {
    let mut program = program.clone();
    let producer = producers(&program);
    for e in 0..program.equations.len() {
        let Some(sweep) = region(&program, e).filter(|call| call.is_sweep).cloned() else { continue };
        let inputs = program.equations[e].inputs.clone();
        // The latest: a residual may also be an argument of the region, which an earlier one made.
        let is_region = |m: &usize| region(&program, *m).is_some_and(|call| !call.is_sweep);
        let makers = inputs.iter().filter_map(|v| producer[v.index()].filter(is_region));
        let Some(maker) = makers.max() else { continue };
        let region_eqn = program.equations[maker].clone();
        let Prim::Call(call) = &region_eqn.op else { continue };
        // For each operand of the sweep: the result of the region it is, or none.
        let of_region: Vec<Option<usize>> =
            inputs.iter().map(|v| region_eqn.outputs.iter().position(|o| o == v)).collect();
        let others: Vec<usize> = (0..inputs.len()).filter(|&i| of_region[i].is_none()).collect();
        let sweep_types = sweep.body.input_types();
        let mut params = call.body.input_types();
        let n_region = params.len();
        params.extend(others.iter().map(|&i| sweep_types[i].clone()));
        let body = bodies::build(&params, |b, p| {
            let again = b.inline(&call.body, &p[..n_region]);
            let mut rest = p[n_region..].iter();
            let operands: Vec<ValueId> = of_region
                .iter()
                .map(|y| y.map_or_else(|| *rest.next().expect("one for each operand"), |y| again[y]))
                .collect();
            b.inline(&sweep.body, &operands)
        });
        program.equations[e].inputs =
            region_eqn.inputs.iter().copied().chain(others.iter().map(|&i| inputs[i])).collect();
        program.equations[e].op = Call { body: Arc::new(body), ..sweep }.into();
    }
    program
}

/// The program without the calls that would keep a loop from its sweep, or values from minimisation.
pub(super) fn open_regions(program: &Program) -> Program {
    let opens = |op: &Prim| match op {
        Prim::Call(call) => match call.policy {
            Some(Tape::Recompute) => false,
            Some(_) => true,
            // Opened, it would lose the inverse that it declares.
            None if call.inverse.is_some() => false,
            None => call.body.equations.iter().any(|e| e.op.has_bodies()),
        },
        _ => false,
    };
    if !program.equations.iter().any(|e| opens(&e.op)) {
        return program.clone();
    }
    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
    for &v in &program.inputs {
        map[v.index()] = Some(b.input(program.ty(v).clone()));
    }
    let of = |map: &[Option<ValueId>], v: ValueId| {
        map[v.index()].expect("defined before use; this is a bug in retrograde")
    };
    for equation in &program.equations {
        b.location = equation.location;
        let inputs: Vec<ValueId> = equation.inputs.iter().map(|&v| of(&map, v)).collect();
        let outputs = match &equation.op {
            Prim::Call(call) if opens(&equation.op) => b.inline(&open_regions(&call.body), &inputs),
            op => b.emit(op.clone(), &inputs),
        };
        equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
    }
    let outputs = program.outputs.iter().map(|&v| of(&map, v)).collect();
    b.finish(outputs)
}

/// The region that an equation calls, if it is to be computed again.
fn region(program: &Program, e: usize) -> Option<&Call> {
    match &program.equations[e].op {
        Prim::Call(call) if call.policy == Some(Tape::Recompute) => Some(call),
        _ => None,
    }
}
