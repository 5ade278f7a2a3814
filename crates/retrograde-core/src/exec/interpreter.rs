//! The reference interpreter.

use super::{Cause, Compiled, Counters, Executor, RunError, check_inputs};
use crate::ir::Op;
use crate::prim::{Body, EvalError, Evaluate, Program, Value};
use retrograde_array::{Array, bf16};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What to look for while running.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunConfig {
    /// Stop at the first equation that makes a NaN or an infinity from finite operands.
    pub look_for_non_finite: bool,
}

/// Runs equations one after the other, as they stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter {
    /// What to look for.
    pub config: RunConfig,
}

impl Executor for Interpreter {
    fn compile(&self, program: &Program) -> Arc<dyn Compiled> {
        Arc::new(Interpreted { program: program.clone(), config: self.config })
    }
    fn run(&self, program: &Program, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError> {
        interpret(program, self.config, inputs)
    }
}

/// Nothing to prepare: the program itself.
#[derive(Debug)]
struct Interpreted {
    program: Program,
    config: RunConfig,
}

impl Compiled for Interpreted {
    fn run(&self, inputs: Vec<Value>) -> Result<(Vec<Value>, Counters), RunError> {
        interpret(&self.program, self.config, inputs)
    }
}

fn interpret(
    program: &Program,
    config: RunConfig,
    inputs: Vec<Value>,
) -> Result<(Vec<Value>, Counters), RunError> {
    check_inputs(program, &inputs)?;
    let mut run = Run { config, counters: Counters::default(), deaths: HashMap::new(), failure: None };
    match run.run(program, inputs) {
        Ok(outputs) => Ok((outputs, run.counters)),
        Err(e) => Err(run.failure.unwrap_or(RunError {
            op: "program",
            location: None,
            step: None,
            cause: e.into(),
        })),
    }
}

struct Run {
    config: RunConfig,
    counters: Counters,
    /// Per body, by address (bodies outlive the run): for each equation, the operands that die with it.
    deaths: HashMap<*const Program, Rc<Vec<Vec<bool>>>>,
    /// The first failure, with the place of the innermost equation.
    failure: Option<RunError>,
}

impl Run {
    fn deaths(&mut self, program: &Program) -> Rc<Vec<Vec<bool>>> {
        let entry = self.deaths.entry(std::ptr::from_ref(program));
        entry.or_insert_with(|| Rc::new(deaths(program))).clone()
    }
}

/// For each equation and operand, whether this is the last use of the value.
fn deaths(program: &Program) -> Vec<Vec<bool>> {
    let mut needed = vec![false; program.types.len()];
    program.outputs.iter().for_each(|v| needed[v.index()] = true);
    let mut all: Vec<Vec<bool>> = vec![];
    for equation in program.equations.iter().rev() {
        let mut dying = vec![false; equation.inputs.len()];
        for (i, v) in equation.inputs.iter().enumerate().rev() {
            dying[i] = !std::mem::replace(&mut needed[v.index()], true);
        }
        all.push(dying);
    }
    all.reverse();
    all
}

impl Evaluate for Run {
    fn run(&mut self, program: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let deaths = self.deaths(program);
        let mut values: Vec<Option<Value>> = vec![None; program.types.len()];
        for (parameter, value) in program.inputs.iter().zip(inputs) {
            values[parameter.index()] = Some(value);
        }
        for (equation, dying) in program.equations.iter().zip(deaths.iter()) {
            let operands: Vec<Value> = equation
                .inputs
                .iter()
                .zip(dying)
                .map(|(v, &dies)| if dies { values[v.index()].take() } else { values[v.index()].clone() })
                .map(|v| v.expect("a value is used before its definition; this is a bug in retrograde"))
                .collect();
            let finite = self.config.look_for_non_finite && operands.iter().all(|v| non_finite(v).is_none());
            let results = match equation.op.eval(self, operands) {
                Ok(results) => results,
                Err(e) => {
                    let place = RunError {
                        op: equation.op.name(),
                        location: equation.location,
                        step: None,
                        cause: e.clone().into(),
                    };
                    self.failure.get_or_insert(place);
                    return Err(e);
                }
            };
            if finite
                && !equation.op.has_bodies()
                && let Some(found) = results.iter().find_map(non_finite)
            {
                let cause = Cause::NotFinite { found };
                self.failure.get_or_insert(RunError {
                    op: equation.op.name(),
                    location: equation.location,
                    step: None,
                    cause,
                });
                return Err(EvalError::Interrupted);
            }
            for (v, result) in equation.outputs.iter().zip(results) {
                values[v.index()] = Some(result);
            }
        }
        // A result may be kept (on a tape, in a list): it must not keep alive what it is a view of.
        Ok(program
            .outputs
            .iter()
            .map(|v| {
                values[v.index()].as_ref().expect("a result is not defined; this is a bug in retrograde")
            })
            .map(Value::compact)
            .collect())
    }
    fn attempt(&mut self, body: &mut dyn Body) -> bool {
        // Whether an attempt succeeds must not depend on what is looked for.
        let (config, failure) = (std::mem::take(&mut self.config), self.failure.take());
        let succeeded = body.run(self).is_ok();
        (self.config, self.failure) = (config, failure);
        succeeded
    }
    fn count_recomputed_step(&mut self) {
        self.counters.recomputed_steps += 1;
    }
    fn failed_in_step(&mut self, step_idx: usize) {
        if let Some(failure) = &mut self.failure {
            failure.step.get_or_insert(step_idx);
        }
    }
    fn count_inverse_step(&mut self) {
        self.counters.inverse_steps += 1;
    }
    fn count_inverse_evaluation(&mut self) {
        self.counters.inverse_evaluations += 1;
    }
}

/// The first entry of a value that is NaN or infinite, with its position.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::exec::non_finite;
/// let value = array([1.0, f64::NAN]).into();
/// assert_eq!(non_finite(&value).as_deref(), Some("NaN at entry 1"));
/// ```
pub fn non_finite(value: &Value) -> Option<String> {
    let Value::Array(array) = value else { return None };
    first_non_finite(array)
}

fn first_non_finite(array: &Array) -> Option<String> {
    let found = |at: Option<(usize, f64)>| at.map(|(i, x)| format!("{x} at entry {i}"));
    if let Some(xs) = array.as_slice::<f64>() {
        return found(xs.iter().copied().enumerate().find(|(_, x)| !x.is_finite()));
    }
    if let Some(xs) = array.as_slice::<bf16>() {
        return found(xs.iter().map(|x| x.to_f64()).enumerate().find(|(_, x)| !x.is_finite()));
    }
    let xs = array.as_slice::<f32>()?;
    found(xs.iter().map(|x| f64::from(*x)).enumerate().find(|(_, x)| !x.is_finite()))
}
