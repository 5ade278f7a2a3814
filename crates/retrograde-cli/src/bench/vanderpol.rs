//! The gradient of Van der Pol's oscillator with μ = 5, RK4 with h = 0.001, of ½ |y|² at the end with respect to the start (2, 0).

use retrograde::ode::problems::van_der_pol;
use retrograde::prelude::*;

use super::Task;
use super::case::{Case, Problem};
use super::lorenz::STEP;

const MU: f64 = 5.0;

pub(super) const CASE: Case = Case {
    name: "vanderpol",
    about: "RK4 through Van der Pol's oscillator, by its start",
    n_steps: 10_000,
    max_steps: usize::MAX,
    policy: Tape::Checkpoint(Checkpoint::Sqrt),
    problem,
};

fn problem(task: Task) -> Problem {
    let loss = move |s: &[Var]| {
        let y = ode::rk4(van_der_pol(MU)).step(STEP).run(s[0], task.n_steps).end();
        0.5 * (y * y).sum()
    };
    Problem::new("vanderpol", vec![array([2.0, 0.0])], 2, loss)
}
