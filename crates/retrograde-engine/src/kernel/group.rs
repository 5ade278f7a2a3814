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

use std::collections::{BTreeSet, HashMap, HashSet};

use retrograde_array::tile::{Builder, Op, Reduction, View};
use retrograde_array::{DotDims, Shape};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::{Prim, Program};

use super::role::{Free, Role, SMALL, arranged, free, parts, role};

/// What a member of a kernel computes.
pub(super) enum Work {
    /// Entry by entry.
    Entrywise(Op),
    /// Over these axes.
    Reduce(Reduction, Vec<usize>),
    /// A product of matrices.
    Product(DotDims),
    /// The operands, at these places; a further operand, or nothing, elsewhere.
    Assemble(Vec<View>),
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

impl Member {
    /// What it takes on one thread, roughly, as measured on one machine with AVX-512.
    pub(super) fn estimate_ns(&self, program: &Program) -> f64 {
        let ty = program.ty(self.operands.first().map_or(self.value, |&v| v));
        let each = match &self.work {
            Work::Entrywise(Op::Function(_) | Op::Function2(_) | Op::Rem) => 0.5,
            _ => 0.01 * ty.dtype.size_bytes() as f64,
        };
        each * ty.shape.size() as f64
    }
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

/// A nest that has been begun.
struct Nest {
    /// Its entry.
    at: usize,
    /// The last equation in it.
    last: usize,
    /// Values that it reads or makes.
    known: HashSet<ValueId>,
    /// Those of them that are reductions, which it cannot read.
    reduced: HashSet<ValueId>,
    /// Over how many entries before, along and after.
    lengths: Option<[usize; 3]>,
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
    /// The nests, by their shape.
    nests: HashMap<Shape, Vec<Nest>>,
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
                let (operands, value) = (equation.inputs.clone(), equation.outputs[0]);
                let ty = self.program.ty(value);
                match arranged(&equation.op, &of.view) {
                    Some(view) => self.roots[value.index()] = Root { value: of.value, view },
                    // A reshape that strides do not express: few entries are copied on the way.
                    None if ty.shape.size() <= SMALL && Op::Copy.dtype(&[ty.dtype]).is_some() => {
                        let work = Work::Entrywise(Op::Copy);
                        self.member(Member { equation: index, work, operands, value });
                    }
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
            Role::Reduce(reduction, axes) => {
                let (operands, value) = (equation.inputs.clone(), equation.outputs[0]);
                let member = Member { equation: index, work: Work::Reduce(reduction, axes), operands, value };
                let shape = &self.program.ty(equation.inputs[0]).shape;
                match self.begun(&member, shape) {
                    Some(at) => self.join(member, at),
                    None => self.equation(index),
                }
            }
            Role::Product(dims) => {
                let (operands, value) = (equation.inputs.clone(), equation.outputs[0]);
                self.member(Member { equation: index, work: Work::Product(dims), operands, value });
            }
            Role::Assemble => {
                let (operands, value) = (equation.inputs.clone(), equation.outputs[0]);
                let work = Work::Assemble(parts(self.program, equation));
                self.member(Member { equation: index, work, operands, value });
            }
            Role::Other => self.equation(index),
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
        self.join(member, at);
    }

    fn join(&mut self, member: Member, at: usize) {
        // What is copied is still read where it has always been.
        if !matches!(member.work, Work::Copy) {
            self.ready[member.value.index()] = at + 1;
        }
        if let Entry::Kernel { members, shape } = &mut self.entries[at] {
            let nests = shape.as_ref().and_then(|shape| self.nests.get_mut(shape));
            if let Some(nest) = nests.and_then(|nests| nests.iter_mut().find(|nest| nest.at == at)) {
                nest.last = member.equation;
                nest.known.insert(member.value);
                nest.known.extend(member.operands.iter().map(|v| self.roots[v.index()].value));
                if let Work::Reduce(_, axes) = &member.work {
                    nest.reduced.insert(member.value);
                    nest.lengths = lengths(&self.program.ty(member.operands[0]).shape, axes);
                }
            }
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
        self.begun(member, shape).unwrap_or_else(|| {
            let at = self.entries.len();
            self.entries.push(Entry::Kernel { members: vec![], shape: Some(shape.clone()) });
            let (known, reduced) = (HashSet::new(), HashSet::new());
            let nest = Nest { at, last: member.equation, known, reduced, lengths: None };
            self.nests.entry(shape.clone()).or_default().push(nest);
            at
        })
    }

    /// The entry of a nest of that shape, begun before, that the member joins.
    fn begun(&self, member: &Member, shape: &Shape) -> Option<usize> {
        let begun = self.nests.get(shape).map_or(&[][..], Vec::as_slice);
        begun.iter().rev().find(|nest| self.joins(member, nest)).map(|nest| nest.at)
    }

    /// Whether a member may, and should, join a nest of its shape.
    fn joins(&self, member: &Member, nest: &Nest) -> bool {
        let root = |v: &ValueId| &self.roots[v.index()];
        let in_time = |v: &ValueId| {
            let is_whole = root(v).view.is_whole(self.size(root(v).value));
            let is_made = is_whole && !nest.reduced.contains(&root(v).value);
            self.ready(*v) <= nest.at || (self.ready(*v) == nest.at + 1 && is_made)
        };
        let shares = |v: &ValueId| nest.known.contains(&root(v).value) && self.size(*v) > SMALL;
        let fits = match &member.work {
            Work::Reduce(_, axes) => {
                let shape = &self.program.ty(member.operands[0]).shape;
                let lengths = lengths(shape, axes);
                let same = nest.lengths.is_none() || nest.lengths == lengths;
                same && lengths.is_some_and(|lengths| Builder::reduces(shape, lengths))
            }
            Work::Entrywise(_) | Work::Product(_) | Work::Assemble(_) | Work::Copy => true,
        };
        member.equation.saturating_sub(nest.last) <= WINDOW
            && member.operands.iter().all(in_time)
            && member.operands.iter().any(shares)
            && fits
    }
}

/// The number of entries before, along and after axes that are reduced; `None` where others stand between them.
pub(super) fn lengths(shape: &Shape, axes: &[usize]) -> Option<[usize; 3]> {
    let (first, end) =
        (axes.iter().min().copied().unwrap_or(0), axes.iter().max().map_or(0, |&last| last + 1));
    let count = |axes: &[usize]| axes.iter().product::<usize>();
    let all = [count(&shape[..first]), count(&shape[first..end]), count(&shape[end..])];
    (end - first == axes.len()).then_some(all)
}
