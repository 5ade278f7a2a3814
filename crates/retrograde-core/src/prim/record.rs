//! `record`: a loop that also leaves the tape its derivative needs. Only `tape::lower` makes one.
//!
//! Operands: constants of the condition, constants, initial carries, xs. Results: final carries, ys stacked, then the
//! tape: for checkpoints the carries before every k-th step, for reversal the bits that rounding destroyed or, of whole
//! steps, that guesses of the state before them miss ([`super::whole_step`]); for reversal within a number of bits these bits
//! and, as lists, the states of a schedule, of which one is empty: the bits where they would be more or a state could not be
//! reversed, otherwise the lists. Where the number of steps is not known before, also that number.

use super::bodies::build;
use super::replay::Plan;
use super::scan::{Scan, Stacks};
use super::schedule::kept_on_the_way;
use super::while_loop::While;
use super::whole_step::Recorder;
use super::{Args, EvalError, Evaluate, Program, Row, Rule, Rules, Value};
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
}

impl Record {
    /// The body, as long as bits are passed along; then the plain one, if there is one.
    fn running(&self, reverses: bool) -> &Program {
        self.plain.as_ref().filter(|_| !reverses).unwrap_or(&self.body)
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
    kept: Vec<Vec<Value>>,
    /// Where it is known before how many there will be: one stack for each part of the state, filled row by row.
    stacks: Vec<Array>,
    n_filled: usize,
}

impl States {
    fn new(plan: Plan, length: Option<usize>, types: &[Type]) -> States {
        let (at, distance) = match (plan, length) {
            (Plan::Slots(slots) | Plan::ReverseWithin { slots, .. }, Some(n)) => (Some(kept_on_the_way(n, slots)), 1),
            (Plan::Every(k), Some(_)) => (None, k.max(1)),
            _ => (None, 1),
        };
        let stack = |n: usize| types.iter().map(|ty| Array::zeros(ty.dtype, ty.stacked(n).shape)).collect();
        let stacks = length.map(|n| plan.n_states(n)).filter(|n| *n > 0).map_or_else(Vec::new, stack);
        States { plan, at, distance: if length.is_some() { distance } else { 1 }, kept: vec![], stacks, n_filled: 0 }
    }
    /// How many there may be; beyond that every second goes.
    fn most(&self) -> usize {
        match self.plan {
            Plan::Slots(slots) => slots.max(1),
            _ => 2 * self.distance,
        }
    }
    fn offer(&mut self, step_idx: usize, state: &[Value]) {
        let wanted = match (&self.at, self.plan) {
            (_, Plan::Reverse | Plan::ReverseStep { .. }) => false,
            (Some(at), _) => at.get(self.n_filled) == Some(&step_idx),
            (None, _) => step_idx.is_multiple_of(self.distance),
        };
        if !wanted {
            return;
        }
        if self.stacks.is_empty() {
            self.kept.push(state.to_vec());
        } else {
            for (stack, value) in self.stacks.iter_mut().zip(state) {
                stack.set_row(self.n_filled, value.array());
            }
            self.n_filled += 1;
        }
    }
    /// The states, stacked.
    fn finish(mut self, types: &[Type]) -> Result<Vec<Value>, EvalError> {
        if !self.stacks.is_empty() {
            return Ok(self.stacks.into_iter().map(Value::Array).collect());
        }
        let mut stacks = vec![];
        // From the last part on, each taken out of the states before it is joined: none is there twice for long.
        for ty in types.iter().rev() {
            let rows: Vec<Array> = self.kept.iter_mut().filter_map(Vec::pop).map(Value::into_array).collect::<Result<_, _>>()?;
            let stacked = if rows.is_empty() { Array::zeros(ty.dtype, ty.stacked(0).shape) } else { Array::stack(&rows)? };
            stacks.push(Value::Array(stacked));
        }
        stacks.reverse();
        Ok(stacks)
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
                While { cond: cond.clone(), body: plain, n_cond_consts, n_body_consts: self.n_consts, policy: None }.infer(inputs)?
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
        // Whether the steps still pass bits along: within a number of them not for longer than they suffice.
        let passes_bits = self.plan.passes_bits();
        let mut reverses = passes_bits;
        let n_head = self.n_cond_consts + self.n_consts + self.n_carry;
        let xs: Vec<Array> = inputs.split_off(n_head).into_iter().map(Value::into_array).collect::<Result<_, _>>()?;
        let mut carry = inputs.split_off(self.n_cond_consts + self.n_consts);
        let consts = inputs.split_off(self.n_cond_consts);
        let mut bits = Value::Bits(BitStack::default());
        let with_bits = self.n_carry + usize::from(reverses);
        let mut ys = Stacks::new(&self.body, with_bits, 0);
        let mut states = States::new(self.plan, self.length, &self.state_types());
        let mut whole = match self.plan {
            Plan::ReverseStep { corrections } => Some(Recorder::new(corrections)),
            _ => None,
        };
        let mut step_idx = 0;
        loop {
            let go_on = match (&self.cond, self.length) {
                (Some(cond), _) => {
                    cx.run(cond, inputs.iter().chain(&carry).cloned().collect())?[0].array().item::<bool>() == Some(true)
                }
                (None, n) => step_idx < n.unwrap_or(0),
            };
            if !go_on {
                break;
            }
            states.offer(step_idx, &carry);
            if self.length.is_none() {
                states.thin_out();
            }
            let row = self.length.map_or(0, |n| if self.reverse { n - 1 - step_idx } else { step_idx });
            let rows: Vec<Value> = xs.iter().map(|x| Value::Array(x.row(row))).collect();
            let before = if whole.is_some() || self.plain.is_some() { carry.clone() } else { vec![] };
            let mut operands = Vec::with_capacity(self.body.inputs.len());
            operands.extend(consts.iter().cloned());
            operands.append(&mut carry);
            operands.extend(rows.iter().cloned());
            if reverses {
                operands.push(std::mem::replace(&mut bits, Value::Bits(BitStack::default())));
            }
            carry = match (cx.run(self.running(reverses), operands), &self.plain) {
                // A state that cannot be reversed.
                (Err(EvalError::Lost(_)), Some(plain)) if reverses => {
                    reverses = false;
                    cx.run(plain, [&consts[..], &before, &rows].concat())
                }
                (result, _) => result,
            }
            .inspect_err(|_| cx.failed_in_step(step_idx))?;
            ys.push(carry.split_off(self.n_carry + usize::from(reverses)))?;
            if let Some(whole) = &mut whole {
                let operands = |state: &[Value]| [&consts, state, &rows].concat();
                whole.record(cx, &self.body, &operands, before, &carry)?;
            }
            if reverses {
                bits = carry.pop().ok_or_else(|| EvalError::Broken("bits behind the carries".into()))?;
            }
            if let (Plan::ReverseWithin { bits: most, .. }, Value::Bits(found)) = (self.plan, &bits)
                && (!reverses || found.len_bits() > most)
            {
                (reverses, bits) = (false, Value::Bits(BitStack::default()));
            }
            step_idx += 1;
        }
        carry.extend(ys.finish(self.reverse)?);
        if passes_bits {
            let mut bits = bits.into_bits()?;
            bits.shrink();
            carry.push(Value::Bits(bits));
            if self.plain.is_some() {
                let types = self.state_types();
                let unused = || types.iter().map(|ty| Array::zeros(ty.dtype, ty.stacked(0).shape).into()).collect();
                carry.extend(if reverses { unused() } else { states.finish(&types)? });
            }
        } else if let Some(whole) = whole {
            let mut bits = whole.finish();
            bits.shrink();
            carry.push(Value::Bits(bits));
        } else {
            carry.extend(states.finish(&self.state_types())?);
        }
        if self.length.is_none() {
            carry.push(Value::Array(Array::scalar(step_idx as i64)));
        }
        Ok(carry)
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
