//! `replay`: the reverse sweep over a recorded loop. Only `tape::lower` makes one.
//!
//! It produces the state before each step, last step first, and runs `back` on it, which computes the step's residuals
//! again and the cotangents from them. Operands: constants, the tape (checkpoints: the stacks; reversal, of either kind:
//! last carries, first carries, bits; within a number of bits then lists of states in reserve; then the number of steps
//! where it was not known), xs, then constants, carries and xs of the sweep. Results: carries of the sweep, its ys stacked.
//! Errors: a reconstruction that does not arrive at the recorded start, or leaves bits over.

use super::bodies::{self, build, parts};
use super::body::copy_state;
use super::scan::{Stacks, carried};
use super::schedule::{kept_on_the_way, next_state, online_distance};
use super::whole_step::{self, Block, Guesses};
use super::{Args, Body, EvalError, Evaluate, Feeds, Program, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::lost::ResidualStack;
use retrograde_array::{Array, DType};
use std::fmt;
use std::ops::Range;
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
    /// Whether states are kept on the way.
    pub fn keeps_states(self) -> bool {
        matches!(self, Plan::Every(_) | Plan::Slots(_) | Plan::ReverseWithin { .. })
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
    /// Copies the state in a slot to the parameters of a body from `first` on.
    fn load(&self, slot: usize, body: &mut dyn Body, first: usize) {
        match slot.checked_sub(self.n_rows) {
            Some(i) => self.more[i].iter().enumerate().for_each(|(i, value)| body.set(first + i, value.clone())),
            None => self.stacks.iter().enumerate().for_each(|(i, stack)| body.set_row(first + i, stack, slot)),
        }
    }
    /// Keeps the state in the parameters of a body from `first` on in this slot, which is the first free one.
    fn keep(&mut self, slot: usize, body: &dyn Body, first: usize) {
        let n = self.stacks.len();
        match slot.checked_sub(self.n_rows) {
            Some(i) => {
                self.more.truncate(i);
                self.more.push((first..first + n).map(|at| body.parameter(at).compact()).collect());
            }
            None => {
                for (i, stack) in self.stacks.iter_mut().enumerate() {
                    stack.set_row(slot, body.parameter(first + i).array());
                }
            }
        }
    }
}

/// The running sweep: its operands, sorted, and the bodies.
struct Sweep {
    /// Has the state of the recorded loop among its parameters.
    step: Box<dyn Body>,
    back: Box<dyn Body>,
    consts: Vec<Value>,
    tape: Vec<Value>,
    n_steps: usize,
    xs: Vec<Array>,
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
    /// The parameters of the step that hold the state.
    fn carries(&self) -> Range<usize> {
        self.n_consts..self.n_consts + self.n_carry
    }
    /// Which row of the xs a step reads.
    fn row(&self, sweep: &Sweep, step_idx: usize) -> usize {
        if self.reverse { sweep.n_steps - 1 - step_idx } else { step_idx }
    }
    /// Runs the sweep on the step that started from `state`.
    fn back<'a>(
        &self,
        cx: &mut dyn Evaluate,
        sweep: &mut Sweep,
        step_idx: usize,
        state: impl Iterator<Item = &'a Value>,
    ) -> Result<(), EvalError> {
        state.enumerate().for_each(|(i, value)| sweep.back.set(self.n_consts + i, value.clone()));
        self.back_from_the_state(cx, sweep, step_idx)
    }
    /// Runs the sweep on the step that started from the state in the parameters of the step.
    fn back_from_the_step(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep, step_idx: usize) -> Result<(), EvalError> {
        for carry in self.carries() {
            sweep.back.set(carry, sweep.step.parameter(carry).clone());
        }
        self.back_from_the_state(cx, sweep, step_idx)
    }
    fn back_from_the_state(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep, step_idx: usize) -> Result<(), EvalError> {
        let row = self.row(sweep, step_idx);
        let Sweep { back, xs, sweep_xs, ys, .. } = sweep;
        let first = self.n_consts + self.n_carry;
        xs.iter().enumerate().for_each(|(i, x)| back.set_row(first + i, x, row));
        let first = first + self.n_xs + self.n_sweep_consts + self.n_sweep_carry;
        sweep_xs.iter().enumerate().for_each(|(i, x)| back.set_row(first + i, x, row));
        back.run(cx)?;
        ys.write(&**back, row);
        back.advance();
        Ok(())
    }
    /// Runs the step with number `step_idx` on the state in its parameters, and leaves the next one there.
    fn step(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep, step_idx: usize) -> Result<(), EvalError> {
        let row = self.row(sweep, step_idx);
        let first = self.n_consts + self.n_carry;
        sweep.xs.iter().enumerate().for_each(|(i, x)| sweep.step.set_row(first + i, x, row));
        sweep.step.run(cx)?;
        sweep.step.advance();
        Ok(())
    }
    fn sweep_from_checkpoints(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep, stride: usize) -> Result<(), EvalError> {
        let stacks = arrays(std::mem::take(&mut sweep.tape))?;
        // The states before the steps of a segment, in memory that all segments use.
        let mut states: Vec<Vec<Value>> = vec![];
        for segment in (0..sweep.n_steps.div_ceil(stride)).rev() {
            let first = segment * stride;
            let end = (first + stride).min(sweep.n_steps);
            for (carry, stack) in self.carries().zip(&stacks) {
                sweep.step.set_row(carry, stack, segment);
            }
            for step_idx in first..end {
                if states.len() == step_idx - first {
                    states.push(vec![]);
                }
                copy_state(&mut states[step_idx - first], self.carries().map(|carry| sweep.step.parameter(carry)));
                if step_idx + 1 < end {
                    cx.count_recomputed_step();
                    self.step(cx, sweep, step_idx)?;
                }
            }
            for step_idx in (first..end).rev() {
                self.back(cx, sweep, step_idx, states[step_idx - first].iter())?;
            }
        }
        Ok(())
    }
    /// Never holds more than `slots` states besides the one it works on.
    fn sweep_in_slots(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep, slots: usize) -> Result<(), EvalError> {
        let stacks = arrays(std::mem::take(&mut sweep.tape))?;
        let at = match self.length {
            Some(n) => kept_on_the_way(n, slots),
            None => (0..sweep.n_steps).step_by(online_distance(sweep.n_steps, slots)).collect(),
        };
        let mut kept = at;
        let mut rows = SlotRows { n_rows: kept.len(), stacks, more: vec![] };
        let mut end = sweep.n_steps;
        while let Some(&start) = kept.last() {
            let (slot, n_steps) = (kept.len() - 1, end - start);
            if n_steps == 1 {
                rows.load(slot, &mut *sweep.back, self.n_consts);
                self.back_from_the_state(cx, sweep, start)?;
                kept.pop();
                end = start;
                continue;
            }
            // Free slots, and the one that the state at the start takes.
            let free = (slots + 1).saturating_sub(kept.len()).max(1);
            let next = if free == 1 { n_steps - 1 } else { next_state(n_steps, free) };
            rows.load(slot, &mut *sweep.step, self.n_consts);
            for step_idx in start..start + next {
                cx.count_recomputed_step();
                self.step(cx, sweep, step_idx)?;
            }
            if free == 1 {
                end -= 1;
                self.back_from_the_step(cx, sweep, end)?;
            } else {
                rows.keep(kept.len(), &*sweep.step, self.n_consts);
                kept.push(start + next);
            }
        }
        Ok(())
    }
    fn sweep_from_the_end(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep) -> Result<(), EvalError> {
        let mut state = std::mem::take(&mut sweep.tape);
        let bits = state.pop().ok_or_else(|| EvalError::Broken("bits on the tape".into()))?;
        let start = state.split_off(self.n_carry);
        self.carries().zip(state).for_each(|(carry, value)| sweep.step.set(carry, value));
        let at_bits = self.n_consts + self.n_carry + self.n_xs;
        sweep.step.set(at_bits, bits);
        for step_idx in (0..sweep.n_steps).rev() {
            cx.count_inverse_step();
            self.step(cx, sweep, step_idx)?;
            self.back_from_the_step(cx, sweep, step_idx)?;
        }
        let bits = sweep.step.take(at_bits).into_bits()?;
        arrived(self.carries().map(|carry| sweep.step.parameter(carry)), &start, bits.len_bits())
    }
    fn sweep_by_whole_steps(&self, cx: &mut dyn Evaluate, sweep: &mut Sweep, corrections: usize) -> Result<(), EvalError> {
        let mut state = std::mem::take(&mut sweep.tape);
        let bits = state.pop().ok_or_else(|| EvalError::Broken("bits on the tape".into()))?;
        let start = state.split_off(self.n_carry);
        let mut stack = ResidualStack::from_bits(bits.into_bits()?);
        let mut step = Guesses::new(cx, &self.step, &sweep.consts, self.n_carry);
        let mut exact = self.exact.as_ref().map(|exact| Guesses::new(cx, exact, &sweep.consts, self.n_carry));
        let mut end = sweep.n_steps;
        while end > 0 {
            let first = whole_step::start_of_block(end - 1);
            match whole_step::open_block(&mut stack, &state)? {
                Block::Guessed => {
                    for step_idx in (first..end).rev() {
                        cx.count_inverse_step();
                        let row = self.row(sweep, step_idx);
                        let exact = match &mut exact {
                            Some(exact) => {
                                exact.set_rows(&sweep.xs, row);
                                exact.run(cx, &state)?
                            }
                            None => vec![],
                        };
                        step.set_rows(&sweep.xs, row);
                        let guess = whole_step::guess(cx, &mut step, &state, exact, corrections);
                        let guess = guess.ok_or_else(|| EvalError::Broken("a guess where one was recorded".into()))?;
                        state = whole_step::make_right(cx, &mut step, &state, guess, &mut stack)?;
                        self.back(cx, sweep, step_idx, state.iter())?;
                    }
                }
                Block::Kept(kept) => {
                    let mut states = vec![kept];
                    for step_idx in first..end {
                        cx.count_recomputed_step();
                        step.set_rows(&sweep.xs, self.row(sweep, step_idx));
                        states.push(step.run(cx, &states[step_idx - first])?);
                    }
                    if !states.pop().is_some_and(|found| same_state(found.iter(), &state)) {
                        return Err(EvalError::Broken(format!("the state kept before step {first} to lead to that after step {}", end - 1)));
                    }
                    for step_idx in (first..end).rev() {
                        state = states.pop().ok_or_else(|| EvalError::Broken("a state per step".into()))?;
                        self.back(cx, sweep, step_idx, state.iter())?;
                    }
                }
            }
            end = first;
        }
        arrived(state.iter(), &start, stack.finish().map_or(1, |()| 0))
    }
}

