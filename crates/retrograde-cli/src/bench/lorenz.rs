//! The gradient of Lorenz's convection, RK4 with h = 0.001, of ½ |y|² at the end with respect to the start (1, 1, 1).
//!
//! Chaotic and contracting: what running backwards without the lost bits cannot reconstruct.

use retrograde::ode::problems::lorenz63;
use retrograde::prelude::*;

use super::Task;
use super::case::{Case, Problem};

pub(super) const STEP: f64 = 1e-3;

pub(super) const CASE: Case = Case {
    name: "lorenz",
    about: "RK4 through Lorenz's chaotic convection, by its start",
    n_steps: 10_000,
    max_steps: usize::MAX,
    policy: Tape::Checkpoint(Checkpoint::Sqrt),
    problem,
};

fn problem(task: Task) -> Problem {
    let loss = move |s: &[Var]| {
        let y = ode::rk4(lorenz63).step(STEP).run(s[0], task.n_steps).end();
        0.5 * (y * y).sum()
    };
    Problem::new("lorenz", vec![array([1.0, 1.0, 1.0])], 3, loss)
}
