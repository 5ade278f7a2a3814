//! The audit accepts what `lower` makes and refuses it broken.

use std::sync::Arc;

use retrograde_array::ops::Comparison;
use retrograde_array::rng::{Key, normal};
use retrograde_array::{DType, Scalar};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::builder::renumber;
use retrograde_core::ir::{Equation, Kind, Op, Type, ValueId, check, parse, print};
use retrograde_core::prim::bodies::build;
use retrograde_core::prim::broadcast::Broadcast;
use retrograde_core::prim::call::Call;
use retrograde_core::prim::compare::Compare;
use retrograde_core::prim::concat::Concat;
use retrograde_core::prim::cond::Cond;
use retrograde_core::prim::convert::Convert;
use retrograde_core::prim::full::Full;
use retrograde_core::prim::replay::{Plan, Replay};
use retrograde_core::prim::reshape::Reshape;
use retrograde_core::prim::scan::Scan;
use retrograde_core::prim::select::Select;
use retrograde_core::prim::sum::Sum;
use retrograde_core::prim::transpose::Transpose;
use retrograde_core::prim::while_loop::While;
use retrograde_core::prim::{
    Builder, Checkpoint, Prim, Program, Tape, Value, add::Add, cos::Cos, fma::Fma, mul::Mul, neg::Neg,
    sin::Sin, sub::Sub, tanh::Tanh,
};
use retrograde_core::tape::{AuditError, Lowered, audit, lower};
use retrograde_core::transform::{LinearProgram, jvp, linearize, transpose, vmap};

const SQRT: Tape = Tape::Checkpoint(Checkpoint::Sqrt);
const SLOTS: Tape = Tape::Checkpoint(Checkpoint::Slots(3));
const POLICIES: [Tape; 5] = [Tape::Store, Tape::Recompute, SQRT, SLOTS, Tape::Reverse];
/// Of two f64: two bytes and a grid of eight.
const LOSSY: Tape = Tape::Quantise { bits: 8, seed: 0 };

fn vec2() -> Type {
    Type::array(DType::F64, [2])
}

fn emit(b: &mut Builder, op: impl Into<Prim>, inputs: &[ValueId]) -> ValueId {
    b.emit1(op.into(), inputs)
}

fn full(b: &mut Builder, ty: &Type, value: f64) -> ValueId {
    emit(b, Full { ty: ty.clone(), value: Scalar::F64(value) }, &[])
}

/// A program of (inputs.., seeds.. -> outputs.., rest..).
#[derive(Clone)]
struct Case {
    program: Program,
    n_outputs: usize,
    n_seeds: usize,
}

/// Outputs and the cotangents of all floating-point inputs.
fn vjp(program: &Program) -> Case {
    let active: Vec<bool> = program.input_types().iter().map(Type::is_float).collect();
    let n_outputs = program.outputs.len();
    let lin = linearize(program, &active, &vec![false; n_outputs]);
    let transposed = transpose(&LinearProgram::new(lin.linear, lin.n_residuals).unwrap());
    let outs = program.output_types();
    let seeds: Vec<Type> =
        outs.iter().zip(&lin.active).filter(|(_, a)| **a).map(|(ty, _)| ty.clone()).collect();
    let n = program.inputs.len();
    let joint = build(&[program.input_types(), seeds.clone()].concat(), |b, p| {
        let mut out = b.inline(&lin.forward, &p[..n]);
        let residuals = out.split_off(n_outputs);
        let bars = b.inline(&transposed, &[&residuals, &p[n..]].concat());
        [out, bars].concat()
    });
    Case { program: joint, n_outputs, n_seeds: seeds.len() }
}

/// The derivative of all results along the inputs, seeds fixed.
fn jvp_of(case: &Case) -> Case {
    let n_inputs = case.program.inputs.len() - case.n_seeds;
    let active: Vec<bool> = (0..case.program.inputs.len())
        .map(|i| i < n_inputs && case.program.input_types()[i].is_float())
        .collect();
    let n_results = case.program.outputs.len();
    let jvp = jvp(&case.program, &active, &vec![true; n_results]);
    let types = jvp.program.input_types();
    let (inputs, rest) = types.split_at(n_inputs);
    let (seeds, dots) = rest.split_at(case.n_seeds);
    let program = build(&[inputs, dots, seeds].concat(), |b, p| {
        let (inputs, rest) = p.split_at(n_inputs);
        let (dots, seeds) = rest.split_at(dots.len());
        let out = b.inline(&jvp.program, &[inputs, seeds, dots].concat());
        let (primal, dots) = out.split_at(n_results);
        let k = case.n_outputs;
        [&primal[..k], &dots[..k], &primal[k..], &dots[k..]].concat()
    });
    Case { program, n_outputs: 2 * case.n_outputs, n_seeds: case.n_seeds }
}

fn vmap_of(case: &Case, n: usize) -> Case {
    let all = vec![true; case.program.inputs.len()];
    let program = vmap(&case.program, &all, &vec![true; case.program.outputs.len()], n).program;
    Case { program, ..*case }
}

fn lowered(case: &Case, policy: Tape) -> Lowered {
    lower(&case.program, case.n_outputs, case.n_seeds, policy).unwrap()
}

/// Two regions that are computed again, and one that stores, each sin(x · w) + x.
fn regions() -> Program {
    build(&[vec2(), vec2()], |b, p| {
        let policies = [Some(Tape::Recompute), Some(Tape::Store), Some(Tape::Recompute)];
        let end = policies.into_iter().fold(p[0], |x, policy| {
            let body = build(&[vec2(), vec2()], |b, p| {
                let product = emit(b, Mul, &[p[0], p[1]]);
                let sine = emit(b, Sin, &[product]);
                vec![emit(b, Add, &[sine, p[0]])]
            });
            emit(b, Call { policy, ..Call::new("layer", body) }, &[x, p[1]])
        });
        vec![end]
    })
}

#[test]
fn a_region_that_runs_again_on_something_else_is_refused() {
    let case = vjp(&regions());
    let mut l = lowered(&case, Tape::Store);
    l.backward = change(&l.backward, &mut |e| match &e.op {
        Prim::Call(call) if call.is_sweep && e.inputs.len() >= 3 => {
            e.inputs.swap(0, 1);
            true
        }
        _ => false,
    });
    refuse(&case, &l, "");
}

