//! Which equations run together.
//!
//! Equations are taken in order, and each joins a kernel that has been begun, where that can be, or begins one. Kernels run in the
//! order in which they were begun; an equation may join one only if its operands are ready before it or made in it.
//! So there is no circle, and what runs early has been early in the program.
//!
//! Kernels are of two kinds (see [`tile`](retrograde_array::tile)): a *nest* has values of one shape only; an equation joins it if it uses
//! what the nest reads or makes. A *small* kernel has values of any shapes with few entries, which may be arranged
//! otherwise and reduced on the way: everything joins it that may, so the body of a loop over small arrays is one kernel.
//!
//! Views, and values without operands, cost nothing: they are part of whatever reads them, and kernels of their own only where
//! nobody else can take them as they are.

use std::collections::{BTreeSet, HashMap};

use retrograde_array::Shape;
use retrograde_array::tile::{Op, Reduction, View};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::{Prim, Program};

use super::role::{Free, Role, SMALL, arranged, free, role};

/// What a member of a kernel computes.
pub(super) enum Work {
    /// Entry by entry.
    Entrywise(Op),
    /// Over these axes.
    Reduce(Reduction, Vec<usize>),
    /// Nothing: the value is a view of another or free, and is needed as an array.
    Copy,
}

/// One value that a kernel computes.
pub(super) struct Member {
    pub(super) equation: usize,
    pub(super) work: Work,
    pub(super) operands: Vec<ValueId>,
    pub(super) value: ValueId,
}

/// What is run at once.
pub(super) enum Entry {
    Kernel { members: Vec<Member>, shape: Option<Shape> },
    Equation(usize),
}

/// A value as part of another, which is made somewhere.
#[derive(Clone)]
pub(super) struct Root {
    pub(super) value: ValueId,
    pub(super) view: View,
}

/// Entries in the order in which they run, and for each value what it is a view of.
pub(super) struct Groups<'a> {
    program: &'a Program,
    pub(super) entries: Vec<Entry>,
    pub(super) roots: Vec<Root>,
    /// The equation that makes a value, for those that are made wherever they are used.
    pub(super) free: HashMap<ValueId, usize>,
    /// The equation that a value is the result of.
    producers: Vec<Option<usize>>,
    /// Which entry makes a value: 0 for what is there from the start, else one more than its index.
    ready: Vec<usize>,
    /// Values that are views or free, and are made all the same.
    made: BTreeSet<ValueId>,
    /// The entries that are nests, by their shape.
    nests: HashMap<Shape, Vec<usize>>,
    /// The last entry that is a small kernel.
    small: Option<usize>,
}

/// An equation joins a nest only if at most so many equations stand between it and the nest's last one: what is far
/// apart in the program was put there for a reason, such as a value that is computed again rather than kept.
const WINDOW: usize = 64;

