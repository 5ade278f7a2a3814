//! Budgets: the least possible number of bytes against every choice, and the same bits under every budget.

use std::collections::BTreeSet;

use retrograde_array::rng::{Key, normal, random_bits};
use retrograde_array::{Array, DType, array};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{Equation, Type, ValueId};
use retrograde_core::prim::{Builder, Prim, Program, Value};
use retrograde_core::prim::{
    add::Add, broadcast::Broadcast, concat::Concat, exp::Exp, fma::Fma, mul::Mul, sin::Sin, sum::Sum,
};
use retrograde_core::tape::{LowerError, Lowered, Tape, audit, lower};
use retrograde_core::trace::control::{scan, while_loop};
use retrograde_core::trace::door::{grad, hvp};
use retrograde_core::trace::var::constant;
use retrograde_core::trace::{Tree, Var};

/// The most equations of a chain of which every way back is tried.
const MOST: usize = 7;

/// (x, y, s -> one value, number): sums, products, joins and functions of earlier values, then products with them in an
/// order that is random or that of a reverse sweep.
fn random_program(key: Key) -> Program {
    let mut words = random_bits(key, 64).into_iter().map(|w| (w >> 7) as usize);
    let mut word = move |n: usize| words.next().unwrap() % n;
    let mut b = Builder::new();
    let lengths = [[2, 5], [3, 40], [16, 16]][word(3)];
    let mut values: Vec<ValueId> = lengths.iter().map(|n| b.input(Type::array(DType::F64, [*n]))).collect();
    let seed = b.input(Type::array(DType::F64, []));
    for _ in 0..2 + word(MOST - 2) {
        let x = values[word(values.len())];
        let like: Vec<ValueId> = values.iter().copied().filter(|v| b.ty(*v) == b.ty(x)).collect();
        let y = like[word(like.len())];
        let is_vector = b.ty(x).shape.rank() > 0;
        let made = match word(6) {
            0 => b.emit1(Add.into(), &[x, y]),
            1 => b.emit1(Mul.into(), &[x, y]),
            2 if is_vector => b.emit1(Sum { axes: vec![0] }.into(), &[x]),
            3 if is_vector && b.ty(x).shape[0] < 100 => b.emit1(Concat { axis: 0 }.into(), &[x, y]),
            4 => b.emit1(Exp.into(), &[x]),
            _ => b.emit1(Sin.into(), &[x]),
        };
        values.push(made);
    }
    let mut reads: Vec<ValueId> = (0..1 + word(6)).map(|_| values[word(values.len())]).collect();
    if word(2) == 0 {
        reads.sort_by_key(|v| std::cmp::Reverse(v.index()));
    }
    let mut g = seed;
    for v in reads {
        let shape = b.ty(v).shape.to_vec();
        let spread = if shape.is_empty() {
            g
        } else {
            b.emit1(Broadcast { shape: shape.clone(), axes: vec![] }.into(), &[g])
        };
        let like: Vec<ValueId> = values.iter().copied().filter(|u| b.ty(*u) == b.ty(v)).collect();
        let part = if word(3) == 0 {
            b.emit1(Fma.into(), &[spread, v, like[word(like.len())]])
        } else {
            b.emit1(Mul.into(), &[spread, v])
        };
        g = if shape.is_empty() { part } else { b.emit1(Sum { axes: vec![0] }.into(), &[part]) };
    }
    let last = *values.last().unwrap();
    b.finish(vec![last, g])
}

/// What an array takes: its entries, 40 bytes for its buffer and 8 for each axis.
fn weight(program: &Program, v: ValueId) -> u64 {
    let ty = program.ty(v);
    (ty.size_bytes() + 40 + 8 * ty.shape.rank()) as u64
}

fn after_seeds(program: &Program, n_seeds: usize) -> BTreeSet<ValueId> {
    let mut after: BTreeSet<ValueId> =
        program.inputs[program.inputs.len() - n_seeds..].iter().copied().collect();
    for e in &program.equations {
        if e.inputs.iter().any(|v| after.contains(v)) {
            after.extend(&e.outputs);
        }
    }
    after
}

/// A program as the definition of choices sees it; written without a look at the planner's tables.
struct Space<'a> {
    program: &'a Program,
    chain: Vec<&'a Equation<Prim>>,
    /// The values that each backward equation reads from the chain, and the position it belongs to.
    back: Vec<(BTreeSet<ValueId>, usize)>,
}

