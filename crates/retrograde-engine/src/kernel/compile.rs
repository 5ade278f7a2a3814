//! From the members of a kernel to tile code.

use std::collections::{BTreeSet, HashMap, HashSet};

use retrograde_array::Shape;
use retrograde_array::tile::{Builder, Code, Input, Level, Op, Value, View};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::Program;

use super::group::{Groups, Member, Work};
use super::role::{Free, free};

/// The code of a kernel, and what it reads and writes. Of the members' values, those in `needed` are written.
pub(super) fn compile(
    program: &Program,
    groups: &Groups<'_>,
    members: &[Member],
    shape: Option<&Shape>,
    needed: &BTreeSet<ValueId>,
    level: Level,
) -> (Code, Vec<ValueId>, Vec<ValueId>) {
    let builder = shape.map_or_else(Builder::small, |shape| Builder::nest(shape));
    let mut compiler = Compiler {
        program,
        groups,
        builder,
        values: HashMap::new(),
        read: HashMap::new(),
        inputs: vec![],
        written: HashSet::new(),
    };
    let mut outputs = vec![];
    for member in members {
        let value = compiler.member(member);
        if matches!(member.work, Work::Copy) || needed.contains(&member.value) {
            compiler.write(value);
            outputs.push(member.value);
        }
    }
    (compiler.builder.finish(level), compiler.inputs.into_iter().map(|(id, _)| id).collect(), outputs)
}

struct Compiler<'a> {
    program: &'a Program,
    groups: &'a Groups<'a>,
    builder: Builder,
    /// What the kernel computes.
    values: HashMap<ValueId, Value>,
    /// What has been read, by root and view.
    read: HashMap<(ValueId, View), Value>,
    inputs: Vec<(ValueId, Input)>,
    /// What is written already.
    written: HashSet<Value>,
}

impl Compiler<'_> {
    fn write(&mut self, value: Value) {
        let value = if self.written.insert(value) { value } else { self.builder.op(Op::Copy, &[value]) };
        self.builder.output(value);
    }

    fn member(&mut self, member: &Member) -> Value {
        let operands: Vec<Value> = member.operands.iter().map(|&v| self.operand(v)).collect();
        let value = match &member.work {
            Work::Copy => return operands[0],
            Work::Entrywise(op) => self.builder.op(*op, &operands),
            Work::Reduce(reduction, axes) => {
                let shape = &self.program.ty(member.operands[0]).shape;
                let (of, lengths) = self.rows(operands[0], shape, axes);
                self.builder.reduce(*reduction, of, lengths)
            }
        };
        self.values.insert(member.value, value);
        value
    }

    /// A value with its reduced axes side by side, and the number of entries before, along and after them.
    fn rows(&mut self, of: Value, shape: &Shape, axes: &[usize]) -> (Value, [usize; 3]) {
        let count = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
        let (reduced, kept): (Vec<usize>, Vec<usize>) =
            (0..shape.rank()).partition(|axis| axes.contains(axis));
        let (first, end) =
            (reduced.first().copied().unwrap_or(0), reduced.last().map_or(0, |&last| last + 1));
        if end - first == reduced.len() {
            let outside: [Vec<usize>; 2] = [(0..first).collect(), (end..shape.rank()).collect()];
            return (of, [count(&outside[0]), count(&reduced), count(&outside[1])]);
        }
        let perm: Vec<usize> = kept.iter().chain(&reduced).copied().collect();
        (self.builder.view(of, &View::whole(shape).transposed(&perm)), [count(&kept), count(&reduced), 1])
    }

    /// An operand: computed before, free, or read.
    fn operand(&mut self, operand: ValueId) -> Value {
        let root = &self.groups.roots[operand.index()];
        let is_whole = root.view.is_whole(self.program.ty(root.value).shape.size());
        if let Some(&value) = self.values.get(&root.value)
            && is_whole
        {
            return value;
        }
        let key = (root.value, root.view.clone());
        if let Some(&value) = self.read.get(&key) {
            return value;
        }
        let value = if let Some(&value) = self.values.get(&root.value) {
            self.builder.view(value, &root.view)
        } else if let Some(&equation) = self.groups.free.get(&root.value) {
            match free(&self.program.equations[equation].op) {
                Some(Free::Scalar(scalar)) => self.builder.constant(scalar, root.view.shape()),
                Some(Free::Array(array, _)) => self.builder.kept(array, &root.view),
                None => unreachable!("a free value has no operands; this is a bug in retrograde"),
            }
        } else {
            let ty = self.program.ty(root.value);
            let known = self.inputs.iter().find(|(id, _)| *id == root.value).map(|&(_, input)| input);
            let input = known.unwrap_or_else(|| {
                let input = self.builder.input(ty.dtype, ty.shape.size());
                self.inputs.push((root.value, input));
                input
            });
            self.builder.read(input, &root.view)
        };
        self.read.insert(key, value);
        value
    }
}
