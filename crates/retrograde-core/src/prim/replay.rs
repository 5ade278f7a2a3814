//! `replay`: the reverse sweep over a recorded loop. Only `tape::lower` makes one.
//!
//! It produces the state before each step, last step first, and runs `back` on it, which computes the step's residuals
//! again and the cotangents from them. Operands: constants, the tape (checkpoints: the stacks; reversal, of either kind:
//! last carries, first carries, bits; within a number of bits then lists of states in reserve; then the number of steps
//! where it was not known), xs, then constants, carries and xs of the sweep. Results: carries of the sweep, its ys stacked.
//! Errors: a reconstruction that does not arrive at the recorded start, or leaves bits over.

use super::bodies::{self, build, parts};
use super::scan::Stacks;
use super::schedule::{kept_on_the_way, next_state, online_distance};
use super::whole_step::{self, Block};
use super::{Args, EvalError, Evaluate, Program, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::lost::ResidualStack;
use retrograde_array::{Array, DType};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What a recorded loop leaves on the tape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Plan {
    /// The state before every k-th step (a `while` starts with 1 and doubles k as it goes, see [`online_stride`]).
    Every(usize),
    /// The states of the schedule for this many slots, see [`super::schedule`].
    Slots(usize),
    /// The last state and the bits that rounding destroyed, taken back update by update.
    Reverse,
    /// The last state and what a guess of the state before each step misses, see [`super::whole_step`].
    ReverseStep {
        /// How many corrections of a guess there are at most.
        corrections: usize,
    },
    /// As `Reverse`, as long as the bits stay within a number; otherwise, and where a state cannot be reversed, the states of
    /// the schedule for so many slots, which are kept in reserve on the way.
    ReverseWithin {
        /// Most bits.
        bits: usize,
        /// Slots of the reserve.
        slots: usize,
    },
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Every(k) => write!(f, "every-{k}"),
            Plan::Slots(n) => write!(f, "slots-{n}"),
            Plan::Reverse => write!(f, "reverse"),
            Plan::ReverseStep { corrections } => write!(f, "reverse-step-{corrections}"),
            Plan::ReverseWithin { bits, slots } => write!(f, "reverse-within-{bits}-slots-{slots}"),
        }
    }
}

impl Plan {
    /// How many states a loop of `n_steps` leaves on the tape.
    pub fn n_states(self, n_steps: usize) -> usize {
        match self {
            Plan::Every(k) => n_steps.div_ceil(k.max(1)),
            Plan::Slots(slots) | Plan::ReverseWithin { slots, .. } => kept_on_the_way(n_steps, slots).len(),
            Plan::Reverse | Plan::ReverseStep { .. } => 0,
        }
    }
    /// Whether states are reconstructed from the last one.
    pub fn reverses(self) -> bool {
        matches!(self, Plan::Reverse | Plan::ReverseStep { .. } | Plan::ReverseWithin { .. })
    }
    /// Whether the steps of the loop pass a bit stack along.
    pub fn passes_bits(self) -> bool {
        matches!(self, Plan::Reverse | Plan::ReverseWithin { .. })
    }
}

impl FromStr for Plan {
    type Err = String;
    fn from_str(s: &str) -> Result<Plan, String> {
        if s == "reverse" {
            return Ok(Plan::Reverse);
        }
        let within = s.strip_prefix("reverse-within-").and_then(|rest| rest.split_once("-slots-"));
        if let Some((bits, slots)) = within
            && let (Ok(bits), Ok(slots @ 1..)) = (bits.parse(), slots.parse())
        {
            return Ok(Plan::ReverseWithin { bits, slots });
        }
        let number = |prefix| s.strip_prefix(prefix).and_then(|k| k.parse::<usize>().ok()).filter(|k| *k > 0);
        match (number("every-"), number("slots-"), number("reverse-step-")) {
            (Some(k), _, _) => Ok(Plan::Every(k)),
            (_, Some(n), _) => Ok(Plan::Slots(n)),
            (_, _, Some(corrections)) => Ok(Plan::ReverseStep { corrections }),
            _ => Err(format!("found plan `{s}`, expected `reverse`, `reverse-step-N`, `reverse-within-N-slots-N`, `every-N` or `slots-N`")),
        }
    }
}