/// A way back.
#[derive(Clone)]
enum Way {
    Leaf,
    Split(usize, Box<Way>, Box<Way>),
}

fn every_way(from: usize, to: usize) -> Vec<Way> {
    let mut all = vec![Way::Leaf];
    for cut in from + 1..to {
        for after in every_way(cut, to) {
            for before in every_way(from, cut) {
                all.push(Way::Split(cut, Box::new(after.clone()), Box::new(before)));
            }
        }
    }
    all
}

impl<'a> Space<'a> {
    fn new(program: &'a Program) -> Space<'a> {
        let after = after_seeds(program, 1);
        let is_own = |v: &ValueId| !after.contains(v) && !program.inputs.contains(v);
        let is_back = |e: &Equation<Prim>| e.outputs.iter().any(|v| after.contains(v));
        let reads_of = |e: &Equation<Prim>| e.inputs.iter().copied().filter(is_own).collect::<BTreeSet<_>>();
        let reads: Vec<BTreeSet<ValueId>> =
            program.equations.iter().filter(|e| is_back(e)).map(reads_of).collect();
        let mut needed: BTreeSet<ValueId> = reads.iter().flatten().copied().collect();
        let mut chain = vec![];
        for e in program.equations.iter().rev().filter(|e| !is_back(e)) {
            if e.outputs.iter().any(|v| needed.contains(v)) {
                needed.extend(reads_of(e));
                chain.insert(0, e);
            }
        }
        let mut space = Space { program, chain, back: vec![] };
        let last = |reads: &BTreeSet<ValueId>| reads.iter().map(|v| space.position(*v)).max().unwrap_or(0);
        let own: Vec<usize> = reads.iter().map(last).collect();
        let level = |j: usize| own[j..].iter().copied().max().unwrap();
        space.back = reads.iter().enumerate().map(|(j, r)| (r.clone(), level(j))).collect();
        space
    }
    fn position(&self, v: ValueId) -> usize {
        self.chain.iter().position(|e| e.outputs.contains(&v)).map_or(0, |p| p + 1)
    }
    fn sum(&self, values: &BTreeSet<ValueId>) -> u64 {
        values.iter().map(|v| weight(self.program, *v)).sum()
    }
    /// What is read in (from, to] of what was made at or before `made`.
    fn read(&self, from: usize, to: usize, made: usize) -> BTreeSet<ValueId> {
        let by_chain = self.chain[from..to].iter().flat_map(|e| e.inputs.iter().copied());
        let by_back = self
            .back
            .iter()
            .filter(|(_, level)| (from + 1..=to).contains(level))
            .flat_map(|(r, _)| r.iter().copied());
        by_chain.chain(by_back).filter(|v| (1..=made).contains(&self.position(*v))).collect()
    }
    /// Most bytes beside `held` while what makes `wanted` runs.
    fn run(&self, from: usize, to: usize, wanted: &BTreeSet<ValueId>, held: &BTreeSet<ValueId>) -> u64 {
        let mut needed = wanted.clone();
        let mut steps = vec![];
        for p in (from + 1..=to).rev() {
            let e = self.chain[p - 1];
            if e.outputs.iter().any(|v| needed.contains(v)) {
                needed.extend(e.inputs.iter().copied().filter(|v| self.position(*v) > from));
                steps.insert(0, e);
            }
        }
        let mut most = 0;
        let mut made: BTreeSet<ValueId> = BTreeSet::new();
        for (i, e) in steps.iter().enumerate() {
            made.extend(&e.outputs);
            let read_from = |i: usize, v: &ValueId| steps[i..].iter().any(|e| e.inputs.contains(v));
            let now = made
                .iter()
                .copied()
                .filter(|v| wanted.contains(v) || read_from(i, v) || e.outputs.contains(v));
            most = most.max(self.sum(&now.chain(held.iter().copied()).collect()));
        }
        most
    }
    fn most(&self, from: usize, to: usize, way: &Way, is_first: bool, outer: &BTreeSet<ValueId>) -> u64 {
        let mut held = outer.clone();
        held.extend(self.read(from, to, from));
        match way {
            Way::Leaf => {
                let of_leaf: Vec<&BTreeSet<ValueId>> = self
                    .back
                    .iter()
                    .filter(|(_, level)| (from + 1..=to).contains(level))
                    .map(|(r, _)| r)
                    .collect();
                let wanted: BTreeSet<ValueId> =
                    of_leaf.iter().copied().flatten().copied().filter(|v| self.position(*v) > from).collect();
                let mut most = self.sum(&held.union(&wanted).copied().collect());
                for j in 0..of_leaf.len() {
                    let waits = |v: &&ValueId| of_leaf[j..].iter().any(|r| r.contains(v));
                    most = most.max(self.sum(
                        &held.union(&wanted.iter().filter(waits).copied().collect()).copied().collect(),
                    ));
                }
                if is_first { most } else { most.max(self.run(from, to, &wanted, &held)) }
            }
            Way::Split(cut, after, before) => {
                let later =
                    |to: usize| self.read(*cut, to, *cut).into_iter().filter(|v| self.position(*v) > from);
                let on_the_way = if is_first {
                    0
                } else {
                    self.run(from, *cut, &later(self.chain.len()).collect(), &held)
                };
                let of_after =
                    self.most(*cut, to, after, is_first, &held.iter().copied().chain(later(to)).collect());
                on_the_way.max(of_after).max(self.most(from, *cut, before, false, &held))
            }
        }
    }
    fn least(&self) -> u64 {
        let n = self.chain.len();
        if n == 0 {
            return 0;
        }
        every_way(0, n).iter().map(|way| self.most(0, n, way, true, &BTreeSet::new())).min().unwrap()
    }
}

/// What a backward part holds as it stands: tape, and what is made of it.
fn held_by(lowered: &Lowered, n_inputs: usize) -> u64 {
    let back = &lowered.backward;
    let after = after_seeds(back, 1);
    let mut made: BTreeSet<ValueId> = back.inputs[n_inputs..back.inputs.len() - 1].iter().copied().collect();
    let sum = |set: &BTreeSet<ValueId>| set.iter().map(|v| weight(back, *v)).sum::<u64>();
    let mut most = sum(&made);
    for (i, e) in back.equations.iter().enumerate() {
        made.extend(e.outputs.iter().filter(|v| !after.contains(v)));
        most = most.max(sum(&made));
        made.retain(|v| back.equations[i + 1..].iter().any(|e| e.inputs.contains(v)));
    }
    most
}

fn run(lowered: &Lowered, inputs: &[Value]) -> Vec<Value> {
    let (primals, seeds) = inputs.split_at(inputs.len() - 1);
    let mut out = Interpreter::default().run(&lowered.forward, primals.to_vec()).unwrap().0;
    let tape = out.split_off(lowered.n_outputs);
    out.extend(Interpreter::default().run(&lowered.backward, [primals, &tape, seeds].concat()).unwrap().0);
    out
}

#[test]
fn the_least_possible_is_the_least_of_every_choice() {
    let (mut n_split, mut n_stored) = (0, 0);
    for case in 0..500 {
        let program = random_program(Key::from_seed(31).fold_in(case));
        let stored = lower(&program, 1, 1, Tape::Store).unwrap();
        let (by_splits, as_stored) = (Space::new(&program).least(), held_by(&stored, 2));
        let least = match lower(&program, 1, 1, Tape::Budget(0)) {
            Ok(_) => 0,
            Err(LowerError::Budget { least, .. }) => least as u64,
            Err(e) => panic!("case {case}: {e}"),
        };
        assert_eq!(least, by_splits.min(as_stored), "case {case}: {by_splits} {as_stored}\n{program:?}");
        n_split += usize::from(by_splits < as_stored);
        n_stored += usize::from(as_stored < by_splits);
        // It is enough, and a byte less is not.
        let inputs: Vec<Value> = program
            .input_types()
            .iter()
            .enumerate()
            .map(|(i, ty)| Value::Array(normal(Key::from_seed(32).fold_in(i as u64), ty.shape.clone())))
            .collect();
        let expected = run(&stored, &inputs);
        for bytes in [least, (least + as_stored) / 2, as_stored] {
            let lowered = lower(&program, 1, 1, Tape::Budget(bytes as usize)).unwrap();
            assert_eq!(audit(&program, &lowered, 1), Ok(()), "case {case}");
            assert!(lowered.planned.as_ref().unwrap().planned_bytes as u64 <= bytes);
            assert!(held_by(&lowered, 2) <= bytes, "case {case}: {bytes} bytes");
            assert_eq!(run(&lowered, &inputs), expected, "case {case}: {bytes} bytes");
        }
        if least > 0 {
            assert!(lower(&program, 1, 1, Tape::Budget(least as usize - 1)).is_err());
        }
    }
    // Both kinds of choices are met.
    assert!(n_split > 100 && n_stored > 0, "{n_split} {n_stored}");
}
