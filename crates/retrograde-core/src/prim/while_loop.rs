//! `while`: repeats a body on a carried state for as long as a condition on the state holds.
//!
//! Operands: constants of the condition, constants of the body, initial carries. Results: final carries, then lists of
//! the y values of each step. Where there are any, the first y is a bool that says whether the lane was active.
//! Derivative: forward mode carries tangents along; reverse mode keeps lists of the body's residuals and runs a
//! `scan` over them. Errors: those of the condition and the body; more steps than it may take.

use super::bodies::{self, build, parts};
use super::scan::{LinearLoop, Scan, Stacks, carried, linear_loop, select_lanes};
use super::{Args, Body, EvalError, Evaluate, Program, Row, Rule, Rules, Tape, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::ops::Comparison;
use retrograde_array::{DType, Scalar};
use std::ops::Range;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct While {
    /// (condition constants, carries) -> bool[]
    pub cond: Arc<Program>,
    /// (body constants, carries) -> (carries, ys)
    pub body: Arc<Program>,
    /// How many constants the condition has.
    pub n_cond_consts: usize,
    /// How many constants the body has.
    pub n_body_consts: usize,
    /// What its derivative remembers; `None`: what the front door says.
    pub policy: Option<Tape>,
    /// How many steps there may be; more are an error when it runs.
    pub most: Option<usize>,
}

/// That a loop which would take another step may.
pub(super) fn may_go_on(most: Option<usize>, n_steps: usize) -> Result<(), EvalError> {
    match most {
        Some(most) if n_steps >= most => Err(EvalError::TooManySteps { most }),
        _ => Ok(()),
    }
}

impl While {
    fn n_consts(&self) -> usize {
        self.n_cond_consts + self.n_body_consts
    }
    pub(crate) fn n_carry(&self) -> usize {
        self.body.inputs.len() - self.n_body_consts
    }
    /// The body as a scan, which shares the counts and the closure over carries.
    fn as_scan(&self) -> Scan {
        Scan {
            body: self.body.clone(),
            length: None,
            reverse: false,
            n_consts: self.n_body_consts,
            n_carry: self.n_carry(),
            policy: self.policy,
        }
    }
    fn has_ys(&self) -> bool {
        self.body.outputs.len() > self.n_carry()
    }
    fn closed(&self, marks: &[bool], body_marks: &mut dyn FnMut(&[bool]) -> Vec<bool>) -> Vec<bool> {
        let mut marks = marks.to_vec();
        loop {
            let out = body_marks(&marks[self.n_cond_consts..]);
            let grown: Vec<bool> =
                (0..marks.len()).map(|i| marks[i] || (i >= self.n_consts() && out[i - self.n_consts()])).collect();
            if grown == marks {
                return marks;
            }
            marks = grown;
        }
    }
    fn forced(&self, marks: &[bool]) -> Vec<bool> {
        (0..self.body.outputs.len()).map(|i| i < self.n_carry() && marks[self.n_consts() + i]).collect()
    }
}

/// Whether the condition holds for what a body carries, in the parameters `carries`. The condition has them behind its
/// constants, of which there are `n_consts`.
pub(super) fn go_on(
    cx: &mut dyn Evaluate,
    cond: &mut dyn Body,
    n_consts: usize,
    body: &dyn Body,
    carries: Range<usize>,
) -> Result<bool, EvalError> {
    carries.enumerate().for_each(|(i, carry)| cond.set(n_consts + i, body.parameter(carry).clone()));
    cond.run(cx)?;
    Ok(cond.result(0).array().item::<bool>() == Some(true))
}

impl Rules for While {
    const NAME: &'static str = "while";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![
            ("cond_consts", Field::Int(self.n_cond_consts as i64)),
            ("body_consts", Field::Int(self.n_body_consts as i64)),
        ];
        if let Some(policy) = self.policy {
            fields.push(("policy", Field::Word(policy.to_string())));
        }
        if let Some(most) = self.most {
            fields.push(("at_most", Field::Int(most as i64)));
        }
        fields.push(("cond", Field::Program(self.cond.clone())));
        fields.push(("body", Field::Program(self.body.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(While {
            n_cond_consts: args.size("cond_consts")?,
            n_body_consts: args.size("body_consts")?,
            policy: args.optional_word("policy")?.map(|w| w.parse()).transpose()?,
            most: args.optional_size("at_most")?,
            cond: args.program("cond")?,
            body: args.program("body")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let n_consts = self.n_cond_consts.saturating_add(self.n_body_consts);
        if inputs.len() < n_consts || self.body.inputs.len() != inputs.len() - self.n_cond_consts
            || self.body.outputs.len() < inputs.len() - n_consts
        {
            return Err(Mismatch::new(format!("found {} operands for a body of {} parameters", inputs.len(), self.body.inputs.len())));
        }
        let (consts, carry) = inputs.split_at(n_consts);
        let of_cond: Vec<Type> = consts[..self.n_cond_consts].iter().chain(carry).cloned().collect();
        bodies::expect_types("condition parameter", &of_cond, &self.cond.input_types())?;
        bodies::expect_types("result of the condition", &self.cond.output_types(), &[Type::array(DType::Bool, [])])
            .map_err(|e| e.help("the condition of `while_loop` must be one truth value, for example `x.sum().lt(1.0)`"))?;
        bodies::expect_types("body parameter", &inputs[self.n_cond_consts..], &self.body.input_types())?;
        let outs = self.body.output_types();
        bodies::expect_types("carry after a step", &outs[..carry.len()], carry)?;
        Ok(outs.iter().enumerate().map(|(i, ty)| if i < carry.len() { ty.clone() } else { ty.list() }).collect())
    }
    fn eval(&self, cx: &mut dyn Evaluate, mut inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let (nc, nb) = (self.n_cond_consts, self.n_body_consts);
        let n_carry = self.n_carry();
        let mut cond = cx.prepare(&self.cond, vec![]);
        let mut body = cx.prepare(&self.body, (0..n_carry).map(|i| (i, nb + i)).collect());
        let of_body = inputs.split_off(nc);
        inputs.into_iter().enumerate().for_each(|(i, value)| cond.set(i, value));
        of_body.into_iter().enumerate().for_each(|(i, value)| body.set(i, value));
        let mut ys = Stacks::growing(cx, &self.body, n_carry, n_carry)?;
        let mut step_idx = 0;
        while go_on(cx, &mut *cond, nc, &*body, nb..nb + n_carry)? {
            may_go_on(self.most, step_idx)?;
            body.run(cx).inspect_err(|_| cx.failed_in_step(step_idx))?;
            ys.write(&*body, step_idx);
            body.advance();
            step_idx += 1;
        }
        let mut results = carried(cx, &*body, nb..nb + n_carry)?;
        results.extend(ys.finish());
        Ok(results)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("while has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let cx = r.cx;
        let none = vec![false; self.body.outputs.len()];
        let mut marks: Vec<bool> = tangents.iter().map(Option::is_some).collect();
        marks[..self.n_cond_consts].fill(false);
        let marks = self.closed(&marks, &mut |m| cx.jvp(&self.body, m, &none).active);
        let (of_cond, inputs_body) = inputs.split_at(self.n_cond_consts);
        let marks = &marks[self.n_cond_consts..];
        let forced: Vec<bool> = (0..self.body.outputs.len()).map(|i| i < self.n_carry() && marks[self.n_body_consts + i]).collect();
        let dots = bodies::instantiate(r, inputs_body, &tangents[self.n_cond_consts..], marks);
        let (nc, nk) = (self.n_body_consts, self.n_carry());
        if split {
            let lin = bodies::without_lists(cx.linearize(&self.body, marks, &forced));
            let (mut forward, sources) = bodies::residual_sources(r, &lin, &inputs_body[..nc], nk);
            let n_ys = forward.outputs.len() - nk;
            let added_tick = !self.has_ys() && (n_ys > 0 || !dots.is_empty());
            if added_tick {
                forward = with_tick(&forward, nk);
            }
            let fwd = While { body: Arc::new(forward), ..self.clone() };
            let out = r.b.emit(fwd.into(), inputs);
            let n_plain = self.body.outputs.len();
            if dots.is_empty() {
                return (out[..n_plain].to_vec(), vec![None; n_plain]);
            }
            let stacks = &out[n_plain + usize::from(added_tick)..];
            let like = self.as_scan();
            let l = LinearLoop { xs: &[], stacks, tick: Some(out[nk]), dots: &dots, marks, like: &like };
            let dots = linear_loop(r, &lin, &sources, l);
            return (out[..n_plain].to_vec(), bodies::spread_tangents(&lin.active, &dots));
        }
        let jvp = cx.jvp(&self.body, marks, &forced);
        let count = |m: &[bool]| m.iter().filter(|x| **x).count();
        let (ac, ak) = (count(&marks[..nc]), count(&marks[nc..]));
        let types = self.body.input_types();
        let dot_types = bodies::marked(&types, marks);
        let params = [&types[..nc], &dot_types[..ac], &types[nc..], &dot_types[ac..]].concat();
        let n_out = self.body.outputs.len();
        let body = build(&params, |b, p| {
            let ([c, dc, k], dk) = parts(p, [nc, ac, nk]);
            let out = b.inline(&jvp.program, &[c, k, dc, dk].concat());
            let (primal, dot) = out.split_at(n_out);
            [&primal[..nk], &dot[..ak], &primal[nk..], &dot[ak..]].concat()
        });
        let cond_types = self.cond.input_types();
        let cond = build(&[&cond_types[..], &dot_types[ac..]].concat(), |b, p| b.inline(&self.cond, &p[..cond_types.len()]));
        let op = While { cond: Arc::new(cond), body: Arc::new(body), n_body_consts: nc + ac, ..self.clone() };
        let operands = [of_cond, &inputs_body[..nc], &dots[..ac], &inputs_body[nc..], &dots[ac..]].concat();
        let out = r.b.emit(op.into(), &operands);
        let ([k, dk, y], dy) = parts(&out, [nk, ak, n_out - nk]);
        ([k, y].concat(), bodies::spread_tangents(&jvp.active, &[dk, dy].concat()))
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let cx = r.cx;
        let nk = self.n_carry();
        let none = vec![false; self.body.outputs.len()];
        let mut marks = self.closed(batched, &mut |m| cx.vmap(&self.body, m, &none, n).batched);
        let cond_marks = |m: &[bool]| -> Vec<bool> { m[..self.n_cond_consts].iter().chain(&m[self.n_consts()..]).copied().collect() };
        let lanes_differ = cx.vmap(&self.cond, &cond_marks(&marks), &[false], n).batched[0];
        if lanes_differ {
            let all = self.n_consts();
            marks[all..].fill(true);
        }
        let mut forced = self.forced(&marks);
        if lanes_differ && self.has_ys() {
            forced[nk] = true;
        }
        let body = cx.vmap(&self.body, &marks[self.n_cond_consts..], &forced, n);
        let cond = cx.vmap(&self.cond, &cond_marks(&marks), &[lanes_differ], n).program;
        let operands: Vec<ValueId> =
            inputs.iter().enumerate().map(|(i, &v)| if marks[i] { r.batched(v, batched[i], n) } else { v }).collect();
        if !lanes_differ {
            let op = While { cond: Arc::new(cond), body: Arc::new(body.program), ..self.clone() };
            return (r.b.emit(op.into(), &operands), body.batched);
        }
        // Runs while any lane is active; a lane that has ended keeps its carry.
        let any = build(&cond.input_types(), |b, p| {
            let active = b.inline(&cond, p)[0];
            let mut r = Rule { b, cx };
            let ones = r.convert(active, DType::I64);
            let total = r.sum(ones, &[0]);
            let zero = r.emit(super::full::Full { ty: Type::array(DType::I64, []), value: Scalar::I64(0) }, &[]);
            vec![r.emit(super::compare::Compare { comparison: Comparison::Gt }, &[total, zero])]
        });
        let nc = self.n_cond_consts;
        let params = [&cond.input_types()[..nc], &body.program.input_types()[..]].concat();
        let masked = build(&params, |b, p| {
            let ([of_cond, of_body], carry) = parts(p, [nc, self.n_body_consts]);
            let active = b.inline(&cond, &[of_cond, carry].concat())[0];
            let mut out = b.inline(&body.program, &[of_body, carry].concat());
            let mut r = Rule { b, cx };
            for i in 0..nk {
                out[i] = select_lanes(&mut r, active, out[i], carry[i]);
            }
            if self.has_ys() {
                let never = r.full(&Type::array(DType::Bool, [n]), 0.0);
                out[nk] = r.select(active, out[nk], never);
            }
            out
        });
        let op = While { cond: Arc::new(any), body: Arc::new(masked), n_body_consts: nc + self.n_body_consts, ..self.clone() };
        let operands = [&operands[..nc], &operands[..nc], &operands[nc..]].concat();
        (r.b.emit(op.into(), &operands), body.batched)
    }
    fn prune(&self, used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        let nk = self.n_carry();
        if used[nk..].iter().all(|u| *u) {
            return None;
        }
        let any_y = used[nk..].iter().any(|u| *u);
        let keep: Vec<bool> = (0..used.len()).map(|i| i < nk || used[i] || (i == nk && any_y)).collect();
        if keep.iter().all(|k| *k) {
            return None;
        }
        let outputs = bodies::marked(&self.body.outputs, &keep);
        let all = vec![true; self.body.inputs.len()];
        let op = While { body: Arc::new(bodies::restrict(&self.body, &all, &outputs)), ..self.clone() };
        let n_in = self.n_cond_consts + self.body.inputs.len();
        Some((op, (0..n_in).collect(), bodies::positions(&keep)))
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        While { cond: Arc::new(f(&self.cond)), body: Arc::new(f(&self.body)), ..self.clone() }
    }
    fn rows() -> Vec<Row> {
        // while sum(x·x) < 40: x = 1.5 x + sin x · c
        let v = Type::array(DType::F64, [2]);
        let cond = build(std::slice::from_ref(&v), |b, p| {
            let square = b.emit1(super::mul::Mul.into(), &[p[0], p[0]]);
            let total = b.emit1(super::sum::Sum { axes: vec![0] }.into(), &[square]);
            let bound = b.emit1(super::full::Full { ty: Type::array(DType::F64, []), value: Scalar::F64(40.0) }.into(), &[]);
            vec![b.emit1(super::compare::Compare { comparison: Comparison::Lt }.into(), &[total, bound])]
        });
        let body = build(&[v.clone(), v.clone()], |b, p| {
            let rate = b.emit1(super::full::Full { ty: p_type(b, p[1]), value: Scalar::F64(1.5) }.into(), &[]);
            let grown = b.emit1(super::mul::Mul.into(), &[p[1], rate]);
            let sine = b.emit1(super::sin::Sin.into(), &[p[1]]);
            let kick = b.emit1(super::mul::Mul.into(), &[sine, p[0]]);
            vec![b.emit1(super::add::Add.into(), &[grown, kick])]
        });
        let op = While { cond: Arc::new(cond), body: Arc::new(body), n_cond_consts: 0, n_body_consts: 1, policy: None, most: None };
        vec![Row::new(op, &[v.clone(), v]).range(0.5, 1.5)]
    }
}

fn p_type(b: &super::Builder, v: ValueId) -> Type {
    b.ty(v).clone()
}

/// The body with a y in front that is always true.
fn with_tick(body: &Program, n_carry: usize) -> Program {
    build(&body.input_types(), |b, p| {
        let mut out = b.inline(body, p);
        let tick = super::full::Full { ty: Type::array(DType::Bool, []), value: Scalar::Bool(true) };
        out.insert(n_carry, b.emit1(tick.into(), &[]));
        out
    })
}
