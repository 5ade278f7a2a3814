//! `record`: a loop that also leaves the tape its derivative needs. Only `tape::lower` makes one.
//!
//! Operands: constants of the condition, constants, initial carries, xs. Results: final carries, ys stacked, then the
//! tape: for checkpoints the carries before every k-th step, for reversal the bits that rounding destroyed or, of whole
//! steps, that guesses of the state before them miss ([`super::whole_step`]); for reversal within a number of bits these bits
//! and, as lists, the states of a schedule, of which one is empty: the bits where they would be more or a state could not be
//! reversed, otherwise the lists. Where the number of steps is not known before, also that number.

use super::bodies::build;
use super::body::copy_state;
use super::replay::Plan;
use super::scan::{Scan, Stacks, carried};
use super::schedule::kept_on_the_way;
use super::while_loop::{While, go_on, may_go_on};
use super::whole_step::Recorder;
use super::{Args, Body, EvalError, Evaluate, Feeds, Program, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::bits::BitStack;
use retrograde_array::{Array, DType};
use std::sync::Arc;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    /// The condition of a `while`.
    pub cond: Option<Arc<Program>>,
    /// (constants, carries, xs) -> (carries, ys); for reversal by updates with the bits behind the parameters and behind the carries.
    pub body: Arc<Program>,
    /// Reversal within a number of bits: the body without them, for when they do not suffice.
    pub plain: Option<Arc<Program>>,
    /// Number of steps; `None` for a `while`.
    pub length: Option<usize>,
    /// Whether the steps run last to first.
    pub reverse: bool,
    /// How many constants the condition has.
    pub n_cond_consts: usize,
    /// How many constants the body has.
    pub n_consts: usize,
    /// How many values are carried, the bits not counted.
    pub n_carry: usize,
    /// What is left on the tape.
    pub plan: Plan,
    /// How many steps a `while` may take.
    pub most: Option<usize>,
}

impl Record {
    /// Makes the plain body the one that runs, from this state on.
    fn go_on_plainly(
        &self,
        mut plain: Box<dyn Body>,
        state: impl IntoIterator<Item = Value>,
        body: &mut Box<dyn Body>,
        ys: &mut Stacks,
    ) {
        state.into_iter().enumerate().for_each(|(i, value)| plain.set(self.n_consts + i, value));
        *body = plain;
        ys.starts_at(self.n_carry);
    }
    fn state_types(&self) -> Vec<Type> {
        self.body.input_types()[self.n_consts..self.n_consts + self.n_carry].to_vec()
    }
}

/// The states that a running loop has kept so far.
struct States {
    plan: Plan,
    /// Before which steps, where that is known before.
    at: Option<Vec<usize>>,
    /// Otherwise before every so many.
    distance: usize,
    /// Where the length is known, one stack for each part of the state, and how many rows of it are written.
    stacks: Vec<Array>,
    n_written: usize,
    /// Where it is not, each state.
    kept: Vec<Vec<Array>>,
}

