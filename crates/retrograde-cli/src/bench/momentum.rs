//! The gradient of a training run: least squares with 64 weights by momentum, a batch of 8 of 128 examples in a step, of the mean
//! squared error over all examples at the end, with respect to first weights and learning rate.
//!
//! `v ← γ v − η ∇`, `w ← w + v`. Velocities and weights stand on a lattice of 2⁻⁵⁷, and γ is a rational, so that a step is undone to
//! the bit for the log2(1/γ) bits of a weight that its contraction destroys. The same run in plain floats is measured beside it.
//!
//! Source: D. Maclaurin, D. Duvenaud, R. P. Adams, Gradient-based hyperparameter optimization through reversible learning,
//! ICML 2015, section 2.

use std::rc::Rc;

use retrograde::prelude::*;
use retrograde::rng::normal;

use super::Task;
use super::case::{Beside, Case, Problem};

/// γ, where nothing is said.
pub(super) const GAMMA: Contract = Contract { n: 9, d: 10 };

const WEIGHTS: usize = 64;
const BATCH: usize = 8;
const BATCHES: usize = 16;
/// Spread of the targets about what the best weights predict.
const NOISE: f64 = 0.1;
/// Of the learning rate, per 1 - γ: far from where the steps explode, curvatures being near 1.
const RATE: f64 = 0.1;
/// Finer than f64 for weights from 0.06 up, and far from its range.
const LATTICE: Lattice = Lattice { grid: 1.0 / (1_u64 << 57) as f64, range: 64.0 };

pub(super) const CASE: Case = Case {
    name: "momentum",
    about: "training by momentum on a lattice, by its first weights and learning rate",
    n_steps: 10_000,
    max_steps: usize::MAX,
    policy: Tape::Reverse,
    problem,
};

/// Examples: `[BATCHES, BATCH, WEIGHTS]` inputs of variance 1/`BATCH`, so that curvatures are near 1, and `[BATCHES, BATCH]` targets.
fn examples() -> (Array, Array) {
    let [of_inputs, of_truth, of_noise] = Key::from_seed(1).split(3)[..] else {
        unreachable!("three keys; this is a bug in retrograde")
    };
    let scale = (1.0 / BATCH as f64).sqrt();
    let numbers = |key: Key, n: usize| normal(key, [n]).to_vec::<f64>().unwrap_or_default();
    let inputs: Vec<f64> =
        numbers(of_inputs, BATCHES * BATCH * WEIGHTS).into_iter().map(|x| scale * x).collect();
    let (truth, noise) = (numbers(of_truth, WEIGHTS), numbers(of_noise, BATCHES * BATCH));
    let target =
        |(x, noise): (&[f64], f64)| NOISE * noise + x.iter().zip(&truth).map(|(x, w)| x * w).sum::<f64>();
    let targets: Vec<f64> = inputs.chunks(WEIGHTS).zip(noise).map(target).collect();
    let whole = "as many entries as there are; this is a bug in retrograde";
    (
        Array::new([BATCHES, BATCH, WEIGHTS], inputs).expect(whole),
        Array::new([BATCHES, BATCH], targets).expect(whole),
    )
}

/// The examples as constants of a program.
#[derive(Clone, Copy)]
struct Examples {
    inputs: Var,
    targets: Var,
}

impl Examples {
    /// The slope of half the mean squared error on batch number `batch`.
    fn slope(self, w: Var, batch: Var) -> Var {
        let (x, y) = (self.inputs.gather(0, batch), self.targets.gather(0, batch));
        (x.dot(w) - y).dot(x) * (1.0 / BATCH as f64)
    }
    /// The mean squared error.
    fn error(self, w: Var) -> Var {
        let miss = self.inputs.dot(w) - self.targets;
        (miss * miss).mean()
    }
}

/// Which batch comes in each step.
fn batches(n_steps: usize) -> Var {
    let step = iota(DType::I64, [n_steps], 0);
    step - step / BATCHES as i64 * BATCHES as i64
}

/// Weights and remainders at the end, on the lattice.
fn train(task: Task, (w, rate): (Var, Var), data: Examples) -> (Var, Var) {
    let (w, v) = (LATTICE.at(w), LATTICE.at(0.0 * w));
    let nothing: Vec<Var> = vec![];
    let start = (w, v, task.gamma.remainder(v));
    let ((w, _, rest), _) = scan_over().run(start, batches(task.n_steps), |(w, v, rest), batch| {
        let (v, rest) = v.contract(rest);
        let v = v - rate * data.slope(w.value(), batch);
        ((w + v.value(), v, rest), nothing)
    });
    (w.value(), rest.rest())
}

