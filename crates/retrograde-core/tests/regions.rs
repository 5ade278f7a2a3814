//! Regions with a policy of their own: fewer bytes, the same bits.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, taped};
use retrograde_core::trace::door::{grad, hvp, jit, jvp, vmap};
use retrograde_core::trace::var::constant;

const WIDTH: usize = 16;
const DEPTH: usize = 24;

fn weights() -> Vec<Array> {
    (0..DEPTH).map(|i| normal(Key::from_seed(i as u64), [WIDTH, WIDTH])).collect()
}

fn block(x: Var, w: &Array) -> Var {
    let h = (x.dot(constant(w)) * 0.2).tanh();
    x + (h * h + h).sin()
}

/// A residual net in parts of `n` layers.
fn net(n: usize, policy: Tape) -> impl Fn(Var) -> Var {
    let weights = weights();
    move |x| {
        let end = weights.chunks(n).fold(x, |x, part| taped(policy, |x: Var| part.iter().fold(x, block), x));
        (end * end).sum()
    }
}

#[test]
fn a_region_that_is_computed_again_keeps_its_arguments() {
    let x = normal(Key::from_seed(99), [WIDTH]);
    let door = grad(net(6, Tape::Store));
    let expected = door.call(&x).unwrap();
    let stored = door.last_tape().tape_bytes();
    for n in [1, 3, 6, 24] {
        let door = grad(net(n, Tape::Recompute));
        assert!(door.call(&x).unwrap().bits_eq(&expected), "parts of {n} layers");
        let report = door.last_tape();
        // The arguments of all parts but the first, and the end.
        assert!(report.tape_bytes() <= DEPTH.div_ceil(n) * WIDTH * 8, "parts of {n} layers: {report}");
        assert!(4 * report.tape_bytes() <= 3 * stored, "parts of {n} layers: {stored} B stored, {report}");
    }
}

#[test]
fn every_derivative_has_the_same_bits() {
    let x = normal(Key::from_seed(98), [WIDTH]);
    let v = normal(Key::from_seed(97), [WIDTH]);
    let (stored, again) = (|| net(4, Tape::Store), || net(4, Tape::Recompute));
    for reverse_over_forward in [false, true] {
        let product = |door: retrograde_core::trace::door::HvpDoor<_, _>| {
            let door = if reverse_over_forward { door.reverse_over_forward() } else { door };
            door.call(&x, &v).unwrap()
        };
        assert!(product(hvp(stored())).bits_eq(&product(hvp(again()))));
    }
    let tangent = |f: Box<dyn Fn(Var) -> Var>| jvp(move |x: Var| grad(&f).at(x)).call(&x, &v).unwrap().1;
    assert!(tangent(Box::new(stored())).bits_eq(&tangent(Box::new(again()))));
    let batch = Array::stack(&[x, v]).unwrap();
    let lanes = |f: Box<dyn Fn(Var) -> Var>| jit(vmap(grad(f))).call(&batch).unwrap();
    assert!(lanes(Box::new(stored())).bits_eq(&lanes(Box::new(again()))));
}

#[test]
fn loops_inside_follow_the_policy_of_the_region() {
    let of = |policy: Tape| {
        grad(move |x: Var| taped(policy, |x: Var| scan(100).repeat(x, |x| x + 0.1 * x.sin()), x).sum())
    };
    let x = array([0.3, 0.7]);
    let stored = of(Tape::Store);
    let expected = stored.call(&x).unwrap();
    for policy in
        [Tape::Checkpoint(Checkpoint::Sqrt), Tape::Checkpoint(Checkpoint::Slots(3)), Tape::Recompute]
    {
        let door = of(policy);
        assert!(door.call(&x).unwrap().bits_eq(&expected), "{policy}");
        let (bytes, most) = (door.last_tape().tape_bytes(), stored.last_tape().tape_bytes());
        assert!(bytes < most, "{policy}: {bytes} B, {most} B stored");
    }
}
