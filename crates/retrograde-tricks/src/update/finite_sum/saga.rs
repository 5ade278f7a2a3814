//! Steps with the variance taken out by a table of each example's last gradient: `w ← (w − η(gᵢ(w) − tableᵢ + mean))/(1 + ηλ)`.
//!
//! Law: unbiased, exactly, for the part without the penalty, which is taken implicitly. Cost: one pass for the table, then one for n
//! steps; memory of n d numbers. The row of the catalogue is that of
//! [`VARIANCE_REDUCTION`](crate::estimate::variance_reduction::VARIANCE_REDUCTION). The loop is compiled once in a run.
//! Source: Defazio, Bach, Lacoste-Julien 2014, SAGA: a fast incremental gradient method with support for non-strongly convex
//! composite objectives.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::door::{Jit, grad};
use retrograde_engine::jit;

use super::linear_recursion::batches;
use super::memory::{Memory, Remembered};
use super::problem::{Problem, numbers, positions};
use super::run::{Run, Stop, vector};
use super::traced::{at_rows, row_start};
use super::vector::add_scaled;
use super::{FiniteSumError, Iteration, Method, check_positive};
use crate::catalogue::Source;
use crate::estimate::variance_reduction::VARIANCE_REDUCTION;

/// The method.
///
/// ```
/// use retrograde_array::{array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Saga};
/// let squared = |w: Var, x: Var| 0.5 * (w - x) * (w - x);
/// let problem = FiniteSum::of_loss(array(0.0), normal(Key::from_seed(1), [50]), squared)?.l2(0.1)?;
/// let found = problem.minimise(&Saga { rate: 0.3 }, Limits { tolerance: 0.0, passes: 60.0, ..Limits::default() })?;
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.item::<f64>().unwrap().abs() < 1e-5);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Saga {
    /// η, a third of one over the curvature of an example for the rate that is proved.
    pub rate: f64,
}

impl Default for Saga {
    /// A third, for losses with a curvature of one.
    fn default() -> Self {
        Saga { rate: 1.0 / 3.0 }
    }
}

type Loop = Jit<Box<dyn Fn(Vec<Var>, Vec<Var>, Var) -> Vec<Var>>, (Vec<Var>, Vec<Var>, Var)>;

/// (w, table, its mean, η; data; examples) → (w, table, mean, η).
fn inner_loop(problem: &Problem) -> Loop {
    let (traced, l2, n) = (problem.traced(), problem.l2(), problem.n_examples() as f64);
    jit(Box::new(move |state: Vec<Var>, data: Vec<Var>, examples: Var| {
        let rate = state[3];
        let step = |(w, table, mean): (Var, Var, Var), i: Var| {
            let rows = at_rows(&data, i.reshape([1]));
            let slope = grad(|w: Var, x: Vec<Var>| traced.sum(w, x)).at((w, rows));
            let change = slope - table.gather(0, i);
            let next = (w - rate * (change + mean)) / (1.0 + rate * l2);
            let row = slope.reshape([1, slope.shape().size()]);
            ((next, table.dynamic_update(row, row_start(i)), mean + change / n), Vec::<Var>::new())
        };
        let (w, table, mean) = scan_over().run((state[0], state[1], state[2]), examples, step).0;
        vec![w, table, mean, rate]
    }))
}

/// The table of every example's gradient at w, and its mean.
fn table_at(problem: &Problem, w: &[f64]) -> Result<(Array, Vec<f64>), FiniteSumError> {
    let table = problem.gradients(&vector(w), problem.data())?;
    let (n, d) = (problem.n_examples() as f64, problem.n_parameters());
    let mut mean = vec![0.0; d];
    numbers(&table).chunks(d).for_each(|row| add_scaled(&mut mean, 1.0 / n, row));
    Ok((table, mean))
}

/// A run between two steps.
struct State {
    rate: f64,
    inner: Loop,
    draws: Key,
    /// `[n, d]`, each example's gradient when it was last seen.
    table: Array,
    /// The mean of the table.
    mean: Array,
}

impl Method for Saga {
    fn name(&self) -> &'static str {
        "saga"
    }
    fn cite(&self) -> &'static [Source] {
        VARIANCE_REDUCTION.cite
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        let problem = run.problem();
        let (n, d) = (problem.n_examples(), problem.n_parameters());
        check_positive("rate", self.rate)?;
        let (table, mean) = match memory {
            Some(memory) => (memory.matrix("table", Some(n), Some(d))?, memory.list("mean", d)?),
            None => {
                run.charge(n);
                table_at(problem, run.w())?
            }
        };
        let (inner, draws) = (inner_loop(problem), run.key(0));
        Ok(Box::new(State { rate: self.rate, inner, draws, table, mean: vector(&mean) }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let problem = run.problem();
        let n = problem.n_examples();
        let key = self.draws.fold_in(run.n_steps() as u64);
        let order: Vec<usize> = batches(key, n, 1, n).into_iter().flatten().collect();
        // The loop may write into the table's memory: nobody else holds it.
        let table = std::mem::replace(&mut self.table, array(0.0));
        let state = vec![vector(run.w()), table, self.mean.clone(), array(self.rate)];
        let after = self.inner.call_donating((state, problem.data().clone(), positions(&order)))?;
        run.charge(n);
        let w = numbers(&after[0]);
        (self.table, self.mean) = (after[1].clone(), after[2].clone());
        drop(after);
        if let Some(stop) = run.moved(&w)? {
            return Ok(Some(stop));
        }
        // The mean of the table is the gradient of the loss, as far as it is up to date.
        let mut slope = numbers(&self.mean);
        add_scaled(&mut slope, problem.l2(), &w);
        Ok(run.enough_by_gradient(&slope).then_some(Stop::Tolerance))
    }

    fn memory(&self) -> Memory {
        vec![("table".into(), self.table.clone()), ("mean".into(), self.mean.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::finite_sum::test_problem::logistic;

    #[test]
    fn the_mean_over_every_example_of_a_table_is_the_gradient_and_the_table_follows() {
        let sum = logistic(9, 3, 0.0);
        let problem = sum.problem();
        let (w0, w) = ([0.1, -0.2, 0.3], [0.5, 0.4, -1.0]);
        let (table, mean) = table_at(problem, &w0).unwrap();
        let expected = numbers(&sum.value_and_gradient(&vector(&w)).unwrap().1);
        let inner = inner_loop(problem);
        let mut found = [0.0; 3];
        for i in 0..9_i64 {
            let state = vec![vector(&w), table.clone(), vector(&mean), array(1.0)];
            let after = inner.call((&state, problem.data(), &array([i]))).unwrap();
            let next = numbers(&after[0]);
            found.iter_mut().enumerate().for_each(|(j, g)| *g += (w[j] - next[j]) / 9.0);
            // The running mean is that of the table.
            let now = numbers(&after[1]);
            let of_table: f64 = now.iter().step_by(3).sum::<f64>() / 9.0;
            assert!((of_table - numbers(&after[2])[0]).abs() < 1e-15);
            assert_eq!(now.iter().zip(numbers(&table)).filter(|(a, b)| *a != b).count(), 3); // one row
        }
        let miss = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(miss < 1e-14, "{miss:e}");
        // SAG, which divides the correction by n, is biased: the check would notice.
        assert!(mean.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-2));
    }
}