/// Audits what lowering makes of a case, and its derivatives, under every policy.
fn accept(name: &str, program: &Program, policies: &[Tape]) {
    let grad = vjp(program);
    let cases = [
        ("vjp", grad.clone()),
        ("jvp of vjp", jvp_of(&grad)),
        (
            "vjp of jvp",
            vjp(&jvp_of(&Case { program: program.clone(), n_outputs: program.outputs.len(), n_seeds: 0 })
                .program),
        ),
        ("vmap of vjp", vmap_of(&grad, 3)),
        (
            "vjp of vmap",
            vjp(&vmap_of(&Case { program: program.clone(), n_outputs: 0, n_seeds: 0 }, 3).program),
        ),
        ("vmap of jvp of vjp", vmap_of(&jvp_of(&grad), 2)),
    ];
    for (what, case) in &cases {
        for policy in policies.iter().copied().chain([LOSSY]) {
            let lowered = lower(&case.program, case.n_outputs, case.n_seeds, policy)
                .unwrap_or_else(|e| panic!("{name}, {what}, {policy}: {e}"));
            let verdict = audit(&case.program, &lowered, case.n_seeds);
            let lowered = || format!("{}\n{}", print(&lowered.forward), print(&lowered.backward));
            assert_eq!(verdict, Ok(()), "{name}, {what}, {policy}:\n{}\n{}", print(&case.program), lowered());
        }
    }
}

/// `x' = tanh(w x + u)`, y = x sin x'
fn recurrent(length: usize, reverse: bool) -> Program {
    let v = vec2();
    let body = build(&[v.clone(), v.clone(), v.clone()], |b, p| {
        let scaled = emit(b, Mul, &[p[0], p[1]]);
        let shifted = emit(b, Add, &[scaled, p[2]]);
        let next = emit(b, Tanh, &[shifted]);
        let sine = emit(b, Sin, &[next]);
        vec![next, emit(b, Mul, &[p[1], sine])]
    });
    let op =
        Scan { body: Arc::new(body), length: Some(length), reverse, n_consts: 1, n_carry: 1, policy: None };
    build(&[v.clone(), v.clone(), v.stacked(length)], |b, p| b.emit(op.into(), p))
}

/// q += h p; p -= sin q + f, and what the trajectory is measured by.
fn leapfrog(length: usize, policy: Option<Tape>) -> Program {
    let v = vec2();
    let body = build(&[v.clone(), v.clone(), v.clone(), v.clone()], |b, p| {
        let [h, q, p_old, f] = p[..] else { unreachable!("four parameters") };
        let q = emit(b, Fma, &[h, p_old, q]);
        let sine = emit(b, Sin, &[q]);
        let force = emit(b, Add, &[sine, f]);
        let kick = emit(b, Mul, &[force, h]);
        let p = emit(b, Sub, &[p_old, kick]);
        vec![q, p, emit(b, Mul, &[q, p])]
    });
    let op =
        Scan { body: Arc::new(body), length: Some(length), reverse: false, n_consts: 1, n_carry: 2, policy };
    build(&[v.clone(), v.clone(), v.clone(), v.stacked(length)], |b, p| {
        let out = b.emit(op.into(), p);
        vec![out[1], out[2]]
    })
}

/// y += sin z; z = y - z; w swaps with y.
fn updates(length: usize) -> Program {
    let v = vec2();
    let body = build(&[v.clone(), v.clone(), v.clone()], |b, p| {
        let [y, z, w] = p[..] else { unreachable!("three parameters") };
        let sine = emit(b, Sin, &[z]);
        let y = emit(b, Add, &[sine, y]);
        let z = emit(b, Sub, &[y, z]);
        let half = full(b, &vec2(), 0.5);
        let kick = emit(b, Mul, &[half, z]);
        let w = emit(b, Sub, &[w, kick]);
        let minus = emit(b, Neg, &[w]);
        vec![minus, z, y]
    });
    let op = Scan {
        body: Arc::new(body),
        length: Some(length),
        reverse: true,
        n_consts: 0,
        n_carry: 3,
        policy: None,
    };
    build(&[v.clone(), v.clone(), v], |b, p| b.emit(op.into(), p))
}

/// while sum x < bound { x += h sin c; c += sin x }
fn repeated(policy: Option<Tape>) -> Program {
    let (v, scalar) = (vec2(), Type::array(DType::F64, []));
    let cond = build(&[scalar.clone(), v.clone(), v.clone()], |b, p| {
        let total = emit(b, Sum { axes: vec![0] }, &[p[1]]);
        vec![emit(b, Compare { comparison: Comparison::Lt }, &[total, p[0]])]
    });
    let body = build(&[v.clone(), v.clone(), v.clone()], |b, p| {
        let [h, x, c] = p[..] else { unreachable!("three parameters") };
        let sine = emit(b, Sin, &[c]);
        let x = emit(b, Fma, &[h, sine, x]);
        let sine = emit(b, Sin, &[x]);
        vec![x, emit(b, Add, &[c, sine])]
    });
    let op = While {
        cond: Arc::new(cond),
        body: Arc::new(body),
        n_cond_consts: 1,
        n_body_consts: 1,
        policy,
        most: None,
    };
    build(&[scalar, v.clone(), v.clone(), v], |b, p| b.emit(op.into(), p))
}

