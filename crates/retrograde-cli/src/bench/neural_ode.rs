//! The gradient of a neural ordinary differential equation: y' = tanh(y w₁ + b₁) w₂ + b₂ with 64-128-64 units on a batch of 32 (f32), RK4
//! with h = 0.01, of the mean square at the end with respect to parameters and start.
//!
//! Source: R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural ordinary differential equations, NeurIPS 2018.

use retrograde::arrays::ops;
use retrograde::prelude::*;
use retrograde::rng::normal;

use super::Task;
use super::case::{Case, Problem};

const UNITS: usize = 64;
const HIDDEN: usize = 128;
const BATCH: usize = 32;
const STEP: f64 = 0.01;

pub(super) const CASE: Case = Case {
    name: "neural-ode",
    about: "RK4 through a 64-128-64 tanh network on a batch of 32, by its parameters and start",
    n_steps: 100,
    max_steps: usize::MAX,
    policy: Tape::Checkpoint(Checkpoint::Sqrt),
    problem,
};

fn problem(task: Task) -> Problem {
    let [inner, outer, start] = Key::from_seed(1).split(3)[..] else {
        unreachable!("three keys; this is a bug in retrograde")
    };
    let inner = Linear::xavier(inner, UNITS, HIDDEN, DType::F32);
    let outer = Linear::xavier(outer, HIDDEN, UNITS, DType::F32);
    let start = ops::convert(&normal(start, [BATCH, UNITS]), DType::F32);
    let loss = move |s: &[Var]| {
        let inner = Linear { weight: s[0], bias: s[1] };
        let outer = Linear { weight: s[2], bias: s[3] };
        let field = |y: Var| {
            let hidden = inner.apply(y).tanh();
            outer.apply(hidden)
        };
        let y = ode::rk4(field).step(STEP).run(s[4], task.n_steps).end();
        (y * y).mean()
    };
    let start = vec![inner.weight, inner.bias, outer.weight, outer.bias, start];
    Problem::new("neural-ode", start, BATCH * UNITS, loss)
}
