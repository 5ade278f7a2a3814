//! `Tape::Quantise`: what is kept in fewer bits and what stays exact, and what the audit makes of it broken. That the mean
//! of a gradient is the gradient is tested in `retrograde-sample`, on a network.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::exec::{Executor, Interpreter};
use retrograde_core::ir::{Equation, Op, parse, print};
use retrograde_core::prim::quantise::Quantise;
use retrograde_core::prim::{Checkpoint, Prim, Program, Value};
use retrograde_core::tape::{AuditError, Lowered, Tape, TapeReport, audit, lower};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{call, scan, taped, while_loop};
use retrograde_core::trace::custom::{Law, custom_vjp};
use retrograde_core::trace::door::{grad, hvp, jit, jvp, value_and_grad, vjp, vmap};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::{constant, select};

const EIGHT: Tape = Tape::Quantise { bits: 8, seed: 0 };
const POLICIES: [Tape; 5] = [
    Tape::Store,
    Tape::Recompute,
    Tape::Checkpoint(Checkpoint::Sqrt),
    Tape::Reverse,
    Tape::Quantise { bits: 8, seed: 3 },
];

fn lowered(text: &str, policy: Tape) -> Lowered {
    let program: Program = parse(text).unwrap();
    let lowered = lower(&program, 1, 1, policy).unwrap();
    assert_eq!(audit(&program, &lowered, 1), Ok(()));
    // What is lowered has a text form too.
    for part in [&lowered.forward, &lowered.backward] {
        assert_eq!(parse::<Prim>(&print(part)).as_ref(), Ok(part));
    }
    lowered
}

fn kept(lowered: &Lowered) -> Vec<String> {
    lowered.tape.iter().map(|entry| format!("{} {} {}", entry.op, entry.ty, entry.policy)).collect()
}

fn f32s(key: u64, shape: &[usize]) -> Array {
    ops::convert(&normal(Key::from_seed(key), shape.to_vec()), DType::F32)
}

fn bytes_in(report: &TapeReport, is_lossy: bool) -> usize {
    let of = |policy| matches!(policy, Tape::Quantise { .. });
    report.entries.iter().filter(|e| of(e.policy) == is_lossy).map(|e| e.bytes).sum()
}

#[test]
fn a_coefficient_is_kept_in_few_bits_and_nothing_else() {
    // b multiplies the cotangent, a divides it, and the sign of a decides something.
    let l = lowered(
        "program(x:f32[1000], s:f32[1000]) {
           a:f32[1000] = exp x
           b:f32[1000] = sin a
           c:f32[1000] = mul s b
           e:f32[1000] = strong_div c a
           return b, e
         }",
        EIGHT,
    );
    assert_eq!(kept(&l), ["exp f32[1000] store", "sin u8[1000] quantise-8", "sin f32[4,2] quantise-8"]);
    assert_eq!(l.tape.iter().map(|e| e.bytes.unwrap()).sum::<usize>(), 4000 + 1000 + 32);
    assert!(l.notes.is_empty(), "{:?}", l.notes);
}

/// The square of y is made of y, and so is its own coefficient: what it is made of may not be drawn for it.
#[test]
fn what_others_are_rebuilt_from_is_not_drawn_for_them() {
    let l = lowered(
        "program(x:f32[1000], s:f32[1000]) {
           y:f32[1000] = tanh x
           q:f32[1000] = mul y y
           o:f32[1000] = full[type=f32[1000], value=f32[]{1.0}]
           d:f32[1000] = sub o q
           c:f32[1000] = mul s d
           return y, c
         }",
        EIGHT,
    );
    assert_eq!(kept(&l), ["sub u8[1000] quantise-8", "sub f32[4,2] quantise-8"]);
}

#[test]
fn an_exact_value_that_is_kept_anyway_is_read_as_it_is() {
    // a is needed exactly by the cosine, which is not repeated; the product reads a.
    let l = lowered(
        "program(x:f32[1000], s:f32[1000]) {
           a:f32[1000] = exp x
           c:f32[1000] = mul s a
           d:f32[1000] = strong_div c a
           return a, d
         }",
        EIGHT,
    );
    assert_eq!(kept(&l), ["exp f32[1000] store"]);
    assert_eq!(l.notes.len(), 1);
    assert!(l.notes[0].contains("nothing is kept in fewer bits"), "{:?}", l.notes);
}

