//! Influence, error bars and hypergradients against closed forms, dense inverses and fits made again.

mod hypergradients;
mod influences;
mod mistakes;
mod posteriors;

use retrograde_array::ops::{self, Binary};
use retrograde_array::rng::{Key, normal, uniform};
use retrograde_array::{Array, array};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{grad, hvp};
use retrograde_solve::linear::cg;

/// Features `[n, d]`, labels 0 or 1 `[n]`, weights `[n]`.
type Batch = (Var, Var, Var);
type Arrays = (Array, Array, Array);

/// Mean over rows of weight times −ln p(label), a logistic model.
fn logistic(p: Var, (x, y, weight): Batch) -> Var {
    let o = x.dot(p);
    // ln(1 + eᵒ) − y o, with the larger part taken out of the exponential.
    let top = o.max(0.0);
    let loss = (o * y) * -1.0 + top + ((top * -1.0).exp() + (o - top).exp()).log();
    (weight * loss).mean()
}

const PENALTY: f64 = 0.05;

/// With the penalty.
fn penalised(p: Var, batch: Batch) -> Var {
    logistic(p, batch) + 0.5 * PENALTY * (p * p).sum()
}

/// A sample of a logistic model.
fn sample(seed: u64, n: usize, d: usize) -> Arrays {
    let keys = Key::from_seed(seed).split(3);
    let x = normal(keys[0], [n, d]);
    let truth = normal(keys[1], [d]);
    let o = numbers(&ops::dot_general(&x, &truth, &ops::DotDims::matmul()));
    let u = numbers(&uniform(keys[2], [n]));
    let y: Vec<f64> =
        o.iter().zip(u).map(|(o, u)| f64::from(u8::from(u < 1.0 / (1.0 + (-o).exp())))).collect();
    (x, array(y), array(vec![1.0; n]))
}

fn numbers(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().unwrap()
}

fn length(a: &Array) -> f64 {
    numbers(a).iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The minimum of the penalised loss to a gradient of 1e-12, by Newton's method.
fn fit(start: &Array, batch: &Arrays) -> Array {
    let (slope, curvature) = (grad(penalised), hvp(penalised));
    let mut p = start.clone();
    for _ in 0..50 {
        let g = slope.call((&p, batch)).unwrap();
        if length(&g) < 1e-12 {
            return p;
        }
        let step = cg(|v| curvature.call((&p, batch), v), &g).tolerance(1e-10).solve().unwrap().x;
        p = ops::binary(Binary::Sub, &p, &step).unwrap();
    }
    panic!("no minimum after 50 steps");
}

fn scaled(a: &Array, s: f64) -> Array {
    array(numbers(a).iter().map(|x| s * x).collect::<Vec<_>>()).reshaped(a.shape().clone()).unwrap()
}

/// A matrix from products.
fn dense(d: usize, times: &mut dyn FnMut(&Array) -> Result<Array, Error>) -> Array {
    let unit = |i: usize| array((0..d).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>());
    let rows: Vec<Array> = (0..d).map(|i| times(&unit(i)).unwrap()).collect();
    Array::stack(&rows).unwrap()
}

fn unit(d: usize, i: usize) -> Array {
    array((0..d).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>())
}

fn close(found: f64, expected: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * expected.abs().max(1e-300)
}
