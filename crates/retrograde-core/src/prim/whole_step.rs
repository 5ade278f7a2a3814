//! The whole-step mechanism of exact reversal: the state x before a step y = F(x), for a step that no inverse can be
//! derived for.
//!
//! x is guessed by the iteration x ← x + (y − F(x)) from x = y, which contracts by about h‖∂f‖ for a step of size h of an
//! integrator. It ends when it changes nothing, and at the latest after a fixed number K of corrections of its first
//! result 2y − F(y). What the guess misses, in places of the ordered floats, goes on the bit stack
//! ([`ResidualStack`]): mostly zeros, which cost nothing. Carries that are no floats are undone by an inverse of their own.
//!
//! Note [blocks]: residuals of 64 steps are a block. Where they take more bits than one state, or an iteration fails (it
//! does not contract, leaves the finite floats, or F cannot be computed of a guess), the state before the block is kept
//! whole instead, and the steps of the block run forwards again: so the stack never holds more than a 64th of the states
//! and a word for each block, whatever the step is. A block ends with a residual more, 0 or, above a state, 1.
//!
//! Both directions run [`guess`] on the same operands, so it is the same to the bit, and the residual leads from any guess
//! to x: no property of F is relied on. On the way back each x is seen to lead to y, and the first to be the recorded
//! start, so that every state is proved.
//!
//! # Errors
//! A state that is infinite or NaN ends reversal; a stack that is not the recorded one leads to an error of the stack or
//! to a state that does not lead to the one after it, or to another start.
//!
//! # Cost
//! At most K + 1 evaluations of F for each step, in either direction, about log(ε) / log(h‖∂f‖) where the iteration
//! contracts, and on the way back one more where the guess was wrong or still changed; room for 64 states where a kept
//! block runs again.
//!
//! # Source
//! Fixed-point inversion of residual maps: J. Behrmann et al., Invertible Residual Networks, ICML 2019, algorithm 1. That
//! what it misses is kept, so that the inverse is exact, is our own.

use super::body::copy_state;
use super::{Body, EvalError, Evaluate, Program, Value};
use retrograde_array::Array;
use retrograde_array::bits::BitStack;
use retrograde_array::lost::{self, LostError, Mark, ResidualStack};
use std::sync::Arc;

/// Corrections K that `tape::lower` asks for.
pub const CORRECTIONS: usize = 8;

/// Steps whose residuals are weighed against a state.
pub(super) const BLOCK: usize = 64;

/// How much larger than the first a correction may be in an iteration that still counts as contracting.
const GROWTH: f64 = 2.0;

/// The number of the first step of the block that step `step_idx` is in.
pub(super) fn start_of_block(step_idx: usize) -> usize {
    step_idx / BLOCK * BLOCK
}

/// Whether a carry is reversed by its guess; the others are known exactly.
pub(super) fn is_guessed(value: &Value) -> bool {
    value.array().dtype().is_float()
}

/// A step that is run on guesses of the state before it.
pub(super) struct Guesses {
    step: Box<dyn Body>,
    /// The parameter that holds the first part of the state; the xs follow behind it.
    first: usize,
    n_carry: usize,
    n_results: usize,
}

impl Guesses {
    /// `step` is (constants, carries, xs) -> (carries, anything).
    pub(super) fn new(
        cx: &mut dyn Evaluate,
        step: &Arc<Program>,
        consts: &[Value],
        n_carry: usize,
    ) -> Guesses {
        let first = consts.len();
        let n_results = step.outputs.len();
        // The state is given anew for every run.
        let mut step = cx.prepare(step, vec![]);
        consts.iter().enumerate().for_each(|(i, value)| step.set(i, value.clone()));
        Guesses { step, first, n_carry, n_results }
    }
    /// Gives the xs of a step.
    pub(super) fn set_rows(&mut self, xs: &[Array], row: usize) {
        let behind = self.first + self.n_carry;
        xs.iter().enumerate().for_each(|(i, x)| self.step.set_row(behind + i, x, row));
    }
    fn set(&mut self, state: &[Value]) {
        state.iter().enumerate().for_each(|(i, value)| self.step.set(self.first + i, value.clone()));
    }
    fn image(&self, i: usize) -> &Array {
        self.step.result(i).array()
    }
    /// The results of the step on a state that the program has met.
    pub(super) fn run(&mut self, cx: &mut dyn Evaluate, state: &[Value]) -> Result<Vec<Value>, EvalError> {
        self.set(state);
        self.step.run(cx)?;
        Ok((0..self.n_results).map(|i| self.step.result(i).compact()).collect())
    }
}

/// A guess of the state before a step.
pub(super) struct Guess {
    pub(super) state: Vec<Value>,
    /// Whether the step ran on just this state last.
    has_image: bool,
}

/// The state before a step, from the state `after` it; of carries that are no floats `exact` holds the one before. `None`
/// where the iteration fails; the operands decide that alone.
pub(super) fn guess(
    cx: &mut dyn Evaluate,
    step: &mut Guesses,
    after: &[Value],
    exact: Vec<Value>,
    corrections: usize,
) -> Option<Guess> {
    let mut exact = exact.into_iter();
    let mut state = after.to_vec();
    for value in &mut state {
        if !is_guessed(value) {
            *value = exact.next()?;
        }
    }
    let (mut first, mut has_image) = (None, false);
    for _ in 0..=corrections {
        cx.count_inverse_evaluation();
        step.set(&state);
        if !cx.attempt(&mut *step.step) {
            return None;
        }
        let (mut largest, mut changed) = (0.0_f64, false);
        for (i, (value, y)) in state.iter_mut().zip(after).enumerate() {
            if is_guessed(y) {
                let (next, off) = lost::correct(value.array(), y.array(), step.image(i));
                changed |= !next.bits_eq(value.array());
                largest = if off > largest || off.is_nan() { off } else { largest };
                *value = Value::Array(next);
            }
        }
        // False for NaN.
        let contracts = largest <= GROWTH * *first.get_or_insert(largest);
        if !contracts || largest.is_infinite() {
            return None;
        }
        if !changed {
            has_image = true;
            break;
        }
    }
    is_finite(&state).then_some(Guess { state, has_image })
}

