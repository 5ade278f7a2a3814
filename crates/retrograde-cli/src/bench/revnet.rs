//! The gradient of a reversible residual network, one block a step: halves of 32, a batch of 32 (f32), of the mean square at the
//! end with respect to all parameters.

use retrograde::arrays::ops;
use retrograde::prelude::*;
use retrograde::rng::normal;
use retrograde::tree;
use retrograde::tricks::primal::reversible::RevNet;

use super::Task;
use super::case::{Case, Problem};

const WIDTH: usize = 32;
const BATCH: usize = 32;

pub(super) const CASE: Case = Case {
    name: "revnet",
    about: "a reversible residual network of N blocks, by its parameters",
    n_steps: 1000,
    // The parameters alone take 17 kB a block.
    max_steps: 20_000,
    policy: Tape::Reverse,
    problem,
};

fn problem(task: Task) -> Problem {
    let [parameters, start] = Key::from_seed(1).split(2)[..] else {
        unreachable!("two keys; this is a bug in retrograde")
    };
    let network = RevNet::xavier(parameters, task.n_steps, WIDTH, WIDTH, DType::F32);
    let start = ops::convert(&normal(start, [2, BATCH, WIDTH]), DType::F32);
    let leaves = tree::leaves(&network).into_iter().map(|(_, leaf)| leaf).collect();
    let loss = move |s: &[Var]| {
        let mut next = s.iter();
        let network =
            network.map(&mut |_| *next.next().expect("as many as leaves; this is a bug in retrograde"));
        let halves = constant(&start);
        let (y1, y2) = network.apply((halves.index(0, 0), halves.index(0, 1)));
        (y1 * y1).mean() + (y2 * y2).mean()
    };
    Problem::new("revnet", leaves, 2 * BATCH * WIDTH, loss)
}
