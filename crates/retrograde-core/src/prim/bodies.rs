//! What the primitives with bodies share: building bodies, their liveness, and where a linear loop finds its residuals.

use super::{Builder, Linearized, Program, Rule, Transforms};
use crate::ir::{Kind, Mismatch, Type, ValueId};

/// A body with parameters of these types.
pub fn build(inputs: &[Type], f: impl FnOnce(&mut Builder, &[ValueId]) -> Vec<ValueId>) -> Program {
    let mut b = Builder::new();
    let parameters: Vec<ValueId> = inputs.iter().map(|ty| b.input(ty.clone())).collect();
    let outputs = f(&mut b, &parameters);
    b.finish(outputs)
}

/// Splits a slice into consecutive parts of these lengths and the rest.
pub fn parts<T, const N: usize>(all: &[T], lengths: [usize; N]) -> ([&[T]; N], &[T]) {
    let mut rest = all;
    let parts = lengths.map(|n| {
        let (head, tail) = rest.split_at(n);
        rest = tail;
        head
    });
    (parts, rest)
}

/// The entries of `all` that are marked.
pub fn marked<T: Clone>(all: &[T], marks: &[bool]) -> Vec<T> {
    all.iter().zip(marks).filter(|(_, m)| **m).map(|(x, _)| x.clone()).collect()
}

/// The positions that are marked.
pub fn positions(marks: &[bool]) -> Vec<usize> {
    (0..marks.len()).filter(|&i| marks[i]).collect()
}

/// Which values the marked outputs depend on.
pub fn needed(body: &Program, used_outputs: &[bool]) -> Vec<bool> {
    let mut live = vec![false; body.types.len()];
    for (v, &used) in body.outputs.iter().zip(used_outputs) {
        live[v.index()] |= used;
    }
    for equation in body.equations.iter().rev() {
        if equation.outputs.iter().any(|v| live[v.index()]) {
            equation.inputs.iter().for_each(|v| live[v.index()] = true);
        }
    }
    live
}

/// Which inputs the marked outputs depend on.
pub fn needed_inputs(body: &Program, used_outputs: &[bool]) -> Vec<bool> {
    let live = needed(body, used_outputs);
    body.inputs.iter().map(|v| live[v.index()]).collect()
}

/// Which values depend on the marked inputs.
pub fn depending(body: &Program, inputs: &[bool]) -> Vec<bool> {
    let mut reached = vec![false; body.types.len()];
    for (v, &mark) in body.inputs.iter().zip(inputs) {
        reached[v.index()] |= mark;
    }
    for equation in &body.equations {
        if equation.inputs.iter().any(|v| reached[v.index()]) {
            equation.outputs.iter().for_each(|v| reached[v.index()] = true);
        }
    }
    reached
}

/// The body without equations, inputs and outputs that are not kept.
pub fn restrict(body: &Program, inputs: &[bool], outputs: &[ValueId]) -> Program {
    let mut kept = Program { outputs: outputs.to_vec(), ..body.clone() };
    let live = needed(&kept, &vec![true; outputs.len()]);
    kept.equations.retain(|e| e.outputs.iter().any(|v| live[v.index()]));
    kept.inputs = marked(&body.inputs, inputs);
    crate::ir::builder::renumber(kept)
}

/// A program that is linear in all inputs but the first `n_known`, whose loops may carry both kinds, in two:
/// coefficients (known.. -> residuals..) and a program (residuals.., linear.. -> outputs..) that can be transposed.
///
/// A linear function is its own derivative anywhere, so it is linearised at zero.
pub fn split_linear(cx: &dyn Transforms, program: &Program, n_known: usize) -> (Program, Program) {
    let types = program.input_types();
    let n_out = program.outputs.len();
    let marks: Vec<bool> = (0..types.len()).map(|i| i >= n_known).collect();
    let lin = cx.linearize(program, &marks, &vec![true; n_out]);
    let coefficients = build(&types[..n_known], |b, known| {
        let mut r = Rule { b, cx };
        let zeros: Vec<ValueId> = types[n_known..].iter().map(|ty| r.zeros(ty)).collect();
        r.b.inline(&lin.forward, &[known, &zeros].concat()).split_off(n_out)
    });
    let all = vec![true; n_known];
    (restrict(&coefficients, &all, &coefficients.outputs), lin.linear)
}

