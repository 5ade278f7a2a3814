//! Steps with the variance taken out by a snapshot: `w ← w − η(∇_B(w) − ∇_B(w̃) + ∇F(w̃))`.
//!
//! Law: unbiased, exactly: over all batches the direction has the mean ∇F(w); its variance goes to zero with w and w̃ → w*. Cost of an
//! epoch: one pass for the snapshot and m b/n for its steps. A step evaluates two gradients of its batch; it is counted as one,
//! which is what it costs where the snapshot's are scalars that may be kept, as those of linear predictors are. The loop is
//! compiled once in a run. Row in the catalogue: [`VARIANCE_REDUCTION`](crate::estimate::variance_reduction::VARIANCE_REDUCTION).

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
use super::traced::at_rows;
use super::{FiniteSumError, Iteration, Method, check_batch, check_positive};
use crate::catalogue::Source;
use crate::estimate::variance_reduction::VARIANCE_REDUCTION;

/// Where it comes from.
pub const CITE: &str = "R. Johnson, T. Zhang, Accelerating stochastic gradient descent using predictive variance reduction, NIPS 2013";

/// The method.
///
/// ```
/// use retrograde_array::{array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Svrg};
/// let squared = |w: Var, x: Var| 0.5 * (w - x) * (w - x);
/// let problem = FiniteSum::of_loss(array(0.0), normal(Key::from_seed(1), [50]), squared)?.l2(0.1)?;
/// let found = problem.minimise(&Svrg { rate: 0.2, ..Svrg::default() }, Limits { tolerance: 1e-12, ..Limits::default() })?;
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.item::<f64>().unwrap().abs() < 1e-5);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Svrg {
    /// η, at most one over the curvature of an example.
    pub rate: f64,
    /// m b as a part of n.
    pub epoch: f64,
    /// b.
    pub batch: usize,
}

impl Default for Svrg {
    /// Epochs of 2n, as in the article's §5; a rate of 0.1 is for losses with a curvature of one.
    fn default() -> Self {
        Svrg { rate: 0.1, epoch: 2.0, batch: 1 }
    }
}

type Loop = Jit<Box<dyn Fn(Vec<Var>, Vec<Var>, Var) -> Var>, (Vec<Var>, Vec<Var>, Var)>;

/// (start, snapshot, its gradient, η; data; batches) → the last iterate.
fn inner_loop(problem: &Problem) -> Loop {
    let (traced, l2) = (problem.traced(), problem.l2());
    jit(Box::new(move |state: Vec<Var>, data: Vec<Var>, batches: Var| {
        let [start, snapshot, slope, rate] = state[..] else {
            unreachable!("four values; this is a bug in retrograde")
        };
        let b = batches.shape()[1] as f64;
        let of_batch = |w: Var, x: Vec<Var>| traced.sum(w, x) / b;
        let step = |w: Var, batch: Var| {
            let rows = at_rows(&data, batch);
            let correction = grad(&of_batch).at((w, rows.clone())) - grad(&of_batch).at((snapshot, rows));
            (w - rate * (correction + l2 * (w - snapshot) + slope), Vec::<Var>::new())
        };
        scan_over().run(start, batches, step).0
    }))
}

fn run_inner(
    inner: &Loop,
    problem: &Problem,
    [start, snapshot, slope]: [&[f64]; 3],
    rate: f64,
    batches: &[Vec<usize>],
) -> Result<Vec<f64>, FiniteSumError> {
    let flat: Vec<usize> = batches.iter().flatten().copied().collect();
    let places: Array = positions(&flat).reshaped([batches.len(), batches[0].len()])?;
    let state = vec![vector(start), vector(snapshot), vector(slope), array(rate)];
    Ok(numbers(&inner.call((&state, problem.data(), &places))?))
}

/// A run; it remembers nothing but where it is.
struct State {
    settings: Svrg,
    inner: Loop,
    draws: Key,
}

impl Method for Svrg {
    fn name(&self) -> &'static str {
        "svrg"
    }
    fn cite(&self) -> &'static [Source] {
        VARIANCE_REDUCTION.cite
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        _: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        let problem = run.problem();
        check_batch("batch", self.batch, problem.n_examples())?;
        check_positive("rate", self.rate)?;
        check_positive("epoch", self.epoch)?;
        Ok(Box::new(State { settings: *self, inner: inner_loop(problem), draws: run.key(0) }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let Svrg { rate, epoch, batch } = self.settings;
        let problem = run.problem();
        let n = problem.n_examples();
        let n_steps = ((epoch * n as f64 / batch as f64) as usize).max(1);
        let w = run.w().to_vec();
        let (_, slope) = run.gradient(&w)?;
        if run.enough_by_gradient(&slope) {
            return Ok(Some(Stop::Tolerance));
        }
        let batches = batches(self.draws.fold_in(run.n_steps() as u64), n_steps, batch, n);
        let next = run_inner(&self.inner, problem, [&w, &w, &slope], rate, &batches)?;
        run.charge(n_steps * batch);
        run.moved(&next)
    }

    fn memory(&self) -> Memory {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::finite_sum::test_problem::logistic;

    #[test]
    fn the_mean_over_every_example_is_the_gradient() {
        let sum = logistic(12, 3, 0.05);
        let problem = sum.problem();
        let (snapshot, w) = ([0.1, -0.2, 0.3], [0.5, 0.4, -1.0]);
        let slope_of = |w: &[f64]| numbers(&sum.value_and_gradient(&vector(w)).unwrap().1);
        let (slope, expected) = (slope_of(&snapshot), slope_of(&w));
        let inner = inner_loop(problem);
        let direction = |from: &[f64], i: usize| -> Vec<f64> {
            let after = run_inner(&inner, problem, [from, &snapshot, &slope], 1.0, &[vec![i]]).unwrap();
            from.iter().zip(after).map(|(w, after)| w - after).collect()
        };
        let mut mean = [0.0; 3];
        let mut spread = 0.0_f64;
        for i in 0..12 {
            let found = direction(&w, i);
            mean.iter_mut().zip(&found).for_each(|(m, g)| *m += g / 12.0);
            spread = found.iter().zip(&expected).fold(spread, |a, (g, e)| a.max((g - e).abs()));
            // At the snapshot there is nothing to correct.
            let still = direction(&snapshot, i);
            assert!(still.iter().zip(&slope).all(|(g, e)| (g - e).abs() < 1e-15), "{still:?}");
        }
        let miss = mean.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(miss < 1e-14, "{miss:e}");
        assert!(spread > 1e-2); // single directions miss
        // Without the correction of the snapshot the mean misses too.
        assert!(slope.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-2));
    }
}
