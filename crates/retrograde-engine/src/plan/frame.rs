//! The workspace of a running call.

use retrograde_array::{Array, ArrayError};
use retrograde_core::ir::Type;
use retrograde_core::prim::Value;

use super::{Holds, Plan, Step};

/// A workspace: a value for each slot of a plan. A slot without a value has an empty bit stack.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) slots: Vec<Value>,
    /// The arrays that a step is about to write.
    pub(super) written: Vec<Array>,
    /// The arrays that a loop may write its results into.
    pub(super) rooms: Vec<Value>,
}

impl Plan {
    /// A workspace that nobody uses.
    pub(super) fn frame(&self) -> Frame {
        let kept = self.frames.lock().map(|mut frames| frames.pop());
        kept.ok().flatten().unwrap_or_else(|| {
            let mut frame = Frame { slots: vec![Value::default(); self.slots.len()], ..Frame::default() };
            for (slot, value) in &self.constants {
                frame.slots[*slot] = value.clone();
            }
            frame
        })
    }
    /// Keeps a workspace for the next call; memory of others is let go.
    pub(super) fn keep(&self, mut frame: Frame) {
        for (value, holds) in frame.slots.iter_mut().zip(&self.slots) {
            let stays = match (holds, &mut *value) {
                (Holds::Buffer | Holds::Constant, _) => true,
                (Holds::Parameter, Value::Array(array)) => self.is_body && array.is_unique(),
                (Holds::Parameter | Holds::Stored, _) => false,
            };
            if !stays {
                *value = Value::default();
            }
        }
        if let Ok(mut frames) = self.frames.lock() {
            frames.push(frame);
        }
    }
    /// Puts memory that the caller gave up in the place of results of its size, which are the caller's now: for the next call.
    pub(super) fn give_back(&self, frame: &mut Frame, given: &mut Vec<Array>) {
        for &slot in &self.results {
            if given.is_empty() {
                return;
            }
            if let (Holds::Buffer, Value::Array(result)) = (self.slots[slot], &mut frame.slots[slot]) {
                let fits = |array: &Array| array.dtype() == result.dtype() && array.size() == result.size();
                if let Some(i) = given.iter().position(fits) {
                    *result = given.swap_remove(i);
                }
            }
        }
        given.clear();
    }
    /// The results after a run. What was stored is moved out.
    pub(super) fn results(&self, frame: &mut Frame) -> Vec<Value> {
        let result = |(i, &slot): (usize, &usize)| {
            let again = self.results[i + 1..].contains(&slot);
            let value = match self.slots[slot] {
                Holds::Stored | Holds::Parameter if !again => std::mem::take(&mut frame.slots[slot]),
                _ => frame.slots[slot].clone(),
            };
            // A result may be kept: it must not keep alive what it is a view of.
            value.compact()
        };
        self.results.iter().enumerate().map(result).collect()
    }
}

impl Frame {
    /// Takes out the arrays that a step is to write, with any entries.
    pub(super) fn take_written(&mut self, step: &Step, given: &mut Vec<Array>) -> Result<(), ArrayError> {
        self.written.clear();
        for (&slot, ty) in step.outputs.iter().zip(&step.types) {
            let value = &mut self.slots[slot];
            make_room(value, ty, given)?;
            if let Value::Array(array) = std::mem::take(value) {
                self.written.push(array);
            }
        }
        Ok(())
    }
    /// Puts them back.
    pub(super) fn put_written(&mut self, step: &Step) {
        for (&slot, array) in step.outputs.iter().zip(self.written.drain(..)) {
            self.slots[slot] = Value::Array(array);
        }
    }
}

/// Makes a value that is not needed any more an array of a type with any entries: if possible in its memory, or in memory
/// that the caller gave up.
#[inline]
pub(super) fn make_room(value: &mut Value, ty: &Type, given: &mut Vec<Array>) -> Result<(), ArrayError> {
    if let Value::Array(old) = value {
        if old.reuse(ty.dtype, &ty.shape) {
            return Ok(());
        }
        // A list that will grow.
        let may_grow = old.dtype() == ty.dtype && old.rank() == ty.shape.rank() && old.is_unique();
        if may_grow && ty.shape.first() == Some(&0) && old.shape()[1..] == ty.shape[1..] {
            old.clear_rows();
            return Ok(());
        }
    }
    *value = Value::Array(new_room(ty, given)?);
    Ok(())
}

fn new_room(ty: &Type, given: &mut Vec<Array>) -> Result<Array, ArrayError> {
    for i in 0..given.len() {
        if given[i].reuse(ty.dtype, &ty.shape) {
            return Ok(given.swap_remove(i));
        }
    }
    Array::try_zeros(ty.dtype, ty.shape.clone())
}