/// The same split without lists among the residuals: the linear part computes them again from the inputs they need.
///
/// The lists of a loop of unknown length inside another loop or a branch have another length in every step, so they
/// cannot be stacked.
pub fn without_lists(lin: Linearized) -> Linearized {
    let forward = &lin.forward;
    let n_out = forward.outputs.len() - lin.n_residuals;
    let (outs, residuals) = forward.outputs.split_at(n_out);
    let is_list: Vec<bool> = residuals.iter().map(|&v| forward.ty(v).kind == Kind::List).collect();
    if !is_list.contains(&true) {
        return lin;
    }
    let lists = marked(residuals, &is_list);
    let of_lists = Program { outputs: lists.clone(), ..forward.clone() };
    let needed = needed_inputs(&of_lists, &vec![true; lists.len()]);
    let again = restrict(forward, &needed, &lists);
    let plain: Vec<ValueId> = (0..residuals.len()).filter(|&i| !is_list[i]).map(|i| residuals[i]).collect();
    let kept = [plain.clone(), marked(&forward.inputs, &needed)].concat();
    let mut params: Vec<Type> = kept.iter().map(|&v| forward.ty(v).clone()).collect();
    params.extend(lin.linear.input_types().split_off(residuals.len()));
    let linear = build(&params, |b, p| {
        let ([of_plain, of_inputs], dots) = parts(p, [plain.len(), kept.len() - plain.len()]);
        let (mut next_list, mut next_plain) =
            (b.inline(&again, of_inputs).into_iter(), of_plain.iter().copied());
        let found = is_list.iter().map(|&l| if l { next_list.next() } else { next_plain.next() });
        let residuals: Vec<ValueId> = found.map(|v| v.expect("one value per residual")).collect();
        b.inline(&lin.linear, &[&residuals[..], dots].concat())
    });
    let outputs = [outs, &kept].concat();
    let forward = restrict(forward, &vec![true; forward.inputs.len()], &outputs);
    Linearized { forward, linear, n_residuals: kept.len(), active: lin.active }
}

/// Where the linear loop finds a residual of its body.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A value of the outer program that no step changes.
    Outer(ValueId),
    /// The loop's own x of this number.
    X(usize),
    /// The extra stacked result of this number.
    Stack(usize),
}

/// Decides for each residual of a linearised loop body where the linear loop finds it, and returns the forward body
/// whose extra results are the stacked ones. What no step changes is computed before the loop and not stacked.
pub fn residual_sources(
    r: &mut Rule<'_>,
    lin: &Linearized,
    consts: &[ValueId],
    n_carry: usize,
) -> (Program, Vec<Source>) {
    let forward = &lin.forward;
    let n_out = forward.outputs.len() - lin.n_residuals;
    let (outs, residuals) = forward.outputs.split_at(n_out);
    let varying: Vec<bool> = (0..forward.inputs.len()).map(|i| i >= consts.len()).collect();
    let varies = depending(forward, &varying);
    let invariant: Vec<ValueId> = residuals.iter().copied().filter(|v| !varies[v.index()]).collect();
    let is_const: Vec<bool> = varying.iter().map(|v| !v).collect();
    let mut hoisted = r.b.inline(&restrict(forward, &is_const, &invariant), consts).into_iter();
    let mut stacked: Vec<ValueId> = vec![];
    let first_x = consts.len() + n_carry;
    let sources = residuals
        .iter()
        .map(|v| {
            if !varies[v.index()] {
                return Source::Outer(hoisted.next().expect("one hoisted value per invariant residual"));
            }
            match forward.inputs.iter().position(|i| i == v) {
                Some(i) if i >= first_x => Source::X(i - first_x),
                _ => Source::Stack(stacked.iter().position(|s| s == v).unwrap_or_else(|| {
                    stacked.push(*v);
                    stacked.len() - 1
                })),
            }
        })
        .collect();
    let outputs: Vec<ValueId> = outs.iter().chain(&stacked).copied().collect();
    (restrict(forward, &vec![true; forward.inputs.len()], &outputs), sources)
}

/// Refuses operands whose types are not those of the parameters.
pub fn expect_types(what: &str, found: &[Type], expected: &[Type]) -> Result<(), Mismatch> {
    if found.len() != expected.len() {
        return Err(Mismatch::new(format!(
            "{what}: found {} values, expected {}",
            found.len(),
            expected.len()
        )));
    }
    match found.iter().zip(expected).position(|(f, e)| f != e) {
        Some(i) => Err(Mismatch::new(format!("{what} {i}: found {}, expected {}", found[i], expected[i]))),
        None => Ok(()),
    }
}

/// Tangents of the marked operands, zeros made where there are none.
pub fn instantiate(
    r: &mut Rule<'_>,
    inputs: &[ValueId],
    tangents: &[Option<ValueId>],
    marks: &[bool],
) -> Vec<ValueId> {
    (0..inputs.len())
        .filter(|&i| marks[i])
        .map(|i| {
            let ty = r.ty(inputs[i]);
            tangents[i].unwrap_or_else(|| r.zeros(&ty))
        })
        .collect()
}

/// Scatters the tangents of active results into one entry per result.
pub fn spread_tangents(active: &[bool], tangents: &[ValueId]) -> Vec<Option<ValueId>> {
    let mut next = tangents.iter();
    active.iter().map(|&a| if a { next.next().copied() } else { None }).collect()
}