/// Updates of whole numbers, and of floats that are moved about between them.
fn moved(length: usize) -> Program {
    let (v, n) = (vec2(), Type::array(DType::I64, [2]));
    let pair = Type::array(DType::F64, [2, 2]);
    let body = build(&[n.clone(), n.clone(), v.clone(), pair.clone(), v.clone()], |b, p| {
        let [k, m, x, y, z] = p[..] else { unreachable!("five parameters") };
        let k = emit(b, Add, &[k, m]);
        let m = emit(b, Sub, &[m, k]);
        let k = emit(b, Sub, &[m, k]);
        let three = emit(b, Full { ty: Type::array(DType::I64, [2]), value: Scalar::I64(3) }, &[]);
        let k = emit(b, Sub, &[k, three]);
        let m = emit(b, Fma, &[k, three, m]);
        let tall = emit(b, Reshape { shape: vec![4, 1] }, &[y]);
        let flat = emit(b, Reshape { shape: vec![4] }, &[tall]);
        let both = emit(b, Concat { axis: 0 }, &[x, z]);
        let sum = emit(b, Add, &[flat, both]);
        let turned = emit(b, Reshape { shape: vec![2, 2] }, &[sum]);
        let y = emit(b, Transpose { perm: vec![1, 0] }, &[turned]);
        let sine = emit(b, Sin, &[z]);
        let float = emit(b, Convert { dtype: DType::F64 }, &[k]);
        let kick = emit(b, Mul, &[sine, float]);
        let x = emit(b, Sub, &[x, kick]);
        vec![k, m, x, y, z]
    });
    let op = Scan {
        body: Arc::new(body),
        length: Some(length),
        reverse: false,
        n_consts: 0,
        n_carry: 5,
        policy: None,
    };
    build(&[n.clone(), n, v.clone(), pair, v], |b, p| b.emit(op.into(), p)[2..].to_vec())
}

/// A loop whose step is a loop and a branch.
fn nested(inner: Option<Tape>) -> Program {
    let v = vec2();
    let innermost = build(&[v.clone(), v.clone(), v.clone()], |b, p| {
        let scaled = emit(b, Mul, &[p[0], p[1]]);
        let next = emit(b, Tanh, &[scaled]);
        let moved = emit(b, Add, &[next, p[2]]);
        vec![moved, emit(b, Cos, &[next])]
    });
    let inner = Scan {
        body: Arc::new(innermost),
        length: Some(5),
        reverse: true,
        n_consts: 1,
        n_carry: 1,
        policy: inner,
    };
    let yes = build(&[v.clone(), v.clone()], |b, p| vec![emit(b, Mul, &[p[0], p[1]])]);
    let no = build(&[v.clone(), v.clone()], |b, p| vec![emit(b, Sin, &[p[1]])]);
    let branch = Cond { if_true: Arc::new(yes), if_false: Arc::new(no) };
    let xs = v.stacked(5);
    let body = build(&[xs.clone(), v.clone(), v.clone()], |b, p| {
        let out = b.emit(inner.into(), &[p[2], p[1], p[0]]);
        let total = emit(b, Sum { axes: vec![0] }, &[out[1]]);
        let weight = emit(b, Sum { axes: vec![0] }, &[out[0]]);
        let zero = full(b, &Type::array(DType::F64, []), 0.0);
        let is_less = emit(b, Compare { comparison: Comparison::Lt }, &[weight, zero]);
        let chosen = emit(b, branch, &[is_less, out[0], total]);
        vec![chosen, total]
    });
    let op =
        Scan { body: Arc::new(body), length: Some(7), reverse: false, n_consts: 1, n_carry: 1, policy: None };
    build(&[xs, v.clone(), v.stacked(7)], |b, p| b.emit(op.into(), p))
}

#[test]
fn lowered_programs_are_proved() {
    for n in [1, 2, 7, 10] {
        accept("recurrent", &recurrent(n, n % 2 == 1), &POLICIES);
    }
    accept("leapfrog", &leapfrog(6, None), &POLICIES);
    accept("own policy", &leapfrog(6, Some(Tape::Reverse)), &POLICIES);
    accept("updates", &updates(4), &POLICIES);
    accept("moved", &moved(4), &POLICIES);
    accept("while", &repeated(None), &POLICIES);
    accept("own policy of while", &repeated(Some(SQRT)), &POLICIES);
    accept("regions", &regions(), &POLICIES);
    accept("nested", &nested(None), &POLICIES);
    accept("nested", &nested(Some(Tape::Store)), &POLICIES);
    accept("nested", &nested(Some(SQRT)), &POLICIES);
    accept("counted", &counted(6), &POLICIES);
}

/// The recurrence with a counter that its step reads.
fn counted(length: usize) -> Program {
    let (v, number) = (vec2(), Type::array(DType::I64, []));
    let body = build(&[v.clone(), v.clone(), number.clone(), v.clone()], |b, p| {
        let scaled = emit(b, Mul, &[p[0], p[1]]);
        let shifted = emit(b, Add, &[scaled, p[3]]);
        let of_count = emit(b, Convert { dtype: DType::F64 }, &[p[2]]);
        let of_count = emit(b, Broadcast { shape: vec![2], axes: vec![] }, &[of_count]);
        let counted = emit(b, Mul, &[shifted, of_count]);
        let next = emit(b, Tanh, &[counted]);
        let one = emit(b, Full { ty: number.clone(), value: Scalar::I64(1) }, &[]);
        vec![next, emit(b, Add, &[p[2], one]), emit(b, Mul, &[p[1], next])]
    });
    let op = Scan {
        body: Arc::new(body),
        length: Some(length),
        reverse: false,
        n_consts: 1,
        n_carry: 2,
        policy: None,
    };
    build(&[v.clone(), v.clone(), number, v.stacked(length)], |b, p| b.emit(op.into(), p))
}

#[test]
fn whole_steps_read_otherwise_than_recorded_are_refused() {
    let case = vjp(&counted(7));
    let sound = lowered(&case, Tape::Reverse);
    assert_eq!(audit(&case.program, &sound, case.n_seeds), Ok(()));
    let broken = |change_of: &dyn Fn(&mut Replay, &mut Vec<ValueId>), reason: &str| {
        let mut l = sound.clone();
        l.backward = change(&l.backward, &mut |e| {
            let Prim::Replay(r) = &mut e.op else { return false };
            change_of(r, &mut e.inputs);
            true
        });
        refuse(&case, &l, reason);
    };
    // Another number of corrections makes other guesses.
    broken(
        &|r, _| r.plan = Plan::ReverseStep { corrections: 7 },
        "found bits recorded by the plan reverse-step-8",
    );
    // Another direction, another constant, other xs, the ends exchanged.
    broken(&|r, _| r.reverse = true, "direction");
    broken(&|_, inputs| inputs[0] = inputs[1], "carry 0 is guessed by another step than was recorded");
    broken(&|_, inputs| inputs.swap(1, 3), "carry 0 of the last state is not the recorded one");
    // Another step: cos for tanh, and 2 added for 1.
    let another = |step: &Program, from: &str, to: &str| -> Arc<Program> {
        let text = print(step);
        assert!(text.contains(from), "{text}");
        Arc::new(parse(&text.replacen(from, to, 1)).unwrap())
    };
    broken(&|r, _| r.step = another(&r.step, "tanh", "cos"), "carry 0 is guessed by another step");
    broken(&|r, _| r.step = another(&r.step, "{1}", "{2}"), "is guessed by another step");
    broken(
        &|r, _| r.exact = Some(another(r.exact.as_ref().unwrap(), "{1}", "{2}")),
        "the exact inverse does not give carry 1 back",
    );
    // Another step was recorded than the program has.
    let mut l = sound.clone();
    l.forward = change_body(&l.forward, "record", &mut |body| {
        for e in &mut body.equations {
            if let Prim::Tanh(_) = e.op {
                e.op = Cos.into();
            }
        }
    });
    refuse(&case, &l, "");
}

