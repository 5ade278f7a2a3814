//! D16: SVRG, SAGA, SAG, SARAH.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::estimate::variance_reduction::{controlled, sag, svrg_gradient};

use crate::{close, number};

const DATA: [f64; 5] = [1.0, -0.7, 2.2, 0.4, -1.9];
const N: usize = DATA.len();

fn loss(w: Var, x: Var) -> Var {
    (w * x).sin() + w * w * 0.3
}

fn slope(w: f64, i: usize) -> f64 {
    number(&grad(loss).call((&array(w), &array(DATA[i]))).unwrap())
}

fn mean(f: impl Fn(usize) -> f64) -> f64 {
    (0..N).map(f).sum::<f64>() / N as f64
}

#[test]
fn control_variates_have_the_bias_of_the_formula() {
    let (w, before) = (0.8, 0.5);
    // Gradients that were seen at five different points, and an estimate that is not the gradient.
    let table = [0.1, 0.6, 0.9, 0.2, 0.75];
    let seen: Vec<f64> = (0..N).map(|i| slope(table[i], i)).collect();
    let (full, full_before, average) = (mean(|i| slope(w, i)), mean(|i| slope(before, i)), mean(|i| seen[i]));
    let f = jit(|g: Var, old: Var, mean: Var| (controlled(&g, &old, &mean), sag(&g, &old, &mean, N)));
    let call = |g: f64, old: f64, mean: f64| f.call((&array(g), &array(old), &array(mean))).unwrap();
    let first = |(first, _): (Array, Array)| number(&first);
    let svrg = mean(|i| first(call(slope(w, i), slope(before, i), full_before)));
    let saga = mean(|i| first(call(slope(w, i), seen[i], average)));
    let sag = mean(|i| number(&call(slope(w, i), seen[i], average).1));
    let last = 1.234;
    let sarah = mean(|i| first(call(slope(w, i), slope(before, i), last)));
    close(svrg, full, 1e-15);
    close(saga, full, 1e-15);
    close(sag - full, (1.0 - 1.0 / N as f64) * (average - full), 1e-15);
    close(sarah - full, last - full_before, 1e-15);
    assert!((sag - full).abs() > 0.01 && (sarah - full).abs() > 0.01);
    // The mutation: the mean of the control forgotten.
    let forgotten = mean(|i| first(call(slope(w, i), slope(before, i), 0.0)));
    assert!((forgotten - full).abs() > 0.01);
}

#[test]
fn the_variance_is_predicted_and_ends_at_the_snapshot() {
    let at = |snapshot: f64| {
        svrg_gradient(Key::from_seed(51), loss, array(0.8), array(snapshot), array(DATA)).unwrap()
    };
    let check = at(0.7).check(2000).unwrap();
    assert!(check.power.unwrap() > 0.9, "{check:?}");
    let exact =
        mean(|i| (slope(0.8, i) - slope(0.5, i)).powi(2)) - mean(|i| slope(0.8, i) - slope(0.5, i)).powi(2);
    close(at(0.5).predicted_variance.unwrap(), exact, 1e-14);
    // The nearer the snapshot, the less: as the square of the distance.
    let ratio = at(0.79).predicted_variance.unwrap() / at(0.799).predicted_variance.unwrap();
    assert!((ratio / 100.0 - 1.0).abs() < 0.05, "{ratio}");
    let there = at(0.8);
    assert_eq!(there.predicted_variance, Some(0.0));
    assert!(there.check(50).unwrap().found_variance < 1e-30);
}
