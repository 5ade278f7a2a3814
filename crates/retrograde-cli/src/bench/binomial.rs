//! The gradient of a pendulum swinging for many steps, its states in a few slots: how many steps forward the schedule takes.
//!
//! Symplectic Euler with h = 0.01, of the last angle with respect to the first angle and velocity. At a million steps in 16 slots the
//! least possible is 7,918,425 steps forward.

use retrograde::prelude::*;

use super::Task;
use super::case::{Case, Problem};

const STEP: f64 = 0.01;

pub(super) const CASE: Case = Case {
    name: "binomial",
    about: "a pendulum with few states kept: steps forward against the least possible",
    n_steps: 100_000,
    max_steps: usize::MAX,
    policy: Tape::Checkpoint(Checkpoint::Slots(16)),
    problem,
};

fn problem(task: Task) -> Problem {
    let loss = move |s: &[Var]| {
        let pendulum = ode::symplectic_euler(|angle: Var| -angle.sin()).step(STEP);
        pendulum.run((s[0], s[1]), task.n_steps).end().0
    };
    Problem::new("binomial", vec![array(1.0), array(0.0)], 2, loss)
}