impl States {
    /// The first stack is result number `result` of the equation.
    fn new(cx: &mut dyn Evaluate, record: &Record, result: usize) -> Result<States, EvalError> {
        let (plan, length) = (record.plan, record.length);
        let (at, distance) = match (plan, length) {
            (Plan::Slots(slots) | Plan::ReverseWithin { slots, .. }, Some(n)) => (Some(kept_on_the_way(n, slots)), 1),
            (Plan::Every(k), Some(_)) => (None, k.max(1)),
            _ => (None, 1),
        };
        let stacks = match length {
            Some(n) if plan.keeps_states() => {
                let types = record.state_types();
                let types = types.iter().map(|ty| ty.stacked(plan.n_states(n)));
                types.enumerate().map(|(i, ty)| cx.room(result + i, &ty)).collect::<Result<_, _>>()?
            }
            _ => vec![],
        };
        Ok(States { plan, at, distance, stacks, n_written: 0, kept: vec![] })
    }
    /// How many there may be; beyond that every second goes.
    fn most(&self) -> usize {
        match self.plan {
            Plan::Slots(slots) => slots.max(1),
            _ => 2 * self.distance,
        }
    }
    /// Keeps the state that a body has in its parameters from `first` on before step `step_idx`, where that is wanted.
    fn offer(&mut self, step_idx: usize, record: &Record, body: &dyn Body) {
        let wanted = match (&self.at, self.plan) {
            (_, Plan::Reverse | Plan::ReverseStep { .. }) => false,
            (Some(at), _) => at.get(self.n_written) == Some(&step_idx),
            (None, _) => step_idx.is_multiple_of(self.distance),
        };
        if !wanted {
            return;
        }
        let part = |i: usize| body.parameter(record.n_consts + i).array();
        if record.length.is_some() {
            self.stacks.iter_mut().enumerate().for_each(|(i, stack)| stack.set_row(self.n_written, part(i)));
            self.n_written += 1;
        } else {
            self.kept.push((0..record.n_carry).map(|i| part(i).compact()).collect());
        }
    }
    /// Makes room, in a loop whose length is not known.
    fn thin_out(&mut self) {
        while self.kept.len() > self.most() {
            let mut keep = false;
            self.kept.retain(|_| {
                keep = !keep;
                keep
            });
            self.distance *= 2;
        }
    }
    /// The stacks.
    fn finish(mut self, record: &Record) -> Result<Vec<Value>, EvalError> {
        if record.length.is_some() {
            return Ok(self.stacks.into_iter().map(Value::Array).collect());
        }
        let mut stacks = vec![];
        // From the last part on, each taken out of the states before it is joined: none is there twice for long.
        for ty in record.state_types().iter().rev() {
            let rows: Vec<Array> = self.kept.iter_mut().filter_map(Vec::pop).collect();
            let stacked = if rows.is_empty() { Array::zeros(ty.dtype, ty.stacked(0).shape) } else { Array::stack(&rows)? };
            stacks.push(Value::Array(stacked));
        }
        stacks.reverse();
        Ok(stacks)
    }
}

