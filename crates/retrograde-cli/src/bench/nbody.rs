//! The gradient of a long leapfrog simulation of a planetary disc.
//!
//! Drift–kick–drift with h = 0.01 and softened gravity, so that every policy applies. The gradient is with respect to first
//! positions, first velocities and masses, of Σ w·x + ½ Σ v² at the end.

use retrograde::arrays::map;
use retrograde::ode::problems::{planetary_disc, pull};
use retrograde::prelude::*;

use super::Task;
use super::case::{Case, Problem};

/// Bodies, where nothing is said.
pub(super) const BODIES: usize = 8;
pub(super) const STEP: f64 = 0.01;

pub(super) const CASE: Case = Case {
    name: "nbody",
    about: "leapfrog through a planetary disc, by its start and its masses",
    n_steps: 10_000,
    max_steps: usize::MAX,
    policy: Tape::Reverse,
    problem,
};

/// w[k,i] = cos(i + 3k), `[3, bodies]`.
pub(super) fn weights(bodies: usize) -> Array {
    let weights = (0..3 * bodies).map(|at| map::cos_f64((at % bodies + 3 * (at / bodies)) as f64)).collect();
    Array::new([3, bodies], weights).expect("3 n entries; this is a bug in retrograde")
}

fn problem(task: Task) -> Problem {
    let Task { bodies, n_steps, .. } = task;
    let disc = planetary_disc(bodies);
    let weights = weights(bodies);
    // Σ w·x + ½ Σ v² after the last step.
    let loss = move |s: &[Var]| {
        let (x, v, m) = (s[0], s[1], s[2]);
        let (x, v) = ode::leapfrog(|x: Var| pull(x, m)).step(STEP).run((x, v), n_steps).end();
        (x * &weights).sum() + 0.5 * (v * v).sum()
    };
    Problem::new(
        format!("nbody{bodies}"),
        vec![disc.positions, disc.velocities, disc.masses],
        6 * bodies,
        loss,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::gradient;
    use crate::bench::momentum;
    use crate::bench::reference::{bits, hex};
    use retrograde::prim::Value;

    fn disc(bodies: usize, n_steps: usize, policy: Tape) -> Task {
        Task { case: &CASE, bodies, gamma: momentum::GAMMA, n_steps, policy }
    }

    #[test]
    fn policies_agree_in_every_bit() {
        for n_steps in [1, 2, 10, 101] {
            let of = |policy| bits(disc(4, n_steps, policy)).unwrap();
            let store = of(Tape::Store);
            assert!(
                [Checkpoint::Sqrt.into(), Tape::Reverse].into_iter().all(|policy| of(policy) == store),
                "{n_steps} steps"
            );
        }
    }

    /// Every bit of the stack matters: with one flipped the run fails or the gradient is another.
    #[test]
    fn a_flipped_bit_of_the_stack_does_not_pass() {
        let Problem { start, .. } = disc(8, 300, Tape::Reverse).problem();
        let door = gradient(&disc(8, 300, Tape::Reverse).problem(), Tape::Reverse);
        let (_, report, tape) = door.forward(&start).unwrap();
        let (gradient, counters) = door.backward(&start, tape.clone()).unwrap();
        let n_bits = report.stack_bits();
        assert!(n_bits > 0 && counters.inverse_steps == 300);
        let mut n_failed = 0;
        let flips: Vec<usize> = (0..n_bits).step_by(n_bits.div_ceil(20)).collect();
        for &flip in &flips {
            let mut tape = tape.clone();
            for value in &mut tape {
                if let Value::Bits(bits) = value {
                    bits.flip(flip);
                }
            }
            match door.backward(&start, tape) {
                Ok((other, _)) => assert_ne!(hex(&other), hex(&gradient), "bit {flip} of {n_bits}"),
                Err(_) => n_failed += 1,
            }
        }
        assert_eq!(n_failed, flips.len());
    }
}
