//! Checkpoints in a given number of slots: as few steps as can be, in no more states, and the same bits.

use retrograde_array::{Array, array};
use retrograde_core::prim::schedule::forward_steps;
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, while_config, while_loop};
use retrograde_core::trace::door::{grad, hvp, jit, vmap};

fn slots(n: usize) -> Tape {
    Checkpoint::Slots(n).into()
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
    (array([0.3, 1.0]), array([0.0, -0.5]))
}

#[test]
fn as_few_steps_as_can_be_and_the_same_bits() {
    for n_steps in [1, 2, 3, 7, 40, 1000] {
        let expected = grad(pendulum(n_steps)).call(&start()).unwrap();
        for n in [1, 2, 3, 5, 16, 2000] {
            let door = grad(pendulum(n_steps)).tape(slots(n));
            if n == 1 && n_steps > 100 {
                continue;
            }
            let g = door.call(&start()).unwrap();
            assert!(g.0.bits_eq(&expected.0) && g.1.bits_eq(&expected.1), "{n_steps} steps, {n} slots");
            let report = door.last_tape();
            // The loop itself goes to the end, one step further than the first sweep of the schedule.
            let steps = forward_steps(n_steps, n) - (n_steps as u128 - 1);
            assert_eq!(u128::from(report.recomputed_steps), steps, "{n_steps} steps, {n} slots");
            // The states in the slots, the one before the last step and the last, which the loss reads.
            assert!(report.tape_bytes() <= (n.min(n_steps) + 2) * 32, "{report}");
        }
    }
}

#[test]
fn second_derivatives_have_the_same_bits() {
    let direction = (array([1.0, 0.0]), array([0.5, 2.0]));
    let product = |policy| hvp(pendulum(50)).tape(policy).call(&start(), &direction).unwrap();
    let (expected, found) = (product(Tape::Store), product(slots(4)));
    assert!(found.0.bits_eq(&expected.0) && found.1.bits_eq(&expected.1));
}

/// Newton's iteration for the square root from far away: how often depends on x.
fn root(x: Var) -> Var {
    let far = |y: Var| ((y * y - x).abs() - 1e-10 * x).max(0.0).sum().gt(0.0);
    let start = x * 1e6;
    while_loop(start, far, |y| 0.5 * (y + x / y)).sum()
}

#[test]
fn a_while_keeps_no_more_states_than_slots() {
    for x in [2.0, 1e-3, 1e5] {
        let x = array([x]);
        let expected = grad(root).call(&x).unwrap();
        for n in [1, 2, 3, 8, 100] {
            let door = grad(root).tape(slots(n));
            assert!(door.call(&x).unwrap().bits_eq(&expected), "{n} slots");
            let report = door.last_tape();
            // The states and the number of steps.
            assert!(report.tape_bytes() <= n * 8 + 8 + 8, "{n} slots: {report}");
            assert!(n >= 100 || report.recomputed_steps > 0, "{n} slots: {report}");
        }
    }
}

/// Under every policy, alone and in a batch, with the line of the loop and what would do; what ends in time keeps its bits.
#[test]
fn a_while_that_exceeds_its_bound_is_named_under_every_policy() {
    let swing = |x: Var, most: usize| {
        let go_on = |(x, _): (Var, Var)| x.lt(2.0);
        let step = |(x, v): (Var, Var)| {
            let x = x + 0.1 * v;
            (x, v + 0.01 * x.cos())
        };
        while_config().at_most(most).run((x, 0.5 + 0.0 * x), go_on, step).0
    };
    let plain = |x: Var| {
        let step = |(x, v): (Var, Var)| {
            let x = x + 0.1 * v;
            (x, v + 0.01 * x.cos())
        };
        while_loop((x, 0.5 + 0.0 * x), |(x, _)| x.lt(2.0), step).0
    };
    let (x, rows) = (array(0.5), array([0.5, 1.9, 0.9]));
    let n_steps = {
        let door = grad(plain).tape(Tape::Reverse);
        door.call(&x).unwrap();
        door.last_tape().inverse_steps as usize
    };
    let expected = grad(plain).call(&x).unwrap();
    for policy in [Tape::Store, Tape::Recompute, Checkpoint::Sqrt.into(), slots(3), Tape::Reverse] {
        let enough = grad(move |x: Var| swing(x, n_steps)).tape(policy);
        assert!(enough.call(&x).unwrap().bits_eq(&expected), "{policy}");
        let lanes = jit(vmap(grad(move |x: Var| swing(x, n_steps)))).tape(policy).call(&rows).unwrap();
        assert!(lanes.row(0).bits_eq(&expected), "{policy}");
        let few = n_steps - 1;
        for error in [
            grad(move |x: Var| swing(x, few)).tape(policy).call(&x).unwrap_err(),
            jit(vmap(grad(move |x: Var| swing(x, few)))).tape(policy).call(&rows).unwrap_err(),
            jit(move |x: Var| swing(x, few)).call(&x).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains(&format!("the loop would take more than {few} steps")),
                "{policy}: {error}"
            );
            assert!(error.contains("`.at_most(n)`") && error.contains("slots.rs:"), "{policy}: {error}");
        }
    }
    // What the caller passed is untouched.
    assert!(x.bits_eq(&array(0.5)) && rows.bits_eq(&array([0.5, 1.9, 0.9])));
}
