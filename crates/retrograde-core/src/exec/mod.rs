//! Runs programs. The reference interpreter is one obvious loop: it is the oracle that other executors must equal to the bit.

mod interpreter;
mod verify;

pub use interpreter::{Interpreter, RunConfig};
pub use verify::{NotAnInverse, verify};

use crate::ir::Location;
use crate::prim::{EvalError, Program, Value};

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

/// Something that runs programs.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::{exec::{Executor, Interpreter, RunConfig}, ir::parse, prim::{Prim, Value}};
/// let log = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = log a\n  return b\n}")?;
/// let number = |x: f64| Value::Array(array(x));
/// assert_eq!(Interpreter::default().run(&log, vec![number(0.0)])?.0, [number(f64::NEG_INFINITY)]);
/// let careful = Interpreter { config: RunConfig { look_for_non_finite: true } };
/// let error = careful.run(&log, vec![number(0.0)]).unwrap_err();
/// assert!(error.to_string().starts_with("log: the result is not finite although the operands are"));
/// let error = careful.run(&log, vec![Value::Array(array(1_i64))]).unwrap_err();
/// assert_eq!(error.to_string(), "program: input 0: found i64[], expected f64[]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Executor: Send + Sync {
    /// The results of `program`, and what was counted on the way.
    ///
    /// # Errors
    /// Inputs of other types than the parameters; the error of the first equation that fails.
    fn run(&self, program: &Program, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError>;
}
