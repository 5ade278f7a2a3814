//! D13: sampled softmax, NCE, negative sampling, hierarchical softmax.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, jit};
use retrograde_tricks::estimate::sampled_softmax::{
    negative_sampling, negatives, noise_contrastive, sampled_softmax, tree_log_probability,
};
use retrograde_tricks::primal::softmax::softmax;

use crate::{close, message, number, numbers};

const CLASSES: usize = 6;
const LABEL: i64 = 2;

fn weights() -> Array {
    array([[0.3, -1.0], [1.2, 0.4], [-0.6, 0.9], [0.0, 0.8], [2.0, -0.3], [-1.1, -0.7]])
}

/// All sets of `n` of the other classes.
fn samples(n: usize) -> Vec<Vec<i64>> {
    let others: Vec<i64> = (0..CLASSES as i64).filter(|&class| class != LABEL).collect();
    let sets = (0..1_u32 << others.len()).filter(|bits| bits.count_ones() as usize == n);
    sets.map(|bits| (0..others.len()).filter(|i| bits >> i & 1 == 1).map(|i| others[i]).collect()).collect()
}

#[test]
fn sampled_losses_have_their_biases_and_their_minima() {
    let (w, h) = (weights(), array([0.9, -0.4]));
    let exact = grad(|w: Var, h: Var| {
        let scores = w.dot(h);
        scores.logsumexp(&[0]) - scores.index(0, LABEL as usize)
    });
    let exact = numbers(&exact.call((&w, &h)).unwrap());
    let sampled = grad(|w: Var, h: Var, set: Var| sampled_softmax(h, w, constant(&array(LABEL)), set));
    let bias = |n: usize| {
        let sets = samples(n);
        let mut mean = vec![0.0; 2 * CLASSES];
        for set in &sets {
            let slope = numbers(&sampled.call((&w, &h, &array(set.clone()))).unwrap());
            mean.iter_mut().zip(&slope).for_each(|(mean, g)| *mean += g / sets.len() as f64);
            // Rows that are neither label nor sample have no adjoint, to the bit.
            for class in (0..CLASSES as i64).filter(|class| *class != LABEL && !set.contains(class)) {
                assert!(slope[2 * class as usize..][..2].iter().all(|g| *g == 0.0));
            }
        }
        mean.iter().zip(&exact).map(|(mean, exact)| (mean - exact).powi(2)).sum::<f64>().sqrt()
    };
    let biases: Vec<f64> = (1..CLASSES).map(bias).collect();
    assert!(biases.windows(2).all(|pair| pair[1] < pair[0]) && biases[0] > 0.05, "{biases:?}");
    assert!(biases[CLASSES - 2] < 1e-14, "{biases:?}");

    // NCE is stationary at s = ln p, negative sampling at s = ln p/(k q), for data of p and noise of q.
    let (p, q, k) = ([0.5, 0.2, 0.3], [0.25, 0.25, 0.5], 4);
    let mean_slope = |scores: [f64; 3], contrastive: bool| {
        let mean_loss = grad(|s: Var| {
            let log_q = constant(&array(q.map(f64::ln)));
            let loss = |own: Var, others: Var, class: usize| {
                let log_q = log_q.index(0, class);
                if contrastive {
                    noise_contrastive(own, others, log_q, log_q.spread([k]))
                } else {
                    negative_sampling(own, others)
                }
            };
            let mut total = s.index(0, 0) * 0.0;
            for class in 0..3 {
                // The class as the datum with probability p, and as each of k draws of noise with probability q.
                let score = s.index(0, class);
                let fixed = score.stop_gradient();
                total = total + loss(score, fixed.spread([k]), class) * p[class];
                total = total + loss(fixed, score.spread([k]), class) * q[class];
            }
            total
        });
        numbers(&mean_loss.call(&array(scores)).unwrap())
    };
    let at = |class: usize| (p[class], k as f64 * q[class]);
    let contrastive = mean_slope([0, 1, 2].map(|class| at(class).0.ln()), true);
    let negative = mean_slope([0, 1, 2].map(|class| (at(class).0 / at(class).1).ln()), false);
    contrastive.iter().chain(&negative).for_each(|slope| close(*slope, 0.0, 1e-15));
    // The mutation: without the correction for the noise, ln p is no minimum.
    let wrong = mean_slope([0, 1, 2].map(|class| at(class).0.ln()), false);
    assert!(wrong.iter().any(|slope| slope.abs() > 0.05));

    // A tree is a distribution, for any number of leaves.
    for n in [2, 3, 5, 8, 13] {
        let nodes: Vec<f64> = (0..2 * (n - 1)).map(|i| (i as f64 * 1.7).sin() * 2.0).collect();
        let nodes = Array::new([n - 1, 2], nodes).unwrap();
        let f = jit(|h: Var, nodes: Var, label: Var| tree_log_probability(h, nodes, label).exp());
        let total: f64 =
            (0..n as i64).map(|label| number(&f.call((&h, &nodes, &array(label))).unwrap())).sum();
        close(total, 1.0, 1e-14);
    }
}

#[test]
fn a_tree_touches_the_nodes_of_its_path_only() {
    let nodes = Array::new([7, 2], (0..14).map(f64::from).collect()).unwrap();
    let slope = grad(|nodes: Var, h: Var| tree_log_probability(h, nodes, constant(&array(3_i64))));
    let slope = numbers(&slope.call((&nodes, &array([0.1, 0.2]))).unwrap());
    // Class 3 of 8 is place 10: nodes 4, 1 and 0.
    let touched: Vec<usize> = (0..7).filter(|i| slope[2 * i] != 0.0).collect();
    assert_eq!(touched, [0, 1, 4]);
}

#[test]
fn sampled_negatives_are_the_others() {
    let f = jit(|key: Var, label: Var| negatives(key, CLASSES, label, 3));
    for (key, label) in Key::from_seed(71).split(60).into_iter().zip((0..6).cycle()) {
        let mut set = f.call((&key.to_array(), &array(label))).unwrap().to_vec::<i64>().unwrap();
        set.sort();
        set.dedup();
        assert!(
            set.len() == 3 && set.iter().all(|class| (0..6).contains(class) && *class != label),
            "{set:?}"
        );
    }
    let error = message(
        jit(|key: Var, label: Var| negatives(key, CLASSES, label, 6))
            .call((&Key::from_seed(1).to_array(), &array(0_i64))),
    );
    assert!(error.contains("negatives: found 6 of 6 classes, expected at most all others"), "{error}");
    // The gradient of the full softmax needs no sample: softmax − one-hot.
    let scores = jit(|s: Var| softmax(s, 0)).call(&array([0.0, 0.0])).unwrap();
    assert_eq!(numbers(&scores), [0.5, 0.5]);
}
