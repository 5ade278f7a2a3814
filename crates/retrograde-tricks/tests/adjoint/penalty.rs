//! B19.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::adjoint::penalty::{double_backpropagation, gradient_penalty};

use crate::{draw, values};

#[test]
fn the_penalty_of_a_quadratic_has_its_closed_form() {
    let (a, x) = (draw(1, [5, 5]), draw(2, [5]));
    let a = jit(|a: Var| 0.5 * (a + a.t())).call(&a).unwrap();
    let loss = |a: Var, x: Var| 0.5 * x.dot(a).dot(x);
    let penalty = |a: Var, x: Var| double_backpropagation(loss, a, x);
    let by_x = grad(penalty).wrt::<1>().call((&a, &x)).unwrap();
    let ax = jit(|a: Var, x: Var| a.dot(x)).call((&a, &x)).unwrap();
    let expected = jit(|a: Var, y: Var| a.dot(y)).call((&a, &ax)).unwrap();
    let close =
        |a: &Array, b: &[f64]| values(a).iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14 * (1.0 + b.abs()));
    assert!(close(&by_x, &values(&expected)));
    // ½‖½(A + Aᵀ)x‖² by A, at a symmetric A: ½(Ax xᵀ + x (Ax)ᵀ).
    let by_a = grad(penalty).call((&a, &x)).unwrap();
    let outer: Vec<f64> = (0..25)
        .map(|k| {
            let (i, j) = (k / 5, k % 5);
            0.5 * (values(&ax)[i] * values(&x)[j] + values(&x)[i] * values(&ax)[j])
        })
        .collect();
    assert!(close(&by_a, &outer));
}

/// Rows of tanh(x W) v, whose slope is W diag(1 − t²) v.
#[test]
fn a_penalty_of_rows_is_that_of_their_slopes() {
    let (w, v, x) = (draw(1, [4, 6]), draw(2, [6]), draw(3, [9, 4]));
    let critic = |(w, v): (Var, Var), x: Var| x.dot(w).tanh().dot(v);
    let penalty = |p: (Var, Var), x: Var| gradient_penalty(critic, p, x, 1.0);
    let found = jit(penalty).call((&(w.clone(), v.clone()), &x)).unwrap().item::<f64>().unwrap();
    let t = values(&jit(|x: Var, w: Var| x.dot(w).tanh()).call((&x, &w)).unwrap());
    let (wv, vv) = (values(&w), values(&v));
    let mean = t.chunks(6).map(|t| {
        let slope = (0..4).map(|i| (0..6).map(|j| wv[6 * i + j] * (1.0 - t[j] * t[j]) * vv[j]).sum::<f64>());
        (slope.map(|s| s * s).sum::<f64>().sqrt() - 1.0).powi(2)
    });
    let expected = mean.sum::<f64>() / 9.0;
    assert!((found - expected).abs() < 1e-14 * (1.0 + expected), "{found} {expected}");
    // Its own gradient, against central differences: δ² and 1e-16/δ.
    let slope = grad(penalty).call((&(w.clone(), v.clone()), &x)).unwrap();
    let direction = draw(4, [6]);
    let at = |delta: f64| {
        let moved: Vec<f64> = vv.iter().zip(values(&direction)).map(|(v, d)| v + delta * d).collect();
        jit(penalty).call((&(w.clone(), array(moved)), &x)).unwrap().item::<f64>().unwrap()
    };
    let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
    assert!((difference - crate::inner(&slope.1, &direction)).abs() < 1e-8 * (1.0 + difference.abs()));
}
