//! The engine against the reference interpreter: results, tapes, counts and errors, to the bit.

use std::fs;
use std::path::{Path, PathBuf};

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::exec::{Counters, Executor, Interpreter, RunConfig, RunError};
use retrograde_core::ir::{Kind, parse, print};
use retrograde_core::prim::{Checkpoint, Prim, Program, Tape, Value};
use retrograde_core::tape::{Lowered, lower};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{cond, scan, scan_over, while_loop};
use retrograde_core::trace::door::{hvp, value_and_grad};
use retrograde_core::trace::lattice::{Contract, Lattice};
use retrograde_core::trace::var::{constant, select};
use retrograde_engine::Engine;
use retrograde_sample::derivative::{floats, gradient, hessian_product};
use retrograde_sample::draw;

const POLICIES: [Tape; 6] = [
    Tape::Store,
    Tape::Recompute,
    Tape::Checkpoint(Checkpoint::Sqrt),
    Tape::Checkpoint(Checkpoint::Slots(1)),
    Tape::Checkpoint(Checkpoint::Slots(3)),
    Tape::Reverse,
];

type Outcome = Result<(Vec<Value>, Counters), RunError>;

/// What the interpreter gives; three calls of what the engine makes of the program must give the same.
#[track_caller]
fn same(program: &Program, inputs: &[Value]) -> Outcome {
    let expected = Interpreter::default().run(program, inputs.to_vec());
    for n_threads in [1, 2, 4, 7] {
        let compiled = Engine { threads: Some(n_threads), ..Engine::default() }.compile(program);
        let mut earlier = vec![];
        for call in 0..3 {
            let found = compiled.run(inputs.to_vec());
            assert_eq!(found, expected, "call {call} on {n_threads} threads of\n{}", print(program));
            // Results of a call must not change with the next one; some are kept, some let go.
            if call == 0 {
                earlier.push(found);
            }
        }
        assert_eq!(earlier[0], expected, "results changed after the call of\n{}", print(program));
    }
    expected
}

fn values(arrays: &[Array]) -> Vec<Value> {
    arrays.iter().cloned().map(Value::Array).collect()
}

/// Both halves of a lowered program.
#[track_caller]
fn same_halves(lowered: &Lowered, inputs: &[Value], seeds: &[Value]) {
    let Ok((mut tape, _)) = same(&lowered.forward, inputs) else { return };
    let tape = tape.split_off(lowered.n_outputs);
    _ = same(&lowered.backward, &[inputs, &tape, seeds].concat());
}

/// Values, gradient and Hessian–vector product of the programs of some seeds, and the gradient under every policy.
fn random_programs(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let sample = draw(seed, &[]);
        let inputs = values(&sample.inputs);
        let weights = values(&sample.weights);
        _ = same(&sample.program, &inputs);
        let gradient = gradient(&sample.program);
        _ = same(&gradient, &[&inputs[..], &weights].concat());
        let product = hessian_product(&sample.program);
        _ = same(&product, &[&inputs[..], &weights, &values(&sample.direction)].concat());
        let policies = if has_loops(&gradient) { &POLICIES[..] } else { &POLICIES[..2] };
        for &policy in policies {
            if let Ok(lowered) = lower(&gradient, 0, weights.len(), policy) {
                same_halves(&lowered, &inputs, &weights);
            }
        }
    }
}

fn has_loops(program: &Program) -> bool {
    program.equations.iter().any(|e| matches!(e.op, Prim::Scan(_) | Prim::While(_)))
}

// In parts, which run beside each other.
#[test]
fn random_programs_have_equal_bits() {
    random_programs(0..130);
}

#[test]
fn more_random_programs_have_equal_bits() {
    random_programs(130..260);
}

/// Random inputs of the types of a program.
fn inputs_of(program: &Program) -> Option<Vec<Value>> {
    let one = |(i, ty): (u64, &retrograde_core::ir::Type)| {
        let entries = uniform(Key::from_seed(i), ty.shape.clone());
        (ty.kind == Kind::Array).then(|| Value::Array(ops::convert(&entries, ty.dtype)))
    };
    (0u64..).zip(&program.input_types()).map(one).collect()
}

/// Every golden program of the tree.
#[test]
fn golden_programs_have_equal_bits() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = vec![crates.into()];
    let mut n_found = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "retro") {
                let text = fs::read_to_string(&path).unwrap();
                let Ok(program) = parse::<Prim>(&text) else { continue };
                let Some(inputs) = inputs_of(&program) else { continue };
                n_found += 1;
                _ = same(&program, &inputs);
                let gradient = gradient(&program);
                let weights = inputs_of(&gradient).unwrap().split_off(inputs.len());
                for policy in POLICIES {
                    if let Ok(lowered) = lower(&gradient, 0, weights.len(), policy) {
                        same_halves(&lowered, &inputs, &weights);
                    }
                }
            }
        }
    }
    assert!(n_found > 0);
}