#[test]
fn a_value_twice_in_a_product_is_drawn_twice_or_kept() {
    let text = "program(x:f32[1000], s:f32[1000]) {
           a:f32[1000] = exp x
           c:f32[1000] = mul s a
           d:f32[1000] = mul c a
           return a, d
         }";
    let number =
        |l: &Lowered| l.forward.equations.iter().filter(|e| matches!(e.op, Prim::Quantise(_))).count();
    assert_eq!(number(&lowered(text, EIGHT)), 2);
    // Five times eight bits are more than the 32 that the value has.
    let again = "d:f32[1000] = mul c a\n e:f32[1000] = mul d a\n f:f32[1000] = mul e a\n g:f32[1000] = mul f a\n return a, g";
    let many = text.replace("d:f32[1000] = mul c a\n           return a, d", again);
    assert_eq!(kept(&lowered(&many, EIGHT)), ["exp f32[1000] store"]);
    assert_eq!(number(&lowered(&many, Tape::Quantise { bits: 4, seed: 0 })), 5);
}

#[test]
fn a_network_keeps_a_quarter_and_an_eighth() {
    // Per entry b bits and a quarter for the grid; of a rectifier two truth values more, which its exact derivative keeps alone.
    type Activation = fn(Var) -> Var;
    let (sine, relu): (Activation, Activation) = (Var::sin, |x| x.max(0.0));
    let x = f32s(1, &[64, 40]);
    let weights: Vec<Array> = (2..6).map(|i| f32s(i, &[40, 40])).collect();
    let cases = [(DType::F32, 32.0, 8), (DType::F32, 32.0, 4), (DType::F64, 64.0, 8), (DType::F64, 64.0, 4)];
    for ((dtype, width, bits), (activation, more)) in
        cases.into_iter().flat_map(|case| [(case, (sine, 0.0)), (case, (relu, 2.0))])
    {
        let x = ops::convert(&x, dtype);
        let weights: Vec<Array> = weights.iter().map(|w| ops::convert(w, dtype)).collect();
        let deep = |ws: Vec<Var>| {
            let end = ws.into_iter().fold(constant(&x), |h, w| activation(h.dot(w) * 0.15));
            end.sum()
        };
        let report = |policy| {
            let door = value_and_grad(deep).tape(policy);
            let value = door.call(&weights).unwrap().0;
            (value, door.last_tape())
        };
        let (exact, stored) = report(Tape::Store);
        let (value, report) = report(Tape::Quantise { bits, seed: 1 });
        assert!(value.bits_eq(&exact), "the value itself is exact");
        // Codes and grids of 2560 entries: 2560 b / 8 + 80 bytes.
        let n = report.entries.iter().filter(|e| matches!(e.policy, Tape::Quantise { .. })).count() / 2;
        assert_eq!(bytes_in(&report, true), n * (2560 * usize::from(bits) / 8 + 80), "{report}");
        let found = stored.tape_bytes() as f64 / report.tape_bytes() as f64;
        let ratio = width / (f64::from(bits) + 0.25 + more);
        assert!(found >= 0.9 * ratio, "{dtype} {bits}: {found}\n{stored}\n{report}");
    }
}

#[test]
fn loops_draw_each_step_for_itself() {
    let w = f32s(4, &[20, 20]);
    // The state goes nowhere, so that every step has the same row.
    let still = |w: Var| scan(6).repeat(constant(&f32s(5, &[30, 20])), |h| h + 0.0 * h.dot(w).tanh()).sum();
    let door = value_and_grad(still).tape(EIGHT);
    let (_, report, tape) = door.forward(&w).unwrap();
    assert!(bytes_in(&report, true) > 0, "{report}");
    for (entry, value) in report.entries.iter().zip(&tape).filter(|(e, _)| e.ty == "u8[6,600]") {
        let codes = value.array().to_vec::<u8>().unwrap();
        let (first, second) = (&codes[..600], &codes[600..1200]);
        assert_ne!(first, second, "{} is drawn once for all steps", entry.op);
    }
    assert!(report.tape_bytes() * 3 < value_and_grad(still).forward(&w).unwrap().1.tape_bytes());
}