fn arrays(values: Vec<Value>) -> Result<Vec<Array>, EvalError> {
    values.into_iter().map(Value::into_array).collect()
}

fn same_state<'a>(mut a: impl Iterator<Item = &'a Value>, b: &[Value]) -> bool {
    b.iter().all(|b| a.next().is_some_and(|a| a.array().bits_eq(b.array())))
}

/// That reversal met the recorded start and used everything it had.
fn arrived<'a>(state: impl Iterator<Item = &'a Value>, start: &[Value], bits_left: usize) -> Result<(), EvalError> {
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
        let mut tape = inputs.split_off(self.n_consts);
        let mut xs = tape.split_off(self.n_tape());
        let n_steps = match self.length {
            Some(n) => n,
            None => {
                let count = tape.pop().and_then(|v| v.array().item::<i64>());
                count.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| EvalError::Broken("a number of steps".into()))?
            }
        };
        let mut of_sweep = xs.split_off(self.n_xs);
        let sweep_xs = arrays(of_sweep.split_off(self.n_sweep_consts + self.n_sweep_carry))?;
        let mut feeds: Feeds = (0..self.n_carry).map(|i| (i, self.n_consts + i)).collect();
        // The reserve is used where it is there.
        let reserve = match self.plan {
            Plan::ReverseWithin { .. } => tape.split_off(2 * self.n_carry + 1),
            _ => vec![],
        };
        let is_used = reserve.iter().any(|stack| stack.array().shape().first().is_some_and(|rows| *rows > 0));
        let program = match &self.plain {
            Some(plain) if is_used => plain,
            _ => &self.step,
        };
        if self.plan.passes_bits() && !is_used {
            feeds.push((self.n_carry, self.n_consts + self.n_carry + self.n_xs));
        }
        let mut step = cx.prepare(program, feeds);
        let first = self.n_consts + self.n_carry + self.n_xs;
        let carries = first + self.n_sweep_consts..first + self.n_sweep_consts + self.n_sweep_carry;
        let mut back = cx.prepare(&self.back, carries.clone().enumerate().collect());
        for (i, value) in inputs.iter().enumerate() {
            step.set(i, value.clone());
            back.set(i, value.clone());
        }
        of_sweep.into_iter().enumerate().for_each(|(i, value)| back.set(first + i, value));
        let ys = Stacks::new(cx, &self.back, self.n_sweep_carry, self.n_sweep_carry, n_steps)?;
        let mut sweep = Sweep { step, back, consts: inputs, tape, n_steps, xs: arrays(xs)?, sweep_xs, ys };
        match self.plan {
            Plan::Reverse => self.sweep_from_the_end(cx, &mut sweep)?,
            Plan::ReverseStep { corrections } => self.sweep_by_whole_steps(cx, &mut sweep, corrections)?,
            Plan::Every(k) => {
                let stride = if self.length.is_some() { k } else { online_stride(n_steps) };
                self.sweep_from_checkpoints(cx, &mut sweep, stride)?;
            }
            Plan::ReverseWithin { slots, .. } if is_used => {
                sweep.tape = reserve;
                self.sweep_in_slots(cx, &mut sweep, slots)?;
            }
            Plan::ReverseWithin { .. } => self.sweep_from_the_end(cx, &mut sweep)?,
            Plan::Slots(slots) => self.sweep_in_slots(cx, &mut sweep, slots)?,
        }
        let mut results = carried(cx, &*sweep.back, carries)?;
        results.extend(sweep.ys.finish());
        Ok(results)
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
