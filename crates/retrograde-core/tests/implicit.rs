//! A solver in a `while_loop`, differentiated through its steps and by the implicit function theorem.

use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::while_loop;
use retrograde_core::trace::custom::{Law, custom_jvp, custom_vjp};
use retrograde_core::trace::door::{grad, hvp, jvp, value_and_grad};

const TOLERANCE: f64 = 1e-13;

/// x³ + a x - b, whose root is sought.
fn residual(x: Var, a: Var, b: Var) -> Var {
    x * x * x + a * x - b
}

/// The slope of the residual by x.
fn slope(x: Var, a: Var) -> Var {
    3.0 * x * x + a
}

/// Newton's method from 1, entry by entry, until the last step is short everywhere.
fn newton((a, b): (Var, Var)) -> Var {
    let start = 0.0 * a + 1.0;
    let go_on = |(_, step): (Var, Var)| (step * step).sum().gt(TOLERANCE * TOLERANCE);
    let next = move |(x, _): (Var, Var)| {
        let step = residual(x, a, b) / slope(x, a);
        (x - step, step)
    };
    while_loop((start, start), go_on, next).0
}

/// The root with the derivative of the implicit function: x_dot = (b_dot - x a_dot) / slope.
fn implicit_forward(a: Var, b: Var) -> Var {
    custom_jvp(&Law::Exact, (a, b), newton, |(a, b), (a_dot, b_dot)| {
        let x = implicit_forward_again(a, b);
        (x, (b_dot - x * a_dot) / slope(x, a))
    })
}

/// Inside the rule the root is differentiated once more, for second derivatives: by one step from where it is, whose own
/// derivative is that of the root.
fn implicit_forward_again(a: Var, b: Var) -> Var {
    let x = newton((a, b)).stop_gradient();
    x - residual(x, a, b) / slope(x, a)
}

/// The same in reverse: the cotangent divided by the slope.
fn implicit_reverse(a: Var, b: Var) -> Var {
    custom_vjp(
        &Law::Exact,
        (a, b),
        newton,
        |(a, b)| {
            let x = newton((a, b));
            (x, (x, a))
        },
        |(x, a), x_bar| {
            let b_bar = x_bar / slope(x, a);
            (-x * b_bar, b_bar)
        },
    )
}

fn data() -> (Array, Array) {
    (array([1.0, 0.5, 2.0, 4.0]), array([3.0, -2.0, 0.25, 40.0]))
}

#[track_caller]
fn close(found: &Array, expected: &Array) {
    let (found, expected) = (found.to_vec::<f64>().unwrap(), expected.to_vec::<f64>().unwrap());
    for (f, e) in found.iter().zip(&expected) {
        // A few times the solver's own tolerance.
        assert!((f - e).abs() <= 20.0 * TOLERANCE * e.abs().max(1.0), "{found:?}, expected {expected:?}");
    }
}

#[test]
fn unrolled_and_implicit_gradients_agree() {
    let (a, b) = data();
    let loss = |x: Var| (x * x.sin()).sum();
    let unrolled = |(a, b): (Var, Var)| loss(newton((a, b)));
    let (value, by_steps) = value_and_grad(unrolled).call(&(a.clone(), b.clone())).unwrap();
    // By hand: x from the residual, then (x sin x)' / slope.
    let (again, implicit) = value_and_grad(|(a, b): (Var, Var)| loss(implicit_reverse(a, b)))
        .call(&(a.clone(), b.clone()))
        .unwrap();
    assert!(value.bits_eq(&again));
    close(&by_steps.0, &implicit.0);
    close(&by_steps.1, &implicit.1);
    // The steps are run again from checkpoints to the same bits.
    for policy in [Tape::Store, Tape::Checkpoint(Checkpoint::Sqrt)] {
        let g = grad(unrolled).tape(policy).call(&(a.clone(), b.clone())).unwrap();
        assert!(g.0.bits_eq(&by_steps.0) && g.1.bits_eq(&by_steps.1), "{policy}");
    }
    // Forward mode, both ways.
    let direction = (array([1.0, -1.0, 0.5, 2.0]), array([0.1, 1.0, -2.0, 3.0]));
    let (_, steps) = jvp(newton).call(&(a.clone(), b.clone()), &direction).unwrap();
    let (_, rule) = jvp(|(a, b): (Var, Var)| implicit_forward(a, b)).call(&(a, b), &direction).unwrap();
    close(&steps, &rule);
}

#[test]
fn unrolled_and_implicit_second_derivatives_agree() {
    let (a, b) = data();
    let loss = |x: Var| (x * x.sin()).sum();
    let v = (array([1.0, -1.0, 0.5, 2.0]), array([0.1, 1.0, -2.0, 3.0]));
    let steps = hvp(|(a, b): (Var, Var)| loss(newton((a, b)))).call(&(a.clone(), b.clone()), &v).unwrap();
    let rule = hvp(|(a, b): (Var, Var)| loss(implicit_forward(a, b))).call(&(a, b), &v).unwrap();
    close(&steps.0, &rule.0);
    close(&steps.1, &rule.1);
}
