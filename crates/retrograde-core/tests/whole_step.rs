//! Reversal of whole steps: steps that no inverse can be derived for are reversed to the bit, in a small tape.

use retrograde_array::bits::BitStack;
use retrograde_array::{Array, DType, array};
use retrograde_core::prim::{Checkpoint, Tape, Value};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, scan_over, while_loop};
use retrograde_core::trace::door::{grad, hvp, jit, jvp, value_and_grad, vmap};
use retrograde_core::trace::var::{constant, select};

/// One step of the classical Runge–Kutta method.
fn rk4<const N: usize>(field: impl Fn([Var; N]) -> [Var; N], h: f64) -> impl Fn([Var; N]) -> [Var; N] {
    move |y| {
        let at = |k: [Var; N], c: f64| std::array::from_fn(|i| y[i] + c * k[i]);
        let k1 = field(y);
        let k2 = field(at(k1, 0.5 * h));
        let k3 = field(at(k2, 0.5 * h));
        let k4 = field(at(k3, h));
        std::array::from_fn(|i| y[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
    }
}

fn lorenz([x, y, z]: [Var; 3]) -> [Var; 3] {
    [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]
}

fn van_der_pol([x, v]: [Var; 2]) -> [Var; 2] {
    [v, 5.0 * (1.0 - x * x) * v - x]
}

/// A smooth number of the state.
fn loss<const N: usize>(y: [Var; N]) -> Var {
    (0..N).map(|i| (0.1 * y[i] + i as f64).sin()).reduce(|a, b| a + b).expect("a state has parts")
}

fn one() -> [Array; 3] {
    [array(1.0), array(1.0), array(1.0)]
}

fn two() -> [Array; 2] {
    [array(2.0), array(0.0)]
}

#[track_caller]
fn expect_bits(found: &[Array], expected: &[Array]) {
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.bits_eq(e)),
        "{found:?}, expected {expected:?}"
    );
}

/// The gradient under `Store` and `Reverse`, which must be equal to the bit.
#[track_caller]
fn same_gradient<const N: usize>(
    start: &[Array; N],
    f: impl Fn([Var; N]) -> Var + Copy,
) -> retrograde_core::tape::TapeReport {
    let store = value_and_grad(f);
    let reverse = value_and_grad(f).tape(Tape::Reverse);
    let (value, g) = store.call(start).unwrap();
    let (reversed_value, reversed) = reverse.call(start).unwrap();
    expect_bits(&[reversed_value], &[value]);
    expect_bits(&reversed, &g);
    reverse.last_tape()
}

/// Bytes of the state twice, of the residuals and the whole, over 10,000 steps of 0.001.
#[test]
fn long_runs_keep_less_than_a_kilobyte() {
    let report = same_gradient(&one(), |y| loss(scan(10_000).repeat(y, rk4(lorenz, 1e-3))));
    assert!(report.tape_bytes() <= 1000, "{report}");
    assert_eq!((report.inverse_steps, report.recomputed_steps), (10_000, 0), "{report}");
    // Both ways, at most nine for each step.
    assert!((20_000..=180_000).contains(&report.inverse_evaluations), "{report}");
    assert!(report.to_string().contains("evaluations of steps inside inverses"), "{report}");
    assert!(
        report.notes[0].contains("reversed as whole steps") && report.notes[0].contains("x += f(x)"),
        "{report}"
    );
    assert!(report.notes[0].contains("whole_step.rs"), "{report}");

    let f = |y: [Var; 2]| {
        let step = |(i, y): (Var, [Var; 2])| (i + 1, rk4(van_der_pol, 1e-3)(y));
        let (n, y) = scan(10_000).repeat((constant(&array(0_i64)), y), step);
        loss(y) + n.convert(DType::F64)
    };
    let report = same_gradient(&two(), f);
    assert!(report.tape_bytes() <= 500, "{report}");
}

#[test]
fn a_counter_costs_nothing() {
    let alone = same_gradient(&one(), |y| loss(scan(1000).repeat(y, rk4(lorenz, 1e-3))));
    let counted = |y: [Var; 3]| {
        let step = |(i, y): (Var, [Var; 3])| {
            let y = rk4(lorenz, 1e-3)(y);
            (i + 1, y)
        };
        loss(while_loop((constant(&array(0_i64)), y), |(i, _)| i.lt(1000), step).1)
    };
    let report = same_gradient(&one(), counted);
    assert_eq!((report.stack_bits(), report.inverse_steps), (alone.stack_bits(), 1000), "{report}");
}