/// Value and gradient under every policy, and a Hessian–vector product: both executors, and what the tape report says.
#[track_caller]
fn same_under_every_policy(loss: impl Fn(Vec<Var>) -> Var + Copy, start: &[Array], policies: &[Tape]) {
    let start = start.to_vec();
    for &policy in policies {
        let reference = value_and_grad(loss).tape(policy);
        let fast = retrograde_engine::value_and_grad(loss).tape(policy);
        let expected = reference.call(&start);
        for call in 0..2 {
            assert_eq!(fast.call(&start), expected, "{policy}, call {call}");
        }
        let (found, expected) = (fast.last_tape(), reference.last_tape());
        assert_eq!(found.to_string(), expected.to_string(), "{policy}");
        let lowered = fast.lowered(&start).unwrap();
        let seeds = vec![Value::Array(array(1.0)); usize::from(start[0].dtype() == DType::F64)];
        if !seeds.is_empty() {
            same_halves(&lowered, &values(&start), &seeds);
        }
    }
    if floats(&start.iter().map(retrograde_core::ir::Type::of).collect::<Vec<_>>()).iter().all(|f| *f) {
        let (reference, fast) = (hvp(loss), retrograde_engine::hvp(loss));
        assert_eq!(fast.call(&start, &start), reference.call(&start, &start));
    }
}

/// Products, sums, functions and moves that are large enough to be shared among threads.
#[test]
fn a_large_program_on_any_number_of_threads() {
    let loss = |s: Vec<Var>| {
        let hidden = s[0].dot(s[1]).tanh();
        let back = hidden.dot(s[1].t());
        (back.sum_axes(&[0]) * 0.1).sin().sum() + back.logsumexp(&[1]).sum() + (back * s[0]).mean()
    };
    let draw = |seed: u64, shape: [usize; 2]| uniform(Key::from_seed(seed), shape);
    same_under_every_policy(loss, &[draw(1, [300, 400]), draw(2, [400, 200])], &[Tape::Store]);
}

#[test]
fn a_pendulum() {
    let swing = |(q, p): (Var, Var)| {
        let p = p - 0.1 * q.sin();
        (q + 0.1 * p, p)
    };
    for n_steps in [0, 1, 2, 7, 60] {
        let loss = move |s: Vec<Var>| {
            let (q, p) = scan(n_steps).repeat((s[0], s[1]), swing);
            (q * p).sum()
        };
        same_under_every_policy(loss, &[array([0.3, 1.0]), array([0.0, -0.5])], &POLICIES);
    }
}

/// Rows are read and written, in both directions, with carries that stand still, swap and repeat.
#[test]
fn carries_rows_and_constants() {
    let xs = Array::new([9, 3], (0..27).map(|i| f64::from(i).sin()).collect::<Vec<_>>()).unwrap();
    let loss = |s: Vec<Var>| {
        let a = s[0];
        let step = |(u, v, w): (Var, Var, Var), x: Var| ((v, u, w), (u * x + a).sin() + v * w);
        let ((u, v, w), ys) = scan_over().run((a, a * 2.0, a + 1.0), s[1], step);
        let back = |u: Var, y: Var| ((u + y) * 0.5, u);
        let (u, zs) = scan_over().reversed().run(u, ys, back);
        (u * v * w).sum() + (zs * ys).sum()
    };
    same_under_every_policy(loss, &[array([0.1, 0.2, 0.3]), xs], &POLICIES[..5]);
}

#[test]
fn loops_inside_loops_and_branches() {
    let loss = |s: Vec<Var>| {
        let x = scan(8).repeat(s[0], |x| {
            let inner = scan(3).repeat(0.01 * x, |u| u * (1.0 - u) + 0.001 * x.cos());
            let turned = cond(x.sum().gt(1.0), |(x, u): (Var, Var)| x - u, |(x, u)| x + u, (x, inner));
            let far = while_loop(turned, |u| u.sum().gt(2.0), |u| u * 0.75);
            select(far.gt(0.2), far, far * far)
        });
        x.sum()
    };
    same_under_every_policy(loss, &[array([0.4, 0.9, -0.2])], &POLICIES[..5]);
}

#[test]
fn loops_of_unknown_length() {
    let root = |s: Vec<Var>| {
        let x = s[0];
        let far = |y: Var| ((y * y - x).abs() - 1e-10 * x).max(0.0).sum().gt(0.0);
        while_loop(x * 1e6, far, |y| 0.5 * (y + x / y)).sum()
    };
    same_under_every_policy(root, &[array([2.0, 3.0])], &POLICIES[..5]);
}

/// Choices by the state before a step, which are kept as bits.
#[test]
fn decisions() {
    let loss = |s: Vec<Var>| {
        let (x, t) = scan(90).repeat((s[0], s[0].sum()), |(x, t)| {
            let x = select(x.gt(0.5), x - 0.3 * t.cos().spread(x.shape()).abs(), x + 0.07);
            let t = cond(
                t.gt(1.0),
                |(t, x): (Var, Var)| t - 0.1 * (x * x).sum(),
                |(t, x)| t + x.cos().sum(),
                (t, x),
            );
            (x, t)
        });
        x.sum() * t
    };
    same_under_every_policy(loss, &[array(vec![0.3; 70])], &POLICIES);
}

