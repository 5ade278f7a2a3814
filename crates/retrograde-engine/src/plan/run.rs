//! Running a plan.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use retrograde_array::bits::BitStack;
use retrograde_array::{Array, ArrayError, lost};
use retrograde_core::exec::{Cause, Counters, RunConfig, RunError, non_finite};
use retrograde_core::ir::{Location, Type};
use retrograde_core::prim::{self, EvalError, Evaluate, Feeds, Program, Value};

use super::body::Prepared;
use super::frame::{Frame, make_room};
use super::layout::may_be_view;
use super::{Action, Holds, Plan, Step, address};
use crate::kernel;

/// Memory that every running call needs, kept from call to call.
#[derive(Default)]
pub(crate) struct Scratch {
    tiles: kernel::Scratch,
    direct: retrograde_array::Scratch,
    /// What the caller gave up and nobody else holds.
    given: Vec<Array>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// A running call.
pub(crate) struct Run {
    config: RunConfig,
    n_threads: usize,
    pub(crate) counters: Counters,
    /// The first failure, with the place of the innermost equation.
    pub(crate) failure: Option<RunError>,
    /// The operation that runs, and where the user wrote it.
    pub(crate) place: (&'static str, Option<Location>),
    /// The plan and number of the step that runs, if it has bodies.
    step: Option<(Arc<Plan>, usize)>,
    /// What its results may be written into.
    rooms: Vec<Value>,
    pub(crate) scratch: Scratch,
}

impl Run {
    pub(crate) fn new(config: RunConfig, n_threads: usize, scratch: Scratch) -> Run {
        Run {
            config,
            n_threads,
            counters: Counters::default(),
            failure: None,
            place: ("program", None),
            step: None,
            rooms: vec![],
            scratch,
        }
    }
    fn fail(&mut self, step: &Step, cause: Cause) {
        let (op, location) = (step.op, step.location);
        self.failure.get_or_insert(RunError { op, location, step: None, cause });
    }
    /// The plan of a body of the step that runs.
    fn plan(&self, body: &Program) -> Result<Arc<Plan>, EvalError> {
        let bodies = self.step.as_ref().map(|(plan, step)| match &plan.steps[*step].action {
            Action::Eval { bodies, .. } => &bodies[..],
            _ => &[],
        });
        let found = bodies.unwrap_or_default().iter().find(|planned| planned.address == address(body));
        let found = found.ok_or_else(|| EvalError::Broken("a body of the equation that runs".into()))?;
        Ok(found.plan.clone())
    }
}

/// The arrays of the operands of a step, on the stack where they are few.
fn with_arrays<R>(frame: &Frame, step: &Step, f: impl FnOnce(&[&Array]) -> R) -> R {
    const FEW: usize = 12;
    let array = |i: usize| frame.slots[step.inputs[i].slot].array();
    match step.inputs.len() {
        0 => f(&[]),
        n @ 1..=FEW => {
            let mut arrays = [array(0); FEW];
            for (i, place) in arrays[..n].iter_mut().enumerate().skip(1) {
                *place = array(i);
            }
            f(&arrays[..n])
        }
        n => f(&(0..n).map(array).collect::<Vec<_>>()),
    }
}

impl Plan {
    /// Runs a program on its inputs.
    pub(crate) fn run(self: &Arc<Self>, inputs: Vec<Value>, run: &mut Run) -> Result<Vec<Value>, EvalError> {
        let mut frame = self.frame();
        for (&slot, value) in self.parameters.iter().zip(inputs) {
            frame.slots[slot] = value;
        }
        let outcome = self.run_in(&mut frame, run);
        let results = outcome.map(|()| self.results(&mut frame));
        if !self.is_body {
            self.give_back(&mut frame, &mut run.scratch.given);
        }
        self.keep(frame);
        results
    }

    /// Runs all steps; parameters are in the workspace, and so are results after it.
    pub(super) fn run_in(self: &Arc<Self>, frame: &mut Frame, run: &mut Run) -> Result<(), EvalError> {
        for (index, step) in self.steps.iter().enumerate() {
            run.place = (step.op, step.location);
            let outcome = match &step.action {
                Action::Eval { .. } => self.evaluate(index, frame, run),
                _ => native(step, frame, run),
            };
            outcome.inspect_err(|e| run.fail(step, e.clone().into()))?;
            for &slot in &step.releases {
                let value = std::mem::take(&mut frame.slots[slot]);
                if let (Holds::Parameter, Value::Array(mut array)) = (self.slots[slot], value)
                    && array.is_unique()
                {
                    run.scratch.given.push(array);
                }
            }
        }
        Ok(())
    }

