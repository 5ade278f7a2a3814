//! Residual minimisation across a loop that stores: the stacks that a sweep reads are replaced by fewer bytes, from which
//! the sweep's body rebuilds what is missing, step by step.

use std::collections::HashMap;

use super::minimise::{Repeat, choose, kept_bytes, packs, producers, rebuild};
use crate::ir::{Equation, Kind, Op, Type, ValueId};
use crate::prim::pack_bits::PackBits;
use crate::prim::unpack_bits::UnpackBits;
use crate::prim::{Builder, Prim, Program, Tape};

/// For loops of unknown length, how much more a stack weighs than a constant.
const SOME_STEPS: u64 = 1000;

/// A loop or a sweep, as far as its operands and results are concerned.
struct Shape<'a> {
    body: &'a Program,
    length: Option<usize>,
    n_cond_consts: usize,
    n_consts: usize,
    n_carry: usize,
    policy: Option<Tape>,
}

fn shape(op: &Prim) -> Option<Shape<'_>> {
    match op {
        Prim::Scan(s) => Some(Shape {
            body: &s.body,
            length: s.length,
            n_cond_consts: 0,
            n_consts: s.n_consts,
            n_carry: s.n_carry,
            policy: s.policy,
        }),
        Prim::While(w) => Some(Shape {
            body: &w.body,
            length: None,
            n_cond_consts: w.n_cond_consts,
            n_consts: w.n_body_consts,
            n_carry: w.n_carry(),
            policy: w.policy,
        }),
        _ => None,
    }
}

/// The program with smaller stacks between its loops and the sweeps over them, where those loops store.
pub(super) fn trim(program: &Program, default: Tape) -> Program {
    let mut program = program.clone();
    for sweep in 0..program.equations.len() {
        let Prim::Scan(scan) = &program.equations[sweep].op else { continue };
        let first_x = scan.n_consts + scan.n_carry;
        let producer = producers(&program);
        let mut makers: Vec<usize> =
            program.equations[sweep].inputs[first_x..].iter().filter_map(|v| producer[v.index()]).collect();
        makers.sort_unstable();
        makers.dedup();
        for maker in makers {
            let stores = shape(&program.equations[maker].op).is_some_and(|l| {
                l.policy.unwrap_or(default) == Tape::Store && l.length == scan_length(&program, sweep)
            });
            if stores {
                trim_pair(&mut program, maker, sweep);
            }
        }
    }
    program
}

fn scan_length(program: &Program, e: usize) -> Option<usize> {
    shape(&program.equations[e].op).and_then(|l| l.length)
}