#[test]
fn loops_that_end_by_their_state_are_reversed() {
    let f = |y: [Var; 2]| loss(while_loop(y, |[x, _]| x.gt(1.7), rk4(van_der_pol, 2e-3)));
    let report = same_gradient(&two(), f);
    assert!(report.inverse_steps > 100 && report.tape_bytes() < 500, "{report}");
}

/// Every length near the blocks, and none.
#[test]
fn any_number_of_steps_is_reversed() {
    for n in [0, 1, 2, 63, 64, 65, 127, 128, 129, 200] {
        let report = same_gradient(&one(), |y| loss(scan(n).repeat(y, rk4(lorenz, 1e-3))));
        assert_eq!(report.inverse_steps, n as u64);
    }
}

/// Steps so large that eight corrections leave more than a state: the states before blocks are kept.
#[test]
fn steps_that_do_not_contract_are_kept_in_blocks() {
    let n = 1000;
    for h in [1e-2, 2e-2] {
        let report = same_gradient(&one(), move |y| loss(scan(n).repeat(y, rk4(lorenz, h))));
        assert!(report.recomputed_steps > 500, "{report}");
        // A 64th of the states and a word for each block, and both ends.
        let blocks = n.div_ceil(64);
        assert!(report.stack_bits() <= blocks * (3 * 64 + 64), "{report}");
    }
    // The logistic map expands everywhere but near 1/2.
    let report = same_gradient(&[array(0.3)], |[x]| scan(300).repeat(x, |x| 3.9 * x * (1.0 - x)));
    assert!(report.stack_bits() <= 5 * (64 + 64), "{report}");
}

#[test]
fn a_step_that_loses_everything_is_reversed() {
    let report = same_gradient(&[array([0.3, -7.0]), array(2.0)], |[x, y]| {
        let (x, y) = scan(130).repeat((x, y), |(x, y)| (0.0 * x + 0.25, y * y * 0.3 + 0.1 * x.sum()));
        x.sum() * y
    });
    assert!(report.stack_bits() <= 3 * (3 * 64 + 64), "{report}");
    let report =
        same_gradient(&[array([0.3, -7.0])], |[x]| scan(70).repeat(x, |x| 0.5 * x.reverse(&[0]).sin()).sum());
    assert_eq!(report.inverse_steps + report.recomputed_steps, 70, "{report}");
}

#[test]
fn f32_and_mixed_states_are_reversed() {
    let single = [array(1.0_f32), array(1.0_f32), array(1.0_f32)];
    let report = same_gradient(&single, |y| loss(scan(1000).repeat(y, rk4(lorenz, 1e-3))));
    assert!(report.tape_bytes() < 400, "{report}");
    let mixed = [array([1.0_f32, -2.0]), array([0.5, 0.25])];
    same_gradient(&mixed, |y| {
        let [a, b] = scan(300).repeat(y, |[a, b]| {
            let a = a + 0.01 * (a * a + b.convert(DType::F32)).sin();
            [a, b - 0.01 * b * a.convert(DType::F64)]
        });
        a.convert(DType::F64).sum() + (b * b).sum()
    });
}

/// The orbit reaches -0, +0 and values that cross zero, and each comes back with its sign.
#[test]
fn zeros_keep_their_signs() {
    let start = [array([0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324])];
    same_gradient(&start, |[x]| {
        // 1/x tells -0 from +0 in the gradient.
        let (x, seen) = scan(100).repeat((x, x), |(x, seen)| {
            let x = x * (1.0 - 0.01 * x * x);
            (x, 0.5 * seen + 0.25 * x / (x * x + 1e-3))
        });
        (x * seen).sum()
    });
    // The angle of (-1, ±0) is ±π, and its factor's slope has that of every step.
    let signs = |[x, u]: [Var; 2]| {
        let us = u.broadcast([70, 2], &[1]);
        scan_over().run(x, us, |x, u| (x * 0.5 + 0.5 * x, u * x.atan2(&array([-1.0, -1.0])))).1.sum()
    };
    let start = [array([0.0, -0.0]), array([1.0, 1.0])];
    same_gradient(&start, signs);
    let [_, slope] = grad(signs).tape(Tape::Reverse).call(&start).unwrap();
    let slope = slope.to_vec::<f64>().unwrap();
    assert!(slope[0] > 219.0 && slope[1] < -219.0, "{slope:?}");
}

