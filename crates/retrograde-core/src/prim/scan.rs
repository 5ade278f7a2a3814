//! `scan`: a loop of known length that carries a state, reads one slice of each x per step and stacks one y per step.
//!
//! Operands: constants, initial carries, xs (leading axis = step). Results: final carries, ys stacked. With `reverse`
//! the steps run last to first. Without `length` the xs are lists of a `while`, the first of which says which lanes
//! were active in the step.
//! Derivative: a loop over the body's; reverse keeps the residuals of the body, one stack each, which the policy
//! decides how to produce. Cotangents of constants accumulate in one running sum in the order of the reverse sweep.
//! Errors: those of the body. Source: Bradbury et al. 2018 for the shape of the primitive.

use super::bodies::{self, Source, build, parts};
use super::{Args, Body, EvalError, Evaluate, Linearized, Operand, Program, Row, Rule, Rules, Tape, Value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::{Array, DType};
use std::ops::Range;
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scan {
    /// (constants, carries, x slices) -> (carries, y slices)
    pub body: Arc<Program>,
    /// Number of steps; `None`: that of the lists.
    pub length: Option<usize>,
    /// Whether the steps run last to first.
    pub reverse: bool,
    /// How many operands are the same in every step.
    pub n_consts: usize,
    /// How many values are carried.
    pub n_carry: usize,
    /// What its derivative remembers; `None`: what the front door says.
    pub policy: Option<Tape>,
}

impl Scan {
    fn n_xs(&self) -> usize {
        self.body.inputs.len() - self.n_consts - self.n_carry
    }
    fn stack(&self, ty: &Type) -> Type {
        self.length.map_or_else(|| ty.list(), |n| ty.stacked(n))
    }
    /// Whether each carry has the property of the operands, closed under the body.
    fn closed(&self, marks: &[bool], body_marks: &mut dyn FnMut(&[bool]) -> Vec<bool>) -> Vec<bool> {
        let mut marks = marks.to_vec();
        loop {
            let out = body_marks(&marks);
            let mut grew = false;
            for i in 0..self.n_carry {
                if out[i] && !marks[self.n_consts + i] {
                    marks[self.n_consts + i] = true;
                    grew = true;
                }
            }
            if !grew {
                return marks;
            }
        }
    }
    fn forced(&self, marks: &[bool]) -> Vec<bool> {
        let n_out = self.body.outputs.len();
        (0..n_out).map(|i| i < self.n_carry && marks[self.n_consts + i]).collect()
    }
}

impl Rules for Scan {
    const NAME: &'static str = "scan";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![];
        if let Some(n) = self.length {
            fields.push(("length", Field::Int(n as i64)));
        }
        fields.push(("reverse", Field::Bool(self.reverse)));
        fields.push(("consts", Field::Int(self.n_consts as i64)));
        fields.push(("carries", Field::Int(self.n_carry as i64)));
        if let Some(policy) = self.policy {
            fields.push(("policy", Field::Word(policy.to_string())));
        }
        fields.push(("body", Field::Program(self.body.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Scan {
            length: args.optional_size("length")?,
            reverse: args.bool("reverse")?,
            n_consts: args.size("consts")?,
            n_carry: args.size("carries")?,
            policy: args.optional_word("policy")?.map(|w| w.parse()).transpose()?,
            body: args.program("body")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let head = self.n_consts.saturating_add(self.n_carry);
        if self.body.inputs.len() < head || self.body.outputs.len() < self.n_carry || inputs.len() != self.body.inputs.len() {
            return Err(Mismatch::new(format!(
                "found {} operands for a body of {} parameters, {} constants and {} carries",
                inputs.len(), self.body.inputs.len(), self.n_consts, self.n_carry
            )));
        }
        let mut slices = inputs.to_vec();
        for (i, ty) in slices.iter_mut().enumerate().skip(head) {
            let fits = match self.length {
                Some(n) => ty.kind == Kind::Array && ty.shape.first() == Some(&n),
                None => ty.kind == Kind::List,
            };
            if !fits {
                let want = self.length.map_or("a list".into(), |n| format!("a leading axis of {n} steps"));
                return Err(Mismatch::new(format!("x {}: found {ty}, expected {want}", i - head)));
            }
            *ty = ty.unstacked();
        }
        if self.length.is_none() && slices.len() == head {
            return Err(Mismatch::new("found no xs, expected lists to take the number of steps from"));
        }
        bodies::expect_types("body parameter", &slices, &self.body.input_types())?;
        let outs = self.body.output_types();
        let (carries, ys) = outs.split_at(self.n_carry);
        bodies::expect_types("carry after a step", carries, &inputs[self.n_consts..head])?;
        Ok(carries.iter().cloned().chain(ys.iter().map(|ty| self.stack(ty))).collect())
    }
    fn eval(&self, cx: &mut dyn Evaluate, mut inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let head = self.n_consts + self.n_carry;
        let xs: Vec<Array> = inputs.split_off(head).into_iter().map(Value::into_array).collect::<Result<_, _>>()?;
        let n_steps = self.length.unwrap_or_else(|| xs[0].shape()[0]);
        let mut body = cx.prepare(&self.body, (0..self.n_carry).map(|i| (i, self.n_consts + i)).collect());
        inputs.into_iter().enumerate().for_each(|(i, value)| body.set(i, value));
        let mut ys = Stacks::new(cx, &self.body, self.n_carry, self.n_carry, n_steps)?;
        for step_idx in 0..n_steps {
            let row = if self.reverse { n_steps - 1 - step_idx } else { step_idx };
            xs.iter().enumerate().for_each(|(i, x)| body.set_row(head + i, x, row));
            body.run(cx).inspect_err(|_| cx.failed_in_step(step_idx))?;
            ys.write(&*body, row);
            body.advance();
        }
        let mut results = carried(cx, &*body, self.n_consts..head)?;
        results.extend(ys.finish());
        Ok(results)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        unreachable!("scan has its own jvp rule")
    }
    fn jvp(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], split: bool) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let marks: Vec<bool> = tangents.iter().map(Option::is_some).collect();
        if split { self.jvp_split(r, inputs, tangents, &marks) } else { self.jvp_fused(r, inputs, tangents, &marks) }
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if cts.iter().all(Option::is_none) {
            return vec![None; inputs.len()];
        }
        let head = self.n_consts + self.n_carry;
        // Carries are linear even where the initial one is a known zero.
        let linear: Vec<bool> = (0..inputs.len()).map(|i| inputs[i].is_linear() || (self.n_consts..head).contains(&i)).collect();
        let known: Vec<bool> = linear.iter().map(|l| !l).collect();
        let types = self.body.input_types();
        let (lin_pos, known_pos) = (bodies::positions(&linear), bodies::positions(&known));
        let ordered: Vec<Type> = known_pos.iter().chain(&lin_pos).map(|&i| types[i].clone()).collect();
        // ys without a cotangent drop out: a zero in their place would be a term that is not linear.
        let asked: Vec<bool> = (0..cts.len()).map(|i| i < self.n_carry || cts[i].is_some()).collect();
        let reordered = build(&ordered, |b, params| {
            let mut all = vec![ValueId(0); types.len()];
            for (&i, &p) in known_pos.iter().chain(&lin_pos).zip(params) {
                all[i] = p;
            }
            bodies::marked(&b.inline(&self.body, &all), &asked)
        });
        let step = r.cx.transpose(&reordered, known_pos.len());
        let of_cts: Vec<bool> = (0..step.inputs.len()).map(|i| i >= known_pos.len()).collect();
        let varies = bodies::depending(&step, &of_cts);
        let lin_consts: Vec<usize> = lin_pos.iter().copied().filter(|&i| i < self.n_consts).collect();
        let known_consts: Vec<usize> = known_pos.iter().copied().filter(|&i| i < self.n_consts).collect();
        let known_xs: Vec<usize> = known_pos.iter().copied().filter(|&i| i >= head).collect();
        let lin_xs: Vec<usize> = lin_pos.iter().copied().filter(|&i| i >= head).collect();
        let (ct_carry, ct_ys) = cts.split_at(self.n_carry);
        let carry_types = &types[self.n_consts..head];
        let y_types = &self.body.output_types()[self.n_carry..];
        // Parameters: known constants, carry cotangents, running sums, known xs, cotangents of ys.
        let mut params: Vec<Type> = known_consts.iter().map(|&i| types[i].clone()).collect();
        params.extend(carry_types.iter().cloned());
        params.extend(lin_consts.iter().map(|&i| types[i].clone()));
        params.extend(known_xs.iter().map(|&i| types[i].clone()));
        params.extend((0..ct_ys.len()).filter(|&i| ct_ys[i].is_some()).map(|i| y_types[i].clone()));
        let cx = r.cx;
        let body = build(&params, |b, p| {
            let ([kc, cc, sums, kx], cy) = parts(p, [known_consts.len(), self.n_carry, lin_consts.len(), known_xs.len()]);
            let mut r = Rule { b, cx };
            let operands: Vec<ValueId> = kc.iter().chain(kx).chain(cc).chain(cy).copied().collect();
            let out = r.b.inline(&step, &operands);
            let ([d_consts, d_carry], d_xs) = parts(&out, [lin_consts.len(), self.n_carry]);
            let grows = |i: usize| varies[step.outputs[i].index()];
            let sums: Vec<ValueId> =
                sums.iter().zip(d_consts).enumerate().map(|(i, (&s, &d))| if grows(i) { r.add(s, d) } else { s }).collect();
            d_carry.iter().copied().chain(sums).chain(d_xs.iter().copied()).collect()
        });
        let mut operands: Vec<ValueId> = known_consts.iter().map(|&i| inputs[i].known()).collect();
        for (i, ct) in ct_carry.iter().enumerate() {
            operands.push(ct.unwrap_or_else(|| r.zeros(&carry_types[i])));
        }
        for &i in &lin_consts {
            operands.push(r.zeros(&types[i]));
        }
        operands.extend(known_xs.iter().map(|&i| inputs[i].known()));
        operands.extend(ct_ys.iter().flatten());
        let scan = Scan {
            body: Arc::new(body),
            reverse: !self.reverse,
            n_consts: known_consts.len(),
            n_carry: self.n_carry + lin_consts.len(),
            ..self.clone()
        };
        let out = r.b.emit(scan.into(), &operands);
        let ([d_carry, d_consts], d_xs) = parts(&out, [self.n_carry, lin_consts.len()]);
        let mut result = vec![None; inputs.len()];
        let order = lin_consts.into_iter().chain(self.n_consts..head).chain(lin_xs);
        for (i, &d) in order.zip(d_consts.iter().chain(d_carry).chain(d_xs)) {
            if inputs[i].is_linear() {
                result[i] = Some(d);
            }
        }
        result
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let head = self.n_consts + self.n_carry;
        // A lane whose `while` had ended by this step keeps its carry.
        let masked = self.length.is_none() && batched[head];
        let mut start = batched.to_vec();
        if masked {
            start[self.n_consts..head].fill(true);
        }
        let cx = r.cx;
        let none = vec![false; self.body.outputs.len()];
        let marks = self.closed(&start, &mut |m| cx.vmap(&self.body, m, &none, n).batched);
        let forced = self.forced(&marks);
        let mut vmapped = cx.vmap(&self.body, &marks, &forced, n);
        if masked {
            let types = vmapped.program.input_types();
            vmapped.program = build(&types, |b, p| {
                let mut out = b.inline(&vmapped.program, p);
                let mut r = Rule { b, cx };
                for i in 0..self.n_carry {
                    out[i] = select_lanes(&mut r, p[head], out[i], p[self.n_consts + i]);
                }
                out
            });
        }
        let mut operands = vec![];
        for (i, &v) in inputs.iter().enumerate() {
            let is_stack = i >= head && self.length.is_some();
            operands.push(if is_stack && marks[i] {
                swap_leading(r, v)
            } else if i < head && marks[i] {
                r.batched(v, batched[i], n)
            } else {
                v
            });
        }
        let mut outs = r.b.emit(Scan { body: Arc::new(vmapped.program), ..self.clone() }.into(), &operands);
        if self.length.is_some() {
            for (out, _) in outs.iter_mut().zip(&vmapped.batched).skip(self.n_carry).filter(|(_, batched)| **batched) {
                *out = swap_leading(r, *out);
            }
        }
        (outs, vmapped.batched)
    }
    fn prune(&self, used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        let head = self.n_consts + self.n_carry;
        let mut keep_out = used.to_vec();
        let live = loop {
            let live = bodies::needed_inputs(&self.body, &keep_out);
            let grown: Vec<bool> = (0..used.len()).map(|i| keep_out[i] || (i < self.n_carry && live[self.n_consts + i])).collect();
            if grown == keep_out {
                break live;
            }
            keep_out = grown;
        };
        let keep_in: Vec<bool> = (0..live.len())
            .map(|i| {
                if (self.n_consts..head).contains(&i) { keep_out[i - self.n_consts] } else { live[i] || (self.length.is_none() && i == head) }
            })
            .collect();
        if keep_in.iter().all(|k| *k) && keep_out.iter().all(|k| *k) {
            return None;
        }
        let outputs = bodies::marked(&self.body.outputs, &keep_out);
        let scan = Scan {
            body: Arc::new(bodies::restrict(&self.body, &keep_in, &outputs)),
            n_consts: keep_in[..self.n_consts].iter().filter(|k| **k).count(),
            n_carry: keep_out[..self.n_carry].iter().filter(|k| **k).count(),
            ..self.clone()
        };
        Some((scan, bodies::positions(&keep_in), bodies::positions(&keep_out)))
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        Scan { body: Arc::new(f(&self.body)), ..self.clone() }
    }
    fn rows() -> Vec<Row> {
        // state' = sin(state · c) + x, y = state · state'
        let v = Type::array(DType::F64, [2]);
        let body = build(&[v.clone(), v.clone(), v.clone()], |b, p| {
            let scaled = b.emit1(super::mul::Mul.into(), &[p[1], p[0]]);
            let sine = b.emit1(super::sin::Sin.into(), &[scaled]);
            let next = b.emit1(super::add::Add.into(), &[sine, p[2]]);
            let y = b.emit1(super::mul::Mul.into(), &[p[1], next]);
            vec![next, y]
        });
        let scan = |reverse| Scan { body: Arc::new(body.clone()), length: Some(4), reverse, n_consts: 1, n_carry: 1, policy: None };
        let types = [v.clone(), v.clone(), v.stacked(4)];
        vec![Row::new(scan(false), &types), Row::new(scan(true), &types)]
    }
}

impl Scan {
    fn jvp_fused(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], marks: &[bool]) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let cx = r.cx;
        let none = vec![false; self.body.outputs.len()];
        let marks = self.closed(marks, &mut |m| cx.jvp(&self.body, m, &none).active);
        let jvp = cx.jvp(&self.body, &marks, &self.forced(&marks));
        let dots = instantiate_loop(r, inputs, tangents, &marks, self.n_consts + self.n_carry);
        let types = self.body.input_types();
        let (nc, nk) = (self.n_consts, self.n_carry);
        let count = |m: &[bool]| m.iter().filter(|x| **x).count();
        let (ac, ak) = (count(&marks[..nc]), count(&marks[nc..nc + nk]));
        let dot_types = bodies::marked(&types, &marks);
        let n_xs = self.n_xs();
        let interleave = |p: &[Type], d: &[Type]| -> Vec<Type> {
            [&p[..nc], &d[..ac], &p[nc..nc + nk], &d[ac..ac + ak], &p[nc + nk..], &d[ac + ak..]].concat()
        };
        let body = build(&interleave(&types, &dot_types), |b, p| {
            let ([c, dc, k, dk, x], dx) = parts(p, [nc, ac, nk, ak, n_xs]);
            let out = b.inline(&jvp.program, &[c, k, x, dc, dk, dx].concat());
            let (primal, dot) = out.split_at(self.body.outputs.len());
            [&primal[..nk], &dot[..ak], &primal[nk..], &dot[ak..]].concat()
        });
        let operands = [&inputs[..nc], &dots[..ac], &inputs[nc..nc + nk], &dots[ac..ac + ak], &inputs[nc + nk..], &dots[ac + ak..]].concat();
        let scan = Scan { body: Arc::new(body), n_consts: nc + ac, n_carry: nk + ak, ..self.clone() };
        let out = r.b.emit(scan.into(), &operands);
        let ([k, dk, y], dy) = parts(&out, [nk, ak, self.body.outputs.len() - nk]);
        ([k, y].concat(), bodies::spread_tangents(&jvp.active, &[dk, dy].concat()))
    }

    fn jvp_split(&self, r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], marks: &[bool]) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let cx = r.cx;
        let none = vec![false; self.body.outputs.len()];
        let marks = self.closed(marks, &mut |m| cx.jvp(&self.body, m, &none).active);
        let lin = bodies::without_lists(cx.linearize(&self.body, &marks, &self.forced(&marks)));
        let (forward, sources) = bodies::residual_sources(r, &lin, &inputs[..self.n_consts], self.n_carry);
        let out = r.b.emit(Scan { body: Arc::new(forward), ..self.clone() }.into(), inputs);
        let (outs, stacks) = out.split_at(self.body.outputs.len());
        let xs = &inputs[self.n_consts + self.n_carry..];
        let dots = instantiate_loop(r, inputs, tangents, &marks, self.n_consts + self.n_carry);
        let tick = if self.length.is_none() { Some(xs[0]) } else { None };
        let dots = linear_loop(r, &lin, &sources, LinearLoop { xs, stacks, tick, dots: &dots, marks: &marks, like: self });
        (outs.to_vec(), bodies::spread_tangents(&lin.active, &dots))
    }
}