impl<'a> Groups<'a> {
    pub(super) fn new(program: &'a Program) -> Groups<'a> {
        let roots = (0..program.types.len()).map(|i| {
            let value = ValueId(i as u32);
            Root { value, view: View::whole(&program.ty(value).shape) }
        });
        let mut groups = Groups {
            program,
            entries: vec![],
            roots: roots.collect(),
            free: HashMap::new(),
            producers: vec![None; program.types.len()],
            ready: vec![0; program.types.len()],
            made: BTreeSet::new(),
            nests: HashMap::new(),
            small: None,
        };
        for (index, equation) in program.equations.iter().enumerate() {
            equation.outputs.iter().for_each(|v| groups.producers[v.index()] = Some(index));
            groups.add(index);
        }
        for &output in &program.outputs {
            groups.make(output);
        }
        groups
    }

    fn add(&mut self, index: usize) {
        let equation = &self.program.equations[index];
        match role(self.program, equation) {
            Role::Free => {
                let value = equation.outputs[0];
                self.free.insert(value, index);
                if let Some(Free::Array(_, view)) = free(&equation.op) {
                    self.roots[value.index()].view = view;
                }
            }
            Role::View => {
                let of = &self.roots[equation.inputs[0].index()];
                match arranged(&equation.op, &of.view) {
                    Some(view) => self.roots[equation.outputs[0].index()] = Root { value: of.value, view },
                    None => self.equation(index),
                }
            }
            Role::Entrywise(op) => {
                let (operands, value) = (equation.inputs.clone(), equation.outputs[0]);
                self.member(Member { equation: index, work: Work::Entrywise(op), operands, value });
            }
            Role::Reduce(reduction, axes) if self.size(equation.inputs[0]) <= SMALL => {
                let (operands, value) = (equation.inputs.clone(), equation.outputs[0]);
                self.member(Member { equation: index, work: Work::Reduce(reduction, axes), operands, value });
            }
            Role::Reduce(..) | Role::Other => self.equation(index),
        }
    }

    fn size(&self, value: ValueId) -> usize {
        self.program.ty(value).shape.size()
    }

    /// An entry of its own, whose operands must be arrays in memory.
    fn equation(&mut self, index: usize) {
        let equation = &self.program.equations[index];
        equation.inputs.iter().for_each(|&v| self.make(v));
        self.entries.push(Entry::Equation(index));
        for v in &equation.outputs {
            self.ready[v.index()] = self.entries.len();
        }
    }

    /// Makes the array of a value that is a view of another, or free.
    fn make(&mut self, value: ValueId) {
        let root = &self.roots[value.index()];
        let is_made = root.value == value && !self.free.contains_key(&value);
        if is_made || !self.made.insert(value) {
            return;
        }
        let Some(producer) = self.producers[value.index()] else { return };
        let ty = self.program.ty(value);
        let equation = &self.program.equations[producer];
        // Large arrays change their shape, and are constant, without being copied.
        let is_kept = matches!(equation.op, Prim::Reshape(_) | Prim::StopGradient(_) | Prim::Constant(_));
        if (is_kept && ty.shape.size() > SMALL) || Op::Copy.dtype(&[ty.dtype]).is_none() {
            equation.inputs.iter().for_each(|&v| self.make(v));
            self.entries.push(Entry::Equation(producer));
        } else {
            self.member(Member { equation: producer, work: Work::Copy, operands: vec![value], value });
        }
    }

    fn member(&mut self, member: Member) {
        let size = self.size(member.value);
        let largest = member.operands.iter().map(|&v| self.size(v)).fold(size, usize::max);
        let at = if largest <= SMALL { self.small(&member) } else { self.nest(&member) };
        // What is copied is still read where it has always been.
        if !matches!(member.work, Work::Copy) {
            self.ready[member.value.index()] = at + 1;
        }
        if let Entry::Kernel { members, .. } = &mut self.entries[at] {
            members.push(member);
        }
    }

    /// When the operand is ready, as [`Groups::ready`] counts.
    fn ready(&self, operand: ValueId) -> usize {
        let root = &self.roots[operand.index()];
        if self.free.contains_key(&root.value) { 0 } else { self.ready[root.value.index()] }
    }

    /// The small kernel for a member.
    fn small(&mut self, member: &Member) -> usize {
        let ready = member.operands.iter().map(|&v| self.ready(v)).max().unwrap_or(0);
        match self.small {
            Some(at) if ready <= at + 1 => at,
            _ => {
                self.entries.push(Entry::Kernel { members: vec![], shape: None });
                *self.small.insert(self.entries.len() - 1)
            }
        }
    }

    /// The nest for a member.
    fn nest(&mut self, member: &Member) -> usize {
        let shape = &self.program.ty(member.value).shape;
        let begun = self.nests.get(shape).map_or(&[][..], Vec::as_slice);
        let found = begun.iter().rev().copied().find(|&at| self.joins(member, at));
        found.unwrap_or_else(|| {
            self.entries.push(Entry::Kernel { members: vec![], shape: Some(shape.clone()) });
            let at = self.entries.len() - 1;
            self.nests.entry(shape.clone()).or_default().push(at);
            at
        })
    }

    /// Whether a member may, and should, join a nest of its shape.
    fn joins(&self, member: &Member, at: usize) -> bool {
        let Entry::Kernel { members, .. } = &self.entries[at] else { return false };
        let is_near =
            members.last().is_none_or(|last| member.equation.saturating_sub(last.equation) <= WINDOW);
        let in_time = member.operands.iter().all(|&operand| {
            let (ready, root) = (self.ready(operand), &self.roots[operand.index()]);
            let is_whole = root.view.is_whole(self.size(root.value));
            ready <= at || (ready == at + 1 && is_whole)
        });
        let of = |v: &ValueId| self.roots[v.index()].value;
        let shares = || {
            let known: BTreeSet<ValueId> =
                members.iter().flat_map(|other| other.operands.iter().map(of).chain([other.value])).collect();
            member.operands.iter().any(|v| known.contains(&of(v)) && self.size(*v) > SMALL)
        };
        is_near && in_time && shares()
    }
}
