//! Budgets: the least possible number of bytes against every choice, and the same bits under every budget.

use std::collections::BTreeSet;

use retrograde_array::rng::{Key, normal, random_bits};
use retrograde_array::{Array, DType, array};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{Equation, Type, ValueId, print};
use retrograde_core::prim::{Builder, Prim, Program, Value};
use retrograde_core::prim::{
    add::Add, broadcast::Broadcast, concat::Concat, exp::Exp, fma::Fma, mul::Mul, sin::Sin, sum::Sum,
};
use retrograde_core::tape::Checkpoint;
use retrograde_core::tape::{LowerError, Lowered, Tape, audit, lower};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, while_loop};
use retrograde_core::trace::door::{grad, hvp, jit, value_and_grad, vmap};

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
    (ty.size_bytes() + 40 + ty.shape.heap_bytes()) as u64
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

fn pendulum(n_steps: usize) -> impl Fn((Var, Var)) -> Var {
    move |state| {
        let (q, p) = scan(n_steps).repeat(state, |(q, p)| {
            let p = p - 0.1 * q.sin();
            (q + 0.1 * p, p)
        });
        (q * p).sum()
    }
}

fn start() -> (Array, Array) {
    (normal(Key::from_seed(1), [40]), normal(Key::from_seed(2), [40]))
}

