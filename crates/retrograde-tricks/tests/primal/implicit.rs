//! Implicit layers and flows: derivatives of what an equation says, and of the steps that were taken.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::control::scan;
use retrograde_core::trace::{Var, tree};
use retrograde_engine::{grad, value_and_grad};
use retrograde_solve::ode;
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::primal::implicit::{FixedPoint, fixed_point};
use retrograde_tricks::primal::neural_ode::NeuralOde;

use crate::{apart, draw, inner, refused, values, weighed};

/// A layer that contracts: `tanh(0.3 z w + x)`.
fn layer(p: Vec<Var>, z: Var) -> Var {
    (z.dot(p[1]) * 0.3 + p[0]).tanh()
}

fn operands() -> Vec<Array> {
    vec![draw(1, [3]), draw(2, [3, 3])]
}

#[test]
fn the_gradient_of_a_fixed_point_forgets_the_way_there() {
    let implicit = |tolerance: f64, from: f64| {
        let config = FixedPoint { tolerance, ..FixedPoint::default() };
        let door = grad(move |p: Vec<Var>| weighed(fixed_point(layer, p.clone(), p[0] * 0.0 + from, config)));
        let slope = door.call(&operands()).unwrap();
        (slope, door.last_tape().tape_bytes(), door.last_tape())
    };
    let most = |a: &[Array], b: &[Array]| a.iter().zip(b).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
    let (found, bytes, report) = implicit(1e-15, 0.0);
    // Once converged, neither the number of steps nor where they began matters.
    for (tolerance, from) in [(1e-13, 0.0), (1e-15, 0.5), (1e-14, -0.9)] {
        let (other, of_other, _) = implicit(tolerance, from);
        assert!(most(&found, &other) < 1e-12, "{}", most(&found, &other));
        assert_eq!(bytes, of_other);
    }
    // The tanh of one step and its slope.
    assert_eq!(bytes, 2 * 3 * 8, "{report}");
    // Unrolled, it is the same and keeps every step.
    let unrolled = |n: usize| {
        let door = grad(move |p: Vec<Var>| weighed(scan(n).repeat(p[0] * 0.0, |z| layer(p.clone(), z))));
        let slope = door.call(&operands()).unwrap();
        (slope, door.last_tape().tape_bytes())
    };
    let (expected, kept) = unrolled(100);
    assert!(most(&found, &expected) < 1e-13, "{}", most(&found, &expected));
    assert!(kept > 50 * bytes, "{kept}");
    // Not converged, and with too few steps for the derivative, it is another.
    assert!(most(&implicit(0.3, 0.0).0, &expected) > 1e-3);
    let few = FixedPoint { n_adjoint: 2, ..FixedPoint::default() };
    let short = grad(move |p: Vec<Var>| weighed(fixed_point(layer, p.clone(), p[0] * 0.0, few)));
    assert!(most(&short.call(&operands()).unwrap(), &expected) > 1e-3);
    // The start has no derivative.
    let of_start = grad(|z: Var, p: Vec<Var>| weighed(fixed_point(layer, p, z, FixedPoint::default())));
    assert_eq!(values(&of_start.call((&draw(3, [3]), &operands())).unwrap()), [0.0; 3]);
    let config = FixedPoint { tolerance: 0.0, ..FixedPoint::default() };
    refused(
        move |x| fixed_point(|p: Var, z: Var| z * 0.5 + p, x, x, config),
        &draw(1, [2]),
        "fixed_point: found a tolerance of 0, expected a finite number above 0",
    );
}

fn flow(method: ode::Tableau, n_steps: usize) -> NeuralOde<Array> {
    let field = Mlp::xavier(Key::from_seed(1), 3, &[6], 3, Activation::Tanh, DType::F64);
    NeuralOde { field, method, step_s: 1.0 / n_steps as f64, n_steps, tape: None }
}

fn leaves(x_bar: &Array, field: &Mlp<Array>) -> Vec<f64> {
    let of_field = tree::leaves(field).into_iter().flat_map(|(_, leaf)| values(&leaf));
    values(x_bar).into_iter().chain(of_field).collect()
}

fn discrete(flow: &NeuralOde<Array>, x: &Array) -> Vec<f64> {
    let loss = |s: (Var, NeuralOde<Var>)| weighed(s.1.apply(s.0).sin());
    let (x_bar, layer) = grad(loss).call(&(x.clone(), flow.clone())).unwrap();
    leaves(&x_bar, &layer.field)
}

/// The distance of both gradients at n and 2 n steps, and the order that follows.
fn order(method: ode::Tableau, n: usize) -> f64 {
    let x = draw(2, [2, 3]);
    let off = |n: usize| {
        let flow = flow(method, n);
        let (_, (x_bar, field)) = flow.continuous(&x, |y| weighed(y.sin()), 0.9).unwrap();
        let pairs = discrete(&flow, &x).into_iter().zip(leaves(&x_bar, &field));
        pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    (off(n) / off(2 * n)).log2()
}

/// At least O(hᵖ): Heun's error there and back cancels to one order more here.
#[test]
fn the_continuous_adjoint_differs_by_the_order_of_the_method() {
    let rows =
        [(ode::EULER, 40, 1.0), (ode::HEUN, 20, 3.0), (ode::BOSH3.tableau, 10, 3.0), (ode::RK4, 8, 4.0)];
    let found = rows.map(|(method, n, _)| order(method, n));
    for (order, (method, _, expected)) in found.into_iter().zip(rows) {
        assert!(order > f64::from(method.facts.order as u8) - 0.25, "{}: {found:?}", method.facts.name);
        assert!((order - expected).abs() < 0.25, "{}: {found:?}", method.facts.name);
    }
}

/// The derivative of the steps: the same bits under every policy, and that of differences.
#[test]
fn the_discrete_gradient_is_that_of_the_steps() {
    let (flow, x) = (flow(ode::RK4, 8), draw(2, [2, 3]));
    let loss = |x: Var, layer: NeuralOde<Var>| weighed(layer.apply(x).sin());
    let expected = grad(loss).call((&x, &flow)).unwrap();
    for policy in [Tape::Recompute, Checkpoint::Sqrt.into(), Checkpoint::Slots(2).into(), Tape::Reverse] {
        let found = grad(loss).tape(policy).call((&x, &flow)).unwrap();
        assert!(found.bits_eq(&expected), "{policy}");
    }
    let run = value_and_grad(loss);
    let direction = draw(3, [2, 3]);
    let difference =
        crate::difference(|x| run.call((x, &flow)).unwrap().0.item::<f64>().unwrap(), &x, &direction);
    assert!((inner(&expected, &direction) - difference).abs() < 1e-8);
}