#[test]
fn one_seed_is_one_gradient_and_other_seeds_are_others() {
    let w = f32s(4, &[20, 20]);
    let f = |w: Var| scan(6).repeat(constant(&f32s(5, &[30, 20])), |h| h.dot(w).tanh()).sum();
    let of = |seed| grad(f).tape(Tape::Quantise { bits: 4, seed }).call(&w).unwrap();
    assert!(of(7).bits_eq(&of(7)));
    assert!(!of(7).bits_eq(&of(8)));
    let door = grad(f).tape(Tape::Quantise { bits: 4, seed: 0 });
    door.reseed(7);
    assert!(door.call(&w).unwrap().bits_eq(&of(7)), "a seed is the same, compiled in or not");
}

#[test]
fn what_is_not_linear_in_a_cotangent_keeps_the_way_there_exact() {
    let law = Law::Inexact("cotangents are clipped to ±1".into());
    let clip = |x: Var| custom_vjp(&law, x, |x| x, |x| (x, x), |_, y_bar: Var| y_bar.clamp(-1.0, 1.0));
    let x = f32s(6, &[500]);
    let f = |x: Var| clip(x.sin().tanh()).exp().sum();
    let (stored, lossy) = (grad(f), grad(f).tape(EIGHT));
    let (exact, found) = (stored.call(&x).unwrap(), lossy.call(&x).unwrap());
    let report = lossy.last_tape();
    assert!(report.notes.iter().any(|n| n.starts_with("clamp at ") && n.contains("stay exact")), "{report}");
    // Behind the clip, the slopes of tanh and sine are drawn; before it, that of exp is not.
    assert!(
        bytes_in(&report, true) > 0
            && report.entries.iter().any(|e| e.op == "exp" && e.policy == Tape::Store)
    );
    assert!(!exact.bits_eq(&found));
}

#[test]
fn loops_of_unknown_length_and_loops_with_other_policies_stay_exact() {
    let x = f32s(6, &[500]);
    let count = |x: Var| {
        while_loop((x, constant(&array(0_i64))), |(_, n)| n.lt(5), |(x, n)| (x.sin(), n + 1)).0.sum()
    };
    let door = grad(count).tape(EIGHT);
    assert!(door.call(&x).unwrap().bits_eq(&grad(count).call(&x).unwrap()));
    let report = door.last_tape();
    assert!(report.notes.iter().any(|n| n.contains("unknown length")), "{report}");
    for policy in [Tape::Store, Tape::Recompute, Checkpoint::Sqrt.into(), Checkpoint::Slots(3).into()] {
        let f = |x: Var| scan(9).tape(policy).repeat(x, |x| x.sin()).sum();
        let door = grad(f).tape(EIGHT);
        assert!(door.call(&x).unwrap().bits_eq(&grad(f).call(&x).unwrap()), "{policy}");
        assert_eq!(bytes_in(&door.last_tape(), true), 0);
        // A lossy end, and a sweep that computes states again behind it: proved too.
        let mixed = |x: Var| scan(9).tape(policy).repeat(x, |x| x.sin()).exp().sum();
        let door = grad(mixed).tape(EIGHT);
        door.call(&x).unwrap();
        assert!(bytes_in(&door.last_tape(), true) > 0, "{policy}");
    }
}

#[test]
fn regions_have_policies_of_their_own() {
    let x = f32s(6, &[500]);
    let inner = |x: Var| x.sin().exp();
    let some = grad(|x: Var| taped(EIGHT, inner, x).tanh().sum());
    some.call(&x).unwrap();
    let report = some.last_tape();
    assert!(bytes_in(&report, true) >= 2 * 500 && bytes_in(&report, false) >= 4 * 500, "{report}");
    let rest = grad(|x: Var| taped(Tape::Store, inner, x).tanh().sum()).tape(EIGHT);
    rest.call(&x).unwrap();
    assert!(bytes_in(&rest.last_tape(), true) > 0 && bytes_in(&rest.last_tape(), false) >= 4 * 500);
    let again = grad(|x: Var| taped(Tape::Recompute, inner, x).tanh().sum()).tape(EIGHT);
    again.call(&x).unwrap();
    assert!(bytes_in(&again.last_tape(), false) <= 4 * 500, "{}", again.last_tape());
    let named = grad(|x: Var| call("inner", inner, x).sum()).tape(EIGHT);
    named.call(&x).unwrap();
    assert_eq!(bytes_in(&named.last_tape(), false), 0, "{}", named.last_tape());
}

