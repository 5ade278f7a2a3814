//! `cond`: one of two branches, chosen by a truth value at run time.
//!
//! Operands: bool[], then those of both branches. Derivative: that of the branch taken; reverse keeps the residuals of
//! both branches, zeros for the one not taken. Under `vmap` with a predicate per lane both branches run and a `select`
//! chooses. Errors: those of the branch taken.

use super::bodies::{self, build};
use super::{Args, EvalError, Evaluate, Operand, Program, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cond {
    /// Taken when true.
    pub if_true: Arc<Program>,
    /// Taken when false.
    pub if_false: Arc<Program>,
}

impl Cond {
    fn of(if_true: Program, if_false: Program) -> Cond {
        Cond { if_true: Arc::new(if_true), if_false: Arc::new(if_false) }
    }
}

impl Rules for Cond {
    const NAME: &'static str = "cond";
    fn fields(&self) -> Fields<super::Prim> {
        vec![("if_true", Field::Program(self.if_true.clone())), ("if_false", Field::Program(self.if_false.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Cond { if_true: args.program("if_true")?, if_false: args.program("if_false")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let Some((pred, operands)) = inputs.split_first() else {
            return Err(Mismatch::new("found no operands, expected a predicate"));
        };
        if *pred != Type::array(DType::Bool, []) {
            return Err(Mismatch::new(format!("predicate: found {pred}, expected bool[]"))
                .help("compare a scalar first, for example `x.sum().gt(0.0)`; entry by entry, use `select`"));
        }
        bodies::expect_types("parameter of the true branch", operands, &self.if_true.input_types())?;
        bodies::expect_types("parameter of the false branch", operands, &self.if_false.input_types())?;
        bodies::expect_types("result of the false branch", &self.if_false.output_types(), &self.if_true.output_types())?;
        Ok(self.if_true.output_types())
    }
    fn eval(&self, cx: &mut dyn Evaluate, mut inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let operands = inputs.split_off(1);
        let taken = inputs[0].array().item::<bool>() == Some(true);
        cx.run(if taken { &self.if_true } else { &self.if_false }, operands)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("cond has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let cx = r.cx;
        let n_out = self.if_true.outputs.len();
        let (pred, operands) = (inputs[0], &inputs[1..]);
        let marks: Vec<bool> = tangents[1..].iter().map(Option::is_some).collect();
        let dots: Vec<ValueId> = tangents[1..].iter().flatten().copied().collect();
        let none = vec![false; n_out];
        let (a, b) = (cx.jvp(&self.if_true, &marks, &none).active, cx.jvp(&self.if_false, &marks, &none).active);
        let active: Vec<bool> = a.iter().zip(&b).map(|(a, b)| a | b).collect();
        if !split {
            let op = Cond::of(cx.jvp(&self.if_true, &marks, &active).program, cx.jvp(&self.if_false, &marks, &active).program);
            let out = r.b.emit(op.into(), &[&[pred], operands, &dots].concat());
            return (out[..n_out].to_vec(), bodies::spread_tangents(&active, &out[n_out..]));
        }
        let split = |branch: &Program| bodies::without_lists(cx.linearize(branch, &marks, &active));
        let (t, f) = (split(&self.if_true), split(&self.if_false));
        let t_types = t.forward.output_types().split_off(n_out);
        let f_types = f.forward.output_types().split_off(n_out);
        let padded = |forward: &Program, before: &[Type], after: &[Type]| {
            build(&forward.input_types(), |b, p| {
                let out = b.inline(forward, p);
                let mut r = Rule { b, cx };
                let (plain, residuals) = out.split_at(n_out);
                let mut all = plain.to_vec();
                all.extend(before.iter().map(|ty| r.zeros(ty)));
                all.extend_from_slice(residuals);
                all.extend(after.iter().map(|ty| r.zeros(ty)));
                all
            })
        };
        let forward = Cond::of(padded(&t.forward, &[], &f_types), padded(&f.forward, &t_types, &[]));
        let out = r.b.emit(forward.into(), inputs);
        let (outs, residuals) = out.split_at(n_out);
        let dot_types = bodies::marked(&self.if_true.input_types(), &marks);
        let params = [&t_types[..], &f_types, &dot_types].concat();
        let (nt, nf) = (t_types.len(), f_types.len());
        let linear = Cond::of(
            build(&params, |b, p| b.inline(&t.linear, &[&p[..nt], &p[nt + nf..]].concat())),
            build(&params, |b, p| b.inline(&f.linear, &p[nt..])),
        );
        let out_dots = r.b.emit(linear.into(), &[&[pred], residuals, &dots].concat());
        (outs.to_vec(), bodies::spread_tangents(&active, &out_dots))
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        !linear[0]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if cts.iter().all(Option::is_none) {
            return vec![None; inputs.len()];
        }
        let linear: Vec<bool> = inputs[1..].iter().map(Operand::is_linear).collect();
        let types = self.if_true.input_types();
        let known: Vec<usize> = (0..linear.len()).filter(|&i| !linear[i]).collect();
        let lin = bodies::positions(&linear);
        let ordered: Vec<Type> = known.iter().chain(&lin).map(|&i| types[i].clone()).collect();
        let cx = r.cx;
        // Results without a cotangent drop out: a zero in their place would be a term that is not linear.
        let asked: Vec<bool> = cts.iter().map(Option::is_some).collect();
        let transposed = |branch: &Program| {
            let reordered = build(&ordered, |b, params| {
                let mut all = vec![ValueId(0); types.len()];
                for (&i, &p) in known.iter().chain(&lin).zip(params) {
                    all[i] = p;
                }
                bodies::marked(&b.inline(branch, &all), &asked)
            });
            cx.transpose(&reordered, known.len())
        };
        let op = Cond::of(transposed(&self.if_true), transposed(&self.if_false));
        let mut operands = vec![inputs[0].known()];
        operands.extend(known.iter().map(|&i| inputs[i + 1].known()));
        operands.extend(cts.iter().flatten());
        let out = r.b.emit(op.into(), &operands);
        let mut result = vec![None; inputs.len()];
        for (i, d) in lin.into_iter().zip(out) {
            result[i + 1] = Some(d);
        }
        result
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let cx = r.cx;
        let n_out = self.if_true.outputs.len();
        let marks = &batched[1..];
        if batched[0] {
            let all = vec![true; n_out];
            let t = r.b.inline(&cx.vmap(&self.if_true, marks, &all, n).program, &inputs[1..]);
            let f = r.b.inline(&cx.vmap(&self.if_false, marks, &all, n).program, &inputs[1..]);
            let outs = t.into_iter().zip(f).map(|(t, f)| super::scan::select_lanes(r, inputs[0], t, f)).collect();
            return (outs, all);
        }
        let none = vec![false; n_out];
        let (t, f) = (cx.vmap(&self.if_true, marks, &none, n).batched, cx.vmap(&self.if_false, marks, &none, n).batched);
        let either: Vec<bool> = t.iter().zip(&f).map(|(t, f)| t | f).collect();
        let op = Cond::of(cx.vmap(&self.if_true, marks, &either, n).program, cx.vmap(&self.if_false, marks, &either, n).program);
        (r.b.emit(op.into(), inputs), either)
    }
    fn prune(&self, used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        let live = |branch: &Program| bodies::needed_inputs(branch, used);
        let keep: Vec<bool> = live(&self.if_true).iter().zip(live(&self.if_false)).map(|(a, b)| a | b).collect();
        if keep.iter().all(|k| *k) && used.iter().all(|u| *u) {
            return None;
        }
        let shrink = |branch: &Program| bodies::restrict(branch, &keep, &bodies::marked(&branch.outputs, used));
        let inputs = std::iter::once(0).chain(bodies::positions(&keep).into_iter().map(|i| i + 1)).collect();
        Some((Cond::of(shrink(&self.if_true), shrink(&self.if_false)), inputs, bodies::positions(used)))
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        Cond::of(f(&self.if_true), f(&self.if_false))
    }
    fn rows() -> Vec<Row> {
        let v = Type::array(DType::F64, [3]);
        let if_true = build(std::slice::from_ref(&v), |b, p| vec![b.emit1(super::sin::Sin.into(), &[p[0]])]);
        let if_false = build(std::slice::from_ref(&v), |b, p| vec![b.emit1(super::mul::Mul.into(), &[p[0], p[0]])]);
        vec![Row::new(Cond::of(if_true, if_false), &[Type::array(DType::Bool, []), v])]
    }
}
