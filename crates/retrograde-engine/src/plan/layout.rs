//! Which slot each value lies in: see Note [slots].

use std::collections::HashMap;
use std::sync::Mutex;

use retrograde_array::DType;
use retrograde_array::tile::Places;
use retrograde_core::exec::RunConfig;
use retrograde_core::ir::{Kind, Type, ValueId};
use retrograde_core::prim::{Prim, Program, Value};

use super::{Action, Detail, Draft, Holds, Operand, Plan, Run, Scratch, Slot, Step, is_bits};
use crate::kernel;

/// Constants of more bytes than this are made anew in every run rather than kept: they would be held as long as the program.
pub(super) const LARGEST_CONSTANT: usize = 1 << 22;

/// Memory that one value may have after another: of one dtype and number of entries.
type Class = (DType, usize);

fn class(ty: &Type) -> Class {
    (ty.dtype, ty.shape.size())
}

/// Lays the steps out.
pub(super) fn plan(program: &Program, drafts: Vec<Draft>, detail: Detail, is_body: bool) -> Plan {
    let mut layout = Layout {
        slots: vec![],
        places: vec![None; program.types.len()],
        free: HashMap::new(),
        constants: vec![],
        is_result: vec![false; program.types.len()],
        is_sole: soles(program, &drafts),
    };
    program.outputs.iter().for_each(|v| layout.is_result[v.index()] = true);
    let deaths = deaths(program, &drafts, is_body);
    let parameters = program.inputs.iter().map(|&v| layout.place(v, Holds::Parameter)).collect();
    let mut steps = vec![];
    for (mut draft, mut dying) in drafts.into_iter().zip(deaths) {
        // Where equations are looked at one by one, constants are, too.
        if detail == Detail::Fused
            && let Some(value) = constant(&draft)
        {
            let slot = layout.place(draft.outputs[0], Holds::Constant);
            layout.constants.push((slot, value));
            continue;
        }
        let is_native = !matches!(draft.action, Action::Eval { .. });
        let keeps = is_native || matches!(&draft.action, Action::Eval { bodies, .. } if !bodies.is_empty());
        let (mut outputs, mut updated) = (vec![], vec![]);
        for i in 0..draft.outputs.len() {
            let over = layout.over(program, &mut draft, i, &mut dying, is_body);
            updated.extend(over);
            let v = draft.outputs[i];
            outputs.push(over.unwrap_or_else(|| layout.output(v, program.ty(v), is_native, keeps)));
        }
        let operand = |(i, v): (usize, &ValueId)| {
            let slot = layout.slot(*v);
            let last = !draft.inputs[i + 1..].contains(v);
            let may_move = match layout.slots[slot] {
                Holds::Stored => true,
                Holds::Parameter => !is_body || is_bits(program.ty(*v)),
                Holds::Buffer | Holds::Constant => false,
            };
            Operand { slot, dies: last && may_move && dying.contains(v) }
        };
        let inputs: Vec<Operand> = draft.inputs.iter().enumerate().map(operand).collect();
        let mut releases = vec![];
        for &v in &dying {
            let slot = layout.slot(v);
            match layout.slots[slot] {
                Holds::Stored => releases.push(slot),
                Holds::Parameter if !is_body => releases.push(slot),
                Holds::Buffer => layout.free(slot, program.ty(v)),
                Holds::Parameter | Holds::Constant => {}
            }
        }
        let types = draft.outputs.iter().map(|&v| program.ty(v).clone()).collect();
        let Draft { action, op, location, .. } = draft;
        let slots = || inputs.iter().map(|operand| operand.slot).collect();
        let places = matches!(action, Action::Kernel(_)).then(|| Places::new(slots(), outputs.clone()));
        steps.push(Step { action, inputs, outputs, updated, places, types, releases, op, location });
    }
    let results = program.outputs.iter().map(|&v| layout.slot(v)).collect();
    let Layout { slots, constants, .. } = layout;
    Plan { steps, slots, is_body, parameters, results, constants, frames: Mutex::default() }
}

struct Layout {
    slots: Vec<Holds>,
    /// The slot of each value.
    places: Vec<Option<Slot>>,
    /// Buffers that hold nothing.
    free: HashMap<Class, Vec<Slot>>,
    constants: Vec<(Slot, Value)>,
    is_result: Vec<bool>,
    /// Values that nobody else can hold.
    is_sole: Vec<bool>,
}

