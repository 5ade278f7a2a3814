//! Solvers of linear systems against dense solutions, and what they refuse.

mod mistakes;
mod solutions;

use retrograde_array::ops::{self, DotDims};
use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, array};
use retrograde_core::trace::Error;

/// A product with a matrix.
fn times(a: &Array, v: &Array) -> Result<Array, Error> {
    Ok(ops::dot_general(a, v, &DotDims::matmul()))
}

/// Q diag(eigenvalues) Qᵀ with a random orthogonal Q.
fn symmetric(seed: u64, eigenvalues: &[f64]) -> Array {
    let n = eigenvalues.len();
    let [q, _] = ops::linalg::qr(&normal(Key::from_seed(seed), [n, n])).unwrap();
    let q = q.to_vec::<f64>().unwrap();
    let entry =
        |i: usize, j: usize| -> f64 { (0..n).map(|k| q[i * n + k] * eigenvalues[k] * q[j * n + k]).sum() };
    Array::new([n, n], (0..n * n).map(|k| entry(k / n, k % n)).collect::<Vec<f64>>()).unwrap()
}

fn vector(seed: u64, n: usize) -> Array {
    normal(Key::from_seed(seed), [n])
}

/// The dense solution.
fn dense(a: &Array, b: &Array) -> Array {
    let column = b.reshaped([b.size(), 1]).unwrap();
    ops::linalg::solve(a, &column, false).unwrap().reshaped([b.size()]).unwrap()
}

/// The largest difference, relative to the largest entry.
fn apart(a: &Array, b: &Array) -> f64 {
    let (a, b) = (a.to_vec::<f64>().unwrap(), b.to_vec::<f64>().unwrap());
    let largest = b.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    a.iter().zip(&b).fold(0.0_f64, |m, (x, y)| m.max((x - y).abs())) / largest
}

fn two() -> Array {
    array([1.0, 2.0])
}

fn length(v: &Array) -> f64 {
    v.to_vec::<f64>().unwrap().iter().map(|x| x * x).sum::<f64>().sqrt()
}