#[test]
fn reverse_mode_of_reverse_mode_is_proved() {
    for program in [recurrent(7, false), leapfrog(6, None), nested(None), repeated(None)] {
        let case = vjp(&vjp(&program).program);
        for policy in POLICIES {
            let Ok(lowered) = lower(&case.program, case.n_outputs, case.n_seeds, policy) else {
                assert_eq!(policy, Tape::Reverse);
                continue;
            };
            assert_eq!(audit(&case.program, &lowered, case.n_seeds), Ok(()), "{policy}");
        }
    }
}

#[test]
fn long_loops_are_proved() {
    for n in [2_000, 2_001, 1_000_000] {
        accept("recurrent", &recurrent(n, false), &[SQRT, Tape::Reverse]);
        accept("leapfrog", &leapfrog(n, None), &[Tape::Reverse]);
    }
}

#[test]
fn policies_are_followed() {
    let names = |lowered: &Lowered| {
        let of = |p: &Program| p.equations.iter().map(|e| print_op(e)).collect::<Vec<_>>();
        [of(&lowered.forward), of(&lowered.backward)].concat().join(" ")
    };
    let case = vjp(&leapfrog(6, None));
    assert!(!names(&lowered(&case, Tape::Store)).contains("re"));
    for case in
        [case.clone(), jvp_of(&case), vjp(&repeated(None)), vmap_of(&vjp(&repeated(None)), 3), vjp(&moved(4))]
    {
        for policy in [Tape::Recompute, SQRT, SLOTS, Tape::Reverse] {
            let Ok(lowered) = lower(&case.program, case.n_outputs, case.n_seeds, policy) else {
                assert_eq!(policy, Tape::Reverse);
                continue;
            };
            let names = names(&lowered);
            assert!(names.contains("record") && names.contains("replay"), "{names}");
        }
    }
}

fn print_op(e: &Equation<Prim>) -> &'static str {
    e.op.name()
}

/// Changes the first equation of this program that `f` accepts.
fn change(program: &Program, f: &mut dyn FnMut(&mut Equation<Prim>) -> bool) -> Program {
    let mut changed = program.clone();
    assert!(changed.equations.iter_mut().any(f), "nothing to change in:\n{}", print(program));
    renumber(changed)
}

/// Changes the body of the first `record`, or `step` or `back` of the first `replay`.
fn change_body(program: &Program, which: &str, f: &mut dyn FnMut(&mut Program)) -> Program {
    change(program, &mut |e| {
        let body = match (&mut e.op, which) {
            (Prim::Record(r), "record") => &mut r.body,
            (Prim::Replay(r), "step") => &mut r.step,
            (Prim::Replay(r), "back") => &mut r.back,
            _ => return false,
        };
        let mut new = (**body).clone();
        f(&mut new);
        assert_ne!(new, **body, "{which} is as it was:\n{}", print(body));
        *body = Arc::new(renumber(new));
        true
    })
}

fn swap_uses(program: &mut Program, a: ValueId, b: ValueId) {
    let swap = |v: &mut ValueId| {
        *v = if *v == a {
            b
        } else if *v == b {
            a
        } else {
            *v
        }
    };
    program.equations.iter_mut().flat_map(|e| &mut e.inputs).for_each(swap);
    program.outputs.iter_mut().for_each(swap);
}

fn refuse(case: &Case, broken: &Lowered, expected: &str) {
    let sound = lower(&case.program, case.n_outputs, case.n_seeds, broken.tape[0].policy);
    assert_eq!(sound.map(|l| audit(&case.program, &l, case.n_seeds)), Ok(Ok(())));
    for part in [&broken.forward, &broken.backward] {
        assert_eq!(check(part), Ok(()), "{}", print(part));
    }
    match audit(&case.program, broken, case.n_seeds) {
        Ok(()) => panic!("accepted:\n{}\n{}", print(&broken.forward), print(&broken.backward)),
        Err(e) => assert!(e.to_string().contains(expected), "found `{e}`, expected `{expected}`"),
    }
}

#[test]
fn swapped_tape_values_are_refused() {
    for policy in POLICIES {
        let case = vjp(&leapfrog(6, None));
        let l = lowered(&case, policy);
        let types = l.forward.output_types().split_off(l.n_outputs);
        let mut n_swaps = 0;
        for i in 0..types.len() {
            for j in i + 1..types.len() {
                if types[i] == types[j]
                    && l.forward.outputs[l.n_outputs + i] != l.forward.outputs[l.n_outputs + j]
                {
                    let mut broken = l.clone();
                    broken.forward.outputs.swap(l.n_outputs + i, l.n_outputs + j);
                    refuse(&case, &broken, "");
                    n_swaps += 1;
                }
            }
        }
        assert!(n_swaps > 0, "{policy}: no two values of one type on the tape");
    }
}

