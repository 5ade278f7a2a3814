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

use super::{EvalError, Evaluate, Program, Value};
use retrograde_array::bits::BitStack;
use retrograde_array::lost::{self, LostError, Mark, ResidualStack};

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

/// A guess of the state before a step.
pub(super) struct Guess {
    pub(super) state: Vec<Value>,
    /// What the step makes of it, where that is known.
    image: Option<Vec<Value>>,
}

/// The state before a step, from the state `after` it; of carries that are no floats `exact` holds the one before. `step`
/// is (constants, carries, xs) -> (carries, anything). `None` where the iteration fails; the operands decide that alone.
pub(super) fn guess(
    cx: &mut dyn Evaluate,
    step: &Program,
    operands: &dyn Fn(&[Value]) -> Vec<Value>,
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
    let (mut first, mut last_image) = (None, None);
    for _ in 0..=corrections {
        cx.count_inverse_evaluation();
        let image = cx.attempt(step, operands(&state))?;
        let (mut largest, mut changed) = (0.0_f64, false);
        for ((value, y), f) in state.iter_mut().zip(after).zip(&image) {
            if is_guessed(y) {
                let (next, off) = lost::correct(value.array(), y.array(), f.array());
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
            last_image = Some(image);
            break;
        }
    }
    is_finite(&state).then_some(Guess { state, image: last_image })
}

fn is_finite(state: &[Value]) -> bool {
    state.iter().all(|v| !is_guessed(v) || lost::is_finite(v.array()))
}

/// What a recording loop keeps for [`guess`] to be made right.
pub(super) struct Recorder {
    corrections: usize,
    stack: ResidualStack,
    /// Steps of the block so far.
    n_steps: usize,
    /// The state before the block, and the stack.
    first: Vec<Value>,
    mark: Mark,
    /// Whether that state is to be kept instead of residuals.
    kept: bool,
}

impl Recorder {
    pub(super) fn new(corrections: usize) -> Recorder {
        let stack = ResidualStack::new();
        Recorder { corrections, mark: stack.mark(), stack, n_steps: 0, first: vec![], kept: false }
    }

    /// Records the step from `before` to `after`. `step` and `operands` as for [`guess`].
    pub(super) fn record(
        &mut self,
        cx: &mut dyn Evaluate,
        step: &Program,
        operands: &dyn Fn(&[Value]) -> Vec<Value>,
        before: Vec<Value>,
        after: &[Value],
    ) -> Result<(), EvalError> {
        if !(is_finite(&before) && is_finite(after)) {
            return Err(LostError::NotFinite.into());
        }
        if self.n_steps == 0 {
            (self.mark, self.kept) = (self.stack.mark(), false);
            self.first.clone_from(&before);
        }
        if !self.kept && !self.push(cx, step, operands, &before, after) {
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
    fn push(
        &mut self,
        cx: &mut dyn Evaluate,
        step: &Program,
        operands: &dyn Fn(&[Value]) -> Vec<Value>,
        before: &[Value],
        after: &[Value],
    ) -> bool {
        let exact = before.iter().filter(|v| !is_guessed(v)).cloned().collect();
        let Some(guess) = guess(cx, step, operands, after, exact, self.corrections) else { return false };
        for (x, guess) in before.iter().zip(&guess.state) {
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
        (self.n_steps, self.first) = (0, vec![]);
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
    step: &Program,
    operands: &dyn Fn(&[Value]) -> Vec<Value>,
    after: &[Value],
    guess: Guess,
    stack: &mut ResidualStack,
) -> Result<Vec<Value>, EvalError> {
    let Guess { mut state, mut image } = guess;
    for value in state.iter_mut().rev() {
        if is_guessed(value) {
            let x = lost::pop_residuals(value.array(), stack)?;
            if !x.bits_eq(value.array()) {
                image = None;
            }
            *value = Value::Array(x);
        }
    }
    let image = match image {
        Some(image) => image,
        None => {
            cx.count_inverse_evaluation();
            cx.run(step, operands(&state))?
        }
    };
    if image.iter().zip(after).all(|(f, y)| f.array().bits_eq(y.array())) {
        return Ok(state);
    }
    Err(EvalError::Broken(
        "exact reversal to find states that lead to those after them, found one that does not".into(),
    ))
}