impl Rules for Record {
    const NAME: &'static str = "record";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![];
        if let Some(n) = self.length {
            fields.push(("length", Field::Int(n as i64)));
        }
        fields.push(("reverse", Field::Bool(self.reverse)));
        fields.push(("cond_consts", Field::Int(self.n_cond_consts as i64)));
        fields.push(("consts", Field::Int(self.n_consts as i64)));
        fields.push(("carries", Field::Int(self.n_carry as i64)));
        fields.push(("plan", Field::Word(self.plan.to_string())));
        if let Some(most) = self.most {
            fields.push(("at_most", Field::Int(most as i64)));
        }
        if let Some(cond) = &self.cond {
            fields.push(("cond", Field::Program(cond.clone())));
        }
        if let Some(plain) = &self.plain {
            fields.push(("plain", Field::Program(plain.clone())));
        }
        fields.push(("body", Field::Program(self.body.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Record {
            plain: args.optional_program("plain")?,
            length: args.optional_size("length")?,
            reverse: args.bool("reverse")?,
            n_cond_consts: args.size("cond_consts")?,
            n_consts: args.size("consts")?,
            n_carry: args.size("carries")?,
            plan: args.word("plan")?.parse()?,
            most: args.optional_size("at_most")?,
            cond: args.optional_program("cond")?,
            body: args.program("body")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let reverses = self.plan.passes_bits();
        let body_in = self.body.input_types();
        let n_head = self.n_consts.saturating_add(self.n_carry);
        if body_in.len() < n_head + usize::from(reverses) || self.body.outputs.len() < self.n_carry + usize::from(reverses) {
            return Err(Mismatch::new("found a body with fewer parameters or results than constants, carries and bits"));
        }
        if reverses && (body_in.last().map(|t| t.kind) != Some(Kind::Bits) || self.body.output_types()[self.n_carry].kind != Kind::Bits) {
            return Err(Mismatch::new("found a body that does not pass the bits on"));
        }
        if self.cond.is_some() == self.length.is_some() {
            return Err(Mismatch::new("expected a number of steps or a condition, not both"));
        }
        // The rules of the plain loop hold for the body without its bits.
        let plain = Arc::new(if reverses { without_bits(&self.body, self.n_carry) } else { (*self.body).clone() });
        if self.plain.is_some() != matches!(self.plan, Plan::ReverseWithin { .. }) {
            return Err(Mismatch::new("expected a plain body for reversal within a number of bits, and only for that"));
        }
        if let Some(own) = &self.plain {
            super::bodies::expect_types("parameter of the plain body", &own.input_types(), &plain.input_types())?;
            super::bodies::expect_types("result of the plain body", &own.output_types(), &plain.output_types())?;
        }
        let mut out = match &self.cond {
            Some(cond) => {
                let n_cond_consts = self.n_cond_consts;
                While { cond: cond.clone(), body: plain, n_cond_consts, n_body_consts: self.n_consts, policy: None, most: None }.infer(inputs)?
            }
            None => {
                let (n_consts, n_carry) = (self.n_consts, self.n_carry);
                Scan { body: plain, length: self.length, reverse: self.reverse, n_consts, n_carry, policy: None }.infer(inputs)?
            }
        };
        match self.plan {
            Plan::Reverse | Plan::ReverseStep { .. } => out.push(Type::bits()),
            Plan::ReverseWithin { .. } => {
                out.push(Type::bits());
                out.extend(self.state_types().iter().map(Type::list));
            }
            Plan::Every(_) | Plan::Slots(_) => {
                let stack = |ty: &Type| self.length.map_or_else(|| ty.list(), |n| ty.stacked(self.plan.n_states(n)));
                out.extend(self.state_types().iter().map(stack));
            }
        }
        if self.length.is_none() {
            out.push(Type::array(DType::I64, []));
        }
        Ok(out)
    }
    fn eval(&self, cx: &mut dyn Evaluate, mut inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let passes_bits = self.plan.passes_bits();
        let (nc, n_consts, n_carry) = (self.n_cond_consts, self.n_consts, self.n_carry);
        let head = n_consts + n_carry;
        let xs: Vec<Array> = inputs.split_off(nc + head).into_iter().map(Value::into_array).collect::<Result<_, _>>()?;
        let of_body = inputs.split_off(nc);
        let mut cond = self.cond.as_ref().map(|cond| cx.prepare(cond, vec![]));
        if let Some(cond) = &mut cond {
            inputs.into_iter().enumerate().for_each(|(i, value)| cond.set(i, value));
        }
        let bits = head + xs.len();
        let mut feeds: Feeds = (0..n_carry).map(|i| (i, n_consts + i)).collect();
        if passes_bits {
            feeds.push((n_carry, bits));
        }
        let mut body = cx.prepare(&self.body, feeds);
        let mut plain = self.plain.as_ref().map(|plain| cx.prepare(plain, (0..n_carry).map(|i| (i, n_consts + i)).collect()));
        if let Some(plain) = &mut plain {
            of_body.iter().enumerate().for_each(|(i, value)| plain.set(i, value.clone()));
        }
        let mut whole = match self.plan {
            Plan::ReverseStep { corrections } => Some(Recorder::new(cx, &self.body, &of_body, n_carry, corrections)),
            _ => None,
        };
        of_body.into_iter().enumerate().for_each(|(i, value)| body.set(i, value));
        if passes_bits {
            body.set(bits, Value::Bits(BitStack::default()));
        }
        let first_y = n_carry + usize::from(passes_bits);
        let mut ys = match self.length {
            Some(n) => Stacks::new(cx, &self.body, first_y, n_carry, n)?,
            None => Stacks::growing(cx, &self.body, first_y, n_carry)?,
        };
        let n_ys = self.body.outputs.len() - first_y;
        let mut states = States::new(cx, self, n_carry + n_ys + usize::from(passes_bits))?;
        let mut before: Vec<Value> = vec![];
        let mut step_idx = 0;
        loop {
            let go_on = match (&mut cond, self.length) {
                (Some(cond), _) => go_on(cx, &mut **cond, nc, &*body, n_consts..head)?,
                (None, n) => step_idx < n.unwrap_or(0),
            };
            if !go_on {
                break;
            }
            may_go_on(self.most, step_idx)?;
            states.offer(step_idx, self, &*body);
            if self.length.is_none() {
                states.thin_out();
            }
            let row = match self.length {
                Some(n) if self.reverse => n - 1 - step_idx,
                _ => step_idx,
            };
            xs.iter().enumerate().for_each(|(i, x)| body.set_row(head + i, x, row));
            if let Some(whole) = &mut whole {
                whole.before(&*body, &xs, row);
            }
            let mut is_done = false;
            if let Some(other) = plain.take() {
                copy_state(&mut before, (n_consts..head).map(|carry| body.parameter(carry)));
                is_done = cx.attempt(&mut *body);
                if is_done {
                    plain = Some(other);
                } else {
                    // A state that cannot be reversed, or a mistake, which the plain step meets too.
                    self.go_on_plainly(other, before.drain(..), &mut body, &mut ys);
                    xs.iter().enumerate().for_each(|(i, x)| body.set_row(head + i, x, row));
                }
            }
            if !is_done {
                body.run(cx).inspect_err(|_| cx.failed_in_step(step_idx))?;
            }
            ys.write(&*body, row);
            if let Some(whole) = &mut whole {
                whole.record(cx, &*body)?;
            }
            body.advance();
            if let Plan::ReverseWithin { bits: most, .. } = self.plan
                && let Some(other) = plain.take_if(|_| matches!(body.parameter(bits), Value::Bits(found) if found.len_bits() > most))
            {
                let state: Vec<Value> = (n_consts..head).map(|carry| body.parameter(carry).clone()).collect();
                self.go_on_plainly(other, state, &mut body, &mut ys);
            }
            step_idx += 1;
        }
        // Within a number of bits the steps pass them along no longer than they suffice.
        let reverses = passes_bits && plain.is_some() == self.plain.is_some();
        let mut results = carried(cx, &*body, n_consts..head)?;
        results.extend(ys.finish());
        let bits = match whole {
            Some(whole) => Some(whole.finish()),
            None if reverses => Some(body.take(bits).into_bits()?),
            None if passes_bits => Some(BitStack::default()),
            None => None,
        };
        match bits {
            Some(mut bits) => {
                bits.shrink();
                results.push(Value::Bits(bits));
                if self.plain.is_some() && reverses {
                    // The reserve, unused.
                    let empty = |ty: &Type| Value::Array(Array::zeros(ty.dtype, ty.stacked(0).shape));
                    results.extend(self.state_types().iter().map(empty));
                } else if self.plain.is_some() {
                    results.extend(states.finish(self)?);
                }
            }
            None => results.extend(states.finish(self)?),
        }
        if self.length.is_none() {
            results.push(Value::Array(Array::scalar(step_idx as i64)));
        }
        Ok(results)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("policies are lowered last; this is a bug in retrograde")
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        let cond = self.cond.as_ref().map(|p| Arc::new(f(p)));
        let plain = self.plain.as_ref().map(|p| Arc::new(f(p)));
        Record { cond, plain, body: Arc::new(f(&self.body)), ..self.clone() }
    }
    fn rows() -> Vec<Row> {
        let v = Type::array(DType::F64, [2]);
        let body = build(&[v.clone(), v.clone()], |b, p| {
            let sine = b.emit1(super::sin::Sin.into(), &[p[1]]);
            vec![b.emit1(super::add::Add.into(), &[p[0], sine])]
        });
        let op = Record {
            cond: None,
            plain: None,
            body: Arc::new(body),
            length: Some(5),
            reverse: false,
            n_cond_consts: 0,
            n_consts: 1,
            n_carry: 1,
            plan: Plan::Every(2),
            most: None,
        };
        vec![Row::new(op, &[v.clone(), v]).order(0)]
    }
}

/// A body of the types of `body` without the bits behind the parameters and behind the carries.
fn without_bits(body: &Program, n_carry: usize) -> Program {
    let mut plain = body.clone();
    plain.inputs.pop();
    plain.outputs.remove(n_carry);
    plain
}