#[test]
fn strides_that_differ_are_refused() {
    let case = vjp(&recurrent(7, false));
    let mut l = lowered(&case, SQRT);
    // 2 -> 4 checkpoints; 4 and 5 -> 2
    let set = |program: &Program, k: usize| {
        change(program, &mut |e| match &mut e.op {
            Prim::Record(r) => {
                r.plan = Plan::Every(k);
                true
            }
            Prim::Replay(r) => {
                r.plan = Plan::Every(k);
                true
            }
            _ => false,
        })
    };
    let text = print(&l.forward);
    assert!(text.contains("every-2"), "{text}");
    for (record, replay) in [(4, 5), (5, 4), (4, 4)] {
        l.forward = retyped(&set(&l.forward, record));
        l.backward = set(&l.backward, replay);
        let rows = l.forward.output_types().split_off(l.n_outputs);
        for (v, ty) in l.backward.inputs.clone().into_iter().skip(l.forward.inputs.len()).zip(rows) {
            l.backward.types[v.index()] = ty;
        }
        let other_rule = |p: &Program| {
            change(p, &mut |e| match &mut e.op {
                Prim::Replay(r) => {
                    r.plan = Plan::Slots(1);
                    true
                }
                _ => false,
            })
        };
        if record == replay {
            let sound = l.backward.clone();
            l.backward = other_rule(&sound);
            refuse(
                &case,
                &l,
                "found a checkpoint every 4 steps, read as by the binomial schedule for 1 slots",
            );
            l.backward = sound;
            assert_eq!(audit(&case.program, &l, case.n_seeds), Ok(()));
        } else {
            refuse(&case, &l, "found a checkpoint");
        }
    }
}

/// The program with the types of its results inferred again.
fn retyped(program: &Program) -> Program {
    build(&program.input_types(), |b, p| {
        let mut map = vec![None; program.types.len()];
        program.inputs.iter().zip(p).for_each(|(v, p)| map[v.index()] = Some(*p));
        for e in &program.equations {
            let inputs: Vec<ValueId> = e.inputs.iter().map(|v| map[v.index()].unwrap()).collect();
            let outputs = b.emit(e.op.clone(), &inputs);
            e.outputs.iter().zip(outputs).for_each(|(v, o)| map[v.index()] = Some(o));
        }
        program.outputs.iter().map(|v| map[v.index()].unwrap()).collect()
    })
}

#[test]
fn a_push_that_is_missing_is_refused() {
    let case = vjp(&leapfrog(6, None));
    for nth in 0..2 {
        let mut l = lowered(&case, Tape::Reverse);
        l.forward = change_body(&l.forward, "record", &mut |body| {
            let pushes: Vec<usize> = (0..body.equations.len())
                .filter(|&i| matches!(body.equations[i].op, Prim::Retain(_)))
                .collect();
            assert_eq!(pushes.len(), 2);
            let push = body.equations.remove(pushes[nth]);
            swap_uses(body, push.outputs[0], push.inputs[0]);
        });
        refuse(&case, &l, "bits");
    }
}

#[test]
fn bits_taken_in_another_order_are_refused() {
    // Two updates that do not depend on each other.
    let v = vec2();
    let body = build(&[v.clone(), v.clone(), v.clone(), v.clone()], |b, p| {
        let left = emit(b, Add, &[p[2], p[0]]);
        let right = emit(b, Add, &[p[3], p[1]]);
        vec![left, right, emit(b, Mul, &[p[2], p[3]])]
    });
    let op =
        Scan { body: Arc::new(body), length: Some(4), reverse: false, n_consts: 2, n_carry: 2, policy: None };
    let case = vjp(&build(&[v.clone(), v.clone(), v.clone(), v], |b, p| b.emit(op.into(), p)));
    let mut l = lowered(&case, Tape::Reverse);
    l.backward = change_body(&l.backward, "step", &mut |step| {
        let pops: Vec<usize> =
            (0..step.equations.len()).filter(|&i| matches!(step.equations[i].op, Prim::Restore(_))).collect();
        let [first, second] = pops[..] else { panic!("two updates in:\n{}", print(step)) };
        let (a, b) = (step.equations[first].clone(), step.equations[second].clone());
        step.equations[first].inputs[1..].clone_from_slice(&b.inputs[1..]);
        step.equations[second].inputs[1..].clone_from_slice(&a.inputs[1..]);
        let (a, b) = (a.outputs[1], b.outputs[1]);
        step.outputs.iter_mut().for_each(|v| {
            *v = if *v == a {
                b
            } else if *v == b {
                a
            } else {
                *v
            }
        });
    });
    refuse(&case, &l, "takes the bits of another update");
}

#[test]
fn another_step_is_refused() {
    let replace = |body: &mut Program| {
        for e in &mut body.equations {
            if let Prim::Sin(_) | Prim::Tanh(_) = e.op {
                e.op = Cos.into();
            }
        }
    };
    let case = vjp(&recurrent(7, false));
    let mut l = lowered(&case, SQRT);
    l.backward = change_body(&l.backward, "step", &mut |step| replace(step));
    refuse(&case, &l, "carry 0 is not computed again as it was recorded: found cos");
    let case = vjp(&leapfrog(7, None));
    let mut l = lowered(&case, Tape::Reverse);
    l.backward = change_body(&l.backward, "step", &mut |step| replace(step));
    refuse(&case, &l, "takes the bits of another update");
    for policy in [SQRT, Tape::Reverse] {
        let mut l = lowered(&case, policy);
        l.backward = change_body(&l.backward, "back", &mut |back| replace(back));
        refuse(&case, &l, "is another value than in the original");
        let mut l = lowered(&case, policy);
        l.forward = change_body(&l.forward, "record", &mut |body| replace(body));
        refuse(&case, &l, "");
    }
}

#[test]
fn a_wrong_state_in_back_is_refused() {
    for policy in [SQRT, Tape::Reverse] {
        let case = vjp(&leapfrog(6, None));
        let mut l = lowered(&case, policy);
        // h, q, p, f, ..
        for (i, j) in [(0, 1), (1, 2), (2, 3)] {
            let sound = l.backward.clone();
            l.backward = change_body(&sound, "back", &mut |back| {
                let (a, b) = (back.inputs[i], back.inputs[j]);
                swap_uses(back, a, b);
            });
            refuse(&case, &l, "is another value than in the original");
            l.backward = sound;
        }
    }
}

#[test]
fn the_other_direction_is_refused() {
    for policy in [SQRT, Tape::Reverse] {
        let case = vjp(&leapfrog(6, None));
        let mut l = lowered(&case, policy);
        l.backward = change(&l.backward, &mut |e| match &mut e.op {
            Prim::Replay(r) => {
                r.reverse = !r.reverse;
                true
            }
            _ => false,
        });
        refuse(&case, &l, "direction");
    }
}

