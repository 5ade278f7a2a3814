//! The order of steps, and where each value lies while it lives.

mod run;

pub(crate) use run::Run;

use std::sync::Arc;

use retrograde_core::ir::{Location, Op, ValueId};
use retrograde_core::prim::{Prim, Program};

use crate::kernel::{self, Group, Kernel};

/// A program ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    n_slots: usize,
    /// Slots of the parameters and of the results.
    parameters: Vec<Slot>,
    results: Vec<Slot>,
}

/// Names the place of a value in a workspace.
type Slot = usize;

/// What runs at once.
#[derive(Debug)]
struct Step {
    action: Action,
    inputs: Vec<Slot>,
    /// Which operands are not needed any more.
    dying: Vec<bool>,
    outputs: Vec<Slot>,
    /// Where the user wrote it, for errors.
    op: &'static str,
    location: Option<Location>,
}

#[derive(Debug)]
enum Action {
    Kernel(Kernel),
    /// By the rule of the primitive.
    Eval {
        prim: Prim,
        bodies: Vec<Body>,
    },
}

/// A body of an equation, known by its address, which is the same as long as the equation lives.
#[derive(Debug)]
struct Body {
    address: usize,
    plan: Arc<Plan>,
}

/// Where a body is stored.
fn address(body: &Program) -> usize {
    std::ptr::from_ref(body).addr()
}

impl Plan {
    /// Plans a program. Where equations are to be looked at one by one, nothing is fused.
    pub(crate) fn new(program: &Program, one_by_one: bool) -> Plan {
        let groups = if one_by_one {
            (0..program.equations.len()).map(Group::Equation).collect()
        } else {
            kernel::fuse(program)
        };
        let mut steps: Vec<Step> = groups.into_iter().map(|group| step(program, group, one_by_one)).collect();
        let mut needed = vec![false; program.types.len()];
        program.outputs.iter().for_each(|v| needed[v.index()] = true);
        for step in steps.iter_mut().rev() {
            for (slot, dies) in step.inputs.iter().zip(&mut step.dying).rev() {
                *dies = !std::mem::replace(&mut needed[*slot], true);
            }
        }
        Plan {
            steps,
            n_slots: program.types.len(),
            parameters: slots(&program.inputs),
            results: slots(&program.outputs),
        }
    }
}

fn slots(values: &[ValueId]) -> Vec<Slot> {
    values.iter().map(|v| v.index()).collect()
}

fn step(program: &Program, group: Group, one_by_one: bool) -> Step {
    let (action, inputs, outputs, op, location) = match group {
        Group::Kernel { kernel, inputs, outputs } => {
            (Action::Kernel(kernel), slots(&inputs), slots(&outputs), "kernel", None)
        }
        Group::Equation(index) => {
            let equation = &program.equations[index];
            let prim = equation.op.clone();
            let mut bodies = vec![];
            prim.map_bodies(&mut |body| {
                bodies.push(Body { address: address(body), plan: Arc::new(Plan::new(body, one_by_one)) });
                body.clone()
            });
            let action = Action::Eval { prim, bodies };
            let (inputs, outputs) = (slots(&equation.inputs), slots(&equation.outputs));
            (action, inputs, outputs, equation.op.name(), equation.location)
        }
    };
    Step { action, dying: vec![false; inputs.len()], inputs, outputs, op, location }
}
