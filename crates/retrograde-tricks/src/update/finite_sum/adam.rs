//! Steps scaled by running moments: `m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − ηₜ m̂/(√v̂ + ε)`, ηₜ = η/(1 + γ t/n).
//!
//! Law: inexact: the direction is not the gradient's. Cost: one pass for n examples. The loop is compiled once in a run.
//! Source: Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1 with its constants.

use super::epochs::{self, Rule};
use super::memory::Remembered;
use super::run::Run;
use super::{FiniteSumError, Iteration, Method, check_positive};
use crate::catalogue::Source;
use crate::update::adam::ADAPTIVE;
use retrograde_core::trace::Var;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The method.
///
/// ```
/// use retrograde_array::{array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{Adam, FiniteSum, Limits};
/// let squared = |w: Var, x: Var| 0.5 * (w - x) * (w - x);
/// let problem = FiniteSum::of_loss(array(3.0), normal(Key::from_seed(1), [50]), squared)?;
/// let found = problem.minimise(&Adam { rate: 0.1, decay: 0.1, batch: 10 }, Limits { passes: 100.0, ..Limits::default() })?;
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.item::<f64>().unwrap().abs() < 0.1);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// η.
    pub rate: f64,
    /// γ: after 1/γ passes a step is half as long.
    pub decay: f64,
    /// b.
    pub batch: usize,
}

impl Default for Adam {
    /// The article's rate.
    fn default() -> Self {
        Adam { rate: 1e-3, decay: 0.0, batch: 32 }
    }
}

impl Rule for Adam {
    fn n_memories(&self) -> usize {
        2
    }
    fn step(&self, w: Var, memories: &[Var], slope: Var, t: Var, n: f64) -> (Var, Vec<Var>) {
        let m = BETA1 * memories[0] + (1.0 - BETA1) * slope;
        let v = BETA2 * memories[1] + (1.0 - BETA2) * slope * slope;
        let passes = t * (self.batch as f64 / n);
        let rate = self.rate / (1.0 + self.decay * passes);
        let (m_hat, v_hat) = (m / (1.0 - (t * BETA1.ln()).exp()), v / (1.0 - (t * BETA2.ln()).exp()));
        (w - rate * (m_hat / (v_hat.sqrt() + EPSILON)), vec![m, v])
    }
}

impl Method for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }
    fn cite(&self) -> &'static [Source] {
        ADAPTIVE.cite
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