/// The distance of checkpoints after `n_steps` of a loop of unknown length: the smallest power of two k that needs at
/// most 2 k checkpoints, so both the checkpoints and a segment are O(√T).
pub fn online_stride(n_steps: usize) -> usize {
    let mut stride = 1;
    while n_steps.div_ceil(stride) > 2 * stride {
        stride *= 2;
    }
    stride
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Replay {
    /// Checkpoints, reversal of whole steps: (constants, carries, xs) -> carries. Reversal by updates: (constants, carries
    /// after, xs, bits) -> (carries before, bits).
    pub step: Arc<Program>,
    /// Reversal of whole steps with carries that are no floats: (constants, carries after, xs) -> those carries before.
    pub exact: Option<Arc<Program>>,
    /// Reversal within a number of bits: (constants, carries, xs) -> carries, for the reserve.
    pub plain: Option<Arc<Program>>,
    /// (constants, carries before, xs, sweep constants, sweep carries, sweep xs) -> (sweep carries, sweep ys)
    pub back: Arc<Program>,
    /// Number of steps; `None`: on the tape.
    pub length: Option<usize>,
    /// Whether the recorded loop ran last to first.
    pub reverse: bool,
    /// How many constants the recorded loop has.
    pub n_consts: usize,
    /// How many values it carries.
    pub n_carry: usize,
    /// How many xs it reads.
    pub n_xs: usize,
    /// How many constants the sweep has.
    pub n_sweep_consts: usize,
    /// How many values the sweep carries.
    pub n_sweep_carry: usize,
    /// What is on the tape.
    pub plan: Plan,
}

/// The states in the slots: the rows of the stacks on the tape, used over and over, and what is more than these.
struct SlotRows {
    n_rows: usize,
    stacks: Vec<Array>,
    more: Vec<Vec<Value>>,
}

impl SlotRows {
    /// A copy: a view would be a second user of the stacks, which could not be written in place then.
    fn get(&self, slot: usize) -> Vec<Value> {
        match slot.checked_sub(self.n_rows) {
            Some(i) => self.more[i].clone(),
            None => self.stacks.iter().map(|s| Value::Array(s.row(slot).compact())).collect(),
        }
    }
    /// Puts a state in this slot, which is the first free one.
    fn put(&mut self, slot: usize, state: Vec<Value>) -> Result<(), EvalError> {
        if slot >= self.n_rows {
            self.more.push(state);
            return Ok(());
        }
        let fits = self.stacks.iter_mut().zip(&state).all(|(stack, value)| stack.set_row(slot, value.array()));
        if fits { Ok(()) } else { Err(EvalError::Broken("a state like those on the tape".into())) }
    }
}

/// The operands, sorted.
struct Operands {
    consts: Vec<Value>,
    tape: Vec<Value>,
    n_steps: usize,
    xs: Vec<Array>,
    sweep_consts: Vec<Value>,
    carry: Vec<Value>,
    sweep_xs: Vec<Array>,
    ys: Stacks,
}

impl Replay {
    fn n_tape(&self) -> usize {
        let states = match self.plan {
            Plan::ReverseWithin { .. } => 3 * self.n_carry + 1,
            plan if plan.reverses() => 2 * self.n_carry + 1,
            _ => self.n_carry,
        };
        states + usize::from(self.length.is_none())
    }
    /// Runs the sweep on the step that started from `state`.
    fn back(&self, cx: &mut dyn Evaluate, o: &mut Operands, step_idx: usize, state: Vec<Value>) -> Result<(), EvalError> {
        let row = self.row(o, step_idx);
        let mut operands = o.consts.clone();
        operands.extend(state);
        operands.extend(o.xs.iter().map(|x| Value::Array(x.row(row))));
        operands.extend(o.sweep_consts.iter().cloned());
        operands.append(&mut o.carry);
        operands.extend(o.sweep_xs.iter().map(|x| Value::Array(x.row(row))));
        o.carry = cx.run(&self.back, operands)?;
        o.ys.push(o.carry.split_off(self.n_sweep_carry))
    }
    fn row(&self, o: &Operands, step_idx: usize) -> usize {
        if self.reverse { o.n_steps - 1 - step_idx } else { step_idx }
    }
    fn step_operands(&self, o: &Operands, step_idx: usize, state: Vec<Value>) -> Vec<Value> {
        let row = self.row(o, step_idx);
        let mut operands = o.consts.clone();
        operands.extend(state);
        operands.extend(o.xs.iter().map(|x| Value::Array(x.row(row))));
        operands
    }
    fn sweep_from_checkpoints(&self, cx: &mut dyn Evaluate, o: &mut Operands, stride: usize) -> Result<(), EvalError> {
        let stacks: Vec<Array> = std::mem::take(&mut o.tape).into_iter().map(Value::into_array).collect::<Result<_, _>>()?;
        for segment in (0..o.n_steps.div_ceil(stride)).rev() {
            let first = segment * stride;
            let end = (first + stride).min(o.n_steps);
            let mut states = vec![stacks.iter().map(|s| Value::Array(s.row(segment))).collect::<Vec<_>>()];
            for step_idx in first..end - 1 {
                cx.count_recomputed_step();
                let operands = self.step_operands(o, step_idx, states[step_idx - first].clone());
                states.push(cx.run(&self.step, operands)?);
            }
            for step_idx in (first..end).rev() {
                let state = states.pop().ok_or_else(|| EvalError::Broken("a state per step".into()))?;
                self.back(cx, o, step_idx, state)?;
            }
        }
        Ok(())
    }
    /// Never holds more than `slots` states besides the one it works on.
    fn sweep_in_slots(&self, cx: &mut dyn Evaluate, o: &mut Operands, slots: usize, step: &Program) -> Result<(), EvalError> {
        let stacks: Vec<Array> = std::mem::take(&mut o.tape).into_iter().map(Value::into_array).collect::<Result<_, _>>()?;
        let at = match self.length {
            Some(n) => kept_on_the_way(n, slots),
            None => (0..o.n_steps).step_by(online_distance(o.n_steps, slots)).collect(),
        };
        let mut kept = at;
        kept.reserve_exact((slots.min(o.n_steps) + 1).saturating_sub(kept.len()));
        let mut slots_of = SlotRows { n_rows: kept.len(), stacks, more: vec![] };
        let mut end = o.n_steps;
        while let Some(&start) = kept.last() {
            let n_steps = end - start;
            let mut state = slots_of.get(kept.len() - 1);
            if n_steps == 1 {
                kept.pop();
                slots_of.more.truncate(kept.len().saturating_sub(slots_of.n_rows));
                self.back(cx, o, start, state)?;
                end = start;
                continue;
            }
            // Free slots, and the one that the state at the start takes.
            let free = (slots + 1).saturating_sub(kept.len()).max(1);
            let next = if free == 1 { n_steps - 1 } else { next_state(n_steps, free) };
            for step_idx in start..start + next {
                cx.count_recomputed_step();
                let operands = self.step_operands(o, step_idx, state);
                state = cx.run(step, operands)?;
            }
            if free == 1 {
                end -= 1;
                self.back(cx, o, end, state)?;
            } else {
                slots_of.put(kept.len(), state)?;
                kept.push(start + next);
            }
        }
        Ok(())
    }
    fn sweep_from_the_end(&self, cx: &mut dyn Evaluate, o: &mut Operands) -> Result<(), EvalError> {
        let mut state = std::mem::take(&mut o.tape);
        let mut bits = state.pop().ok_or_else(|| EvalError::Broken("bits on the tape".into()))?;
        let start = state.split_off(self.n_carry);
        for step_idx in (0..o.n_steps).rev() {
            cx.count_inverse_step();
            let mut operands = self.step_operands(o, step_idx, state);
            operands.push(bits);
            state = cx.run(&self.step, operands)?;
            bits = state.pop().ok_or_else(|| EvalError::Broken("bits behind the carries".into()))?;
            self.back(cx, o, step_idx, state.clone())?;
        }
        arrived(&state, &start, bits.into_bits()?.len_bits())
    }
    fn sweep_by_whole_steps(&self, cx: &mut dyn Evaluate, o: &mut Operands, corrections: usize) -> Result<(), EvalError> {
        let mut state = std::mem::take(&mut o.tape);
        let bits = state.pop().ok_or_else(|| EvalError::Broken("bits on the tape".into()))?;
        let start = state.split_off(self.n_carry);
        let mut stack = ResidualStack::from_bits(bits.into_bits()?);
        let mut end = o.n_steps;
        while end > 0 {
            let first = whole_step::start_of_block(end - 1);
            match whole_step::open_block(&mut stack, &state)? {
                Block::Guessed => {
                    for step_idx in (first..end).rev() {
                        cx.count_inverse_step();
                        let exact = match &self.exact {
                            Some(exact) => cx.run(exact, self.step_operands(o, step_idx, state.clone()))?,
                            None => vec![],
                        };
                        let operands = |state: &[Value]| self.step_operands(o, step_idx, state.to_vec());
                        let guess = whole_step::guess(cx, &self.step, &operands, &state, exact, corrections);
                        let guess = guess.ok_or_else(|| EvalError::Broken("a guess where one was recorded".into()))?;
                        state = whole_step::make_right(cx, &self.step, &operands, &state, guess, &mut stack)?;
                        self.back(cx, o, step_idx, state.clone())?;
                    }
                }
                Block::Kept(kept) => {
                    let mut states = vec![kept];
                    for step_idx in first..end {
                        cx.count_recomputed_step();
                        let operands = self.step_operands(o, step_idx, states[step_idx - first].clone());
                        states.push(cx.run(&self.step, operands)?);
                    }
                    if !states.pop().is_some_and(|found| same_state(&found, &state)) {
                        return Err(EvalError::Broken(format!("the state kept before step {first} to lead to that after step {}", end - 1)));
                    }
                    for step_idx in (first..end).rev() {
                        state = states.pop().ok_or_else(|| EvalError::Broken("a state per step".into()))?;
                        self.back(cx, o, step_idx, state.clone())?;
                    }
                }
            }
            end = first;
        }
        arrived(&state, &start, stack.finish().map_or(1, |()| 0))
    }
}

fn same_state(a: &[Value], b: &[Value]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.array().bits_eq(b.array()))
}