#[test]
fn wrong_counts_are_refused() {
    let case = vjp(&leapfrog(6, None));
    let mut l = lowered(&case, SQRT);
    l.n_outputs += 1;
    assert!(matches!(
        audit(&case.program, &l, case.n_seeds),
        Err(AuditError::Malformed { part: "forward" | "backward", .. })
    ));
    let l = lowered(&case, SQRT);
    assert!(matches!(audit(&case.program, &l, 99), Err(AuditError::Malformed { part: "original", .. })));
}

#[test]
fn the_message_names_equation_and_reason() {
    let text = "program(x:f64[], s:f64[]) {
      a:f64[] = sin x
      b:f64[] = cos x
      c:f64[] = mul s b
      return a, c
    }";
    let original: Program = parse(text).unwrap();
    let mut l = lower(&original, 1, 1, Tape::Store).unwrap();
    l.forward = change(&l.forward, &mut |e| {
        let found = matches!(e.op, Prim::Cos(_));
        if found {
            e.op = Sin.into();
        }
        found
    });
    let message = audit(&original, &l, 1).unwrap_err().to_string();
    assert_eq!(
        message,
        "output 1, made by backward, equation 0 (mul), is another value than in the original: \
         found sin of input 0 (f64[]) (f64[]), expected cos of input 0 (f64[]) (f64[])"
    );
}

/// Numbers that only tests need.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % n as u64) as usize
    }
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A value computed from those in reach by up to three operations.
fn expression(b: &mut Builder, d: &mut Draws, within: &[ValueId]) -> ValueId {
    let mut reach = within.to_vec();
    for _ in 0..1 + d.below(3) {
        let (x, y, z) = (d.of(&reach), d.of(&reach), d.of(&reach));
        let new = match d.below(9) {
            0 => emit(b, Add, &[x, y]),
            1 => emit(b, Sub, &[x, y]),
            2 => emit(b, Mul, &[x, y]),
            3 => emit(b, Sin, &[x]),
            4 => emit(b, Tanh, &[x]),
            5 => emit(b, Neg, &[x]),
            6 => emit(b, Fma, &[x, y, z]),
            7 => emit(b, Cos, &[x]),
            _ => {
                let c = full(b, &vec2(), d.below(4) as f64 / 2.0);
                emit(b, Mul, &[c, x])
            }
        };
        reach.push(new);
    }
    reach[reach.len() - 1]
}

/// A scan of in-place updates, sometimes in a second one.
fn random_program(d: &mut Draws) -> Program {
    let v = vec2();
    let (n_consts, n_carry, n_xs) = (d.below(3), 2 + d.below(2), d.below(2));
    let types = vec![v.clone(); n_consts + n_carry + n_xs];
    let body = build(&types, |b, p| {
        let mut state = p[n_consts..n_consts + n_carry].to_vec();
        let given: Vec<ValueId> = p[..n_consts].iter().chain(&p[n_consts + n_carry..]).copied().collect();
        for _ in 0..1 + d.below(4) {
            let target = d.below(n_carry);
            let others: Vec<ValueId> =
                (0..n_carry).filter(|&i| i != target).map(|i| state[i]).chain(given.clone()).collect();
            let update = expression(b, d, &others);
            let old = state[target];
            state[target] = match d.below(6) {
                0 => emit(b, Sub, &[old, update]),
                1 => emit(b, Sub, &[update, old]),
                2 => emit(b, Fma, &[update, d.of(&others), old]),
                3 => emit(b, Add, &[update, old]),
                4 => emit(b, Neg, &[old]),
                _ => emit(b, Add, &[old, update]),
            };
        }
        if d.below(3) == 0 {
            state.swap(0, 1);
        }
        let reach: Vec<ValueId> = state.iter().chain(p).copied().collect();
        let ys: Vec<ValueId> = (0..d.below(3)).map(|_| expression(b, d, &reach)).collect();
        [state, ys].concat()
    });
    let length = 1 + d.below(6);
    let op = Scan {
        body: Arc::new(body),
        length: Some(length),
        reverse: d.below(2) == 0,
        n_consts,
        n_carry,
        policy: None,
    };
    let mut inputs = vec![v.clone(); n_consts + n_carry];
    inputs.extend(vec![v.stacked(length); n_xs]);
    if d.below(3) > 0 {
        return build(&inputs, |b, p| b.emit(op.into(), p));
    }
    // Its operands as constants and xs of an outer loop that carries the state.
    let (n_outer, outer) = (1 + d.below(3), build(&inputs, |b, p| b.emit(op.into(), p)[..n_carry].to_vec()));
    let op = Scan {
        body: Arc::new(outer.clone()),
        length: Some(n_outer),
        reverse: false,
        n_consts,
        n_carry,
        policy: None,
    };
    let mut inputs = vec![v.clone(); n_consts + n_carry];
    inputs.extend(vec![v.stacked(length).stacked(n_outer); n_xs]);
    build(&inputs, |b, p| b.emit(op.into(), p))
}

/// Changes one operand or operation somewhere, types kept.
fn random_change(program: &mut Program, d: &mut Draws) {
    if program.equations.is_empty() {
        return;
    }
    let at = d.below(program.equations.len());
    let deeper = d.below(4) > 0;
    let mut equation = program.equations[at].clone();
    match &mut equation.op {
        Prim::Record(r) if deeper => random_change(Arc::make_mut(&mut r.body), d),
        Prim::Scan(r) if deeper => random_change(Arc::make_mut(&mut r.body), d),
        Prim::Replay(r) if deeper => {
            random_change(Arc::make_mut(if d.below(2) == 0 { &mut r.step } else { &mut r.back }), d)
        }
        Prim::Sin(_) => equation.op = Cos.into(),
        Prim::Add(_) => equation.op = Sub.into(),
        _ if !equation.inputs.is_empty() => {
            let i = d.below(equation.inputs.len());
            let ty = program.ty(equation.inputs[i]);
            let defined =
                program.inputs.iter().chain(program.equations[..at].iter().flat_map(|e| &e.outputs));
            let same: Vec<ValueId> = defined.copied().filter(|v| program.ty(*v) == ty).collect();
            equation.inputs[i] = d.of(&same);
        }
        _ => {}
    }
    program.equations[at] = equation;
}