/// Integers, truth values and positions are no coefficients.
#[test]
fn whole_numbers_and_truth_values_stay_exact() {
    let x = f32s(6, &[500]);
    let f = |x: Var| {
        let order = x.argsort(0);
        let kept = select(x.gt(0.0), x.sin(), x);
        (kept.gather(0, order) * x).sum()
    };
    let door = grad(f).tape(EIGHT);
    door.call(&x).unwrap();
    let report = door.last_tape();
    for e in &report.entries {
        let is_float = e.ty.starts_with("f32") || e.ty.starts_with("u8");
        assert!(is_float || e.policy == Tape::Store, "{report}");
    }
    assert!(bytes_in(&report, true) > 0, "{report}");
}

#[test]
fn every_derivative_exists() {
    let x = normal(Key::from_seed(1), [300]);
    let v = normal(Key::from_seed(2), [300]);
    let f = |x: Var| scan(3).repeat(x, |x| x + 0.1 * x.sin() * x).tanh().sum();
    let near = |found: &Array, exact: &Array, what: &str| {
        let wide = |a: &Array| a.to_vec::<f64>().unwrap();
        let off = wide(found).iter().zip(wide(exact)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let size = wide(exact).iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        assert!(off <= 0.1 * size, "{what}: {off} of {size}");
    };
    let exact = grad(f).call(&x).unwrap();
    let second = hvp(f).call(&x, &v).unwrap();
    for policy in POLICIES {
        let is_lossy = matches!(policy, Tape::Quantise { .. });
        let same = |found: &Array, exact: &Array, what: &str| {
            assert!(found.bits_eq(exact) || is_lossy, "{policy}: {what}");
            near(found, exact, &format!("{policy}: {what}"));
        };
        same(&grad(f).tape(policy).call(&x).unwrap(), &exact, "vjp");
        let door = vjp(f).tape(policy);
        same(&door.call(&x).unwrap().1.call(&array(1.0)).unwrap(), &exact, "vjp");
        // Forward mode has no tape: it is exact under every policy.
        let slope = |policy| jvp(f).tape(policy).call(&x, &v).unwrap().1;
        assert!(slope(policy).bits_eq(&slope(Tape::Store)), "{policy}: jvp");
        same(&hvp(f).tape(policy).call(&x, &v).unwrap(), &second, "jvp of vjp");
        let over = |policy| hvp(f).reverse_over_forward().tape(policy).call(&x, &v).unwrap();
        same(&over(policy), &over(Tape::Store), "vjp of jvp");
        let twice =
            |policy| grad(move |x: Var| (grad(f).at(x) * &v_of(300)).sum()).tape(policy).call(&x).unwrap();
        same(&twice(policy), &twice(Tape::Store), "vjp of vjp");
        let xs = Array::stack(&[x.clone(), v.clone()]).unwrap();
        let lanes = |policy| jit(vmap(grad(f).tape(policy))).call(&xs).unwrap();
        same(&lanes(policy), &lanes(Tape::Store), "vmap");
        let lanes = |policy| grad(move |x: Var| vmap(f).apply((x,)).sum()).tape(policy).call(&xs).unwrap();
        same(&lanes(policy), &lanes(Tape::Store), "vjp of vmap");
    }
}

#[test]
fn mistakes_say_what_to_do() {
    for bits in [0, 9] {
        let e = grad(|x: Var| x.sin().sum())
            .tape(Tape::Quantise { bits, seed: 0 })
            .call(&array([1.0]))
            .unwrap_err();
        let text = e.to_string();
        let expected = format!("`Tape::Quantise`: found {bits} bits, expected 1 to 8");
        assert!(text.contains(&expected) && text.contains("tests/quantise.rs"), "{text}");
    }
    let x = f32s(6, &[500]);
    let f = |x: Var| (x.sin().log().exp().sin() * x).sum();
    let text = grad(f).tape(EIGHT).call(&x).unwrap_err().to_string();
    assert!(
        text.contains("is NaN") && text.contains("taped(Tape::Store") && text.contains("tests/quantise.rs"),
        "{text}"
    );
}

// ---------------------------------------------------------------------------------------------- broken programs

const TWICE: &str = "program(x:f32[1000], s:f32[1000]) {
       a:f32[1000] = exp x
       b:f32[1000] = sin x
       c:f32[1000] = mul s a
       d:f32[1000] = mul c a
       e:f32[1000] = mul d b
       return a, e
     }";

fn refused(text: &str, breaks: impl Fn(&mut Lowered)) -> AuditError {
    let program: Program = parse(text).unwrap();
    let mut l = lower(&program, 1, 1, EIGHT).unwrap();
    assert_eq!(audit(&program, &l, 1), Ok(()));
    breaks(&mut l);
    audit(&program, &l, 1).unwrap_err()
}