/// What [`linear_loop`] needs of the loop that was linearised.
pub(super) struct LinearLoop<'a> {
    pub(super) xs: &'a [ValueId],
    pub(super) stacks: &'a [ValueId],
    /// The list that says which lanes were active, where the length is not known.
    pub(super) tick: Option<ValueId>,
    /// Tangents of the active operands: constants, carries, xs.
    pub(super) dots: &'a [ValueId],
    /// Which operands are active.
    pub(super) marks: &'a [bool],
    /// Counts, direction, length and policy.
    pub(super) like: &'a Scan,
}

/// The loop over the linear part of a body; returns tangents of the active results.
pub(super) fn linear_loop(r: &mut Rule<'_>, lin: &Linearized, sources: &[Source], l: LinearLoop<'_>) -> Vec<ValueId> {
    let like = l.like;
    let count = |m: &[bool]| m.iter().filter(|x| **x).count();
    let (ac, ak) = (count(&l.marks[..like.n_consts]), count(&l.marks[like.n_consts..like.n_consts + like.n_carry]));
    let types = lin.linear.input_types();
    let (res_types, dot_types) = types.split_at(sources.len());
    let is_outer: Vec<bool> = sources.iter().map(|s| matches!(s, Source::Outer(_))).collect();
    let is_stack: Vec<bool> = is_outer.iter().map(|o| !o).collect();
    let tick_type: Vec<Type> = l.tick.iter().map(|&t| r.b.ty(t).unstacked()).collect();
    let mut params = bodies::marked(res_types, &is_outer);
    let n_outer = params.len();
    params.extend_from_slice(&dot_types[..ac + ak]);
    params.extend(tick_type);
    params.extend(bodies::marked(res_types, &is_stack));
    params.extend_from_slice(&dot_types[ac + ak..]);
    let n_tick = usize::from(l.tick.is_some());
    let body = build(&params, |b, p| {
        let ([outer, dots, _tick, stacked], dx) = parts(p, [n_outer, ac + ak, n_tick, sources.len() - n_outer]);
        let (mut next_outer, mut next_stacked) = (outer.iter(), stacked.iter());
        let residuals = is_outer.iter().map(|&o| *if o { next_outer.next() } else { next_stacked.next() }.expect("one per residual"));
        let operands: Vec<ValueId> = residuals.chain(dots.iter().copied()).chain(dx.iter().copied()).collect();
        b.inline(&lin.linear, &operands)
    });
    let mut operands = vec![];
    operands.extend(sources.iter().filter_map(|s| if let Source::Outer(v) = s { Some(*v) } else { None }));
    operands.extend_from_slice(&l.dots[..ac + ak]);
    operands.extend(l.tick);
    operands.extend(sources.iter().filter_map(|s| match s {
        Source::Outer(_) => None,
        Source::X(i) => Some(l.xs[*i]),
        Source::Stack(i) => Some(l.stacks[*i]),
    }));
    operands.extend_from_slice(&l.dots[ac + ak..]);
    let scan = Scan { body: Arc::new(body), n_consts: n_outer + ac, n_carry: ak, ..like.clone() };
    r.b.emit(scan.into(), &operands)
}

