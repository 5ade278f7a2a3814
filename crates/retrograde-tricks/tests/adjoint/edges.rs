//! B6, B7, B8.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, hvp, jit, jvp};
use retrograde_tricks::adjoint::map::AdjointMap;
use retrograde_tricks::adjoint::scale::{Reverse, Scale};
use retrograde_tricks::adjoint::stop::{stop, temporal_difference};

use crate::{draw, values};

#[test]
fn scales_multiply_and_reversals_cancel() {
    let (x, w) = (draw(1, [50]), draw(2, [50]));
    let through = |f: fn(Var) -> Var| grad(move |x: Var, w: Var| (f(x) * w).sum()).call((&x, &w)).unwrap();
    let by = |k: f64| array(values(&w).iter().map(|w| w * k).collect::<Vec<f64>>());
    let scale = |k: f64| Scale { factor: k };
    assert!(through(|x| Scale { factor: 0.3 }.at_edge(x)).bits_eq(&by(0.3)));
    assert!(through(|x| Scale { factor: 0.5 }.at_edge(Scale { factor: 0.3 }.at_edge(x))).bits_eq(&by(0.15)));
    let composed = jit(|g: Var| scale(0.5).then(scale(0.3)).on(g)).call(&w).unwrap();
    assert!(composed.bits_eq(&by(0.15)));
    let reversed =
        |x: Var| Reverse { factor: retrograde_core::trace::var::full(x.dtype(), [], 1.0) }.at_edge(x);
    let once = grad(|x: Var, w: Var| (reversed(x) * w).sum()).call((&x, &w)).unwrap();
    let twice = grad(|x: Var, w: Var| (reversed(reversed(x)) * w).sum()).call((&x, &w)).unwrap();
    assert!(once.bits_eq(&by(-1.0)) && twice.bits_eq(&w));
    // Tangents are scaled alike, so that both modes are each other's transposes.
    let (_, tangent) = jvp(|x: Var| Scale { factor: 0.25 }.at_edge(x)).call(&x, &w).unwrap();
    assert!(tangent.bits_eq(&by(0.25)));
}

/// min over x, max over y of ½x² + 2xy − ½y² − x + y, whose saddle is x = −1/5, y = 3/5. The reversal before y makes one descent of both.
#[test]
fn descent_through_a_reversal_finds_the_saddle() {
    let game = |p: (Var, Var), factor: Var| {
        let (x, y) = (p.0, Reverse { factor }.at_edge(p.1));
        0.5 * x * x + 2.0 * x * y - 0.5 * y * y - x + y
    };
    let step = jit(move |p: (Var, Var), factor: Var| {
        let (gx, gy) = grad(game).at((p, factor));
        (p.0 - 0.1 * gx, p.1 - 0.1 * gy)
    });
    let play = |factor: f64| {
        let mut p = (array(1.0), array(1.0));
        for _ in 0..400 {
            p = step.call((&p, &array(factor))).unwrap();
        }
        (p.0.item::<f64>().unwrap(), p.1.item::<f64>().unwrap())
    };
    let (x, y) = play(1.0);
    assert!((x + 0.2).abs() < 1e-12 && (y - 0.6).abs() < 1e-12, "{x} {y}");
    // Without the reversal both descend, and there is no minimum.
    let (x, y) = play(-1.0);
    assert!(!(x.abs() < 1e3 && y.abs() < 1e3), "{x} {y}");
}

#[test]
fn what_is_stopped_has_no_derivative_at_any_order() {
    let (x, v) = (draw(1, [6]), draw(2, [6]));
    let stopped = |x: Var| stop(x.exp());
    let zeros = array([0.0; 6]);
    assert!(jvp(stopped).call(&x, &v).unwrap().1.bits_eq(&zeros));
    assert!(grad(move |x: Var| stopped(x).sum()).call(&x).unwrap().bits_eq(&zeros));
    assert!(hvp(move |x: Var| stopped(x).sum()).call(&x, &v).unwrap().bits_eq(&zeros));
    // f = Σ x² sg(x): the slope is 2x sg(x), and its slope 2 sg(x), both of which are 2x and not 6x.
    let f = |x: Var| (x * x * stop(x)).sum();
    let expected: Vec<f64> = values(&x).iter().zip(values(&v)).map(|(x, v)| 2.0 * x * v).collect();
    let close =
        |a: &Array| values(a).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-15 * (1.0 + b.abs()));
    assert!(close(&hvp(f).call(&x, &v).unwrap()));
    assert!(close(&hvp(f).reverse_over_forward().call(&x, &v).unwrap()));
}

/// −mean δ ∂v(s), against the full gradient of the residual, which is another.
#[test]
fn a_target_that_is_held_has_the_semi_gradient() {
    let (features, next, rewards, w) = (draw(1, [8, 3]), draw(2, [8, 3]), draw(3, [8]), draw(4, [3]));
    let loss =
        |w: Var, phi: (Var, Var), rewards: Var| temporal_difference(phi.0.dot(w), phi.1.dot(w), rewards, 0.9);
    let found = grad(loss).call((&w, &(features.clone(), next.clone()), &rewards)).unwrap();
    let product = |m: &Array| values(&jit(|m: Var, w: Var| m.dot(w)).call((m, &w)).unwrap());
    let (v, after) = (product(&features), product(&next));
    let delta: Vec<f64> = (0..8).map(|i| values(&rewards)[i] + 0.9 * after[i] - v[i]).collect();
    for k in 0..3 {
        let of = |m: &Array| (0..8).map(|i| delta[i] * values(m)[3 * i + k]).sum::<f64>() / 8.0;
        assert!((values(&found)[k] + of(&features)).abs() < 1e-14);
        assert!((values(&found)[k] + of(&features) - 0.9 * of(&next)).abs() > 1e-3);
    }
}