fn quantisers(l: &mut Lowered) -> Vec<&mut Quantise> {
    fn quantiser(e: &mut Equation<Prim>) -> Option<&mut Quantise> {
        if let Prim::Quantise(op) = &mut e.op { Some(op) } else { None }
    }
    l.forward.equations.iter_mut().filter_map(quantiser).collect()
}

#[test]
fn a_draw_used_twice_is_refused() {
    // By both factors of a product.
    let e = refused(TWICE, |l| quantisers(l).into_iter().for_each(|op| op.draw = op.draw.min(1)));
    assert!(matches!(&e, AuditError::Biased { .. } | AuditError::WrongRead { .. }), "{e}");
    // The same draw of the same value, twice in a product.
    let e = refused(TWICE, |l| {
        let [first, second, ..] = &mut quantisers(l)[..] else { panic!("three draws") };
        second.draw = first.draw;
    });
    assert!(e.to_string().contains("biased") && e.to_string().contains("both factors"), "{e}");
    // By two values.
    let e = refused(TWICE, |l| {
        let [first, .., last] = &mut quantisers(l)[..] else { panic!("three draws") };
        last.draw = first.draw;
    });
    assert!(e.to_string().contains("is of two values"), "{e}");
}

#[test]
fn codes_on_the_grids_of_others_are_refused() {
    let e = refused(TWICE, |l| {
        let mut of = l.backward.equations.iter_mut().filter(|e| matches!(e.op, Prim::Dequantise(_)));
        let (a, b) = (of.next().unwrap(), of.next_back().unwrap());
        std::mem::swap(&mut a.inputs[1], &mut b.inputs[1]);
    });
    assert!(e.to_string().contains("grids of another"), "{e}");
}

#[test]
fn what_is_not_linear_in_a_draw_is_refused() {
    // The exponential of a drawn number in place of one of its factors: another mean, and another value too.
    let e = refused(TWICE, |l| {
        let at = l.backward.equations.iter().position(|e| matches!(e.op, Prim::Mul(_))).unwrap();
        l.backward.equations[at].op = retrograde_core::prim::max::Max.into();
    });
    assert!(matches!(e, AuditError::WrongOutput { .. }), "{e}");
}

const LOOP: &str = "program(x:f32[300], s:f32[300]) {
       h:f32[300], r:f32[5,300] = scan[length=5, reverse=false, consts=0, carries=1, body=program(a:f32[300]) {
         b:f32[300] = sin a
         c:f32[300] = cos a
         return b, c
       }] x
       d:f32[300] = scan[length=5, reverse=true, consts=0, carries=1, body=program(a:f32[300], b:f32[300]) {
         c:f32[300] = mul a b
         return c
       }] s r
       return h, d
     }";

#[test]
fn a_loop_that_draws_every_row_alike_is_refused() {
    let l = lowered(LOOP, EIGHT);
    assert_eq!(kept(&l), ["cos u8[5,300] quantise-8", "cos f32[5,2,2] quantise-8"]);
    let e = refused(LOOP, |l| {
        for equation in &mut l.forward.equations {
            equation.op = equation.op.map_bodies(&mut |body| {
                let mut body = body.clone();
                for e in &mut body.equations {
                    if matches!(e.op, Prim::Quantise(_)) {
                        e.inputs.truncate(1);
                    }
                }
                body
            });
        }
    });
    assert!(e.to_string().contains("no number of the step"), "{e}");
}

/// The same rows read in two factors of one step.
#[test]
fn a_row_twice_in_a_step_is_drawn_twice() {
    let text =
        LOOP.replace("c:f32[300] = mul a b\n", "d:f32[300] = mul a b\n         c:f32[300] = mul d b\n");
    let l = lowered(&text, EIGHT);
    assert_eq!(kept(&l).len(), 4);
    let (x, s) = (Value::Array(f32s(1, &[300])), Value::Array(f32s(2, &[300])));
    let mut tape = Interpreter::default().run(&l.forward, vec![x.clone()]).unwrap().0;
    tape.remove(0);
    let out = Interpreter::default().run(&l.backward, [vec![x], tape, vec![s]].concat()).unwrap().0;
    assert!(out[0].array().to_vec::<f32>().unwrap().iter().all(|x| x.is_finite()));
}

fn v_of(n: usize) -> Array {
    normal(Key::from_seed(9), [n])
}
