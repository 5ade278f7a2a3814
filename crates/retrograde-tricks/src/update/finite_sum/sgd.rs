//! Stochastic gradient steps whose length falls like 1/t: `w ← w − η/(1 + γ t/n) ∇_B(w)`.
//!
//! Law: unbiased directions, a fixed point only as the steps vanish. Cost: one pass for n examples. The loop is compiled once in a run.
//! Source: Robbins & Monro 1951, A stochastic approximation method; the schedule of Bottou 2012, Stochastic gradient descent tricks.

use super::epochs::{self, Rule};
use super::memory::Remembered;
use super::run::Run;
use super::{FiniteSumError, Iteration, Method, check_positive};
use crate::catalogue::Source;
use retrograde_core::trace::Var;

/// The method.
///
/// ```
/// use retrograde_array::{array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Sgd};
/// let squared = |w: Var, x: Var| 0.5 * (w - x) * (w - x);
/// let problem = FiniteSum::of_loss(array(0.0), normal(Key::from_seed(1), [50]), squared)?.l2(0.1)?;
/// let sgd = Sgd { rate: 0.5, decay: 20.0, batch: 1 };
/// let found = problem.minimise(&sgd, Limits { passes: 50.0, ..Limits::default() })?;
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.item::<f64>().unwrap().abs() < 0.05);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sgd {
    /// η.
    pub rate: f64,
    /// γ: after 1/γ passes a step is half as long.
    pub decay: f64,
    /// b.
    pub batch: usize,
}

impl Default for Sgd {
    /// For losses with a curvature of one.
    fn default() -> Self {
        Sgd { rate: 1.0, decay: 1.0, batch: 8 }
    }
}

impl Rule for Sgd {
    fn n_memories(&self) -> usize {
        0
    }
    fn step(&self, w: Var, _: &[Var], slope: Var, t: Var, n: f64) -> (Var, Vec<Var>) {
        let passes = (t - 1.0) * (self.batch as f64 / n);
        (w - slope * (self.rate / (1.0 + self.decay * passes)), vec![])
    }
}

impl Method for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }
    fn cite(&self) -> &'static [Source] {
        &[Source {
            authors: "H. Robbins and S. Monro",
            title: "A stochastic approximation method",
            venue: "Annals of Mathematical Statistics 22(3)",
            year: 1951,
        }]
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        check_positive("rate", self.rate)?;
        epochs::begin(*self, self.batch, self.decay, run, memory)
    }
}