impl Layout {
    fn place(&mut self, v: ValueId, holds: Holds) -> Slot {
        self.slots.push(holds);
        self.places[v.index()] = Some(self.slots.len() - 1);
        self.slots.len() - 1
    }
    fn slot(&self, v: ValueId) -> Slot {
        self.places[v.index()].expect("a value is used before its definition; this is a bug in retrograde")
    }
    fn output(&mut self, v: ValueId, ty: &Type, is_native: bool, keeps: bool) -> Slot {
        if !keeps || ty.kind != Kind::Array {
            return self.place(v, if keeps && ty.kind == Kind::List { Holds::Buffer } else { Holds::Stored });
        }
        // A caller may hold a result until after the next call: then whatever shared its slot would need new memory, too.
        if is_native
            && !self.is_result[v.index()]
            && let Some(slot) = self.free.get_mut(&class(ty)).and_then(Vec::pop)
        {
            self.places[v.index()] = Some(slot);
            return slot;
        }
        self.place(v, Holds::Buffer)
    }
    /// Lets a kernel write a result over an operand that dies with it, which is no operand any more: the slot.
    fn over(
        &mut self,
        program: &Program,
        draft: &mut Draft,
        output: usize,
        dying: &mut Vec<ValueId>,
        is_body: bool,
    ) -> Option<Slot> {
        let Action::Kernel(kernel) = &mut draft.action else { return None };
        let v = draft.outputs[output];
        let ty = program.ty(v);
        let is_better = if self.is_result[v.index()] {
            // The results of a body change places with what loops carry.
            !is_body
        } else {
            // A buffer that holds nothing serves as well.
            self.free.get(&class(ty)).is_none_or(Vec::is_empty)
        };
        if !is_better {
            return None;
        }
        let serves = |u: ValueId| dying.contains(&u) && self.is_sole[u.index()] && program.ty(u) == ty;
        let candidates = (0..draft.inputs.len()).filter(|&i| serves(draft.inputs[i]));
        let (input, over) = candidates.into_iter().find_map(|i| Some((i, kernel.over(i, output)?)))?;
        *kernel = over;
        let u = draft.inputs.remove(input);
        dying.retain(|other| *other != u);
        self.places[v.index()] = self.places[u.index()];
        self.places[v.index()]
    }
    fn free(&mut self, slot: Slot, ty: &Type) {
        if ty.kind == Kind::Array {
            self.free.entry(class(ty)).or_default().push(slot);
        }
    }
}

/// Which values lie in buffers that nothing shares while they live: written by kernels and direct operations, without views, and
/// not given to loops, which may return what they are given.
fn soles(program: &Program, drafts: &[Draft]) -> Vec<bool> {
    let mut is_sole = vec![false; program.types.len()];
    for draft in drafts {
        let may_share = match &draft.action {
            Action::Eval { bodies, .. } => !bodies.is_empty() || may_be_view(&draft.action),
            Action::Kernel(_) | Action::Direct(_) | Action::Retain(_) | Action::Restore(_) => false,
        };
        if may_share {
            draft.inputs.iter().for_each(|v| is_sole[v.index()] = false);
        }
        if matches!(draft.action, Action::Kernel(_) | Action::Direct(_)) {
            draft.outputs.iter().for_each(|v| is_sole[v.index()] = true);
        }
    }
    is_sole
}

/// For each step, the values that are not needed after it. A value lives as long as its views.
fn deaths(program: &Program, drafts: &[Draft], is_body: bool) -> Vec<Vec<ValueId>> {
    const NEVER: usize = usize::MAX;
    let mut last: Vec<Option<usize>> = vec![None; program.types.len()];
    program.outputs.iter().for_each(|v| last[v.index()] = Some(NEVER));
    for (step, draft) in drafts.iter().enumerate().rev() {
        let of_views =
            draft.outputs.iter().filter_map(|v| last[v.index()]).max().filter(|_| may_be_view(&draft.action));
        for v in &draft.inputs {
            let known = &mut last[v.index()];
            *known = (*known).max(Some(step)).max(of_views);
        }
        for v in &draft.outputs {
            // Never used.
            last[v.index()].get_or_insert(step);
        }
    }
    let mut deaths = vec![vec![]; drafts.len()];
    let defined = drafts.iter().flat_map(|draft| &draft.outputs);
    let parameters = program.inputs.iter().filter(|v| !is_body || is_bits(program.ty(**v)));
    for &v in parameters.chain(defined) {
        match last[v.index()] {
            Some(NEVER) | None => {}
            Some(step) => deaths[step].push(v),
        }
    }
    deaths
}

/// Whether results may share memory with operands.
pub(super) fn may_be_view(action: &Action) -> bool {
    let Action::Eval { prim, .. } = action else { return false };
    kernel::is_view(prim) || matches!(prim, Prim::Convert(_) | Prim::Agree(_))
}

/// The result of a step that has no operands, where it is to be kept.
fn constant(draft: &Draft) -> Option<Value> {
    let Action::Eval { prim, bodies } = &draft.action else { return None };
    let is_constant = matches!(prim, Prim::Full(_) | Prim::Constant(_) | Prim::Iota(_));
    if !is_constant || !bodies.is_empty() || !draft.inputs.is_empty() {
        return None;
    }
    // What is too large is not even tried.
    let ty = match prim {
        Prim::Full(full) => full.ty.clone(),
        Prim::Constant(constant) => Type::of(&constant.value),
        _ => retrograde_core::ir::Op::infer(prim, &[]).ok()?.pop()?,
    };
    let is_held_anyway = matches!(prim, Prim::Constant(_));
    if ty.size_bytes() > LARGEST_CONSTANT && !is_held_anyway {
        return None;
    }
    prim.eval(&mut Run::new(RunConfig::default(), 1, Scratch::default()), vec![]).ok()?.pop()
}