/// All results of a lowered program, or nothing where a run fails.
fn run(l: &Lowered, inputs: &[Value], seeds: &[Value]) -> Option<Vec<Value>> {
    let mut outputs = Interpreter::default().run(&l.forward, inputs.to_vec()).ok()?.0;
    let tape = outputs.split_off(l.n_outputs);
    let rest = Interpreter::default().run(&l.backward, [inputs, &tape, seeds].concat()).ok()?.0;
    Some([outputs, rest].concat())
}

#[test]
fn random_programs_are_proved_and_broken_ones_refused() {
    let mut d = Draws(0x9e37_79b9_7f4a_7c15);
    let (mut n_broken, mut n_accepted, mut n_refused, mut n_lossy) = (0, 0, 0, 0);
    let start = std::time::Instant::now();
    let mut round = 0;
    while round < 40 || (start.elapsed().as_millis() < 800 && round < 2000) {
        round += 1;
        let program = random_program(&mut d);
        let mut case = vjp(&program);
        if d.below(8) == 0 {
            case = jvp_of(&case);
        }
        let lossy = lower(&case.program, case.n_outputs, case.n_seeds, LOSSY).unwrap();
        n_lossy += usize::from(lossy.quantises());
        assert_eq!(
            audit(&case.program, &lossy, case.n_seeds),
            Ok(()),
            "{}\n{}\n{}",
            print(&case.program),
            print(&lossy.forward),
            print(&lossy.backward)
        );
        for policy in POLICIES {
            let Ok(l) = lower(&case.program, case.n_outputs, case.n_seeds, policy) else { continue };
            let verdict = audit(&case.program, &l, case.n_seeds);
            assert_eq!(
                verdict,
                Ok(()),
                "{policy}:\n{}\n{}\n{}",
                print(&case.program),
                print(&l.forward),
                print(&l.backward)
            );
            let mut broken = l.clone();
            random_change(if d.below(2) == 0 { &mut broken.forward } else { &mut broken.backward }, &mut d);
            let same = (&broken.forward, &broken.backward) == (&l.forward, &l.backward);
            if same || check(&broken.forward).is_err() || check(&broken.backward).is_err() {
                continue;
            }
            n_broken += 1;
            if audit(&case.program, &broken, case.n_seeds).is_err() {
                n_refused += 1;
                continue;
            }
            // What is accepted gives the same bits.
            n_accepted += 1;
            let types = case.program.input_types();
            let keys = Key::from_seed(round).split(types.len());
            let values: Vec<Value> = types
                .iter()
                .zip(keys)
                .map(|(ty, key)| {
                    assert_eq!((ty.kind, ty.dtype), (Kind::Array, DType::F64));
                    Value::Array(normal(key, ty.shape.clone()))
                })
                .collect();
            let (inputs, seeds) = values.split_at(types.len() - case.n_seeds);
            let (found, expected) = (run(&broken, inputs, seeds), run(&l, inputs, seeds));
            assert!(found == expected, "accepted:\n{}\n{}", print(&broken.forward), print(&broken.backward));
        }
    }
    assert!(
        n_broken > 50 && n_refused * 2 > n_broken && n_lossy > 10,
        "{n_broken} broken, {n_refused} refused, {n_accepted} equal, {n_lossy} lossy"
    );
}

/// Velocity Verlet on sin: x and v by their updates, the acceleration a function of x after every step.
fn verlet(length: usize) -> Program {
    let v = vec2();
    let body = build(&[v.clone(), v.clone(), v.clone(), v.clone()], |b, p| {
        let [h, x, v, a] = p[..] else { unreachable!("four parameters") };
        let v = emit(b, Fma, &[h, a, v]);
        let x = emit(b, Fma, &[h, v, x]);
        let a = emit(b, Sin, &[x]);
        vec![x, emit(b, Fma, &[h, a, v]), a, emit(b, Mul, &[x, v])]
    });
    let op = Scan {
        body: Arc::new(body),
        length: Some(length),
        reverse: false,
        n_consts: 1,
        n_carry: 3,
        policy: None,
    };
    build(&[v.clone(), v.clone(), v], |b, p| {
        let start = emit(b, Sin, &[p[1]]);
        let out = b.emit(op.into(), &[p, &[start]].concat());
        vec![out[0], out[1], out[3]]
    })
}

#[test]
fn carries_that_are_functions_of_the_others_are_proved() {
    accept("velocity Verlet", &verlet(9), &POLICIES);
}

#[test]
fn a_claim_that_does_not_hold_is_refused() {
    let case = vjp(&verlet(6));
    let l = lowered(&case, Tape::Reverse);
    assert_eq!(audit(&case.program, &l, case.n_seeds), Ok(()));
    let claims = |p: &Program| p.equations.iter().filter(|e| matches!(e.op, Prim::Agree(_))).count();
    assert_eq!((claims(&l.forward), l.reversals[0].derived.len()), (1, 1));
    // The loop may start with what is another function of the others.
    let mut other = l.clone();
    let x = other.forward.inputs[1];
    other.forward = change(&l.forward, &mut |e| {
        let is_claim = matches!(e.op, Prim::Agree(_));
        if is_claim {
            e.inputs[1] = x;
        }
        is_claim
    });
    refuse(&case, &other, "carry 2 starts by another function of the others");
    // A step whose carry is another function of the others than the one it starts by.
    let mut step = l.clone();
    step.forward = change_body(&l.forward, "record", &mut |body| {
        let sine = body.equations.iter().position(|e| matches!(e.op, Prim::Sin(_))).unwrap();
        body.equations[sine].op = Cos.into();
    });
    refuse(&case, &step, "carry 2 starts by another function of the others");
    // An inverse that takes the function of something else.
    let mut inverse = l.clone();
    inverse.backward = change_body(&l.backward, "step", &mut |step| {
        let last = step.equations.iter().rposition(|e| matches!(e.op, Prim::Sin(_))).unwrap();
        step.equations[last].op = Cos.into();
    });
    refuse(&case, &inverse, "");
}

