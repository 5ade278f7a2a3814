//! D9: IWAE, VIMCO and the wake phase.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, stack};
use retrograde_engine::{grad, jit, value_and_grad};
use retrograde_tricks::estimate::distribution::{Bernoulli, Distribution, Normal};
use retrograde_tricks::estimate::importance::{importance_bound, vimco, wake};

use crate::{all_masks, close, message, numbers};

/// ln p(x, z) of a small model with two truth values.
fn log_joint(z: Var) -> Var {
    (z * &array([0.7, -0.4])).sum() - (z.index(0, 0) - z.index(0, 1) * 0.5 - 0.3).powi(2)
}

/// The mean of `f` of log-weights and ln q of K draws, over all of them, weighed with or without derivative.
fn mean_over(logits: Var, k: usize, exact: bool, f: impl Fn(Var, Var) -> Var) -> Var {
    let mut total = logits.index(0, 0) * 0.0;
    for mask in all_masks(2 * k) {
        let z: Vec<Array> = mask
            .chunks(2)
            .map(|z| array(z.iter().map(|&z| f64::from(u8::from(z))).collect::<Vec<_>>()))
            .collect();
        let log_q = z.iter().map(|z| Bernoulli { logits }.log_density(constant(z)).sum()).collect::<Vec<_>>();
        let log_w =
            z.iter().zip(&log_q).map(|(z, log_q)| log_joint(constant(z)) - *log_q).collect::<Vec<_>>();
        let (log_q, log_w) = (stack(&log_q), stack(&log_w));
        let p = log_q.sum().exp();
        total = total + if exact { p } else { p.stop_gradient() } * f(log_w, log_q);
    }
    total
}

#[test]
fn one_sample_is_the_variational_bound_and_vimco_has_no_bias() {
    // A variational autoencoder with one latent number: x = decode(z) + noise, z = μ(x) + σ ε.
    let weight = |parameters: Var, epsilon: Var| {
        let part = |i: usize| parameters.index(0, i);
        let q = Normal { mean: part(0), deviation: part(1).exp() };
        let z = q.at(epsilon);
        let (zero, one) = (z * 0.0, z * 0.0 + 1.0);
        let prior = Normal { mean: zero, deviation: one }.log_density(z);
        let likelihood = Normal { mean: part(2) * z.tanh(), deviation: one }.log_density(zero + 1.3);
        prior + likelihood - q.log_density(z)
    };
    let (x, epsilon) = (array([0.3, -0.5, 1.1]), array(0.83));
    let bound = value_and_grad(|x: Var, e: Var| weight(x, e)).call((&x, &epsilon)).unwrap();
    let one = value_and_grad(|x: Var, e: Var| importance_bound(stack(&[weight(x, e)])))
        .call((&x, &epsilon))
        .unwrap();
    assert!(bound.0.bits_eq(&one.0) && bound.1.bits_eq(&one.1));
    // More samples bound the evidence more closely, and VIMCO has the gradient of each bound.
    let logits = array([0.2, -0.9]);
    let mut last = f64::NEG_INFINITY;
    for k in [1, 2, 3] {
        let exact = value_and_grad(|logits: Var| mean_over(logits, k, true, |w, _| importance_bound(w)));
        let (value, exact) = exact.call(&logits).unwrap();
        assert!(value.item::<f64>().unwrap() > last);
        last = value.item::<f64>().unwrap();
        if k > 1 {
            let found = grad(|logits: Var| mean_over(logits, k, false, vimco)).call(&logits).unwrap();
            numbers(&found)
                .iter()
                .zip(numbers(&exact))
                .for_each(|(found, exact)| close(*found, exact, 1e-13));
        }
        // The mutation: the path alone, without the scores.
        let path = grad(|logits: Var| mean_over(logits, k, false, |w, _| importance_bound(w)));
        let path = path.call(&logits).unwrap();
        assert!(
            numbers(&path).iter().zip(numbers(&exact)).any(|(found, exact)| (found - exact).abs() > 0.01)
        );
    }
    let evidence: f64 = all_masks(2)
        .map(|z| {
            let z = array(z.iter().map(|&z| f64::from(u8::from(z))).collect::<Vec<_>>());
            jit(log_joint).call(&z).unwrap().item::<f64>().unwrap().exp()
        })
        .sum();
    assert!(last < evidence.ln());
}

#[test]
fn the_wake_phase_tends_to_the_posterior() {
    // −Σ p(z | x) ∇ ln q(z), by enumeration; the bias of self-normalised weights falls with their number.
    let logits = array([0.2, -0.9]);
    let exact = grad(|logits: Var| {
        let (mut total, mut evidence) = (logits.index(0, 0) * 0.0, logits.index(0, 0) * 0.0);
        for z in all_masks(2) {
            let z = constant(&array(z.iter().map(|&z| f64::from(u8::from(z))).collect::<Vec<_>>()));
            let joint = log_joint(z).exp();
            total = total - joint * Bernoulli { logits }.log_density(z).sum();
            evidence = evidence + joint;
        }
        total / evidence
    });
    let exact = numbers(&exact.call(&logits).unwrap());
    let bias = |k: usize| {
        let found = grad(|logits: Var| mean_over(logits, k, false, wake)).call(&logits).unwrap();
        numbers(&found).iter().zip(&exact).map(|(found, exact)| (found - exact).powi(2)).sum::<f64>().sqrt()
    };
    let biases = [bias(1), bias(2), bias(3), bias(4)];
    assert!(biases.windows(2).all(|pair| pair[1] < pair[0]), "{biases:?}");
    // With one sample all weights are 1, and E ∇ ln q = 0: the bias is the whole gradient.
    close(biases[0], exact.iter().map(|g| g * g).sum::<f64>().sqrt(), 1e-13);
}

#[test]
fn one_sample_leaves_nothing_to_compare_with() {
    let error = message(jit(|w: Var| vimco(w, w)).call(&array([1.0])));
    assert!(error.contains("vimco: found log-weights of type f64[1], expected at least two"), "{error}");
}