#[test]
fn xs_and_either_direction_are_read_right() {
    let us = array((0..150).map(|i| (i as f64 * 0.37).sin()).collect::<Vec<_>>());
    for reversed in [false, true] {
        let f = move |[x, us]: [Var; 2]| {
            let config = if reversed { scan_over().reversed() } else { scan_over() };
            let (x, ys) = config.run(x, us, |x, u| (x + 0.01 * (x.sin() + u), x * u));
            x + ys.sum()
        };
        let report = same_gradient(&[array(0.4), us.clone()], f);
        assert_eq!(report.inverse_steps, 150, "{report}");
    }
}

#[test]
fn derivatives_of_every_order_agree_to_the_bit() {
    let f = |y: [Var; 3]| loss(scan(200).repeat(y, rk4(lorenz, 5e-3)));
    let direction = [array(0.3), array(-1.0), array(0.7)];
    for reverse_over_forward in [false, true] {
        let products = [Tape::Store, Tape::Reverse].map(|policy| {
            let mut door = hvp(f).tape(policy);
            if reverse_over_forward {
                door = door.reverse_over_forward();
            }
            door.call(&one(), &direction).unwrap()
        });
        expect_bits(&products[1], &products[0]);
    }
    let g = |y: [Var; 3]| grad(f).at(y);
    let tangents =
        [Tape::Store, Tape::Reverse].map(|policy| jvp(g).tape(policy).call(&one(), &direction).unwrap().1);
    expect_bits(&tangents[1], &tangents[0]);
}

#[test]
fn batches_agree_to_the_bit() {
    let starts = [array([1.0, -2.0, 5.0]), array([1.0, 0.5, 5.0]), array([1.0, 20.0, 30.0])];
    let f = |y: [Var; 3]| loss(scan(150).repeat(y, rk4(lorenz, 2e-3)));
    let batches =
        [Tape::Store, Tape::Reverse].map(|policy| jit(vmap(grad(f))).tape(policy).call(&starts).unwrap());
    expect_bits(&batches[1], &batches[0]);
    let alone = grad(f).call(&[array(-2.0), array(0.5), array(20.0)]).unwrap();
    let lane: Vec<Array> = batches[1].iter().map(|a| a.row(1)).collect();
    expect_bits(&lane, &alone);
}

/// Loops in the step run again with it.
#[test]
fn steps_with_loops_inside_are_reversed() {
    same_gradient(&[array([0.3, 0.9])], |[x]| {
        scan(100).repeat(x, |x| x + scan(3).repeat(0.01 * x, |u| u * (1.0 - u) + 0.001 * x.cos())).sum()
    });
}

/// The tape of a gradient with its stack changed.
fn with_stack(tape: &[Value], change: impl Fn(&mut BitStack)) -> Vec<Value> {
    let mut tape = tape.to_vec();
    let mut found = 0;
    for value in &mut tape {
        if let Value::Bits(bits) = value {
            change(bits);
            found += 1;
        }
    }
    assert_eq!(found, 1);
    tape
}

#[test]
fn every_flipped_bit_is_found() {
    // One of residuals, one of kept states, one of both.
    for (h, n) in [(1e-3, 250), (1e-2, 100), (6e-3, 250)] {
        let door =
            value_and_grad(move |y: [Var; 3]| loss(scan(n).repeat(y, rk4(lorenz, h)))).tape(Tape::Reverse);
        let (_, report, tape) = door.forward(&one()).unwrap();
        assert!(report.stack_bits() > 60, "{report}");
        door.backward(&one(), tape.clone()).unwrap();
        for bit in (0..report.stack_bits()).step_by(1 + report.stack_bits() / 30) {
            let broken = with_stack(&tape, |bits| bits.flip(bit));
            assert!(
                door.backward(&one(), broken).is_err(),
                "h = {h}: bit {bit} of {} is missed",
                report.stack_bits()
            );
        }
        for taken in [1, 10, report.stack_bits()] {
            let broken = with_stack(&tape, |bits| bits.truncate(bits.len_bits() - taken));
            assert!(door.backward(&one(), broken).is_err(), "h = {h}: {taken} bits taken away are missed");
        }
        let broken = with_stack(&tape, |bits| bits.push(0b1011, 4));
        assert!(door.backward(&one(), broken).is_err(), "h = {h}: bits more are missed");
    }
}