/// Trims what one sweep reads of one loop.
fn trim_pair(program: &mut Program, maker: usize, sweep: usize) {
    let (loop_eqn, sweep_eqn) = (program.equations[maker].clone(), program.equations[sweep].clone());
    let (Some(l), Some(s)) = (shape(&loop_eqn.op), shape(&sweep_eqn.op)) else { return };
    let (body, sweep_head) = (l.body, s.n_consts + s.n_carry);
    let mut n_uses: HashMap<ValueId, usize> = HashMap::new();
    let reads = program.equations.iter().flat_map(|e| &e.inputs).chain(&program.outputs);
    reads.for_each(|v| *n_uses.entry(*v).or_default() += 1);

    // Which x of the sweep is which y of the loop, where nobody else reads it.
    let y_of = |x: usize| -> Option<usize> {
        let v = sweep_eqn.inputs[sweep_head + x];
        let y = loop_eqn.outputs.iter().position(|o| *o == v).filter(|y| *y >= l.n_carry)?;
        // The first list of a sweep of unknown length says how many steps there are.
        (n_uses[&v] == 1 && (s.length.is_some() || x > 0)).then_some(y)
    };
    let trimmed: Vec<Option<usize>> = (0..sweep_eqn.inputs.len() - sweep_head).map(y_of).collect();
    let mut needed: Vec<ValueId> = trimmed.iter().flatten().map(|&y| body.outputs[y]).collect();
    if needed.is_empty() {
        return;
    }
    needed.sort_unstable();
    needed.dedup();

    // What a value of the body costs in the sweep.
    let n_steps = l.length.map_or(SOME_STEPS, |n| n.max(1) as u64);
    let at_hand = |v: &ValueId| program.inputs.contains(v) || sweep_eqn.inputs.contains(v);
    let operand_of = |v: ValueId| {
        let position = body.inputs.iter().position(|p| *p == v)?;
        Some((position, loop_eqn.inputs[l.n_cond_consts + position]))
    };
    let is_const = |position: usize| position < l.n_consts;
    let is_x = |position: usize| position >= l.n_consts + l.n_carry;
    // Results that stay, because somebody else reads them.
    let stays =
        |y: usize| y >= l.n_carry && !trimmed.contains(&Some(y)) && n_uses.contains_key(&loop_eqn.outputs[y]);
    let kept_y = |v: ValueId| (0..body.outputs.len()).find(|&y| body.outputs[y] == v && stays(y));
    let cost = |v: ValueId| -> u64 {
        match operand_of(v) {
            Some((i, u)) if is_const(i) => {
                if at_hand(&u) {
                    0
                } else {
                    kept_bytes(body.ty(v))
                }
            }
            Some((i, u)) if is_x(i) && at_hand(&u) => 0,
            _ if kept_y(v).is_some() => 0,
            _ => kept_bytes(body.ty(v)).saturating_mul(n_steps),
        }
    };
    let kept = choose(body, &needed, Repeat::Cheap, &cost);
    let total = |values: &[ValueId]| values.iter().map(|v| cost(*v)).fold(0, u64::saturating_add);
    if total(&kept) >= total(&needed) {
        return;
    }

    // What the sweep starts from in each step: what is kept, and what is free and not made anew.
    let mut is_start: Vec<bool> = (0..body.types.len()).map(|i| cost(ValueId(i as u32)) == 0).collect();
    kept.iter().for_each(|v| is_start[v.index()] = true);
    let producer = producers(body);
    let mut reached = is_start.clone();
    let mut starts: Vec<ValueId> = needed.iter().copied().filter(|v| is_start[v.index()]).collect();
    rebuild(body, &producer, &mut reached, needed.iter().copied(), &mut |e| {
        starts.extend(e.inputs.iter().filter(|v| is_start[v.index()]));
    });
    starts.sort_unstable();
    starts.dedup();

    // The loop: its results without the stacks that went, with the ones that came.
    let keep: Vec<usize> = (0..body.outputs.len()).filter(|y| !trimmed.contains(&Some(*y))).collect();
    let mut new_body = Program { outputs: keep.iter().map(|&y| body.outputs[y]).collect(), ..body.clone() };
    let mut new_outputs: Vec<ValueId> = keep.iter().map(|&y| loop_eqn.outputs[y]).collect();
    let fresh = |types: &mut Vec<Type>, ty: Type| {
        types.push(ty);
        ValueId(types.len() as u32 - 1)
    };
    let stack = |ty: &Type| l.length.map_or_else(|| ty.list(), |n| ty.stacked(n));
    // For each start: its operand in the sweep, and whether that is the same in every step.
    let mut sources: Vec<(ValueId, bool, bool)> = vec![];
    for &v in &starts {
        let source = match (operand_of(v), kept_y(v)) {
            (Some((i, u)), _) if is_const(i) => (u, true, false),
            (Some((i, u)), _) if is_x(i) => (u, false, false),
            (_, Some(y)) => (loop_eqn.outputs[y], false, false),
            _ => {
                let ty = body.ty(v).clone();
                let is_packed = packs(&ty);
                let result = if is_packed {
                    let packed_ty = PackBits::packed(&ty);
                    let packed = fresh(&mut new_body.types, packed_ty);
                    new_body.equations.push(Equation {
                        op: PackBits.into(),
                        inputs: vec![v],
                        outputs: vec![packed],
                        location: None,
                    });
                    packed
                } else {
                    v
                };
                new_body.outputs.push(result);
                let y = fresh(&mut program.types, stack(&new_body.types[result.index()]));
                new_outputs.push(y);
                (y, false, is_packed)
            }
        };
        sources.push(source);
    }

    // The sweep: its operands without the stacks that went, with the starts; its body rebuilds what it reads.
    let sweep_types = s.body.input_types();
    let mut b = Builder::new();
    let mut of_body: Vec<Option<ValueId>> = vec![None; body.types.len()];
    let mut of_sweep: Vec<Option<ValueId>> = vec![None; s.body.types.len()];
    let mut operands: Vec<ValueId> = vec![];
    let mut packed_starts: Vec<(ValueId, ValueId)> = vec![];
    let sweep_inputs = |range: std::ops::Range<usize>,
                        b: &mut Builder,
                        of_sweep: &mut Vec<Option<ValueId>>,
                        operands: &mut Vec<ValueId>| {
        for i in range {
            if i >= sweep_head && trimmed[i - sweep_head].is_some() {
                continue;
            }
            of_sweep[s.body.inputs[i].index()] = Some(b.input(sweep_types[i].clone()));
            operands.push(sweep_eqn.inputs[i]);
        }
    };
    sweep_inputs(0..s.n_consts, &mut b, &mut of_sweep, &mut operands);
    let mut n_more_consts = 0;
    for (&v, &(u, _, _)) in starts.iter().zip(&sources).filter(|(_, source)| source.1) {
        of_body[v.index()] = Some(b.input(body.ty(v).clone()));
        operands.push(u);
        n_more_consts += 1;
    }
    sweep_inputs(s.n_consts..sweep_eqn.inputs.len(), &mut b, &mut of_sweep, &mut operands);
    for (&v, &(u, _, is_packed)) in starts.iter().zip(&sources).filter(|(_, source)| !source.1) {
        let ty = body.ty(v);
        let parameter = b.input(if is_packed { PackBits::packed(ty) } else { ty.clone() });
        if is_packed {
            packed_starts.push((v, parameter));
        } else {
            of_body[v.index()] = Some(parameter);
        }
        operands.push(u);
    }
    for (v, parameter) in packed_starts {
        let op = UnpackBits { shape: body.ty(v).shape.to_vec() };
        of_body[v.index()] = Some(b.emit1(op.into(), &[parameter]));
    }
    let mut built: Vec<bool> = of_body.iter().map(Option::is_some).collect();
    // Parameters of the sweep that are to be rebuilt.
    let rebuilt: HashMap<ValueId, ValueId> = trimmed
        .iter()
        .enumerate()
        .filter_map(|(x, y)| y.map(|y| (s.body.inputs[sweep_head + x], body.outputs[y])))
        .collect();
    let copy = |b: &mut Builder, equation: &Equation<Prim>, map: &mut Vec<Option<ValueId>>| {
        let inputs: Vec<ValueId> =
            equation.inputs.iter().map(|v| map[v.index()].expect("defined before use")).collect();
        b.location = equation.location;
        let outputs = b.emit(equation.op.clone(), &inputs);
        equation.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
    };
    let mut provide = |v: ValueId, b: &mut Builder, of_sweep: &mut Vec<Option<ValueId>>| {
        if let Some(&wanted) = rebuilt.get(&v) {
            rebuild(body, &producer, &mut built, [wanted], &mut |e| copy(b, e, &mut of_body));
            of_sweep[v.index()] = of_body[wanted.index()];
        }
    };
    for equation in &s.body.equations {
        equation.inputs.iter().for_each(|&v| provide(v, &mut b, &mut of_sweep));
        copy(&mut b, equation, &mut of_sweep);
    }
    s.body.outputs.iter().for_each(|&v| provide(v, &mut b, &mut of_sweep));
    let outputs =
        s.body.outputs.iter().map(|v| of_sweep[v.index()].expect("every result is defined")).collect();
    let new_sweep_body = b.finish(outputs);

    let Prim::Scan(scan) = &sweep_eqn.op else { return };
    let mut new_scan = scan.clone();
    new_scan.n_consts += n_more_consts;
    new_scan.body = std::sync::Arc::new(new_sweep_body);
    program.equations[sweep].op = new_scan.into();
    program.equations[sweep].inputs = operands;
    let new_body = crate::ir::builder::renumber(new_body);
    let mut which = 0;
    program.equations[maker].op = loop_eqn.op.map_bodies(&mut |inner| {
        which += 1;
        // The condition of a `while` stays as it is.
        if std::ptr::eq(inner, body) { new_body.clone() } else { inner.clone() }
    });
    program.equations[maker].outputs = new_outputs;
    debug_assert!(which > 0 && body.types.iter().all(|ty| ty.kind != Kind::List || s.length.is_none()));
}
