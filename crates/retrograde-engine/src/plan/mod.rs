//! The order of steps, and where each value lies while it lives.
//!
//! Note [slots]: a workspace ([`Frame`]) has a slot for each value, shared where lives do not overlap and types have one size. What
//! kernels and direct operations write are *buffers*: memory that stays in its slot from run to run and is written again where
//! nobody else holds it. Somebody may: results are given to the caller without a copy, and views share with what they are
//! views of (so that a value lives as long as its views). Then the slot gets new memory, and the old is the other's alone. What the rule of a
//! primitive returns is *stored*: it replaces what was in the slot, and is let go when it dies. So nothing that anybody can
//! see is ever overwritten, and repeated calls whose results are let go allocate no buffer.
//!
//! A kernel may write a result *over* an operand that dies with it, entry by entry, where that saves a buffer: new parameters of a
//! training step lie where the gradients lay. The operand has been written into the slot in the same call, so nobody else
//! holds it; a result that is held makes the slot take new memory for the first value of the next call, once, as if it had a
//! slot of its own.

mod body;
mod frame;
mod known;
mod layout;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use run::{Run, Scratch};

use std::sync::{Arc, Mutex};

use retrograde_array::tile::Places;
use retrograde_core::ir::{Kind, Location, Op, Type, ValueId};
use retrograde_core::prim::retain::Update;
use retrograde_core::prim::{Builder, Prim, Program, Value};

use crate::direct::{self, Direct};
use crate::kernel::{self, Group, Kernel};
use frame::Frame;

/// A program ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    slots: Vec<Holds>,
    /// Whether loops run it step by step: then parameters keep their values.
    is_body: bool,
    /// Where the parameters and the results lie.
    parameters: Vec<Slot>,
    results: Vec<Slot>,
    /// What is in a workspace from the beginning.
    constants: Vec<(Slot, Value)>,
    /// Workspaces that no call uses.
    frames: Mutex<Vec<Frame>>,
}

/// Names a slot of a workspace.
type Slot = usize;

/// What a slot is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holds {
    /// A value that the caller gives, or a loop.
    Parameter,
    /// Memory that stays.
    Buffer,
    /// What a rule returned.
    Stored,
    /// The same in every run.
    Constant,
}

/// What runs at once.
#[derive(Debug)]
struct Step {
    action: Action,
    inputs: Vec<Operand>,
    outputs: Vec<Slot>,
    /// Those of them that begin with the entries of an operand, which is none of the inputs.
    updated: Vec<Slot>,
    /// Inputs and outputs again, for a kernel.
    places: Option<Places>,
    /// The types of the results.
    types: Vec<Type>,
    /// Slots whose values die here.
    releases: Vec<Slot>,
    /// Where the user wrote it, for errors.
    op: &'static str,
    location: Option<Location>,
}

/// An operand: where it lies, and whether it may be moved out.
#[derive(Clone, Copy, Debug)]
struct Operand {
    slot: Slot,
    dies: bool,
}

#[derive(Debug)]
enum Action {
    Kernel(Kernel),
    Direct(Direct),
    Retain(Update),
    Restore(Update),
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

/// A step whose operands and results are still values of the program.
struct Draft {
    action: Action,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    op: &'static str,
    location: Option<Location>,
}

/// How to plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// Equations are fused and run as is fastest.
    Fused,
    /// Each equation by itself, by the rule of its primitive, so that each result can be looked at.
    OneByOne,
}

impl Plan {
    pub(crate) fn new(program: &Program, detail: Detail) -> Plan {
        Plan::of(program, detail, false)
    }

    /// The parameters of a body keep their values from step to step.
    fn of(program: &Program, detail: Detail, is_body: bool) -> Plan {
        let inlined = without_calls(program);
        let program = inlined.as_ref().unwrap_or(program);
        let folded = if detail == Detail::Fused { known::folded(program) } else { None };
        let program = folded.as_ref().unwrap_or(program);
        let groups = match detail {
            Detail::Fused => kernel::fuse(program),
            Detail::OneByOne => (0..program.equations.len()).map(Group::Equation).collect(),
        };
        let drafts = groups.into_iter().map(|group| draft(program, group, detail)).collect();
        layout::plan(program, drafts, detail, is_body)
    }
}

fn draft(program: &Program, group: Group, detail: Detail) -> Draft {
    let index = match group {
        Group::Kernel { kernel, inputs, outputs } => {
            let first = kernel.equations().first().map(|&first| &program.equations[first]);
            let (op, location) = first.map_or(("kernel", None), |e| (e.op.name(), e.location));
            return Draft { action: Action::Kernel(kernel), inputs, outputs, op, location };
        }
        Group::Equation(index) => index,
    };
    let equation = &program.equations[index];
    Draft {
        action: action(program, &equation.op, &equation.inputs, detail),
        inputs: equation.inputs.clone(),
        outputs: equation.outputs.clone(),
        op: equation.op.name(),
        location: equation.location,
    }
}

fn action(program: &Program, prim: &Prim, inputs: &[ValueId], detail: Detail) -> Action {
    if detail == Detail::Fused {
        let types: Vec<Type> = inputs.iter().map(|&v| program.ty(v).clone()).collect();
        if let Some(direct) = direct::resolve(prim, &types) {
            return Action::Direct(direct);
        }
        match prim {
            Prim::Retain(retain) => return Action::Retain(retain.update),
            Prim::Restore(restore) => return Action::Restore(restore.update),
            _ => {}
        }
    }
    let prim = prim.clone();
    let mut bodies = vec![];
    prim.map_bodies(&mut |body| {
        bodies.push(Body { address: address(body), plan: Arc::new(Plan::of(body, detail, true)) });
        body.clone()
    });
    Action::Eval { prim, bodies }
}

/// The program that a call of it stands for.
fn called(prim: &Prim) -> Option<&Program> {
    match prim {
        Prim::Call(call) => Some(&call.body),
        Prim::CustomJvp(custom) => Some(&custom.primal),
        Prim::CustomVjp(custom) => Some(&custom.primal),
        Prim::LinearCall(call) => call.apply.as_deref(),
        _ => None,
    }
}

/// The program with the equations of what it calls in the place of the calls; `None` where it calls nothing. Errors name
/// innermost equations, so they are the same.
fn without_calls(program: &Program) -> Option<Program> {
    program.equations.iter().find_map(|e| called(&e.op))?;
    let mut b = Builder::new();
    let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
    for &parameter in &program.inputs {
        map[parameter.index()] = Some(b.input(program.ty(parameter).clone()));
    }
    let known = |map: &[Option<ValueId>], values: &[ValueId]| -> Vec<ValueId> {
        let known = values.iter().map(|v| map[v.index()]);
        known
            .map(|v| v.expect("a value is used before its definition; this is a bug in retrograde"))
            .collect()
    };
    for equation in &program.equations {
        let operands = known(&map, &equation.inputs);
        let one = Program {
            inputs: equation.inputs.clone(),
            equations: vec![equation.clone()],
            outputs: equation.outputs.clone(),
            types: program.types.clone(),
        };
        let results = match called(&equation.op) {
            Some(body) => b.inline(without_calls(body).as_ref().unwrap_or(body), &operands),
            None => b.inline(&one, &operands),
        };
        for (v, result) in equation.outputs.iter().zip(results) {
            map[v.index()] = Some(result);
        }
    }
    Some(b.finish(known(&map, &program.outputs)))
}

/// Whether a value holds no memory but words of its own.
fn is_bits(ty: &Type) -> bool {
    ty.kind == Kind::Bits
}
