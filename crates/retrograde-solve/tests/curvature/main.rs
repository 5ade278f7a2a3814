//! Products with second derivatives, estimates of them, and inverses, against dense matrices.

mod estimates;
mod inverse;
mod per_example;
mod products;
mod refusals;

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;

/// A network with one hidden layer: weights and biases.
type Network = (Var, Var, Var, Var);
type NetworkArrays = (Array, Array, Array, Array);
/// Features and class numbers.
type Batch = (Var, Var);

const FEATURES: usize = 3;
const HIDDEN: usize = 4;
const CLASSES: usize = 3;

fn network(seed: u64) -> NetworkArrays {
    let keys = Key::from_seed(seed).split(4);
    (
        normal(keys[0], [FEATURES, HIDDEN]),
        normal(keys[1], [HIDDEN]),
        normal(keys[2], [HIDDEN, CLASSES]),
        normal(keys[3], [CLASSES]),
    )
}

fn examples(seed: u64, n: usize) -> (Array, Array) {
    let labels: Vec<i64> = (0..n as i64).map(|i| (i * i + 1) % CLASSES as i64).collect();
    (normal(Key::from_seed(seed), [n, FEATURES]), Array::vector(labels))
}

fn logits((w, b, u, c): Network, (x, _): Batch) -> Var {
    let hidden = x.dot(w);
    let hidden = (hidden + b.spread(hidden.shape())).tanh();
    let out = hidden.dot(u);
    out + c.spread(out.shape())
}

/// Mean negative log-likelihood.
fn cross_entropy(logits: Var, (_, labels): Batch) -> Var {
    let hot = labels.one_hot(CLASSES, logits.dtype());
    (logits.logsumexp(&[1]) - (hot * logits).sum_axes(&[1])).mean()
}

fn loss(p: Network, batch: Batch) -> Var {
    cross_entropy(logits(p, batch), batch)
}

/// How many numbers a network has.
const SIZE: usize = FEATURES * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES;

fn flat(p: &NetworkArrays) -> Vec<f64> {
    [&p.0, &p.1, &p.2, &p.3].into_iter().flat_map(|leaf| leaf.to_vec::<f64>().unwrap()).collect()
}

fn unflat(flat: &[f64]) -> NetworkArrays {
    let (mut rest, mut leaves) = (flat, vec![]);
    for shape in [vec![FEATURES, HIDDEN], vec![HIDDEN], vec![HIDDEN, CLASSES], vec![CLASSES]] {
        let (own, after) = rest.split_at(shape.iter().product());
        leaves.push(Array::new(shape, own.to_vec()).unwrap());
        rest = after;
    }
    let [a, b, c, d] = leaves.try_into().unwrap();
    (a, b, c, d)
}

/// A network from one traced vector.
fn from_vector(p: Var) -> Network {
    let (a, b, c) = (FEATURES * HIDDEN, FEATURES * HIDDEN + HIDDEN, SIZE - CLASSES);
    (
        p.slice(0, 0..a).reshape([FEATURES, HIDDEN]),
        p.slice(0, a..b),
        p.slice(0, b..c).reshape([HIDDEN, CLASSES]),
        p.slice(0, c..SIZE),
    )
}

/// The columns that products with unit vectors give, as a matrix of rows.
fn matrix(product: &mut dyn FnMut(&NetworkArrays) -> NetworkArrays) -> Vec<Vec<f64>> {
    let unit = |i: usize| -> Vec<f64> { (0..SIZE).map(|j| f64::from(u8::from(i == j))).collect() };
    (0..SIZE).map(|i| flat(&product(&unflat(&unit(i))))).collect()
}

fn rows(a: &Array) -> Vec<Vec<f64>> {
    a.to_vec::<f64>().unwrap().chunks(a.shape()[a.rank() - 1]).map(<[f64]>::to_vec).collect()
}

/// The largest difference of two matrices, relative to the largest entry.
fn apart(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let largest = b.iter().flatten().fold(0.0_f64, |m, x| m.max(x.abs()));
    a.iter().flatten().zip(b.iter().flatten()).fold(0.0_f64, |m, (x, y)| m.max((x - y).abs())) / largest
}
