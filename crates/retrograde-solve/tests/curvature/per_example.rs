//! Gradients and norms example by example are those of as many separate sweeps.

use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::window::{ConvConfig, conv};
use retrograde_engine::grad;
use retrograde_solve::curvature::{per_example_gradients, per_example_norms};

use super::*;

fn one(batch: &(Array, Array), row: usize) -> (Array, Array) {
    let alone = |leaf: &Array| {
        let row = leaf.row(row).compact();
        row.reshaped([&[1][..], &row.shape()[..]].concat()).unwrap()
    };
    (alone(&batch.0), alone(&batch.1))
}

#[test]
fn gradients_are_those_of_separate_tapes() {
    let (p, batch) = (network(1), examples(2, 6));
    let together = per_example_gradients(loss).call((&p, &batch)).unwrap();
    let norms = per_example_norms(loss).call((&p, &batch)).unwrap().to_vec::<f64>().unwrap();
    for (row, found_norm) in norms.into_iter().enumerate() {
        let alone = flat(&grad(loss).call((&p, &one(&batch, row))).unwrap());
        let of_row = |leaf: &Array| leaf.row(row).compact();
        let found =
            flat(&(of_row(&together.0), of_row(&together.1), of_row(&together.2), of_row(&together.3)));
        assert!(apart(&[found], std::slice::from_ref(&alone)) < 1e-14);
        let norm = alone.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((found_norm / norm - 1.0).abs() < 1e-13, "{found_norm} {norm}");
    }
}

/// Norms by ghosts and by gradients, of a model of one tree of weights.
fn agree<P, A>(
    loss: impl Fn(P, Batch) -> Var + Copy,
    p: &A,
    batch: &(Array, Array),
    leaves: impl Fn(&A) -> Vec<Array>,
) where
    P: retrograde_core::trace::function::Traceable<Arrays = A>,
{
    let gradients = leaves(&per_example_gradients(loss).call((p, batch)).unwrap());
    let norms = per_example_norms(loss).call((p, batch)).unwrap().to_vec::<f64>().unwrap();
    for (row, norm) in norms.iter().enumerate() {
        let square: f64 =
            gradients.iter().flat_map(|leaf| leaf.row(row).to_vec::<f64>().unwrap()).map(|x| x * x).sum();
        assert!((norm / square.sqrt() - 1.0).abs() < 1e-12, "{norm} {}", square.sqrt());
    }
}

#[test]
fn norms_of_convolutions_by_either_way_and_in_groups() {
    let n = 3;
    let x = normal(Key::from_seed(1), [n, 2, 5, 5]);
    let batch = (x, Array::zeros(DType::I64, [n]));
    // Many places and a small kernel; a place or two and a large kernel; strides, padding and groups.
    for (shape, config) in [
        (vec![3, 2, 2, 2], ConvConfig::default().padding(1)),
        (vec![40, 2, 4, 4], ConvConfig::default().strides(2)),
        (vec![4, 1, 3, 3], ConvConfig::default().groups(2)),
    ] {
        let kernel = normal(Key::from_seed(2), shape);
        let loss = |w: Var, (x, _): Batch| {
            let y = conv(x, w, &ConvConfig { ..config.clone() }).tanh();
            (y * y * y).sum() / x.shape()[0] as f64
        };
        agree(loss, &kernel, &batch, |w| vec![w.clone()]);
    }
}

#[test]
fn norms_of_rows_tied_weights_and_weights_inside_loops() {
    let n = 4;
    let w = normal(Key::from_seed(5), [3, 3]);
    // Sequences: few long rows, and many short ones.
    for (t, width) in [(2, 30), (40, 3)] {
        let x = normal(Key::from_seed(6), [n, t, 3]);
        let batch = (x, Array::zeros(DType::I64, [n]));
        let u = normal(Key::from_seed(7), [3, width]);
        let rows = |u: Var, (x, _): Batch| (x.dot(u).tanh().powi(3)).sum();
        agree(rows, &u, &batch, |u| vec![u.clone()]);
        // The weight on the left.
        let left = |u: Var, (x, _): Batch| {
            let [n, t] = [x.shape()[0], x.shape()[1]];
            (u.t().dot(x.reshape([n * t, 3]).t()).tanh().powi(3)).sum()
        };
        agree(left, &u, &batch, |u| vec![u.clone()]);
    }
    let x = normal(Key::from_seed(8), [n, 6, 3]);
    let batch = (x, Array::zeros(DType::I64, [n]));
    let tied = |w: Var, (x, _): Batch| (x.dot(w).tanh().dot(w).powi(2)).sum() + 0.1 * (w * w).sum();
    agree(tied, &w, &batch, |w| vec![w.clone()]);
    let looped = |w: Var, (x, _): Batch| {
        let start = x.index(1, 0) * 0.0;
        let steps = x.transpose(&[1, 0, 2]);
        scan_over().run(start, steps, |h: Var, x: Var| ((h.dot(w) + x).tanh(), h)).0.powi(2).sum()
    };
    agree(looped, &w, &batch, |w| vec![w.clone()]);
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let p = network(1);
    let empty = (Array::zeros(DType::F64, [0, FEATURES]), Array::zeros(DType::I64, [0]));
    let error = per_example_norms(loss).call((&p, &empty)).unwrap_err().to_string();
    assert!(
        error.contains(
            "found a batch of shapes [0,3], [0], expected a common leading axis of at least one row"
        ),
        "{error}"
    );
    assert!(error.contains("per_example.rs:"), "{error}");
    let uneven = (examples(1, 3).0, examples(1, 2).1);
    let error = per_example_norms(loss).call((&p, &uneven)).unwrap_err().to_string();
    assert!(error.contains("found a batch of shapes [3,3], [2]"), "{error}");
}