/// Weights at the end, in plain floats.
fn train_plainly(task: Task, (w, rate): (Var, Var), data: Examples) -> Var {
    let (gamma, nothing) = (f64::from(task.gamma.n) / f64::from(task.gamma.d), Vec::<Var>::new());
    let start = (w, 0.0 * w);
    let ((w, _), _) = scan_over().run(start, batches(task.n_steps), |(w, v), batch| {
        let v = gamma * v - rate * data.slope(w, batch);
        ((w + v, v), nothing)
    });
    w
}

fn problem(task: Task) -> Problem {
    let (inputs, targets) = examples();
    let data = move || Examples { inputs: constant(&inputs), targets: constant(&targets) };
    let data: Rc<dyn Fn() -> Examples> = Rc::new(data);
    let rate = RATE * f64::from(task.gamma.d - task.gamma.n) / f64::from(task.gamma.d);
    let start = vec![Array::zeros(DType::F64, [WEIGHTS]), array(rate)];
    let (examples, of_rest, of_plain) = (data.clone(), data.clone(), data);
    let loss = move |s: &[Var]| {
        let data = examples();
        data.error(train(task, (s[0], s[1]), data).0)
    };
    let beside = Beside {
        remainders: Some(Rc::new(move |s: &[Var]| train(task, (s[0], s[1]), of_rest()).1)),
        plain: Rc::new(move |s: &[Var]| {
            let data = of_plain();
            data.error(train_plainly(task, (s[0], s[1]), data))
        }),
    };
    let name = format!("momentum {}/{}", task.gamma.n, task.gamma.d);
    Problem { beside: Some(beside), ..Problem::new(name, start, WEIGHTS, loss) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Loss;
    use crate::bench::measure::gradient;
    use crate::bench::nbody;
    use crate::bench::reference::{bits, hex};
    use retrograde::prim::Value;

    /// Long enough for two spilled words of each remainder at γ = 0.9.
    const STEPS: usize = 500;

    fn training(policy: Tape) -> Task {
        Task { case: &CASE, bodies: nbody::BODIES, gamma: GAMMA, n_steps: STEPS, policy }
    }

    #[test]
    fn policies_agree_in_every_bit() {
        let store = bits(training(Tape::Store)).unwrap();
        for policy in [Checkpoint::Sqrt.into(), Tape::Reverse] {
            assert_eq!(bits(training(policy)).unwrap(), store, "{policy}");
        }
    }

    /// Training gets somewhere, and plain floats get to the same place.
    #[test]
    fn both_ways_train() {
        let Problem { start, loss, beside, .. } = training(Tape::Store).problem();
        let plain = beside.unwrap().plain;
        let at_start = jit({
            let data = examples();
            move |w: Var| Examples { inputs: constant(&data.0), targets: constant(&data.1) }.error(w)
        });
        let first = at_start.call(&start[0]).unwrap().item::<f64>().unwrap();
        let value =
            |loss: Rc<Loss>| jit(move |s: Vec<Var>| loss(&s)).call(&start).unwrap().item::<f64>().unwrap();
        let (on_lattice, in_floats) = (value(loss), value(plain));
        assert!(on_lattice < 0.05 * first, "{first} to {on_lattice}");
        assert!((on_lattice - in_floats).abs() < 1e-12, "{on_lattice} {in_floats}");
    }

    #[test]
    fn a_flipped_bit_of_the_stack_is_refused() {
        let problem = training(Tape::Reverse).problem();
        let door = gradient(&problem, Tape::Reverse);
        let (_, report, tape) = door.forward(&problem.start).unwrap();
        let (whole, counters) = door.backward(&problem.start, tape.clone()).unwrap();
        let n_bits = report.stack_bits();
        assert_eq!((n_bits, counters.inverse_steps), (2 * 32 * WEIGHTS, STEPS as u64));
        assert_eq!(hex(&whole), bits(training(Tape::Store)).unwrap());
        for flip in (0..n_bits).step_by(n_bits / 20) {
            let mut tape = tape.clone();
            for value in &mut tape {
                if let Value::Bits(bits) = value {
                    bits.flip(flip);
                }
            }
            assert!(door.backward(&problem.start, tape).is_err(), "bit {flip} of {n_bits}");
        }
    }
}
