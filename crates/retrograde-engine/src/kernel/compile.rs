//! From the members of a kernel to tile code.

use std::collections::{BTreeSet, HashMap, HashSet};

use retrograde_array::tile::{Builder, Code, Input, Level, Op, Value, View};
use retrograde_array::{Array, DotDims, Shape};
use retrograde_core::ir::ValueId;
use retrograde_core::prim::Program;

use super::group::{Groups, Member, Work, lengths};
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
    for member in live(groups, members, needed) {
        let value = compiler.member(member);
        if matches!(member.work, Work::Copy) || needed.contains(&member.value) {
            compiler.write(value);
            outputs.push(member.value);
        }
    }
    (compiler.builder.finish(level), compiler.inputs.into_iter().map(|(id, _)| id).collect(), outputs)
}

/// The members that something needed comes from.
fn live<'a>(groups: &Groups<'_>, members: &'a [Member], needed: &BTreeSet<ValueId>) -> Vec<&'a Member> {
    let mut wanted = needed.clone();
    let mut live: Vec<&Member> = vec![];
    for member in members.iter().rev() {
        if matches!(member.work, Work::Copy) || wanted.contains(&member.value) {
            wanted.extend(member.operands.iter().map(|v| groups.roots[v.index()].value));
            live.push(member);
        }
    }
    live.reverse();
    live
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
            Work::Product(dims) => self.product(dims, &member.operands, &operands),
            Work::Assemble(views) => {
                let ty = self.program.ty(member.value);
                let fill = operands.get(views.len()).copied();
                let zero = Array::zeros(ty.dtype, []).get(0);
                let fill = fill.or_else(|| zero.map(|zero| self.builder.constant(zero, &[])));
                let fill = fill.expect("an array of rank 0 has an entry; this is a bug in retrograde");
                let parts: Vec<(Value, View)> = operands.into_iter().zip(views.iter().cloned()).collect();
                self.builder.assemble(ty.shape.size(), fill, &parts)
            }
        };
        self.values.insert(member.value, value);
        value
    }

    fn product(&mut self, dims: &DotDims, ids: &[ValueId], operands: &[Value]) -> Value {
        let shapes = [0, 1].map(|i| self.program.ty(ids[i]).shape.clone());
        let free = |i: usize, contract: &[usize], batch: &[usize]| -> Vec<usize> {
            (0..shapes[i].rank()).filter(|axis| !contract.contains(axis) && !batch.contains(axis)).collect()
        };
        let a_free = free(0, &dims.lhs_contract, &dims.lhs_batch);
        let b_free = free(1, &dims.rhs_contract, &dims.rhs_batch);
        let groups: [[&[usize]; 3]; 2] =
            [[&dims.lhs_batch, &a_free, &dims.lhs_contract], [&dims.rhs_batch, &dims.rhs_contract, &b_free]];
        let [a, b] = [0, 1].map(|i| {
            let lens = groups[i].map(|axes| axes.iter().map(|&axis| shapes[i][axis]).product::<usize>());
            let turned = View::whole(&shapes[i]).transposed(&groups[i].concat());
            match turned.reshaped(&lens) {
                Some(view) => (operands[i], view),
                None => (self.builder.view(operands[i], &turned), View::whole(&lens)),
            }
        });
        self.builder.product((a.0, &a.1), (b.0, &b.1))
    }

    /// A value with its reduced axes side by side, and the number of entries before, along and after them.
    fn rows(&mut self, of: Value, shape: &Shape, axes: &[usize]) -> (Value, [usize; 3]) {
        if let Some(lengths) = lengths(shape, axes) {
            return (of, lengths);
        }
        let (reduced, kept): (Vec<usize>, Vec<usize>) =
            (0..shape.rank()).partition(|axis| axes.contains(axis));
        let perm: Vec<usize> = kept.iter().chain(&reduced).copied().collect();
        let count = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
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