#[test]
fn bits_of_another_contraction_are_refused() {
    use retrograde_array::lattice;
    use retrograde_core::prim::{contract::Contract, expand::Expand, lattice_value::LatticeValue};
    let whole = vec2().with_dtype(DType::I64);
    let by = |n| lattice::Contract::new(n, 10).unwrap();
    let body = build(&[whole.clone(), whole.clone(), vec2()], |b, p| {
        let out = b.emit(Contract { by: by(9) }.into(), &p[..2]);
        let lattice = lattice::Lattice::from_parts(-9, 1 << 40).unwrap();
        let value = emit(b, LatticeValue { lattice, dtype: DType::F64 }, &out[..1]);
        let sine = emit(b, Sin, &[p[2]]);
        let z = emit(b, Mul, &[value, sine]);
        vec![out[0], out[1], p[2], z]
    });
    let op =
        Scan { body: Arc::new(body), length: Some(5), reverse: false, n_consts: 0, n_carry: 3, policy: None };
    let program = build(&[whole.clone(), whole, vec2()], |b, p| b.emit(op.into(), p));
    let case = vjp(&program);
    let l = lowered(&case, Tape::Reverse);
    assert_eq!(audit(&case.program, &l, case.n_seeds), Ok(()));
    let mut other = l.clone();
    other.backward = change_body(&l.backward, "step", &mut |step| {
        for e in &mut step.equations {
            if let Prim::Expand(expand) = &mut e.op {
                *expand = Expand { by: by(7) };
            }
        }
    });
    refuse(&case, &other, "takes bits that no such contraction put there");
    let mut swapped = l.clone();
    swapped.backward = change_body(&l.backward, "step", &mut |step| {
        for e in &mut step.equations {
            if let Prim::Expand(_) = &e.op {
                e.inputs.swap(1, 2);
            }
        }
    });
    refuse(&case, &swapped, "takes the bits of another contraction (result 0)");
    let mut missing = l;
    missing.forward = change_body(&missing.forward, "record", &mut |body| {
        let push = body.equations.iter().position(|e| matches!(e.op, Prim::Spill(_))).unwrap();
        let push = body.equations.remove(push);
        swap_uses(body, push.outputs[0], push.inputs[0]);
    });
    refuse(&case, &missing, "bits");
}

/// `x' = x > v ? x - v : x + sin v`, with what a `cond` on the sum adds to it.
fn decided() -> Program {
    let v = vec2();
    let body = build(&[v.clone(), v.clone()], |b, p| {
        let [x, v] = p[..] else { panic!("a state of two") };
        let above = emit(b, Compare { comparison: Comparison::Gt }, &[x, v]);
        let down = emit(b, Sub, &[x, v]);
        let sine = emit(b, Sin, &[v]);
        let up = emit(b, Add, &[x, sine]);
        let x = emit(b, Select, &[above, down, up]);
        let total = emit(b, Sum { axes: vec![0] }, &[v]);
        let one = full(b, &Type::array(DType::F64, []), 1.0);
        let large = emit(b, Compare { comparison: Comparison::Gt }, &[total, one]);
        let side = |f: &dyn Fn(&mut Builder, &[ValueId]) -> ValueId| {
            Arc::new(build(&[vec2(), vec2()], |b, p| vec![f(b, p)]))
        };
        let if_true = side(&|_, p| p[0]);
        let if_false = side(&|b, p| {
            let cosine = emit(b, Cos, &[p[1]]);
            emit(b, Add, &[p[0], cosine])
        });
        let v = emit(b, Cond { if_true, if_false }, &[large, v, x]);
        vec![x, v]
    });
    let op =
        Scan { body: Arc::new(body), length: Some(6), reverse: false, n_consts: 0, n_carry: 2, policy: None };
    build(&[v.clone(), v], |b, p| b.emit(op.into(), p))
}

#[test]
fn decisions_are_proved() {
    accept("decided", &decided(), &POLICIES);
}

#[test]
fn a_decision_that_is_another_one_is_refused() {
    let case = vjp(&decided());
    let l = lowered(&case, Tape::Reverse);
    assert_eq!(audit(&case.program, &l, case.n_seeds), Ok(()));
    let pushes = |body: &Program| -> Vec<usize> {
        (0..body.equations.len()).filter(|&i| matches!(body.equations[i].op, Prim::PushBits(_))).collect()
    };
    // What was pushed is something else: the inverse finds other bits than it needs.
    let mut negated = l.clone();
    negated.forward = change_body(&l.forward, "record", &mut |body| {
        let push = pushes(body)[0];
        for e in &mut body.equations[..push] {
            if let Prim::Compare(compare) = &mut e.op {
                compare.comparison = Comparison::Lt;
            }
        }
    });
    refuse(&case, &negated, "");
    // A push that is missing.
    let mut missing = l.clone();
    missing.forward = change_body(&l.forward, "record", &mut |body| {
        let push = pushes(body)[0];
        let push = body.equations.remove(push);
        swap_uses(body, push.outputs[0], push.inputs[0]);
    });
    refuse(&case, &missing, "bits");
    // The increments of the sides the other way round, in the inverse.
    let mut swapped = l.clone();
    swapped.backward = change_body(&l.backward, "step", &mut |step| {
        for e in &mut step.equations {
            if matches!(e.op, Prim::Select(_)) {
                e.inputs.swap(1, 2);
            }
        }
    });
    refuse(&case, &swapped, "takes the bits of another update");
    // Plus zero, which a negative zero does not survive, in the place of minus zero.
    let mut zero = l.clone();
    let positive = |program: &mut Program| {
        for e in &mut program.equations {
            e.op = e.op.map_bodies(&mut |branch| {
                let mut branch = branch.clone();
                for e in &mut branch.equations {
                    if let Prim::Full(full) = &mut e.op
                        && full.value == Scalar::F64(-0.0)
                    {
                        full.value = Scalar::F64(0.0);
                    }
                }
                branch
            });
        }
    };
    zero.forward = change_body(&l.forward, "record", &mut |body| positive(body));
    zero.backward = change_body(&l.backward, "step", &mut |step| positive(step));
    refuse(&case, &zero, "updated in place");
}
