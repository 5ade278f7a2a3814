//! A training step of a recurrent network: LSTM of 256 units over 64 steps of 256 inputs, a dense layer of 10 at the end, batch 32, f32,
//! cross-entropy, plain gradient descent.

use retrograde::Tree;
use retrograde::prelude::*;
use retrograde::tricks::primal::lstm::Lstm;

use super::workload::{TimedCase, Workload, dense_f32, filled, leaves, normal_f32, outline, whole_numbers};

pub(super) const CASE: TimedCase = TimedCase {
    name: "lstm",
    about: "a training step of an LSTM of 256 units through 64 steps on a batch of 32",
    path: None,
    workload: |_, policy| Ok(workload(256, 256, 64, 32, policy)),
};

const CLASSES: usize = 10;
/// Standard deviation of the recurrent weights, as the peers begin.
const DEVIATION: f64 = 0.06;

#[derive(Tree, Clone, Debug)]
struct Network<T> {
    recurrent: Lstm<T>,
    head: Linear<T>,
}

pub(super) fn workload(n_in: usize, hidden: usize, steps: usize, batch: usize, policy: Tape) -> Workload {
    let keys = Key::from_seed(1).split(5);
    let recurrent = Lstm {
        input: dense_f32(keys[0], n_in, 4 * hidden),
        recurrent: normal_f32(keys[1], &[hidden, 4 * hidden], DEVIATION),
        tape: None,
    };
    let network = Network { recurrent, head: dense_f32(keys[2], hidden, CLASSES) };
    let xs = normal_f32(keys[3], &[steps, batch, n_in], 1.0);
    let data = vec![xs, whole_numbers(keys[4], &[batch], CLASSES as u64)];
    let (wrt, network) = (leaves(&network), outline(&network));
    let loss = move |wrt: &[Var], data: &[Var]| {
        let network = filled(&network, wrt);
        let (_, (last, _)) = network.recurrent.apply(data[0]);
        cross_entropy(network.head.apply(last), data[1])
    };
    Workload::descent("lstm", wrt, data, policy, loss)
}