    /// Runs a step by the rule of its primitive.
    fn evaluate(self: &Arc<Self>, index: usize, frame: &mut Frame, run: &mut Run) -> Result<(), EvalError> {
        let step = &self.steps[index];
        let Action::Eval { prim, bodies } = &step.action else { return Ok(()) };
        let mut operands: Vec<Value> = Vec::with_capacity(step.inputs.len());
        for operand in &step.inputs {
            let value = &mut frame.slots[operand.slot];
            operands.push(if operand.dies { std::mem::take(value) } else { value.clone() });
        }
        let finite = run.config.look_for_non_finite && operands.iter().all(|v| non_finite(v).is_none());
        let results = if bodies.is_empty() {
            if !may_be_view(&step.action) {
                expect_memory(&step.types)?;
            }
            prim.eval(run, operands)?
        } else {
            let mut rooms = std::mem::take(&mut frame.rooms);
            rooms.extend(step.outputs.iter().map(|&slot| std::mem::take(&mut frame.slots[slot])));
            let outer_step = run.step.replace((self.clone(), index));
            let outer_rooms = std::mem::replace(&mut run.rooms, rooms);
            let results = prim.eval(run, operands);
            frame.rooms = std::mem::replace(&mut run.rooms, outer_rooms);
            frame.rooms.clear();
            run.step = outer_step;
            results?
        };
        if finite
            && bodies.is_empty()
            && let Some(found) = results.iter().find_map(non_finite)
        {
            run.fail(step, Cause::NotFinite { found });
            return Err(EvalError::Interrupted);
        }
        for (&slot, result) in step.outputs.iter().zip(results) {
            frame.slots[slot] = result;
        }
        Ok(())
    }
}

/// Moves a bit stack out of its slot.
fn take_bits(value: &mut Value) -> Result<BitStack, EvalError> {
    match value {
        Value::Bits(bits) => Ok(std::mem::take(bits)),
        Value::Array(_) => Err(EvalError::Broken("a bit stack, found an array".into())),
    }
}

/// Runs a step that writes into memory of the workspace.
fn native(step: &Step, frame: &mut Frame, run: &mut Run) -> Result<(), EvalError> {
    match &step.action {
        Action::Retain(update) => {
            let mut bits = take_bits(&mut frame.slots[step.inputs[0].slot])?;
            let array = |i: usize| frame.slots[step.inputs[i].slot].array();
            let operands = [array(3), array(step.inputs.len() - 1)];
            lost::record_array(array(1), array(2), update.step(&operands), &mut bits)?;
            frame.slots[step.outputs[0]] = Value::Bits(bits);
            return Ok(());
        }
        Action::Restore(update) => {
            let mut bits = take_bits(&mut frame.slots[step.inputs[0].slot])?;
            let x = step.outputs[1];
            make_room(&mut frame.slots[x], &step.types[1], &mut run.scratch.given)?;
            let mut x_before = std::mem::take(&mut frame.slots[x]);
            let array = |i: usize| frame.slots[step.inputs[i].slot].array();
            let operands = [array(2), array(step.inputs.len() - 1)];
            if let Value::Array(x_before) = &mut x_before {
                lost::restore_array_into(array(1), update.step(&operands), &mut bits, x_before)?;
            }
            frame.slots[x] = x_before;
            frame.slots[step.outputs[0]] = Value::Bits(bits);
            return Ok(());
        }
        Action::Kernel(kernel) => {
            let Some(places) = &step.places else {
                return Err(EvalError::Broken("the places of a kernel".into()));
            };
            for (slot, ty) in step.outputs.iter().zip(&step.types) {
                if !step.updated.contains(slot) {
                    make_room(&mut frame.slots[*slot], ty, &mut run.scratch.given)?;
                }
            }
            kernel.run_in(&mut frame.slots, places, &mut run.scratch.tiles, run.n_threads);
            return Ok(());
        }
        _ => {}
    }
    frame.take_written(step, &mut run.scratch.given)?;
    let mut written = std::mem::take(&mut frame.written);
    let outcome = with_arrays(frame, step, |inputs| -> Result<(), ArrayError> {
        match &step.action {
            Action::Direct(direct) => {
                for out in &mut written {
                    direct.run(inputs, out, run.n_threads, &mut run.scratch.direct)?;
                }
            }
            Action::Kernel(_) | Action::Retain(_) | Action::Restore(_) | Action::Eval { .. } => {}
        }
        Ok(())
    });
    frame.written = written;
    frame.put_written(step);
    Ok(outcome?)
}

/// Results of more bytes than this are asked of the system before a rule makes them, which would end the process.
const ASKED: usize = 1 << 30;

fn expect_memory(types: &[Type]) -> Result<(), EvalError> {
    let bytes = types.iter().map(Type::size_bytes).fold(0, usize::saturating_add);
    if bytes > ASKED && Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        return Err(ArrayError::OutOfMemory { bytes }.into());
    }
    Ok(())
}

impl Evaluate for Run {
    fn run(&mut self, body: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        self.plan(body)?.run(inputs, self)
    }
    fn prepare(&mut self, body: &Arc<Program>, feeds: Feeds) -> Box<dyn prim::Body> {
        match self.plan(body) {
            Ok(plan) => Box::new(Prepared::new(plan, &feeds)),
            // Says so when it runs.
            Err(_) => Box::new(prim::body::Plain::new(body, feeds)),
        }
    }
    fn enter(&mut self, body: &mut dyn Any) -> Result<(), EvalError> {
        match body.downcast_mut::<Prepared>() {
            Some(Prepared { plan, frame, .. }) => plan.run_in(frame, self),
            None => Err(EvalError::Broken("a body that the engine prepared".into())),
        }
    }
    fn attempt(&mut self, body: &mut dyn prim::Body) -> bool {
        // Whether an attempt succeeds must not depend on what is looked for.
        let (config, failure) = (std::mem::take(&mut self.config), self.failure.take());
        let succeeded = body.run(self).is_ok();
        (self.config, self.failure) = (config, failure);
        succeeded
    }
    fn room(&mut self, result: usize, ty: &Type) -> Result<Array, EvalError> {
        let mut room = self.rooms.get_mut(result).map(std::mem::take).unwrap_or_default();
        make_room(&mut room, ty, &mut self.scratch.given)?;
        room.into_array()
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
