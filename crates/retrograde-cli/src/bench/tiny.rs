//! A training step of a tiny dense network: 2-16-16-1 with ReLU, one example, f32, squared error, plain gradient descent. What a call
//! costs besides arithmetic.

use retrograde::prelude::*;

use super::mlp::network;
use super::workload::{TimedCase, Workload, filled, leaves, normal_f32, outline};

pub(super) const CASE: TimedCase = TimedCase {
    name: "tiny",
    about: "a training step of a 2-16-16-1 network on one example",
    path: None,
    workload: |_, policy| Ok(workload(policy)),
};

pub(super) fn workload(policy: Tape) -> Workload {
    let keys = Key::from_seed(1).split(3);
    let network = network(keys[0], &[2, 16, 16, 1]);
    let data = vec![normal_f32(keys[1], &[1, 2], 1.0), normal_f32(keys[2], &[1, 1], 1.0)];
    let (wrt, network) = (leaves(&network), outline(&network));
    let loss = move |wrt: &[Var], data: &[Var]| {
        let miss = filled(&network, wrt).apply(data[0]) - data[1];
        (miss * miss).mean()
    };
    Workload::descent("tiny", wrt, data, policy, loss)
}
