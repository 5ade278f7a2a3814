//! Inverses that the user declares: tried before they are used, exact, and refused or passed over where they are wrong.

use retrograde_array::{Array, DType, array};
use retrograde_core::exec::verify;
use retrograde_core::ir::{parse, print};
use retrograde_core::prim::{Checkpoint, Prim, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{reversible, scan, while_loop};
use retrograde_core::trace::door::{grad, hvp, jit, jvp, value_and_grad, vmap};
use retrograde_core::trace::var::{constant, select};

const POLICIES: [Tape; 5] = [
    Tape::Store,
    Tape::Recompute,
    Tape::Checkpoint(Checkpoint::Sqrt),
    Tape::Checkpoint(Checkpoint::Slots(3)),
    Tape::Reverse,
];

/// `(x, y, n)`: x and y change places and signs, one of them is doubled (exactly), n is a number of the Collatz kind that halving and
/// trebling would lose; what is captured is `c`.
fn turn((x, y, n): (Var, Var, Var), c: Var) -> (Var, Var, Var) {
    reversible(
        (x, y, n),
        |(x, y, n)| (2.0 * y, select(c.gt(0.0), -x, x), 3 * n + 1),
        |(x, y, n)| (select(c.gt(0.0), -y, y), 0.5 * x, (n - 1) / 3),
    )
}

/// Updates around it that rounding loses bits of, so that the stack and the declared inverse meet.
fn swing(c: Var) -> impl Fn((Var, Var, Var)) -> (Var, Var, Var) {
    move |(x, y, n)| {
        let (x, y, n) = turn((x, y, n), c);
        let x = 0.25 * c * (y.sin() + 0.01 * (n % 7).convert(DType::F64)) + x;
        (x, y - 0.1 * x.cos(), n)
    }
}

const STEPS: usize = 30;

fn end(x: Var, c: Var) -> Var {
    let start = (x, 0.3 * x, constant(&array([1_i64, 2, 3])));
    let (x, y, _) = scan(STEPS).repeat(start, swing(c.sum().broadcast([3], &[])));
    (1e-9 * x).sin().sum() + (1e-9 * y).cos().sum()
}

fn inputs() -> (Array, Array) {
    (array([1.0, -0.4, 0.0]), array([0.2, 0.1, -0.05]))
}

#[test]
fn every_derivative_has_the_same_bits() {
    let (x, c) = inputs();
    let mut first: Option<[Array; 5]> = None;
    for policy in POLICIES {
        let both = move |(x, c): (Var, Var)| end(x, c);
        let state = (x.clone(), c.clone());
        let door = value_and_grad(both).tape(policy);
        let (value, g) = door.call(&state).unwrap();
        let lanes = Array::stack(&[x.clone(), c.clone()]).unwrap();
        let lane = {
            let c = c.clone();
            move |x: Var| end(x, constant(&c))
        };
        let batch = jit(vmap(grad(lane.clone()))).tape(policy).call(&lanes).unwrap();
        for (i, of) in [&x, &c].into_iter().enumerate() {
            assert!(batch.row(i).bits_eq(&grad(lane.clone()).call(of).unwrap()), "lane {i}, {policy}");
        }
        // Second derivatives carry tangents through the loop, for which no inverse is declared.
        let product =
            hvp(both).tape(if policy == Tape::Reverse { policy.or(Checkpoint::Sqrt) } else { policy });
        let product = product.call(&state, &state).unwrap();
        let found = [value, g.0, g.1, product.0, product.1];
        let expected = first.get_or_insert_with(|| found.clone());
        assert!(found.iter().zip(expected).all(|(f, e)| f.bits_eq(e)), "{policy}");
        if policy == Tape::Reverse {
            let report = door.last_tape();
            assert_eq!((report.inverse_steps, report.inverse_evaluations), (STEPS as u64, 0), "{report}");
            assert!(report.notes.is_empty() && report.stack_bits() > 0, "{report}");
        }
    }
    let tangent = jvp(move |x: Var| end(x, constant(&array([0.2, 0.1, -0.05])))).call(&x, &x).unwrap();
    assert!(tangent.1.item::<f64>().unwrap().is_finite());
}

#[test]
fn loops_of_unknown_length_are_reversed_by_it() {
    let f = |x: Var| {
        let step = |(x, y, n): (Var, Var, Var)| swing(0.2 + 0.0 * x)((x, y, n));
        let start = (x, 0.3 * x, constant(&array(1_i64)));
        let (x, y, _) = while_loop(start, |(x, _, _)| x.abs().lt(1e4), step);
        (1e-4 * x).sin() + 1e-4 * y
    };
    let door = grad(f).tape(Tape::Reverse.or(Checkpoint::Sqrt));
    let x = array(1.0);
    assert!(door.call(&x).unwrap().bits_eq(&grad(f).call(&x).unwrap()));
}

#[test]
fn programs_with_declared_inverses_are_read_back() {
    let (x, c) = inputs();
    let lowered = grad(|(x, c): (Var, Var)| end(x, c)).tape(Tape::Reverse).lowered(&(x, c)).unwrap();
    for program in [&lowered.forward, &lowered.backward] {
        let text = print(program);
        assert!(text.contains("inverse=program("), "{text}");
        assert_eq!(parse::<Prim>(&text).as_ref(), Ok(program), "{text}");
    }
}

/// The sum of the sines of all states, so that the derivative reads them.
fn summed(n_steps: usize, x: Var, step: impl FnOnce(Var) -> Var) -> Var {
    let both = |(x, total): (Var, Var)| (step(x), total + x.sin());
    scan(n_steps).repeat((x, 0.0 * x), both).1
}

/// Rounded, wrong for one sign of zero, wrong for subnormal numbers, wrong altogether: each names the line that declares it.
#[test]
fn a_wrong_inverse_is_refused_with_its_line() {
    type Step = fn(Var) -> Var;
    let cases: [(Step, Step, &str); 4] = [
        (|x| 1.1 * x, |x| x / 1.1, ""),
        (|x| -x, |x| 0.0 - x, "adversarial"),
        (|x| 0.5 * x, |x| 2.0 * x, "adversarial"),
        (|x| 2.0 * x, |x| 0.25 * x, "random"),
    ];
    for (step, inverse, inputs) in cases {
        let f = move |x: Var| summed(10, x, |x| reversible(x, step, inverse));
        let x = array(0.7);
        let expected = grad(f).call(&x).unwrap();
        let error = grad(f).tape(Tape::Reverse).call(&x).unwrap_err().to_string();
        let message = "error: reversible: the inverse declared does not undo its step on ";
        assert!(error.starts_with(message) && error.contains(inputs), "{error}");
        assert!(error.contains("declared.rs:"), "{error}");
        assert!(error.contains("or say `.tape(Tape::Reverse.or(Checkpoint::Sqrt))`"), "{error}");
        // Asked to fall back, it reverses whole steps, with the same bits.
        let door = grad(f).tape(Tape::Reverse.or(Checkpoint::Sqrt));
        assert!(door.call(&x).unwrap().bits_eq(&expected));
        let notes = door.last_tape().notes.join(" ");
        assert!(notes.contains("the inverse declared at ") && notes.contains("not used"), "{notes}");
    }
}

/// The whole inverse is tried too, not only what was declared.
#[test]
fn a_declared_inverse_in_the_wrong_place_is_refused() {
    let (x, c) = inputs();
    let lowered = grad(|(x, c): (Var, Var)| end(x, c)).tape(Tape::Reverse).lowered(&(x, c)).unwrap();
    let mut reversal = lowered.reversals[0].clone();
    assert!(verify(&reversal).is_ok());
    let mut inverse = (*reversal.inverse).clone();
    inverse.outputs.swap(0, 1);
    reversal.inverse = inverse.into();
    assert!(!verify(&reversal).unwrap_err().is_declared);
}

/// What no draw finds, the run does: the start that reversal leads to is not the true one.
#[test]
fn an_inverse_that_is_wrong_where_nobody_looked_is_found_when_it_runs() {
    let f = |x: Var| {
        let wrong_at = |x: Var| (x - 0.7).abs().lt(1e-12);
        let step = |x: Var| reversible(x, |x| -x, |x| select(wrong_at(x), -0.7 * x, -x));
        summed(3, x, step)
    };
    let door = grad(f).tape(Tape::Reverse);
    assert!(door.call(&array(0.6)).is_ok());
    let error = door.call(&array(0.7)).unwrap_err().to_string();
    assert!(error.contains("exact reversal to arrive at the recorded start"), "{error}");
}

#[test]
fn what_does_not_return_its_state_is_named() {
    let wrong = |x: Var| scan(3).repeat(x, |x| reversible(x, |x| -x, |x| x.gt(0.0)));
    let error = jit(wrong).call(&array(1.0)).unwrap_err().to_string();
    assert!(
        error.contains("reversible, the inverse: the body turns part 0 of the state, f64[], into bool[]"),
        "{error}"
    );
}