fn is_finite(state: &[Value]) -> bool {
    state.iter().all(|v| !is_guessed(v) || lost::is_finite(v.array()))
}

/// What a recording loop keeps for [`guess`] to be made right.
pub(super) struct Recorder {
    step: Guesses,
    corrections: usize,
    stack: ResidualStack,
    /// Steps of the block so far.
    n_steps: usize,
    /// The state before the step that runs, and before the block, and the stack then.
    before: Vec<Value>,
    first: Vec<Value>,
    mark: Mark,
    /// Whether that state is to be kept instead of residuals.
    kept: bool,
}

impl Recorder {
    /// `operands` are constants and carries. The step is as for [`Guesses::new`].
    pub(super) fn new(
        cx: &mut dyn Evaluate,
        step: &Arc<Program>,
        operands: &[Value],
        n_carry: usize,
        corrections: usize,
    ) -> Recorder {
        let stack = ResidualStack::new();
        let consts = &operands[..operands.len() - n_carry];
        Recorder {
            step: Guesses::new(cx, step, consts, n_carry),
            corrections,
            mark: stack.mark(),
            stack,
            n_steps: 0,
            before: vec![],
            first: vec![],
            kept: false,
        }
    }

    /// Takes note of the state before a step, which `body` is about to run.
    pub(super) fn before(&mut self, body: &dyn Body, xs: &[Array], row: usize) {
        self.step.set_rows(xs, row);
        let carries = (0..self.step.n_carry).map(|i| body.parameter(self.step.first + i));
        copy_state(&mut self.before, carries);
    }

    /// Records that step, of which `body` has the results.
    pub(super) fn record(&mut self, cx: &mut dyn Evaluate, body: &dyn Body) -> Result<(), EvalError> {
        let after: Vec<Value> = (0..self.step.n_carry).map(|i| body.result(i).compact()).collect();
        if !(is_finite(&self.before) && is_finite(&after)) {
            return Err(LostError::NotFinite.into());
        }
        if self.n_steps == 0 {
            (self.mark, self.kept) = (self.stack.mark(), false);
            copy_state(&mut self.first, self.before.iter());
        }
        if !self.kept && !self.push(cx, &after) {
            self.stack.rewind(self.mark);
            self.kept = true;
        }
        self.n_steps += 1;
        if self.n_steps == BLOCK {
            self.close_block();
        }
        Ok(())
    }

    /// Pushes the residuals of a step; false where the state is to be kept instead.
    fn push(&mut self, cx: &mut dyn Evaluate, after: &[Value]) -> bool {
        let exact = self.before.iter().filter(|v| !is_guessed(v)).cloned().collect();
        let Some(guess) = guess(cx, &mut self.step, after, exact, self.corrections) else { return false };
        for (x, guess) in self.before.iter().zip(&guess.state) {
            if is_guessed(x) && lost::push_residuals(x.array(), guess.array(), &mut self.stack).is_err() {
                return false;
            }
        }
        let of_state: usize = self.first.iter().map(|v| 8 * v.size_bytes()).sum();
        self.stack.bits_since(self.mark) <= of_state
    }

    fn close_block(&mut self) {
        if self.kept {
            self.first.iter().for_each(|v| lost::push_whole(v.array(), &mut self.stack));
        }
        self.stack.push(i64::from(self.kept));
        self.n_steps = 0;
    }

    pub(super) fn finish(mut self) -> BitStack {
        if self.n_steps > 0 {
            self.close_block();
        }
        self.stack.into_bits()
    }
}

/// How a block can be gone back through.
pub(super) enum Block {
    /// By guesses and residuals.
    Guessed,
    /// From the state before it.
    Kept(Vec<Value>),
}

/// Takes what was recorded last of a block from the stack; `state` is like the one that was kept.
pub(super) fn open_block(stack: &mut ResidualStack, state: &[Value]) -> Result<Block, EvalError> {
    match stack.pop()? {
        0 => Ok(Block::Guessed),
        1 => {
            let mut kept = vec![];
            for v in state.iter().rev() {
                let like = v.array();
                kept.push(Value::Array(lost::pop_whole(like.dtype(), like.shape(), stack)?));
            }
            kept.reverse();
            Ok(Block::Kept(kept))
        }
        _ => Err(LostError::Corrupt.into()),
    }
}

/// The state before a step, from a guess of it: made right, and checked to lead to the state `after` the step.
pub(super) fn make_right(
    cx: &mut dyn Evaluate,
    step: &mut Guesses,
    after: &[Value],
    guess: Guess,
    stack: &mut ResidualStack,
) -> Result<Vec<Value>, EvalError> {
    let Guess { mut state, mut has_image } = guess;
    for value in state.iter_mut().rev() {
        if is_guessed(value) {
            let x = lost::pop_residuals(value.array(), stack)?;
            has_image &= x.bits_eq(value.array());
            *value = Value::Array(x);
        }
    }
    if !has_image {
        cx.count_inverse_evaluation();
        step.set(&state);
        step.step.run(cx)?;
    }
    if after.iter().enumerate().all(|(i, y)| step.image(i).bits_eq(y.array())) {
        return Ok(state);
    }
    Err(EvalError::Broken(
        "exact reversal to find states that lead to those after them, found one that does not".into(),
    ))
}
