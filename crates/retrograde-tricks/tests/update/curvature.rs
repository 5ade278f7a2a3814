//! Updates by curvature, and the gradient uphill.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, hvp, jit};
use retrograde_tricks::update::curvature::{Sophia, adahessian, hutchinson, lion, random_signs};
use retrograde_tricks::update::sharpness::sharpness_aware_gradient;

use crate::{distance, numbers};

#[test]
fn hutchinson_is_the_diagonal_where_the_hessian_is() {
    let diagonal = |w: Var, h: Var| 0.5 * (h * w * w).sum();
    let estimate = jit(|w: Var, h: Var, z: Var| hutchinson(diagonal, w, h, &z));
    let (w, h) = (array([0.3, -2.0, 1.7]), array([3.0, 0.1, 7.0]));
    for seed in 0..4 {
        let z = jit(|key: Var, w: Var| random_signs(key, &w))
            .call((&Key::from_seed(seed).to_array(), &w))
            .unwrap();
        assert!(numbers(&z).iter().all(|z| z.abs() == 1.0));
        assert_eq!(estimate.call((&w, &h, &z)).unwrap(), h); // one draw, to the bit
    }
    // Sophia with that curvature and no memory: Newton's step over γ, where that is not clamped.
    let update = Sophia { beta_1: 0.0, beta_2: 0.0, gamma: 8.0, ..Sophia::default() }.update(1.0);
    let g = grad(diagonal).call((&w, &h)).unwrap();
    let (step, _) = update.update_with(&g, &h, &update.init(&w).unwrap(), &w).unwrap();
    let expected: Vec<f64> = numbers(&w).iter().map(|w| -w / 8.0).collect();
    assert!(distance(&numbers(&step), &expected) < 1e-16);

    // Where the Hessian is not diagonal, one draw is off, and the mean over all signs is the diagonal.
    let coupled = |w: Var, a: Var| 0.5 * w.dot(a.dot(w));
    let estimate = jit(|w: Var, a: Var, z: Var| hutchinson(coupled, w, a, &z));
    let a = array([[3.0, 1.0, 0.5], [1.0, 2.0, -1.0], [0.5, -1.0, 4.0]]);
    let all: Vec<Vec<f64>> = (0..8)
        .map(|bits| {
            let z: [f64; 3] = std::array::from_fn(|i| if bits >> i & 1 == 1 { 1.0 } else { -1.0 });
            numbers(&estimate.call((&w, &a, &array(z))).unwrap())
        })
        .collect();
    assert!(distance(&all[1], &[3.0, 2.0, 4.0]) > 0.4);
    let mean: Vec<f64> = (0..3).map(|i| all.iter().map(|row| row[i]).sum::<f64>() / 8.0).collect();
    assert!(distance(&mean, &[3.0, 2.0, 4.0]) < 1e-15);
}

/// Lion against its formula over a few steps, and AdaHessian against Adam's with ĥ² for g².
#[test]
fn lion_and_adahessian_are_their_formulas() {
    let (w, update) = (array([1.0, 1.0]), lion(0.1, 0.2));
    let mut state = update.init(&w).unwrap();
    let mut m = [0.0, 0.0];
    for t in 0..6 {
        let g = [f64::from(t) - 2.25, 0.5 - f64::from(t) * f64::from(t) / 8.0];
        let (step, next) = update.update(&array(g), &state, &w).unwrap();
        let expected: Vec<f64> = (0..2).map(|i| -0.1 * ((0.9 * m[i] + 0.1 * g[i]).signum() + 0.2)).collect();
        assert!(distance(&numbers(&step), &expected) < 1e-15);
        m = std::array::from_fn(|i| 0.99 * m[i] + 0.01 * g[i]);
        state = next;
    }
    let update = adahessian(0.1);
    let mut state = update.init(&w).unwrap();
    let (mut m, mut v) = (0.0, 0.0);
    for t in 1..=6 {
        let (g, h) = (f64::from(t) - 2.25, 1.0 + f64::from(t) / 4.0);
        let (step, next) = update.update_with(&array([g, g]), &array([h, -h]), &state, &w).unwrap();
        (m, v) = (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * h * h);
        let unit = |beta: f64| 1.0 - beta.powi(t);
        let expected = -0.1 * (m / unit(0.9)) / ((v / unit(0.999)).sqrt() + 1e-8);
        // 1 - 0.999ᵗ loses three digits.
        assert!(distance(&numbers(&step), &[expected, expected]) < 1e-13);
        state = next;
    }
}

#[test]
fn sam_is_the_gradient_plus_a_hessian_product() {
    let loss =
        |w: Var, a: Var| (w.index(0, 0) * a).exp() + w.index(0, 0) * w.index(0, 1).sin() + (w * w * w).sum();
    let (w, a) = (array([0.7, -0.4]), array(0.5));
    let g = grad(loss).call((&w, &a)).unwrap();
    let norm = numbers(&g).iter().map(|g| g * g).sum::<f64>().sqrt();
    let hg = numbers(&hvp(loss).call((&w, &a), &g).unwrap());
    let off = |rho: f64, factor: f64| {
        let sam = jit(|w: Var, a: Var| sharpness_aware_gradient(loss, w, a, rho)).call((&w, &a)).unwrap();
        let expected: Vec<f64> =
            numbers(&g).iter().zip(&hg).map(|(g, hg)| g + factor * rho * hg / norm).collect();
        distance(&numbers(&sam), &expected)
    };
    // Half of ρ, a quarter of the error.
    let quotient = off(1e-3, 1.0) / off(5e-4, 1.0);
    assert!((quotient - 4.0).abs() < 0.02, "{quotient}");
    // With a wrong sign or without the norm it is half.
    for wrong in [-1.0, norm] {
        let quotient = off(1e-3, wrong) / off(5e-4, wrong);
        assert!((quotient - 2.0).abs() < 0.02, "{quotient}");
    }
    // On a quadratic there is no error; where the gradient is 0, there is no direction.
    let quadratic = |w: Var, h: Var| 0.5 * (h * w * w).sum();
    let sam = jit(|w: Var, h: Var| sharpness_aware_gradient(quadratic, w, h, 0.5));
    let found = numbers(&sam.call((&array([3.0, 2.0]), &array([1.0, 2.0]))).unwrap());
    assert!(distance(&found, &[3.0 + 0.5 * 3.0 / 5.0, 4.0 + 0.5 * 8.0 / 5.0]) < 1e-15);
    let zero: Array = sam.call((&array([0.0, 0.0]), &array([1.0, 2.0]))).unwrap();
    assert_eq!(zero, array([0.0, 0.0]));
}
