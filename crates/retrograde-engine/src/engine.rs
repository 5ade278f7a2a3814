//! The executor itself: settings, and what a program becomes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use retrograde_core::exec::{Cause, Compiled, Counters, Executor, RunConfig, RunError, check_inputs};
use retrograde_core::ir::Location;
use retrograde_core::prim::{Program, Value};

use crate::plan::{Detail, Plan, Run, Scratch};

/// The variable of the environment that says how many threads there are where a program does not say so.
const THREADS: &str = "RETROGRADE_THREADS";

/// Runs programs fast, with the bits of the reference interpreter.
///
/// What it compiles may run in several threads at once; each running call has a workspace of its own, which is kept for
/// the next. A door is told about an engine with other settings by `.executor(..)`:
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::{Engine, grad};
/// let slope = grad(|x: Var| (x * x.sin()).sum()).executor(Engine { threads: Some(2), ..Engine::default() });
/// assert_eq!(slope.call(&array([0.0]))?, array([0.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    /// What to look for while running. Looking takes every equation by itself.
    pub config: RunConfig,
    /// On how many threads a call may run at most; the bits do not depend on it. `None`: as many as the variable
    /// `RETROGRADE_THREADS` of the environment says when a program is compiled, or else as many as the machine runs at once.
    pub threads: Option<usize>,
}

impl Executor for Engine {
    fn compile(&self, program: &Program) -> Arc<dyn Compiled> {
        let detail = if self.config.look_for_non_finite { Detail::OneByOne } else { Detail::Fused };
        Arc::new(Planned {
            program: program.clone(),
            plan: Arc::new(Plan::new(program, detail)),
            config: self.config,
            n_threads: threads(self.threads, std::env::var(THREADS).ok().as_deref()),
            scratch: Mutex::default(),
        })
    }
}

/// The number of threads, from the setting and the variable of the environment.
fn threads(setting: Option<usize>, variable: Option<&str>) -> Result<usize, Cause> {
    let refusal = |what: &str, found: String| Cause::Setting {
        message: format!("{what}: found {found}, expected a number of threads from 1 on"),
    };
    match (setting, variable) {
        (Some(0), _) => Err(refusal("threads", "0".into())),
        (Some(n), _) => Ok(n),
        (None, Some(text)) => match text.trim().parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(refusal(&format!("environment variable {THREADS}"), format!("`{text}`"))),
        },
        (None, None) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// A program with its plan.
#[derive(Debug)]
struct Planned {
    program: Program,
    plan: Arc<Plan>,
    config: RunConfig,
    n_threads: Result<usize, Cause>,
    /// Memory that no call uses.
    scratch: Mutex<Vec<Scratch>>,
}

impl Compiled for Planned {
    fn run(&self, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError> {
        check_inputs(&self.program, &inputs)?;
        let failed = |op: &'static str, location: Option<Location>, cause: Cause| RunError {
            op,
            location,
            step: None,
            cause,
        };
        let n_threads = self.n_threads.clone().map_err(|cause| failed("program", None, cause))?;
        let scratch = self.scratch.lock().map(|mut kept| kept.pop());
        let mut run = Run::new(self.config, n_threads, scratch.ok().flatten().unwrap_or_default());
        let outcome = catch_unwind(AssertUnwindSafe(|| self.plan.run(inputs, &mut run)));
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(panic) => {
                // Memory in the middle of something is not used again.
                let (op, location) = run.place;
                return Err(failed(op, location, Cause::Panic { message: message(&*panic) }));
            }
        };
        if let Ok(mut kept) = self.scratch.lock() {
            kept.push(run.scratch);
        }
        match outcome {
            Ok(outputs) => Ok((outputs, run.counters)),
            Err(e) => Err(run.failure.unwrap_or_else(|| failed("program", None, e.into()))),
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_is_said_by_program_environment_or_machine() {
        assert_eq!(threads(Some(3), Some("5")), Ok(3));
        assert_eq!(threads(None, Some(" 5 ")), Ok(5));
        assert!(threads(None, None).is_ok_and(|n| n > 0));
        for (setting, variable, expected) in [
            (Some(0), None, "threads: found 0, expected a number of threads from 1 on"),
            (
                None,
                Some("0"),
                "environment variable RETROGRADE_THREADS: found `0`, expected a number of threads from 1 on",
            ),
            (
                None,
                Some("two"),
                "environment variable RETROGRADE_THREADS: found `two`, expected a number of threads from 1 on",
            ),
        ] {
            assert_eq!(threads(setting, variable).unwrap_err().to_string(), expected);
        }
    }
}