/// That reversal met the recorded start and used everything it had.
fn arrived(state: &[Value], start: &[Value], bits_left: usize) -> Result<(), EvalError> {
    if bits_left == 0 && same_state(state, start) {
        return Ok(());
    }
    Err(EvalError::Broken(format!(
        "exact reversal to arrive at the recorded start with an empty bit stack, found {}",
        if bits_left == 0 { "another state" } else { "bits left over" }
    )))
}

impl Rules for Replay {
    const NAME: &'static str = "replay";
    fn fields(&self) -> Fields<super::Prim> {
        let mut fields: Fields<super::Prim> = vec![];
        if let Some(n) = self.length {
            fields.push(("length", Field::Int(n as i64)));
        }
        let count = |n: usize| Field::Int(n as i64);
        fields.extend([
            ("reverse", Field::Bool(self.reverse)),
            ("consts", count(self.n_consts)),
            ("carries", count(self.n_carry)),
            ("xs", count(self.n_xs)),
            ("sweep_consts", count(self.n_sweep_consts)),
            ("sweep_carries", count(self.n_sweep_carry)),
            ("plan", Field::Word(self.plan.to_string())),
            ("step", Field::Program(self.step.clone())),
        ]);
        if let Some(exact) = &self.exact {
            fields.push(("exact", Field::Program(exact.clone())));
        }
        if let Some(plain) = &self.plain {
            fields.push(("plain", Field::Program(plain.clone())));
        }
        fields.push(("back", Field::Program(self.back.clone())));
        fields
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Replay {
            length: args.optional_size("length")?,
            reverse: args.bool("reverse")?,
            n_consts: args.size("consts")?,
            n_carry: args.size("carries")?,
            n_xs: args.size("xs")?,
            n_sweep_consts: args.size("sweep_consts")?,
            n_sweep_carry: args.size("sweep_carries")?,
            plan: args.word("plan")?.parse()?,
            step: args.program("step")?,
            exact: args.optional_program("exact")?,
            plain: args.optional_program("plain")?,
            back: args.program("back")?,
        })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let back = self.back.input_types();
        let counts = [self.n_consts, self.n_carry, self.n_xs, self.n_sweep_consts, self.n_sweep_carry];
        let total = counts.iter().try_fold(0usize, |a, n| a.checked_add(*n));
        if total.is_none_or(|t| t > back.len()) || self.back.outputs.len() < self.n_sweep_carry
            || inputs.len() != back.len() - self.n_carry + self.n_tape()
        {
            return Err(Mismatch::new(format!("found {} operands for a sweep of {} parameters", inputs.len(), back.len())));
        }
        let ([consts, carry, xs, sweep_consts, sweep_carry], sweep_xs) = parts(&back, counts);
        let stack = |ty: &Type| self.length.map_or_else(|| ty.list(), |n| ty.stacked(n));
        let mut expected = consts.to_vec();
        match self.plan {
            Plan::Reverse | Plan::ReverseStep { .. } => {
                expected.extend(carry.iter().chain(carry).cloned());
                expected.push(Type::bits());
            }
            Plan::ReverseWithin { .. } => {
                expected.extend(carry.iter().chain(carry).cloned());
                expected.push(Type::bits());
                expected.extend(carry.iter().map(Type::list));
            }
            Plan::Every(_) | Plan::Slots(_) => {
                expected.extend(carry.iter().map(|ty| self.length.map_or_else(|| ty.list(), |n| ty.stacked(self.plan.n_states(n)))))
            }
        }
        if self.length.is_none() {
            expected.push(Type::array(DType::I64, []));
        }
        expected.extend(xs.iter().map(stack));
        expected.extend(sweep_consts.iter().chain(sweep_carry).cloned());
        expected.extend(sweep_xs.iter().map(stack));
        bodies::expect_types("operand", inputs, &expected)?;
        let mut step_in = back[..self.n_consts + self.n_carry + self.n_xs].to_vec();
        let mut step_out = carry.to_vec();
        if self.plain.is_some() != matches!(self.plan, Plan::ReverseWithin { .. }) {
            return Err(Mismatch::new("expected a plain step for reversal within a number of bits, and only for that"));
        }
        if let Some(plain) = &self.plain {
            bodies::expect_types("parameter of the plain step", &plain.input_types(), &step_in)?;
            bodies::expect_types("result of the plain step", &plain.output_types(), carry)?;
        }
        if self.plan.passes_bits() {
            step_in.push(Type::bits());
            step_out.push(Type::bits());
        }
        bodies::expect_types("parameter of the step", &self.step.input_types(), &step_in)?;
        bodies::expect_types("result of the step", &self.step.output_types(), &step_out)?;
        let whole: Vec<Type> = match self.plan {
            Plan::ReverseStep { .. } => carry.iter().filter(|ty| !ty.is_float()).cloned().collect(),
            _ => vec![],
        };
        if self.exact.is_some() == whole.is_empty() {
            return Err(Mismatch::new(format!("found {} carries that are to be reversed exactly, expected an inverse for just these", whole.len())));
        }
        if let Some(exact) = &self.exact {
            bodies::expect_types("parameter of the exact inverse", &exact.input_types(), &step_in)?;
            bodies::expect_types("result of the exact inverse", &exact.output_types(), &whole)?;
        }
        let outs = self.back.output_types();
        let (carries, ys) = outs.split_at(self.n_sweep_carry);
        bodies::expect_types("carry of the sweep", carries, sweep_carry)?;
        Ok(carries.iter().cloned().chain(ys.iter().map(stack)).collect())
    }
    fn eval(&self, cx: &mut dyn Evaluate, mut inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let arrays = |v: Vec<Value>| v.into_iter().map(Value::into_array).collect::<Result<Vec<_>, _>>();
        let mut rest = inputs.split_off(self.n_consts);
        let mut after_tape = rest.split_off(self.n_tape());
        let n_steps = match self.length {
            Some(n) => n,
            None => {
                let count = rest.pop().and_then(|v| v.array().item::<i64>());
                count.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| EvalError::Broken("a number of steps".into()))?
            }
        };
        let mut after_xs = after_tape.split_off(self.n_xs);
        let mut carry = after_xs.split_off(self.n_sweep_consts);
        let sweep_xs = arrays(carry.split_off(self.n_sweep_carry))?;
        let mut operands = Operands {
            consts: inputs,
            tape: rest,
            n_steps,
            xs: arrays(after_tape)?,
            sweep_consts: after_xs,
            carry,
            sweep_xs,
            ys: Stacks::new(&self.back, self.n_sweep_carry, n_steps),
        };
        match self.plan {
            Plan::Reverse => self.sweep_from_the_end(cx, &mut operands)?,
            Plan::ReverseStep { corrections } => self.sweep_by_whole_steps(cx, &mut operands, corrections)?,
            Plan::Every(k) => {
                let stride = if self.length.is_some() { k } else { online_stride(n_steps) };
                self.sweep_from_checkpoints(cx, &mut operands, stride)?;
            }
            Plan::Slots(slots) => self.sweep_in_slots(cx, &mut operands, slots, &self.step)?,
            Plan::ReverseWithin { slots, .. } => {
                let reserve = operands.tape.split_off(2 * self.n_carry + 1);
                let is_used = reserve.iter().any(|stack| stack.array().shape().first().is_some_and(|rows| *rows > 0));
                match &self.plain {
                    Some(plain) if is_used => {
                        operands.tape = reserve;
                        self.sweep_in_slots(cx, &mut operands, slots, plain)?;
                    }
                    _ => self.sweep_from_the_end(cx, &mut operands)?,
                }
            }
        }
        let Operands { mut carry, ys, .. } = operands;
        carry.extend(ys.finish(!self.reverse)?);
        Ok(carry)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("policies are lowered last; this is a bug in retrograde")
    }
    fn map_bodies(&self, f: &mut dyn FnMut(&Program) -> Program) -> Self {
        let exact = self.exact.as_ref().map(|p| Arc::new(f(p)));
        let plain = self.plain.as_ref().map(|p| Arc::new(f(p)));
        Replay { step: Arc::new(f(&self.step)), exact, plain, back: Arc::new(f(&self.back)), ..self.clone() }
    }
    fn rows() -> Vec<Row> {
        // x' = x + sin c; the sweep adds up x · x'.
        let v = Type::array(DType::F64, [2]);
        let step = |b: &mut super::Builder, p: &[ValueId]| {
            let sine = b.emit1(super::sin::Sin.into(), &[p[0]]);
            b.emit1(super::add::Add.into(), &[p[1], sine])
        };
        let advance = build(&[v.clone(), v.clone()], |b, p| vec![step(b, p)]);
        let back = build(&[v.clone(), v.clone(), v.clone()], |b, p| {
            let next = step(b, p);
            let product = b.emit1(super::mul::Mul.into(), &[p[1], next]);
            vec![b.emit1(super::add::Add.into(), &[p[2], product])]
        });
        let op = Replay {
            step: Arc::new(advance),
            exact: None,
            plain: None,
            back: Arc::new(back),
            length: Some(5),
            reverse: false,
            n_consts: 1,
            n_carry: 1,
            n_xs: 0,
            n_sweep_consts: 0,
            n_sweep_carry: 1,
            plan: Plan::Every(2),
        };
        vec![Row::new(op, &[v.clone(), v.stacked(3), v]).order(0)]
    }
}


#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn online_stride_keeps_both_small() {
        for n in 0..5000 {
            let k = online_stride(n);
            assert!(n.div_ceil(k) <= 2 * k && k * k <= n.max(1) * 2, "{n} steps: stride {k}");
        }
    }

    #[test]
    fn plans_parse() {
        let within = Plan::ReverseWithin { bits: 0, slots: 2 };
        for plan in [Plan::Every(7), Plan::Slots(3), Plan::Reverse, Plan::ReverseStep { corrections: 8 }, within] {
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
        for wrong in ["every-0", "slots-0", "reverse-step-0", "reverse-step-", "reverse-", "reverse-within-1-slots-0", "reverse-within--slots-1"] {
            assert!(wrong.parse::<Plan>().is_err(), "{wrong}");
        }
    }
}
