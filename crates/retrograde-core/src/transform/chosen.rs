//! Reads a choice between updates of a value as one update by a chosen increment, so that it can be turned round.
//!
//! `p ? x + d : x - e` is `x + (p ? d : -e)`, and x itself is x + (-0), to the bit: the sum of a float and -0 is that float, whatever
//! its sign. So what `select` and `cond` make of a carry is an addition like any other, once the increment is chosen instead of
//! the sum. The step itself keeps its equations: this is only how `invert` reads it.

use std::sync::Arc;

use crate::ir::{Type, ValueId, dce};
use crate::prim::{Builder, Prim, Program, Rule, bodies};
use crate::prim::{add::Add, cond::Cond};

use super::Standard;

/// What is added to a value, in the values of a program.
enum Increment {
    /// Nothing: the value itself.
    Nothing,
    Plus(ValueId),
    Minus(ValueId),
    /// By the mask of a `select`.
    Select {
        mask: ValueId,
        yes: Box<Increment>,
        no: Box<Increment>,
    },
    /// By the predicate of the `cond` of this number, in the values of its branches.
    Cond {
        equation_idx: usize,
        yes: Box<Increment>,
        no: Box<Increment>,
    },
}

/// The increment that makes `result` of `base`.
fn increment(program: &Program, result: ValueId, base: ValueId) -> Option<Increment> {
    if result == base {
        return Some(Increment::Nothing);
    }
    let equation_idx = program.equations.iter().position(|e| e.outputs.contains(&result))?;
    let equation = &program.equations[equation_idx];
    let both = |yes, no| Some((Box::new(yes), Box::new(no)));
    match (&equation.op, &equation.inputs[..]) {
        (Prim::Add(_), &[x, d]) if x == base => Some(Increment::Plus(d)),
        (Prim::Add(_), &[d, x]) if x == base => Some(Increment::Plus(d)),
        (Prim::Sub(_), &[x, d]) if x == base => Some(Increment::Minus(d)),
        (Prim::Select(_), &[mask, yes, no]) => {
            let (yes, no) = both(increment(program, yes, base)?, increment(program, no, base)?)?;
            Some(Increment::Select { mask, yes, no })
        }
        (Prim::Cond(cond), [_, operands @ ..]) => {
            let output = equation.outputs.iter().position(|v| *v == result)?;
            let parameter = operands.iter().position(|v| *v == base)?;
            let of = |branch: &Program| increment(branch, branch.outputs[output], branch.inputs[parameter]);
            let (yes, no) = both(of(&cond.if_true)?, of(&cond.if_false)?)?;
            Some(Increment::Cond { equation_idx, yes, no })
        }
        _ => None,
    }
}

/// Emits an increment; `map` says where the values of the program are.
fn emit(
    b: &mut Builder,
    program: &Program,
    map: &[Option<ValueId>],
    increment: &Increment,
    ty: &Type,
) -> ValueId {
    let of = |v: ValueId| {
        map[v.index()].expect("increments are defined before they are added; this is a bug in retrograde")
    };
    match increment {
        Increment::Nothing => Rule { b, cx: &Standard }.full(ty, -0.0),
        Increment::Plus(d) => of(*d),
        Increment::Minus(d) => Rule { b, cx: &Standard }.neg(of(*d)),
        Increment::Select { mask, yes, no } => {
            let [yes, no] = [yes, no].map(|side| emit(b, program, map, side, ty));
            Rule { b, cx: &Standard }.select(of(*mask), yes, no)
        }
        Increment::Cond { equation_idx, yes, no } => {
            let equation = &program.equations[*equation_idx];
            let Prim::Cond(cond) = &equation.op else {
                unreachable!("the equation of an increment by `cond` is one; this is a bug in retrograde")
            };
            let branch = |branch: &Program, side: &Increment| {
                let everything = (0..branch.types.len() as u32).map(ValueId).collect();
                let open = Program { outputs: everything, ..branch.clone() };
                Arc::new(dce::dce(&bodies::build(&branch.input_types(), |b, p| {
                    let values: Vec<Option<ValueId>> = b.inline(&open, p).into_iter().map(Some).collect();
                    vec![emit(b, branch, &values, side, ty)]
                })))
            };
            let (if_true, if_false) = (branch(&cond.if_true, yes), branch(&cond.if_false, no));
            let operands: Vec<ValueId> = equation.inputs.iter().map(|v| of(*v)).collect();
            b.emit1(Cond { if_true, if_false }.into(), &operands)
        }
    }
}

/// The step (constants, carries, xs) -> carries, with each result that is a choice between updates of a carry as one update.
pub(super) fn chosen_updates(step: &Program, n_consts: usize, n_carry: usize) -> Program {
    let carries = &step.inputs[n_consts..n_consts + n_carry];
    let is_choice = |result: ValueId| {
        let maker = step.equations.iter().find(|e| e.outputs.contains(&result));
        maker.is_some_and(|e| matches!(e.op, Prim::Select(_) | Prim::Cond(_)))
    };
    let of_result = |(j, &result): (usize, &ValueId)| {
        // Its own carry, in most steps.
        let bases =
            std::iter::once(carries[j]).chain(carries.iter().copied().filter(move |v| *v != carries[j]));
        let update = |base: ValueId| increment(step, result, base).map(|increment| (base, increment));
        is_choice(result).then(|| bases.into_iter().find_map(update)).flatten()
    };
    let updates: Vec<Option<(ValueId, Increment)>> = step.outputs.iter().enumerate().map(of_result).collect();
    if updates.iter().all(Option::is_none) {
        return step.clone();
    }
    dce::dce(&bodies::build(&step.input_types(), |b, p| {
        let mut map: Vec<Option<ValueId>> = vec![None; step.types.len()];
        step.inputs.iter().zip(p).for_each(|(v, &p)| map[v.index()] = Some(p));
        for equation in &step.equations {
            b.location = equation.location;
            let operand =
                |v: &ValueId| map[v.index()].expect("defined before use; this is a bug in retrograde");
            let operands: Vec<ValueId> = equation.inputs.iter().map(operand).collect();
            let results = b.emit(equation.op.clone(), &operands);
            equation.outputs.iter().zip(results).for_each(|(v, r)| map[v.index()] = Some(r));
            // What is computed from such a result is computed from the sum.
            for (&result, update) in step.outputs.iter().zip(&updates) {
                if let (true, Some((base, increment))) = (equation.outputs.contains(&result), update) {
                    let d = emit(b, step, &map, increment, step.ty(result));
                    let base =
                        map[base.index()].expect("carries are defined first; this is a bug in retrograde");
                    map[result.index()] = Some(b.emit1(Add.into(), &[base, d]));
                }
            }
        }
        step.outputs.iter().map(|v| map[v.index()].expect("defined; this is a bug in retrograde")).collect()
    }))
}