/// Steps that are reversed as a whole, in blocks that are guessed and blocks that are kept.
#[test]
fn whole_steps() {
    let lorenz = |s: Vec<Var>| {
        let field = |[x, y, z]: [Var; 3]| [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z];
        let step = |(n, y): (Var, [Var; 3])| {
            let k: [Var; 3] = field(y);
            let half: [Var; 3] = std::array::from_fn(|i| y[i] + 5e-4 * k[i]);
            let k = field(half);
            (n + 1, std::array::from_fn(|i| y[i] + 1e-3 * k[i]))
        };
        let (_, [x, y, z]) = scan(150).repeat((constant(&array(0_i64)), [s[0], s[1], s[2]]), step);
        (x * y).sum() + z.sum()
    };
    same_under_every_policy(lorenz, &[array(1.0), array(1.0), array(1.0)], &POLICIES);
    let chaos = |s: Vec<Var>| scan(130).repeat(s[0], |x| 3.9 * x * (1.0 - x)).sum();
    same_under_every_policy(chaos, &[array(0.3)], &POLICIES);
}

#[test]
fn lattices() {
    const LATTICE: Lattice = Lattice { grid: 1.0 / (1_u64 << 40) as f64, range: 64.0 };
    let by = Contract { n: 9, d: 10 };
    let loss = move |s: Vec<Var>| {
        let v = LATTICE.at(s[1]);
        let (x, v, _) = scan(70).repeat((LATTICE.at(s[0]), v, by.remainder(v)), |(x, v, rest)| {
            let x = x + 0.1 * v.value();
            let (v, rest) = v.contract(rest);
            (x, v - 0.1 * x.value().sin(), rest)
        });
        (x.value() * v.value()).sum()
    };
    same_under_every_policy(loss, &[array([0.5, 1.0]), array([0.0, 0.3])], &POLICIES);
}

/// A table that a loop carries and writes one entry of in each step, which is also given from outside.
#[test]
fn tables_that_are_written_step_by_step() {
    let loss = |s: Vec<Var>| {
        let table = s[0];
        let fill = |(i, t, x): (Var, Var, Var)| {
            let x = (x + t.dynamic_slice(i, &[1])).sin();
            (i + 1, t.dynamic_update(x, i), x)
        };
        let start = (constant(&array([0_i64])), table, table.slice(0, 1..2));
        let (_, filled, last) = scan(12).repeat(start, fill);
        (filled * table).sum() + last.sum()
    };
    let entries = uniform(Key::from_seed(3), [12]);
    same_under_every_policy(loss, &[entries], &POLICIES[..5]);
}

/// Large arrays, where views are not copied.
#[test]
fn large_arrays() {
    let n = 70;
    let entries = |seed| uniform(Key::from_seed(seed), [n, n]);
    let loss = |s: Vec<Var>| {
        let w = s[1];
        let x = scan(4).repeat(s[0], |x| (x.dot(w) * 0.1 + x.transpose(&[1, 0])).tanh());
        let (row, rest) = (x.slice(0, 0..1), x.slice(0, 1..70));
        (rest * row.reshape([70]).broadcast([69, 70], &[1])).sum() + x.reverse(&[0]).index(0, 3).sum()
    };
    same_under_every_policy(loss, &[entries(1), entries(2)], &POLICIES[..5]);
}

/// Operation, place, step and cause of an error.
#[test]
fn errors_are_the_same() {
    let outside = |s: Vec<Var>| {
        let at = constant(&array(3_i64));
        scan(5).repeat((s[0], at), |(x, at)| (x + x.gather(0, at - 1).sin(), at - 1)).0.sum()
    };
    let start = vec![array([0.1, 0.2, 0.3])];
    for policy in POLICIES {
        let (reference, fast) =
            (value_and_grad(outside).tape(policy), retrograde_engine::value_and_grad(outside).tape(policy));
        let expected = reference.call(&start).unwrap_err();
        assert_eq!(fast.call(&start).unwrap_err(), expected, "{policy}");
        assert!(expected.to_string().contains("(in step"), "{expected}");
    }
    let log =
        parse::<Prim>("program(a:f64[2]) {\n  b:f64[2] = log a\n  c:f64[2] = neg b\n  return c\n}").unwrap();
    _ = same(&log, &values(&[array([1.0])]));
    _ = same(&log, &[]);
    let config = RunConfig { look_for_non_finite: true };
    for input in [[0.0, 1.0], [1.0, 2.0], [f64::NAN, 1.0]] {
        let inputs = values(&[array(input)]);
        let expected = Interpreter { config }.run(&log, inputs.clone());
        assert_eq!(Engine { config, ..Engine::default() }.run(&log, inputs), expected);
    }
    let infinite = "program() {\n  a:f64[] = full[type=f64[], value=f64[]{inf}]\n  return a\n}";
    let infinite = parse::<Prim>(infinite).unwrap();
    let expected = Interpreter { config }.run(&infinite, vec![]);
    assert!(expected.is_err());
    assert_eq!(Engine { config, ..Engine::default() }.run(&infinite, vec![]), expected);
}
