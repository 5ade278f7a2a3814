//! A training step of a small convolutional network: conv 3×3×32, pool, conv 3×3×64, pool, dense 10, ReLU between; images of 28 × 28, batch
//! 64, f32, cross-entropy, plain gradient descent.

use retrograde::Tree;
use retrograde::prelude::*;
use retrograde::tricks::primal::conv::Conv;

use super::workload::{TimedCase, Workload, dense_f32, filled, leaves, normal_f32, outline, whole_numbers};

pub(super) const CASE: TimedCase = TimedCase {
    name: "cnn",
    about: "a training step of a network of two convolutions on 64 images of 28 × 28",
    path: None,
    workload: |_, policy| Ok(workload([32, 64], 28, 64, policy)),
};

const CLASSES: usize = 10;

#[derive(Tree, Clone, Debug)]
struct Network<T> {
    first: Conv<T>,
    second: Conv<T>,
    head: Linear<T>,
}

impl Network<Var> {
    /// Logits of images `[n, 1, side, side]`.
    fn apply(&self, images: Var) -> Var {
        let pool = PoolConfig::new([2, 2]);
        let x = max_pool(self.first.apply(images).max(0.0), &pool);
        let x = max_pool(self.second.apply(x).max(0.0), &pool);
        let shape = x.shape();
        self.head.apply(x.reshape([shape[0], shape[1..].iter().product()]))
    }
}

/// Standard deviations of the kernels, as the peers begin.
const DEVIATIONS: [f64; 2] = [0.3, 0.06];

pub(super) fn workload(channels: [usize; 2], side: usize, batch: usize, policy: Tape) -> Workload {
    let keys = Key::from_seed(1).split(5);
    let [first, second] = channels;
    let conv = |key: Key, n_in: usize, n_out: usize, deviation: f64| Conv {
        kernel: normal_f32(key, &[n_out, n_in, 3, 3], deviation),
        bias: Array::zeros(DType::F32, [n_out]),
        config: ConvConfig::default().padding(1),
    };
    let network = Network {
        first: conv(keys[0], 1, first, DEVIATIONS[0]),
        second: conv(keys[1], first, second, DEVIATIONS[1]),
        head: dense_f32(keys[2], second * (side / 4) * (side / 4), CLASSES),
    };
    let images = normal_f32(keys[3], &[batch, 1, side, side], 1.0);
    let data = vec![images, whole_numbers(keys[4], &[batch], CLASSES as u64)];
    let (wrt, network) = (leaves(&network), outline(&network));
    let loss = move |wrt: &[Var], data: &[Var]| cross_entropy(filled(&network, wrt).apply(data[0]), data[1]);
    Workload::descent("cnn", wrt, data, policy, loss)
}