#[test]
fn what_is_not_finite_ends_reversal() {
    let blow_up = |[x]: [Var; 1]| scan(20).repeat(x, |x| x * x + x);
    for start in [1e30, f64::NAN, f64::INFINITY] {
        let e = grad(blow_up).tape(Tape::Reverse).call(&[array(start)]).unwrap_err().to_string();
        assert!(e.contains("a value is not finite, so the step cannot be reversed"), "{e}");
        assert!(e.contains("whole_step.rs"), "{e}");
    }
    // A guess that is not finite, or of which the step fails, is no error.
    same_gradient(&[array(2.0)], |[x]| {
        scan(70).repeat(x, |x| select(x.gt(1.0), x - x.log() * 0.9, 1.0 / x.sqrt()))
    });
}

#[test]
fn what_cannot_be_undone_is_refused() {
    let refusal =
        |f: fn([Var; 1]) -> Var| grad(f).tape(Tape::Reverse).call(&[array(0.5)]).unwrap_err().to_string();
    // A number that is halved.
    let e = refusal(|[x]| {
        let step = |(i, x): (Var, Var)| (i / 2, x + 0.001 * i.convert(DType::F64) * x.sin());
        scan(5).repeat((constant(&array(1000_i64)), x), step).1
    });
    assert!(e.contains("part 0 of the state (i64[])") && e.contains("`div` cannot be solved"), "{e}");
    assert!(e.contains("Checkpoint::Sqrt") && e.contains("whole_step.rs"), "{e}");
    // One that depends on a float.
    let e = refusal(|[x]| {
        let step = |(x, i): (Var, Var)| (x + i.convert(DType::F64) * x.sin(), i + x.convert(DType::I64));
        scan(5).repeat((x, constant(&array(0_i64))), step).0
    });
    assert!(e.contains("part 1 of the state (i64[])") && e.contains("depends on part 0"), "{e}");
    // A truth value that is overwritten.
    let e = refusal(|[x]| {
        let step = |(x, seen): (Var, Var)| (x + select(seen, x, -x).sin(), x.gt(-seen.convert(DType::F64)));
        let (x, seen) = scan(5).repeat((x, x.gt(0.0)), step);
        select(seen, x, -x)
    });
    assert!(e.contains("part 1 of the state (bool[])"), "{e}");
    // A loop whose end a guess may put off for ever.
    let e = refusal(|[x]| scan(5).repeat(x, |x| while_loop(x, |u| u.lt(1.0), |u| 1.5 * u) * 0.4 + 0.1 * x));
    assert!(e.contains("may never end from a guess"), "{e}");
}

/// Where it is asked to, it falls back: for the loop that is refused alone, with the same bits.
#[test]
fn what_cannot_be_undone_falls_back_when_asked_to() {
    let f = |[x]: [Var; 1]| {
        let halve = |(i, x): (Var, Var)| (i / 2, x + 0.001 * i.convert(DType::F64) * x.sin());
        let (_, x) = scan(50).repeat((constant(&array(1000_i64)), x), halve);
        // This one can be reversed.
        scan(50).repeat(x, |x| x + 0.01 * x.sin())
    };
    let start = [array(0.5)];
    let expected = grad(f).call(&start).unwrap();
    for checkpoint in [Checkpoint::Sqrt, Checkpoint::Slots(4)] {
        let door = grad(f).tape(Tape::Reverse.or(checkpoint));
        expect_bits(&door.call(&start).unwrap(), &expected);
        let report = door.last_tape();
        assert_eq!(report.inverse_steps, 50, "{report}");
        assert!(report.recomputed_steps >= 42, "{report}");
        let refused = report.notes.iter().filter(|note| note.contains("instead of reverse")).count();
        assert!(refused == 1 && report.notes[0].contains("`div` cannot be solved"), "{report}");
        let kept = |policy: Tape| report.by_policy().iter().any(|(of, bytes)| *of == policy && *bytes > 0);
        assert!(kept(checkpoint.into()) && kept(Tape::Reverse), "{report}");
    }
    // What can be reversed is.
    let can = |[x]: [Var; 1]| scan(50).repeat(x, |x| x + 0.01 * x.sin());
    let door = grad(can).tape(Tape::Reverse.or(Checkpoint::Sqrt));
    expect_bits(&door.call(&start).unwrap(), &grad(can).call(&start).unwrap());
    assert_eq!((door.last_tape().inverse_steps, door.last_tape().recomputed_steps), (50, 0));
}