/// The number after `the least possible is`.
fn least(message: &str) -> usize {
    let rest = message.split("the least possible is ").nth(1).unwrap_or_else(|| panic!("{message}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn loops_keep_as_many_states_as_fit() {
    let stored = grad(pendulum(1000));
    let expected = stored.call(&start()).unwrap();
    let of_store = stored.last_tape().tape_bytes();
    let mut before = 0;
    for part in [1, 2, 5, 20, 50] {
        let bytes = of_store / part + if part == 1 { 10_000 } else { 0 };
        let door = grad(pendulum(1000)).budget(bytes);
        let g = door.call(&start()).unwrap();
        assert!(g.0.bits_eq(&expected.0) && g.1.bits_eq(&expected.1), "1 / {part}");
        let report = door.last_tape();
        let planned = report.planned.as_ref().unwrap();
        assert!(report.tape_bytes() <= planned.planned_bytes && planned.planned_bytes <= bytes, "{report}");
        let text = report.to_string();
        if text.contains("reversed within") {
            // So few slots fit that reversal is tried.
            assert!(part >= 20, "{report}");
        } else {
            // Most of the budget is used, and less of it means more steps again.
            assert!(part == 1 || planned.planned_bytes + 2 * (2 * 40 * 8) > bytes, "{report}");
            assert!(report.recomputed_steps >= before, "{report}");
            assert_eq!(part == 1, report.recomputed_steps == 0, "{report}");
            before = report.recomputed_steps;
        }
        let json = report.to_json();
        assert!(text.contains("chosen: loop at ") && json.contains("\"budget\":{\"bytes\":"), "{text}");
    }
    // The least is said, is enough, and a byte less is refused.
    let refused = |bytes: usize| grad(pendulum(1000)).budget(bytes).call(&start()).map(|_| ());
    let message = refused(1).unwrap_err().to_string();
    assert!(
        message.starts_with("error: a budget of 1 bytes") && message.contains("tests/budget.rs:"),
        "{message}"
    );
    let n = least(&message);
    assert_eq!(refused(n), Ok(()));
    assert_eq!(least(&refused(n - 1).unwrap_err().to_string()), n);
}

/// A pendulum in which an addition destroys half of the bits.
fn wild(n_steps: usize, start_at: f64) -> impl Fn((Var, Var)) -> Var {
    move |(q, p)| {
        let (q, p) = scan(n_steps).repeat((q + start_at, p), |(q, p)| {
            let p = p - 0.1 * (q * q).sin() + 1e8 - 1e8;
            (q + 0.1 * p, p)
        });
        (q * p).sum()
    }
}

#[test]
fn bits_that_do_not_suffice_give_way_to_the_slots_in_reserve() {
    let gentle = |(q, p): (Var, Var)| {
        let (q, p) = scan(1000).repeat((q, p), |(q, p)| {
            let p = p - 0.001 * q.sin();
            (q + 0.001 * p, p)
        });
        (q * p).sum()
    };
    let door = grad(gentle).budget(10_000);
    let (found, expected) = (door.call(&start()).unwrap(), grad(gentle).call(&start()).unwrap());
    assert!(found.0.bits_eq(&expected.0) && found.1.bits_eq(&expected.1));
    let report = door.last_tape();
    assert_eq!((report.inverse_steps, report.recomputed_steps), (1000, 0), "{report}");
    for start_at in [0.0, 1e300] {
        // Many bits, or from the second step on what is not finite.
        let expected = grad(wild(1000, start_at)).call(&start()).unwrap();
        let door = value_and_grad(wild(1000, start_at)).budget(11_000);
        let lowered = door.lowered(&start()).unwrap();
        assert!(print(&lowered.forward).contains("plan=reverse-within-"), "{start_at}");
        let (_, g) = door.call(&start()).unwrap();
        assert!(g.0.bits_eq(&expected.0) && g.1.bits_eq(&expected.1), "{start_at}");
        let report = door.last_tape();
        assert_eq!((report.inverse_steps, report.stack_bits()), (0, 0), "{report}");
        assert!(report.recomputed_steps > 1000 && report.tape_bytes() <= 11_000, "{report}");
    }
    // The audit knows both ways: neither may do another step.
    let door = value_and_grad(pendulum(1000)).budget(11_000);
    let lowered = door.lowered(&start()).unwrap();
    let joint = {
        let program = retrograde_core::ir::simplify(&jit(pendulum(1000)).program(&start()).unwrap());
        vjp_of(&program)
    };
    let sound = lower(&joint, 1, 1, Tape::Budget(11_000)).unwrap();
    assert_eq!(audit(&joint, &sound, 1), Ok(()));
    assert_eq!(print(&sound.backward), print(&lowered.backward));
    for part in 0..2 {
        let mut broken = sound.clone();
        let program = if part == 0 { &mut broken.forward } else { &mut broken.backward };
        let mut n_changed = 0;
        for e in &mut program.equations {
            let plain = match &mut e.op {
                Prim::Record(record) => &mut record.plain,
                Prim::Replay(replay) => &mut replay.plain,
                _ => continue,
            };
            let mut other = (**plain.as_ref().unwrap()).clone();
            for e in other.equations.iter_mut().filter(|e| e.op == Sin.into()) {
                e.op = Exp.into();
                n_changed += 1;
            }
            *plain = Some(other.into());
        }
        assert!(n_changed > 0 && audit(&joint, &broken, 1).is_err(), "part {part}");
    }
}

/// Value and gradient of a program with two inputs and one result, (inputs, seed -> value, slopes).
fn vjp_of(program: &Program) -> Program {
    use retrograde_core::transform::{LinearProgram, linearize, transpose};
    let lin = linearize(program, &[true, true], &[true]);
    let back = transpose(&LinearProgram::new(lin.linear, lin.n_residuals).unwrap());
    let mut b = Builder::new();
    let inputs: Vec<ValueId> = program.input_types().into_iter().map(|ty| b.input(ty)).collect();
    let seed = b.input(program.output_types()[0].clone());
    let forward = b.inline(&lin.forward, &inputs);
    let slopes = b.inline(&back, &[&forward[1..], &[seed]].concat());
    retrograde_core::ir::simplify(&b.finish([&forward[..1], &slopes].concat()))
}

/// Newton's iteration for square roots from far away: how often depends on x.
fn root(x: Var) -> Var {
    let far = |y: Var| ((y * y - x).abs() - 1e-10 * x).max(0.0).sum().gt(0.0);
    while_loop(x * 1e6, far, |y| 0.5 * (y + x / y)).sum()
}

#[test]
fn a_while_stays_within_its_budget_however_long_it_runs() {
    for x in [array([2.0, 3.0]), array([1e-3, 5.0])] {
        let expected = grad(root).call(&x).unwrap();
        for bytes in [1100, 2000, 20_000] {
            let door = grad(root).budget(bytes);
            assert!(door.call(&x).unwrap().bits_eq(&expected), "{bytes} bytes");
            let report = door.last_tape();
            assert!(report.tape_bytes() <= report.planned.as_ref().unwrap().planned_bytes, "{report}");
            assert!(report.planned.as_ref().unwrap().planned_bytes <= bytes, "{report}");
        }
        // A loop whose bytes nobody knows has no place in a budget.
        let unbounded = |x: Var| {
            let far = |y: Var| (y * y - x).abs().sum().gt(1e-3);
            retrograde_core::trace::control::while_config()
                .tape(Tape::Store)
                .run(x * 1e3, far, |y| 0.5 * (y + x / y))
                .sum()
        };
        let error = grad(unbounded).budget(1 << 30).call(&x).unwrap_err().to_string();
        assert!(error.contains("not known before it runs") && error.contains("Slots(n)"), "{error}");
    }
}

#[test]
fn loops_in_loops_fit_too() {
    let nest = |x: Var| scan(30).repeat(x, |x| scan(20).repeat(x, |x| x + 0.01 * (x * x).sin()).tanh()).sum();
    let x = normal(Key::from_seed(3), [50]);
    let stored = grad(nest);
    let expected = stored.call(&x).unwrap();
    let of_store = stored.last_tape().tape_bytes();
    let mut fitted = 0;
    for part in [2, 5, 20, 50] {
        let door = grad(nest).budget(of_store / part);
        match door.call(&x) {
            Ok(g) => {
                assert!(g.bits_eq(&expected), "1 / {part}");
                fitted += 1;
            }
            Err(e) => assert!(least(&e.to_string()) > of_store / part, "{e}"),
        }
    }
    assert!(fitted >= 3, "{fitted}");
}

#[test]
fn a_loop_has_a_budget_of_its_own() {
    let of =
        |policy: Tape| grad(move |x: Var| scan(500).tape(policy).repeat(x, |x| x + 0.01 * x.sin()).sum());
    let x = normal(Key::from_seed(3), [50]);
    let expected = of(Tape::Store).call(&x).unwrap();
    let door = of(Tape::Budget(10 * 400));
    assert!(door.call(&x).unwrap().bits_eq(&expected));
    let report = door.last_tape();
    assert!(report.loops[0].bytes <= 4000 && report.loops[0].bytes >= 2800, "{report}");
    let error = of(Tape::Budget(100)).call(&x).unwrap_err().to_string();
    assert!(error.contains("a budget of 100 bytes") && error.contains("tests/budget.rs:"), "{error}");
}

/// A hundred layers, not a loop.
fn net(x: Var) -> Var {
    let end = (0..100).fold(x, |x, i| x + (x * (0.01 * f64::from(i))).tanh());
    (end * end).sum()
}

#[test]
fn every_derivative_has_the_same_bits_within_a_budget() {
    let (x, v) = (normal(Key::from_seed(3), [50]), normal(Key::from_seed(4), [50]));
    let stored = grad(net);
    let expected = stored.call(&x).unwrap();
    let of_store = stored.last_tape().tape_bytes();
    for part in [2, 10] {
        let door = grad(net).budget(of_store / part);
        assert!(door.call(&x).unwrap().bits_eq(&expected), "1 / {part}");
        let report = door.last_tape();
        assert!(
            report.tape_bytes() <= of_store / part && report.planned.as_ref().unwrap().n_repeated > 0,
            "{report}"
        );
    }
    for reverse_over_forward in [false, true] {
        let product = |door: retrograde_core::trace::door::HvpDoor<_, _>| {
            let door = if reverse_over_forward { door.reverse_over_forward() } else { door };
            door.call(&x, &v).map(|h| (h, door.last_tape().tape_bytes()))
        };
        let (expected, bytes) = product(hvp(net)).unwrap();
        let (found, within) = product(hvp(net).budget(bytes / 2)).unwrap();
        assert!(found.bits_eq(&expected) && within <= bytes / 2, "{reverse_over_forward}");
    }
    // In lanes, and inside another derivative, where each loop has the budget.
    let batch = Array::stack(&[x.clone(), v]).unwrap();
    let lanes = |budget: Option<usize>| {
        let door = jit(vmap(grad(|x: Var| scan(60).repeat(x, |x| x + 0.1 * x.sin()).sum())));
        budget.map_or_else(
            || door.call(&batch),
            |b| {
                jit(vmap(grad(|x: Var| scan(60).repeat(x, |x| x + 0.1 * x.sin()).sum()).budget(b)))
                    .call(&batch)
            },
        )
    };
    assert!(lanes(Some(20_000)).unwrap().bits_eq(&lanes(None).unwrap()));
    let twice = |door: bool| {
        let f = |x: Var| scan(20).repeat(x, |x| x + 0.1 * x.sin()).sum();
        let slope = move |x: Var| if door { grad(f).budget(6_000).at(x).sum() } else { grad(f).at(x).sum() };
        grad(slope).call(&x).unwrap()
    };
    assert!(twice(true).bits_eq(&twice(false)));
    assert_eq!(grad(net).tape(Checkpoint::Sqrt).call(&x).unwrap(), expected);
}
