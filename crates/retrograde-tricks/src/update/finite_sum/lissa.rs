//! LiSSA: Newton steps by the series of the inverse, one example for each factor.
//!
//! `xₖ₊₁ = xₖ + η(g − Ĥₖ xₖ)` with the whole gradient g and the product of one random example at each step; x_K is the step.
//! Law: inexact: E x_K = (I − (I − ηH)ᴷ) H⁻¹ g, exactly. Cost of a step: one pass and K/n. Five plain gradient steps first.
//! Source: Agarwal, Bullins, Hazan 2017, Second-order stochastic optimization for machine learning in linear time, with the
//! choices of its released program.

use retrograde_array::rng::Key;

use super::linear_recursion::batches;
use super::memory::{Memory, Remembered};
use super::preconditioner::LowRankInverse;
use super::problem::Recursion;
use super::run::{Run, Stop, vector};
use super::stochastic_newton::descends;
use super::vector::{add_scaled, difference, dot};
use super::{FiniteSumError, Iteration, Method, check_positive};
use crate::catalogue::Source;

/// Gradient steps before the first series.
const GRADIENT_STEPS: usize = 5;

/// The method.
///
/// ```
/// use retrograde_array::{array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Lissa};
/// let squared = |w: Var, x: Var| 0.5 * (w - x) * (w - x);
/// let problem = FiniteSum::of_loss(array(0.0), normal(Key::from_seed(1), [50]), squared)?.l2(0.1)?;
/// let found = problem.minimise(&Lissa { eta: 0.5, depth: 1.0 }, Limits { tolerance: 1e-12, ..Limits::default() })?;
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.item::<f64>().unwrap().abs() < 1e-5);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lissa {
    /// η, at most one over the curvature of an example.
    pub eta: f64,
    /// K as a part of n.
    pub depth: f64,
}

impl Default for Lissa {
    /// For losses with a curvature of one.
    fn default() -> Self {
        Lissa { eta: 1.0, depth: 1.0 }
    }
}

/// x_K along some examples.
fn series(
    run: &Run<'_>,
    w: &[f64],
    g: &[f64],
    eta: f64,
    examples: &[Vec<usize>],
) -> Result<Vec<f64>, FiniteSumError> {
    let identity = LowRankInverse::identity(w.len());
    let mut weights = vec![0.0; examples.len()];
    weights[examples.len() - 1] = 1.0;
    let steps = Recursion {
        batches: examples,
        weights,
        eta,
        beta: 0.0,
        base: identity.base,
        directions: &identity.directions,
        gains: &identity.gains,
    };
    run.problem().recursion(&vector(w), g, &steps)
}

/// A run; it remembers nothing but where it is.
struct State {
    settings: Lissa,
    draws: Key,
}

impl Method for Lissa {
    fn name(&self) -> &'static str {
        "lissa"
    }
    fn cite(&self) -> &'static [Source] {
        &[Source {
            authors: "N. Agarwal and B. Bullins and E. Hazan",
            title: "Second-order stochastic optimization for machine learning in linear time",
            venue: "Journal of Machine Learning Research 18(116)",
            year: 2017,
        }]
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        _: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        check_positive("eta", self.eta)?;
        check_positive("depth", self.depth)?;
        Ok(Box::new(State { settings: *self, draws: run.key(0) }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let Lissa { eta, depth } = self.settings;
        let n = run.problem().n_examples();
        let n_steps = ((depth * n as f64) as usize).max(1);
        let mut w = run.w().to_vec();
        let (_, g) = run.gradient(&w)?;
        if run.enough_by_gradient(&g) {
            return Ok(Some(Stop::Tolerance));
        }
        let step = run.n_steps();
        if step < GRADIENT_STEPS {
            // A curvature of one example bounds that of all.
            add_scaled(&mut w, -eta.min(1.0), &g);
        } else {
            let examples = batches(self.draws.fold_in(step as u64), n_steps, 1, n);
            let x = series(run, &w, &g, eta, &examples)?;
            run.charge(n_steps);
            if !descends(&g, &x) {
                return Ok(Some(if dot(&g, &g) == 0.0 { Stop::Tolerance } else { Stop::NoDescent }));
            }
            w = difference(&w, &x);
        }
        run.moved(&w)
    }

    fn memory(&self) -> Memory {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::finite_sum::problem::numbers;
    use crate::update::finite_sum::run::Limits;
    use crate::update::finite_sum::test_problem::logistic;

    #[test]
    fn the_mean_over_every_sequence_is_the_series_and_one_example_reused_is_not() {
        let (n, d, n_steps, eta) = (4, 2, 3, 1.5);
        let sum = logistic(n, d, 0.1);
        let problem = sum.problem();
        let (w, g) = ([0.3, -0.4], [1.0, -2.0]);
        let run = Run::new(problem, w.to_vec(), Limits::default()).unwrap();
        let mut mean = [0.0; 2];
        for code in 0..n.pow(n_steps) {
            let examples: Vec<Vec<usize>> = (0..n_steps).map(|k| vec![code / n.pow(k) % n]).collect();
            let x = series(&run, &w, &g, eta, &examples).unwrap();
            add_scaled(&mut mean, 1.0 / n.pow(n_steps) as f64, &x);
        }
        let mut reused = [0.0; 2];
        for i in 0..n {
            let x = series(&run, &w, &g, eta, &vec![vec![i]; n_steps as usize]).unwrap();
            add_scaled(&mut reused, 1.0 / n as f64, &x);
        }
        // The same recursion with the whole Hessian.
        let mut expected = vec![0.0; d];
        for _ in 0..n_steps {
            let bent = numbers(&problem.product(&vector(&w), problem.data(), &vector(&expected)).unwrap());
            let step: Vec<f64> = (0..d).map(|j| g[j] - bent[j] / n as f64 - 0.1 * expected[j]).collect();
            add_scaled(&mut expected, eta, &step);
        }
        let miss =
            |found: [f64; 2]| found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(miss(mean) < 1e-13, "{:e}", miss(mean));
        assert!(miss(reused) > 1e-3, "{:e}", miss(reused));
    }
}
