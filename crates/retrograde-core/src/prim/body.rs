//! A body of a running loop: prepared once, run for every step.
//!
//! A loop gives the parameters their values, runs the body, reads the results and lets those that are carried become
//! parameters of the next step. How the body runs is the executor's business; [`Plain`] is the obvious way.

use super::{EvalError, Evaluate, Program, Value};
use retrograde_array::Array;
use std::sync::Arc;

/// Which results become which parameters of the next step: (result, parameter).
pub type Feeds = Vec<(usize, usize)>;

/// The body of a loop that runs. Parameters keep their values from step to step, but those that are fed lose theirs when
/// the body runs and get the next one by [`Body::advance`].
pub trait Body {
    /// Gives a parameter its value.
    fn set(&mut self, parameter: usize, value: Value);
    /// Gives a parameter one entry along the leading axis of an array.
    fn set_row(&mut self, parameter: usize, stack: &Array, row: usize);
    /// The value of a parameter that was not lost.
    fn parameter(&self, parameter: usize) -> &Value;
    /// The value of a parameter, which is lost.
    fn take(&mut self, parameter: usize) -> Value;
    /// Computes the results.
    ///
    /// # Errors
    /// The error of the first equation that fails.
    fn run(&mut self, cx: &mut dyn Evaluate) -> Result<(), EvalError>;
    /// A result of the last step.
    fn result(&self, result: usize) -> &Value;
    /// Makes results parameters, as was said when the body was prepared. Results that are fed are lost.
    fn advance(&mut self);
}

/// A body that is run as any program is.
pub struct Plain {
    program: Arc<Program>,
    feeds: Feeds,
    parameters: Vec<Option<Value>>,
    results: Vec<Option<Value>>,
}

const NO_VALUE: &str = "a parameter or result without a value; this is a bug in retrograde";

impl Plain {
    /// Nothing to prepare.
    pub fn new(program: &Arc<Program>, feeds: Feeds) -> Plain {
        Plain {
            program: program.clone(),
            feeds,
            parameters: vec![None; program.inputs.len()],
            results: vec![],
        }
    }
}

impl Body for Plain {
    fn set(&mut self, parameter: usize, value: Value) {
        self.parameters[parameter] = Some(value);
    }
    fn set_row(&mut self, parameter: usize, stack: &Array, row: usize) {
        self.parameters[parameter] = Some(Value::Array(stack.row(row)));
    }
    fn parameter(&self, parameter: usize) -> &Value {
        self.parameters[parameter].as_ref().expect(NO_VALUE)
    }
    fn take(&mut self, parameter: usize) -> Value {
        self.parameters[parameter].take().expect(NO_VALUE)
    }
    fn run(&mut self, cx: &mut dyn Evaluate) -> Result<(), EvalError> {
        // What is fed is moved: the body may hold the only one.
        let mut operands: Vec<Option<Value>> = vec![None; self.parameters.len()];
        self.feeds.iter().for_each(|&(_, parameter)| operands[parameter] = self.parameters[parameter].take());
        let operands = operands.into_iter().zip(&self.parameters);
        let operands =
            operands.map(|(moved, kept)| moved.or_else(|| kept.clone()).expect(NO_VALUE)).collect();
        self.results = cx.run(&self.program, operands)?.into_iter().map(Some).collect();
        Ok(())
    }
    fn result(&self, result: usize) -> &Value {
        self.results[result].as_ref().expect(NO_VALUE)
    }
    fn advance(&mut self) {
        for (i, &(result, parameter)) in self.feeds.iter().enumerate() {
            let again = self.feeds[i + 1..].iter().any(|&(later, _)| later == result);
            let value = if again { self.results[result].clone() } else { self.results[result].take() };
            self.parameters[parameter] = value;
        }
    }
}

/// Makes `to` the same state, in the memory that it has where that fits.
pub(super) fn copy_state<'a>(to: &mut Vec<Value>, from: impl Iterator<Item = &'a Value>) {
    for (i, value) in from.enumerate() {
        match (to.get_mut(i), value) {
            (Some(Value::Array(to)), Value::Array(from)) => to.assign(from),
            (Some(to), from) => *to = from.clone(),
            (None, from) => to.push(from.compact()),
        }
    }
}
