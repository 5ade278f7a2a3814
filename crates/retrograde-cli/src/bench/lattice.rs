//! The gradient of `nbody`, with positions and velocities on a lattice of 2⁻⁵⁷: whole numbers, so that nothing of a step is lost and
//! nothing is kept. The same simulation in plain floats is measured beside it.

use std::rc::Rc;

use retrograde::ode::problems::{planetary_disc, pull};
use retrograde::prelude::*;

use super::Task;
use super::case::{Beside, Case, Problem};
use super::nbody::{self, STEP};

/// More than a double holds of numbers from 1/16 up; the disc is far from 64.
const LATTICE: Lattice = Lattice { grid: 1.0 / (1_u64 << 57) as f64, range: 64.0 };

pub(super) const CASE: Case = Case {
    name: "lattice",
    about: "nbody on a lattice of 2^-57, by its start and its masses",
    n_steps: 10_000,
    max_steps: usize::MAX,
    policy: Tape::Reverse,
    problem,
};

fn problem(task: Task) -> Problem {
    let plain = Task { case: &nbody::CASE, ..task }.problem();
    let disc = planetary_disc(task.bodies);
    let weights = nbody::weights(task.bodies);
    let loss = move |s: &[Var]| {
        let (x, v, m) = (LATTICE.at(s[0]), LATTICE.at(s[1]), s[2]);
        let (x, v) = scan(task.n_steps).repeat((x, v), |(x, v)| {
            let x = x + 0.5 * STEP * v.value();
            let v = v + STEP * pull(x.value(), m);
            (x + 0.5 * STEP * v.value(), v)
        });
        (x.value() * &weights).sum() + 0.5 * (v.value() * v.value()).sum()
    };
    let start = vec![disc.positions, disc.velocities, disc.masses];
    let beside = Beside { remainders: None, plain: Rc::clone(&plain.loss) };
    let name = format!("lattice{}", task.bodies);
    Problem { beside: Some(beside), ..Problem::new(name, start, plain.n_values, loss) }
}