/// Tangents of the marked operands; zeros are only ever made for constants and carries.
fn instantiate_loop(r: &mut Rule<'_>, inputs: &[ValueId], tangents: &[Option<ValueId>], marks: &[bool], head: usize) -> Vec<ValueId> {
    debug_assert!((head..inputs.len()).all(|i| !marks[i] || tangents[i].is_some()), "an x became active by itself");
    bodies::instantiate(r, inputs, tangents, marks)
}

/// The values of the parameters that a loop carried, as its results.
pub(super) fn carried(cx: &mut dyn Evaluate, body: &dyn Body, parameters: Range<usize>) -> Result<Vec<Value>, EvalError> {
    let value = |(i, parameter): (usize, usize)| match body.parameter(parameter) {
        Value::Array(array) => {
            let mut room = cx.room(i, &Type::of(array))?;
            room.assign(array);
            Ok(Value::Array(room).compact())
        }
        bits => Ok(bits.clone()),
    };
    parameters.enumerate().map(value).collect()
}

/// The y slices of a running loop, each in its place.
pub(super) struct Stacks {
    stacks: Vec<Array>,
    /// Which result of the body is the first of them.
    first: usize,
}

impl Stacks {
    /// For `n_steps` steps of a body whose results from `first` on are slices; the first stack is result number `result` of
    /// the equation.
    pub(super) fn new(cx: &mut dyn Evaluate, body: &Program, first: usize, result: usize, n_steps: usize) -> Result<Stacks, EvalError> {
        let types = body.outputs[first..].iter().map(|&v| body.ty(v).stacked(n_steps));
        let stacks = types.enumerate().map(|(i, ty)| cx.room(result + i, &ty)).collect::<Result<_, _>>()?;
        Ok(Stacks { stacks, first })
    }
    /// For as many steps as there will be.
    pub(super) fn growing(cx: &mut dyn Evaluate, body: &Program, first: usize, result: usize) -> Result<Stacks, EvalError> {
        let mut stacks = Stacks::new(cx, body, first, result, 0)?;
        stacks.stacks.iter_mut().for_each(Array::clear_rows);
        Ok(stacks)
    }
    /// From now on the slices are the results of a body from `first` on.
    pub(super) fn starts_at(&mut self, first: usize) {
        self.first = first;
    }
    /// Keeps the slices of the last step as that number `row`.
    pub(super) fn write(&mut self, body: &dyn Body, row: usize) {
        for (i, stack) in self.stacks.iter_mut().enumerate() {
            let slice = body.result(self.first + i).array();
            if row < stack.shape()[0] {
                stack.set_row(row, slice);
            } else {
                stack.push_row(slice);
            }
        }
    }
    pub(super) fn finish(self) -> impl Iterator<Item = Value> {
        self.stacks.into_iter().map(Value::Array)
    }
}

/// `new` in the lanes where `active` (`bool[n]`), `old` elsewhere.
pub(super) fn select_lanes(r: &mut Rule<'_>, active: ValueId, new: ValueId, old: ValueId) -> ValueId {
    let shape = r.ty(new).shape;
    let mask = r.broadcast(active, &shape, &[0]);
    r.select(mask, new, old)
}

/// Swaps the first two axes.
fn swap_leading(r: &mut Rule<'_>, v: ValueId) -> ValueId {
    let mut perm: Vec<usize> = (0..r.ty(v).shape.rank()).collect();
    perm.swap(0, 1);
    r.transpose(v, &perm)
}
