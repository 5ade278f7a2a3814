//! The properties of updates. Each check that a mutation should break has one that does.

mod accumulate;
mod bad_input;
mod curvature;
mod learning;
mod map;
mod matrix;
mod momentum;
mod others;
mod sampling;
mod schedule;

use retrograde_array::Array;
use retrograde_core::trace::Var;
use retrograde_engine::grad;

/// The entries of an array in f64.
fn numbers(array: &Array) -> Vec<f64> {
    array.to_vec().unwrap()
}

/// An array of a shape.
fn shaped(shape: &[usize], values: Vec<f64>) -> Array {
    Array::new(shape.to_vec(), values).unwrap()
}

/// The largest difference of two lists.
#[track_caller]
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

/// Weight by rows, and bias.
type Parameters = (Array, Array);

/// The problem of `tools/optimisers.py`: parameters, and the loss with its gradient.
fn problem() -> (Parameters, impl Fn(&Parameters) -> Parameters) {
    let integers = |n: usize, m: usize, f: &dyn Fn(i64, i64) -> f64| {
        shaped(&[n, m], (0..n * m).map(|at| f((at / m) as i64, (at % m) as i64)).collect())
    };
    let x = integers(8, 4, &|i, j| ((7 * i + 3 * j) % 11 - 5) as f64 / 8.0);
    let y = integers(8, 3, &|i, k| ((5 * i + 2 * k) % 7 - 3) as f64 / 4.0);
    let w = integers(4, 3, &|j, k| ((j + 2 * k) % 5 - 2) as f64 / 4.0);
    let b = shaped(&[3], (1..=3).map(|k| 0.125 * f64::from(k)).collect());
    let data = (x, y);
    let loss = |(w, b): (Var, Var), (x, y): (Var, Var)| {
        let miss = x.dot(w) + b.broadcast(y.shape(), &[1]) - y;
        (miss * miss).sum() / 16.0
    };
    let slope = grad(loss);
    ((w, b), move |p: &Parameters| slope.call((p, &data)).unwrap())
}
