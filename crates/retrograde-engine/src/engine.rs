//! The executor itself: settings, and what a program becomes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use retrograde_core::exec::{Cause, Compiled, Counters, Executor, RunConfig, RunError, check_inputs};
use retrograde_core::prim::{Program, Value};

use crate::plan::{Detail, Plan, Run};

/// Runs programs fast, with the bits of the reference interpreter.
///
/// What it compiles may run in several threads at once; each running call has a workspace of its own, which is kept for
/// the next.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::{exec::Executor, ir::parse, prim::{Prim, Value}};
/// use retrograde_engine::Engine;
/// let sine = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  return b\n}")?;
/// let compiled = Engine::default().compile(&sine);
/// let (results, _) = compiled.run(vec![Value::Array(array(0.0))])?;
/// assert_eq!(results, [Value::Array(array(0.0))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    /// What to look for while running. Looking takes every equation by itself.
    pub config: RunConfig,
}

impl Executor for Engine {
    fn compile(&self, program: &Program) -> Arc<dyn Compiled> {
        let detail = if self.config.look_for_non_finite { Detail::OneByOne } else { Detail::Fused };
        let plan = Arc::new(Plan::new(program, detail));
        Arc::new(Planned { program: program.clone(), plan, engine: *self })
    }
}

/// A program with its plan.
#[derive(Debug)]
struct Planned {
    program: Program,
    plan: Arc<Plan>,
    engine: Engine,
}

impl Compiled for Planned {
    fn run(&self, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError> {
        check_inputs(&self.program, &inputs)?;
        let mut run = Run::new(self.engine.config, 1);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.plan.run(inputs, &mut run)));
        match outcome {
            Ok(Ok(outputs)) => Ok((outputs, run.counters)),
            Ok(Err(e)) => Err(run.failure.unwrap_or(RunError {
                op: "program",
                location: None,
                step: None,
                cause: e.into(),
            })),
            Err(panic) => {
                let (op, location) = run.place;
                Err(RunError { op, location, step: None, cause: Cause::Panic { message: message(&*panic) } })
            }
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
