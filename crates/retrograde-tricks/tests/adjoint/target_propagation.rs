//! B13.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::linalg::eye;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, jacobian, jit, jvp};
use retrograde_tricks::adjoint::target_propagation::with_targets;

use crate::{draw, values};

/// A⁻¹ of a matrix that needs no pivots.
fn inverse(a: &Array) -> Array {
    let n = a.shape()[0];
    let mut rows: Vec<Vec<f64>> = values(a).chunks(n).map(<[f64]>::to_vec).collect();
    for (i, row) in rows.iter_mut().enumerate() {
        row.extend((0..n).map(|j| f64::from(u8::from(i == j))));
    }
    for i in 0..n {
        let pivot: Vec<f64> = rows[i].iter().map(|x| x / rows[i][i]).collect();
        for (k, row) in rows.iter_mut().enumerate() {
            let factor = if k == i { 0.0 } else { row[i] };
            row.iter_mut().zip(&pivot).for_each(|(x, p)| *x = if k == i { *p } else { *x - factor * p });
        }
    }
    Array::new([n, n], rows.iter().flat_map(|row| row[n..].to_vec()).collect::<Vec<f64>>()).unwrap()
}

/// Three linear layers W₃W₂W₁h with exact inverses. What comes back to h is J⁻¹ȳ of the layers above: the step of Gauss and Newton.
#[test]
fn targets_through_exact_inverses_are_those_of_gauss_and_newton() {
    let well = |seed: u64| jit(|w: Var| w * 0.2 + eye(w.dtype(), 5)).call(&draw(seed, [5, 5])).unwrap();
    let weights = [1, 2, 3].map(|seed| well(seed)).map(|w| (w.clone(), inverse(&w))).to_vec();
    let (h, y_bar) = (draw(4, [5]), draw(5, [5]));
    type Layer = (Var, Var);
    let layer =
        |(w, v): Layer, h: Var| with_targets(w, v, h, |w: &Var, h: Var| w.dot(h), |v: &Var, y: Var| v.dot(y));
    let network = move |h: Var, layers: Vec<Layer>| layers.iter().fold(h, |h, both| layer(*both, h));
    for from in 0..3 {
        let above = weights[from..].to_vec();
        let against = move |h: Var, layers: Vec<Layer>, y_bar: Var| (network(h, layers) * y_bar).sum();
        let message = grad(against).call((&h, &above, &y_bar)).unwrap();
        // J of the layers without targets: J h̄ = ȳ.
        let plain = {
            let above = above.clone();
            move |h: Var| above.iter().fold(h, |h, (w, _)| constant(w).dot(h))
        };
        let j = jacobian(plain).call(&h).unwrap();
        let forth = jit(|j: Var, message: Var| j.dot(message)).call((&j, &message)).unwrap();
        let off = values(&forth).iter().zip(values(&y_bar)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-12, "from layer {from}: {off}");
        // Not the transposed derivative.
        let transposed = jit(|j: Var, y: Var| y.dot(j)).call((&j, &y_bar)).unwrap();
        assert!(values(&message).iter().zip(values(&transposed)).any(|(a, b)| (a - b).abs() > 1e-2));
    }
    // A layer's own weights: its input times the ȳ that the targets above left, found through inverses alone.
    let slope = grad(move |w: Vec<Layer>, h: Var, y_bar: Var| (network(h, w) * y_bar).sum());
    let slope = slope.call((&weights, &h, &y_bar)).unwrap();
    let input = jit(|w: Var, h: Var| w.dot(h)).call((&weights[0].0, &h)).unwrap();
    let left = jit(|v: Var, y: Var| v.dot(y)).call((&weights[2].1, &y_bar)).unwrap();
    for k in 0..25 {
        let expected = values(&left)[k / 5] * values(&input)[k % 5];
        assert!((values(&slope[1].0)[k] - expected).abs() < 1e-12);
    }
    assert!(values(&slope[1].1).iter().all(|v| *v == 0.0));
}

/// The difference corrects an inverse that is none: without a target to reach, nothing comes back.
#[test]
fn no_target_is_no_message() {
    let f = |w: Var, v: Var, h: Var| {
        with_targets(w, v, h, |w: &Var, h: Var| (w.dot(h)).tanh(), |v: &Var, y: Var| v.dot(y).tanh())
    };
    let (w, v, h) = (draw(1, [4, 4]), draw(2, [4, 4]), draw(3, [4]));
    let message = |y_bar: Array| {
        grad(move |h: Var, w: Var, v: Var| (f(w, v, h) * &y_bar).sum()).call((&h, &w, &v)).unwrap()
    };
    assert!(message(array([0.0; 4])).bits_eq(&array([0.0; 4])));
    // g(y) − g(y − ȳ), by hand.
    let y_bar = draw(4, [4]);
    let by_hand = |h: Var, w: Var, v: Var| {
        let y = w.dot(h).tanh();
        v.dot(y).tanh() - v.dot(y - &y_bar).tanh()
    };
    let expected = jit(by_hand).call((&h, &w, &v)).unwrap();
    assert!(message(y_bar.clone()).bits_eq(&expected));
    // Forward mode is that of the layer.
    let (_, found) = jvp(|all: (Var, Var, Var)| f(all.0, all.1, all.2))
        .call(&(w.clone(), v.clone(), h.clone()), &(v.clone(), w.clone(), h.clone()))
        .unwrap();
    let (_, expected) = jvp(|all: (Var, Var, Var)| all.0.dot(all.2).tanh())
        .call(&(w.clone(), v.clone(), h.clone()), &(v, w, h))
        .unwrap();
    assert!(values(&found).iter().zip(values(&expected)).all(|(a, b)| (a - b).abs() < 1e-15));
}
