//! A training step of a dense network: 784-512-512-10 with ReLU, batch 128, f32, cross-entropy, plain gradient descent.

use retrograde::prelude::*;

use super::workload::{TimedCase, Workload, dense_f32, filled, leaves, normal_f32, outline, whole_numbers};

pub(super) const SIZES: [usize; 4] = [784, 512, 512, 10];
pub(super) const BATCH: usize = 128;

pub(super) const CASE: TimedCase = TimedCase {
    name: "mlp",
    about: "a training step of a 784-512-512-10 network on a batch of 128",
    path: None,
    workload: |_, policy| Ok(workload(&SIZES, BATCH, policy)),
};

/// A network of these sizes.
pub(super) fn network(key: Key, sizes: &[usize]) -> Mlp<Array> {
    let keys = key.split(sizes.len());
    let mut layers: Vec<Linear<Array>> =
        sizes.windows(2).zip(keys).map(|(size, key)| dense_f32(key, size[0], size[1])).collect();
    let head = layers.pop().expect("a network has a layer; this is a bug in retrograde");
    Mlp { hidden: layers, head, activation: Activation::Relu }
}

/// Random rows and their classes.
pub(super) fn rows(key: Key, sizes: &[usize], batch: usize) -> Vec<Array> {
    let keys = key.split(2);
    let (n_in, n_out) = (sizes[0], sizes[sizes.len() - 1]);
    vec![normal_f32(keys[0], &[batch, n_in], 1.0), whole_numbers(keys[1], &[batch], n_out as u64)]
}

/// The mean cross-entropy of the rows, which are the first two arrays of the data.
pub(super) fn loss(network: &Mlp<Array>) -> impl Fn(&[Var], &[Var]) -> Var + use<> {
    let network = outline(network);
    move |wrt, data| cross_entropy(filled(&network, wrt).apply(data[0]), data[1])
}

pub(super) fn workload(sizes: &[usize], batch: usize, policy: Tape) -> Workload {
    let keys = Key::from_seed(1).split(2);
    let network = network(keys[0], sizes);
    Workload::descent("mlp", leaves(&network), rows(keys[1], sizes, batch), policy, loss(&network))
}
