//! Runs programs. The reference interpreter is one obvious loop: it is the oracle that other executors must equal to the bit.
//!
//! What runs a program implements [`Executor`]; a front door is told which by `.executor(..)`.

mod interpreter;
mod verify;

pub use interpreter::{Interpreter, RunConfig, non_finite};
pub use verify::{NotAnInverse, verify};

use crate::ir::{Kind, Location, Type};
use crate::prim::{EvalError, Program, Value};
use std::fmt::Debug;
use std::sync::Arc;

/// What a run counted, from inside the steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Forward steps of loops that were computed again.
    pub recomputed_steps: u64,
    /// Steps that were run backwards.
    pub inverse_steps: u64,
    /// Evaluations of steps on guesses of the state before them, on the way forwards and back.
    pub inverse_evaluations: u64,
}

/// Why a run ended early.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "{op}: {cause}{}{}",
    step.map(|i| format!(" (in step {i} of the loop, counted from 0)")).unwrap_or_default(),
    location.map(|l| format!("\n  --> {l}")).unwrap_or_default()
)]
pub struct RunError {
    /// The operation that failed.
    pub op: &'static str,
    /// Where the user wrote it.
    pub location: Option<Location>,
    /// In which step of the innermost loop.
    pub step: Option<usize>,
    /// What went wrong.
    pub cause: Cause,
}

/// What went wrong.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Cause {
    /// The equation could not be computed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A result is NaN or infinite although all operands are finite (looked for on request only).
    #[error("the result is not finite although the operands are; found {found}")]
    NotFinite {
        /// The first such entry.
        found: String,
    },
    /// A broken invariant of ours, found while running.
    #[error("panicked: {message}")]
    Panic {
        /// What the panic said.
        message: String,
    },
    /// A setting of the executor that cannot be.
    #[error("{message}")]
    Setting {
        /// What was found and expected.
        message: String,
    },
    /// Inputs that do not fit the program.
    #[error("input {index}: found {found}, expected {expected}")]
    Input {
        /// Which input.
        index: usize,
        /// Its type.
        found: String,
        /// The parameter's type.
        expected: String,
    },
}

/// Something that runs programs: compiled once, run often.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::{exec::{Executor, Interpreter, RunConfig}, ir::parse, prim::{Prim, Value}};
/// let log = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = log a\n  return b\n}")?;
/// let number = |x: f64| Value::Array(array(x));
/// assert_eq!(Interpreter::default().run(&log, vec![number(0.0)])?.0, [number(f64::NEG_INFINITY)]);
/// let careful = Interpreter { config: RunConfig { look_for_non_finite: true } }.compile(&log);
/// let error = careful.run(vec![number(0.0)]).unwrap_err();
/// assert!(error.to_string().starts_with("log: the result is not finite although the operands are"));
/// let error = careful.run(vec![Value::Array(array(1_i64))]).unwrap_err();
/// assert_eq!(error.to_string(), "program: input 0: found i64[], expected f64[]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Executor: Debug + Send + Sync {
    /// What `program` becomes before it runs. May be slow; never fails.
    fn compile(&self, program: &Program) -> Arc<dyn Compiled>;

    /// The results of `program`, run once, and what was counted on the way.
    ///
    /// # Errors
    /// As [`Compiled::run`].
    fn run(&self, program: &Program, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError> {
        self.compile(program).run(inputs)
    }
}

/// A program that is ready to run, also from several threads at once.
pub trait Compiled: Debug + Send + Sync {
    /// The results, and what was counted on the way.
    ///
    /// # Errors
    /// Inputs of other types than the parameters; the error of the first equation that fails.
    fn run(&self, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError>;
}

impl<E: Executor + ?Sized> Executor for Arc<E> {
    fn compile(&self, program: &Program) -> Arc<dyn Compiled> {
        (**self).compile(program)
    }
    fn run(&self, program: &Program, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError> {
        (**self).run(program, inputs)
    }
}

/// Refuses inputs of other types than the parameters of `program`: what every executor checks first.
///
/// # Errors
/// The first input that does not fit.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::{exec::check_inputs, ir::parse, prim::{Prim, Value}};
/// let program = parse::<Prim>("program(a:f64[2]) {\n  return a\n}")?;
/// assert!(check_inputs(&program, &[Value::Array(array([1.0, 2.0]))]).is_ok());
/// let error = check_inputs(&program, &[Value::Array(array(1.0))]).unwrap_err();
/// assert_eq!(error.to_string(), "program: input 0: found f64[], expected f64[2]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_inputs(program: &Program, inputs: &[Value]) -> Result<(), RunError> {
    let refusal = |index, found, expected| RunError {
        op: "program",
        location: None,
        step: None,
        cause: Cause::Input { index, found, expected },
    };
    for (index, (value, &parameter)) in inputs.iter().zip(&program.inputs).enumerate() {
        let expected = program.ty(parameter);
        if !has_type(value, expected) {
            return Err(refusal(index, type_of(value, expected).to_string(), expected.to_string()));
        }
    }
    if inputs.len() != program.inputs.len() {
        let (found, expected) =
            (format!("{} inputs", inputs.len()), format!("{} inputs", program.inputs.len()));
        return Err(refusal(0, found, expected));
    }
    Ok(())
}

fn has_type(value: &Value, expected: &Type) -> bool {
    match (value, expected.kind) {
        (Value::Bits(_), kind) => kind == Kind::Bits,
        (Value::Array(_), Kind::Bits) => false,
        (Value::Array(a), Kind::Array) => a.dtype() == expected.dtype && *a.shape() == expected.shape,
        (Value::Array(a), Kind::List) => {
            a.dtype() == expected.dtype && a.rank() > 0 && a.shape()[1..] == expected.shape[..]
        }
    }
}

fn type_of(value: &Value, expected: &Type) -> Type {
    match value {
        Value::Bits(_) => Type::bits(),
        Value::Array(a) if expected.kind == Kind::List && a.rank() > 0 => Type::of(a).unstacked().list(),
        Value::Array(a) => Type::of(a),
    }
}
