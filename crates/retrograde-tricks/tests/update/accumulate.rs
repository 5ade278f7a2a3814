//! Many small batches for one step.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::update::accumulate::{accumulate, accumulated_gradient, tree_sum};
use retrograde_tricks::update::adam::adam;

use crate::{distance, numbers, shaped};

fn loss(w: Var, x: Var) -> Var {
    let z = x.dot(w).tanh();
    (z * z * z + z).mean()
}

#[test]
fn accumulation_is_one_batch() {
    let x = normal(Key::from_seed(5), [64, 3]);
    let w = array([0.3, -0.8, 0.5]);
    let whole = numbers(&grad(loss).call((&w, &x)).unwrap());
    let accumulated = jit(|w: Var, x: Var| accumulated_gradient(loss, w, x));
    let of = |values: &[f64], k: usize| {
        let batches = shaped(&[k, values.len() / 3 / k, 3], values.to_vec());
        numbers(&accumulated.call((&w, &batches)).unwrap())
    };
    let all = numbers(&x);
    for k in [1, 2, 8, 64] {
        let off = distance(&of(&all, k), &whole);
        assert!(off < 1e-15, "{k} batches: {off:e}");
    }
    // 8 batches on one machine, and on 2 and 4 whose results are added in the same tree: the same bits.
    let one = of(&all, 8);
    for n_machines in [2, 4] {
        let parts: Vec<Vec<f64>> =
            all.chunks(all.len() / n_machines).map(|part| of(part, 8 / n_machines)).collect();
        let stacked = shaped(&[n_machines, 3], parts.concat());
        let total = numbers(&jit(tree_sum).call(&stacked).unwrap());
        let mean: Vec<f64> = total.iter().map(|sum| sum / n_machines as f64).collect();
        assert_eq!(
            mean.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            one.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        );
    }
    // A sum from left to right has other bits, so that the tree is what is tested.
    let grads: Vec<Vec<f64>> = all.chunks(24).map(|part| of(part, 1)).collect();
    let in_line: Vec<f64> = (0..3).map(|i| grads.iter().fold(0.0, |sum, g| sum + g[i]) / 8.0).collect();
    assert_ne!(in_line, one);
}

/// Gradients that come one after the other: steps of the update with their mean, nothing in between, and it remembers steps, not gradients.
#[test]
fn k_gradients_make_a_step() {
    let (p, slopes): (Array, Vec<Array>) =
        (array([1.0, 2.0]), (0..6).map(|i| normal(Key::from_seed(i), [2])).collect());
    let (update, plain) = (accumulate(3, adam(0.1)), adam(0.1));
    let (mut w, mut state) = (p.clone(), update.init(&p).unwrap());
    let (mut v, mut plain_state) = (p.clone(), plain.init(&p).unwrap());
    for part in slopes.chunks(3) {
        for (i, g) in part.iter().enumerate() {
            let before = w.clone();
            (w, state) = update.step(g, state, w).unwrap();
            assert_eq!(i < 2, w == before);
        }
        let mean: Vec<f64> = (0..2).map(|j| part.iter().map(|g| numbers(g)[j]).sum::<f64>() / 3.0).collect();
        (v, plain_state) = plain.step(&array([mean[0], mean[1]]), plain_state, v).unwrap();
        assert!(distance(&numbers(&w), &numbers(&v)) < 1e-15);
    }
    assert_eq!(plain_state.number("count"), Some(&array(2_i64)));
    assert_eq!(state.parts[0].number("count"), Some(&array(2_i64)));
}
