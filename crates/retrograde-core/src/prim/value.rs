//! Values at run time, and what evaluation may ask of an executor.

use super::Program;
use super::body::{Body, Feeds, Plain};
use crate::ir::Type;
use retrograde_array::bits::BitStack;
use retrograde_array::lattice::LatticeError;
use retrograde_array::lost::LostError;
use retrograde_array::ops::NotOnGrid;
use retrograde_array::tile::AsArray;
use retrograde_array::{Array, ArrayError};
use std::any::Any;
use std::sync::Arc;

/// A value at run time: an array (of a list, stacked along a leading axis) or a bit stack.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// An array or a stacked list.
    Array(Array),
    /// What rounding destroyed.
    Bits(BitStack),
}

impl Value {
    /// The array.
    ///
    /// # Errors
    /// When it is a bit stack.
    pub fn into_array(self) -> Result<Array, EvalError> {
        match self {
            Value::Array(array) => Ok(array),
            Value::Bits(_) => Err(EvalError::Broken("an array, found a bit stack".into())),
        }
    }
    /// The array.
    ///
    /// # Panics
    /// When it is a bit stack: the checker lets no such program through.
    pub fn array(&self) -> &Array {
        match self {
            Value::Array(array) => array,
            Value::Bits(_) => panic!("expected an array, found a bit stack; this is a bug in retrograde"),
        }
    }
    /// The bit stack.
    ///
    /// # Errors
    /// When it is an array.
    pub fn into_bits(self) -> Result<BitStack, EvalError> {
        match self {
            Value::Bits(bits) => Ok(bits),
            Value::Array(_) => Err(EvalError::Broken("a bit stack, found an array".into())),
        }
    }
    /// The same value, holding no memory but its own.
    pub fn compact(&self) -> Value {
        match self {
            Value::Array(array) => Value::Array(array.compact()),
            Value::Bits(bits) => Value::Bits(bits.clone()),
        }
    }
    /// Bytes the value holds.
    pub fn size_bytes(&self) -> usize {
        match self {
            Value::Array(array) => array.size_bytes(),
            Value::Bits(bits) => bits.size_bytes(),
        }
    }
}

impl Default for Value {
    /// An empty bit stack, which holds no memory: what a value that was taken leaves behind.
    fn default() -> Value {
        Value::Bits(BitStack::default())
    }
}

impl AsArray for Value {
    #[inline]
    fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(array) => Some(array),
            Value::Bits(_) => None,
        }
    }
    #[inline]
    fn as_array_mut(&mut self) -> Option<&mut Array> {
        match self {
            Value::Array(array) => Some(array),
            Value::Bits(_) => None,
        }
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Value {
        Value::Array(array)
    }
}

/// Why an equation could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// The arrays do not allow it (an index out of range, an integer division by zero).
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// Exact reversal cannot go on.
    #[error("exact reversal: {0}")]
    Lost(#[from] LostError),
    /// A value that has no place on its lattice.
    #[error(transparent)]
    Lattice(#[from] LatticeError),
    /// A coefficient that no grid of `Tape::Quantise` holds.
    #[error("quantise: {0}")]
    NotOnGrid(#[from] NotOnGrid),
    /// A loop that will be reversed does not start as its steps go on.
    #[error(
        "part {carry} of the state is a function of the other parts after every step, so reversal computes it from them, but the \
         loop starts with another value: entry {entry} is {found}, expected {expected}; start with that value, or say \
         `.tape(Checkpoint::Sqrt)` for this loop"
    )]
    Start {
        /// Which part of the state.
        carry: usize,
        /// Row-major position of the first entry that differs.
        entry: usize,
        /// What the loop starts with.
        found: f64,
        /// What the other parts give.
        expected: f64,
    },
    /// A `while_loop` would take more steps than it may.
    #[error(
        "the loop would take more than {most} steps, the most that it may; look why its condition still holds, or allow more \
         with `.at_most(n)`"
    )]
    TooManySteps {
        /// How many it may take.
        most: usize,
    },
    /// A run took longer than an executor was told to let it, or was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// A value of the wrong kind: a broken program.
    #[error("expected {0}")]
    Broken(String),
}

/// What evaluation of a primitive with bodies may ask of the executor.
pub trait Evaluate {
    /// Runs a body once.
    ///
    /// # Errors
    /// The error of the first equation that fails.
    fn run(&mut self, body: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError>;
    /// Prepares a body that a loop will run for every step.
    fn prepare(&mut self, body: &Arc<Program>, feeds: Feeds) -> Box<dyn Body> {
        Box::new(Plain::new(body, feeds))
    }
    /// Runs a body that this executor prepared in its own way: for [`Body::run`] of such a body only.
    ///
    /// # Errors
    /// The error of the first equation that fails.
    fn enter(&mut self, _body: &mut dyn Any) -> Result<(), EvalError> {
        Err(EvalError::Broken("a body that this executor prepared".into()))
    }
    /// Runs a body on values that the program need not have met: false where it fails, which is no failure of the run.
    fn attempt(&mut self, body: &mut dyn Body) -> bool;
    /// An array of this type with any entries, for result number `result` of the
    /// equation that runs.
    ///
    /// # Errors
    /// When there is no memory for it.
    fn room(&mut self, _result: usize, ty: &Type) -> Result<Array, EvalError> {
        Ok(Array::try_zeros(ty.dtype, ty.shape.clone())?)
    }
    /// Counts one forward step that a loop computed again.
    fn count_recomputed_step(&mut self) {}
    /// Notes in which step of a loop the failure was that is being returned; the innermost loop comes first.
    fn failed_in_step(&mut self, _step_idx: usize) {}
    /// Counts one inverse step.
    fn count_inverse_step(&mut self) {}
    /// Counts one evaluation of a step on a guess of the state before it, on the way forwards or back.
    fn count_inverse_evaluation(&mut self) {}
}

/// An evaluator for primitives without bodies.
pub(super) struct NoBodies;

impl Evaluate for NoBodies {
    fn run(&mut self, _: &Program, _: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Err(EvalError::Broken("a primitive without bodies".into()))
    }
    fn attempt(&mut self, _: &mut dyn Body) -> bool {
        false
    }
}

/// Arrays of the operands of `prim`, for evaluation rules.
pub(super) fn arrays(inputs: &[Value]) -> Vec<&Array> {
    inputs.iter().map(Value::array).collect()
}

/// One array as the results of a primitive.
pub(super) fn one(array: Array) -> Result<Vec<Value>, EvalError> {
    Ok(vec![Value::Array(array)])
}
