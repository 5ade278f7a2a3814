//! Running a plan.

use retrograde_array::Array;
use retrograde_core::exec::{Cause, Counters, RunConfig, RunError, non_finite};
use retrograde_core::ir::Location;
use retrograde_core::prim::{EvalError, Evaluate, Program, Value};

use super::{Action, Body, Plan, Step, address};
use crate::kernel::Scratch;

/// A running call.
pub(crate) struct Run<'p> {
    config: RunConfig,
    pub(crate) counters: Counters,
    /// The first failure, with the place of the innermost equation.
    pub(crate) failure: Option<RunError>,
    /// The step that runs, and its bodies.
    step: Option<&'p Step>,
    bodies: &'p [Body],
    scratch: Scratch,
}

impl<'p> Run<'p> {
    pub(crate) fn new(config: RunConfig) -> Run<'p> {
        Run {
            config,
            counters: Counters::default(),
            failure: None,
            step: None,
            bodies: &[],
            scratch: Scratch::default(),
        }
    }
    /// Which step runs: its operation and where the user wrote it.
    pub(crate) fn place(&self) -> (&'static str, Option<Location>) {
        self.step.map_or(("program", None), |step| (step.op, step.location))
    }
    fn fail(&mut self, step: &Step, cause: Cause) {
        let (op, location) = (step.op, step.location);
        self.failure.get_or_insert(RunError { op, location, step: None, cause });
    }
}

const UNDEFINED: &str = "a value is used before its definition; this is a bug in retrograde";

impl Plan {
    pub(crate) fn run<'p>(&'p self, inputs: Vec<Value>, run: &mut Run<'p>) -> Result<Vec<Value>, EvalError> {
        let mut values: Vec<Option<Value>> = vec![None; self.n_slots];
        for (slot, value) in self.parameters.iter().zip(inputs) {
            values[*slot] = Some(value);
        }
        for step in &self.steps {
            run.step = Some(step);
            match &step.action {
                Action::Kernel(kernel) => {
                    let inputs: Vec<&Array> = step
                        .inputs
                        .iter()
                        .map(|slot| values[*slot].as_ref().expect(UNDEFINED).array())
                        .collect();
                    kernel.run(&inputs, &mut [], &mut run.scratch);
                }
                Action::Eval { prim, bodies } => {
                    let operands: Vec<Value> = step
                        .inputs
                        .iter()
                        .zip(&step.dying)
                        .map(|(slot, &dies)| if dies { values[*slot].take() } else { values[*slot].clone() })
                        .map(|value| value.expect(UNDEFINED))
                        .collect();
                    let finite =
                        run.config.look_for_non_finite && operands.iter().all(|v| non_finite(v).is_none());
                    let outer = std::mem::replace(&mut run.bodies, bodies);
                    let results = prim.eval(run, operands);
                    run.bodies = outer;
                    let results = results.inspect_err(|e| run.fail(step, e.clone().into()))?;
                    if finite
                        && bodies.is_empty()
                        && let Some(found) = results.iter().find_map(non_finite)
                    {
                        run.fail(step, Cause::NotFinite { found });
                        return Err(EvalError::Interrupted);
                    }
                    for (slot, result) in step.outputs.iter().zip(results) {
                        values[*slot] = Some(result);
                    }
                }
            }
        }
        // A result may be kept: it must not keep alive what it is a view of.
        Ok(self.results.iter().map(|slot| values[*slot].as_ref().expect(UNDEFINED).compact()).collect())
    }
}

impl Evaluate for Run<'_> {
    fn run(&mut self, body: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let found = self.bodies.iter().find(|planned| planned.address == address(body));
        let planned = found.ok_or_else(|| EvalError::Broken("a body of the equation that runs".into()))?;
        planned.plan.run(inputs, self)
    }
    fn attempt(&mut self, body: &Program, inputs: Vec<Value>) -> Option<Vec<Value>> {
        // Whether an attempt succeeds must not depend on what is looked for.
        let (config, failure) = (std::mem::take(&mut self.config), self.failure.take());
        let results = Evaluate::run(self, body, inputs);
        (self.config, self.failure) = (config, failure);
        results.ok()
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
