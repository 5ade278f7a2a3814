//! A method at work: where it is, and what it has spent.

use retrograde_array::{Array, rng::Key};

use super::FiniteSumError;
use super::memory::Remembered;
use super::problem::{Examples, Problem};
use super::vector::{add_scaled, dot};

/// When a run ends, and what its draws depend on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// How many passes over the data it may spend: gradients of n examples, a product counted as a gradient.
    pub passes: f64,
    /// It ends once its own estimate of F(w) − min F is at most this: Newton's decrement ½ g·x where the method has a step x,
    /// |g|²/2λ, which is never too small, where it has the whole gradient alone. 0: it goes on.
    pub tolerance: f64,
    /// Of all draws.
    pub seed: u64,
}

impl Default for Limits {
    /// 100 passes, a tolerance of 1e-9, seed 0.
    fn default() -> Self {
        Limits { passes: 100.0, tolerance: 1e-9, seed: 0 }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The estimate of what is left fell below the tolerance.
    Tolerance,
    /// The passes were spent.
    Passes,
    /// The observer said so.
    Observer,
    /// No step makes the loss smaller: what is left is rounding, or F is not bounded below along the step.
    NoDescent,
}

/// Where a run is after a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress<'a> {
    /// Steps taken; one pass or so of those that go example by example.
    pub n_steps: usize,
    /// Passes spent.
    pub passes: f64,
    /// The parameters, in the order of their leaves; [`FiniteSum::tree`](super::FiniteSum::tree) gives their tree.
    pub w: &'a [f64],
}

/// What a run found.
#[derive(Clone, PartialEq, Debug)]
pub struct Minimum<T> {
    /// The parameters.
    pub parameters: T,
    /// Passes spent.
    pub passes: f64,
    /// Steps taken.
    pub n_steps: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// A run of a method on a problem.
#[derive(Debug)]
pub struct Run<'a> {
    problem: &'a Problem,
    w: Vec<f64>,
    limits: Limits,
    /// In gradients of an example.
    spent: usize,
    n_steps: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(problem: &'a Problem, w: Vec<f64>, limits: Limits) -> Result<Self, FiniteSumError> {
        Run::resumed(problem, w, limits, 0, 0)
    }
    /// Where it was after some steps.
    pub(super) fn resumed(
        problem: &'a Problem,
        w: Vec<f64>,
        limits: Limits,
        spent: usize,
        n_steps: usize,
    ) -> Result<Self, FiniteSumError> {
        for (setting, found) in [("passes", limits.passes), ("tolerance", limits.tolerance)] {
            if found.is_nan() || found < 0.0 {
                let expected = "a number that is not negative".into();
                return Err(FiniteSumError::Setting { setting, found, expected });
            }
        }
        let run = Run { problem, w, limits, spent, n_steps };
        run.finite("parameters", &run.w)?;
        Ok(run)
    }
    pub(super) fn progress(&self) -> Progress<'_> {
        Progress { n_steps: self.n_steps, passes: self.passes(), w: &self.w }
    }
    pub(super) fn spent(&self) -> usize {
        self.spent
    }
    pub(super) fn n_steps(&self) -> usize {
        self.n_steps
    }
    pub(super) fn problem(&self) -> &'a Problem {
        self.problem
    }
    pub(super) fn w(&self) -> &[f64] {
        &self.w
    }
    pub(super) fn key(&self, purpose: u64) -> Key {
        Key::from_seed(self.limits.seed).fold_in(purpose)
    }
    pub(super) fn passes(&self) -> f64 {
        self.spent as f64 / self.problem.n_examples() as f64
    }
    /// Counts gradients of an example.
    pub(super) fn charge(&mut self, n_gradients: usize) {
        self.spent += n_gradients;
    }
    /// Σ ℓ and Σ ∇ℓ over some examples at w, charged.
    pub(super) fn sums(&mut self, w: &[f64], examples: &Examples) -> Result<(f64, Vec<f64>), FiniteSumError> {
        self.charge(examples[0].shape()[0]);
        let (value, slope) = self.problem.sums(&vector(w), examples)?;
        self.finite("loss", &[value])?;
        self.finite("gradient", &slope)?;
        Ok((value, slope))
    }
    /// F and ∇F of the mean over m examples, from their sums.
    pub(super) fn means(&self, w: &[f64], (value, mut slope): (f64, Vec<f64>), m: usize) -> (f64, Vec<f64>) {
        let l2 = self.problem.l2();
        slope.iter_mut().for_each(|g| *g /= m as f64);
        add_scaled(&mut slope, l2, w);
        (value / m as f64 + 0.5 * l2 * dot(w, w), slope)
    }
    /// F and ∇F over all examples, charged.
    pub(super) fn gradient(&mut self, w: &[f64]) -> Result<(f64, Vec<f64>), FiniteSumError> {
        let sums = self.sums(w, self.problem.data())?;
        Ok(self.means(w, sums, self.problem.n_examples()))
    }
    /// [`Run::gradient`] where the run is, or what is remembered of it as `value` and `g`.
    pub(super) fn gradient_or(
        &mut self,
        memory: Option<Remembered<'_>>,
    ) -> Result<(f64, Vec<f64>), FiniteSumError> {
        match memory {
            Some(memory) => Ok((memory.number("value")?, memory.list("g", self.w.len())?)),
            None => self.gradient(&self.w.clone()),
        }
    }
    /// Takes a step; says whether to end.
    pub(super) fn moved(&mut self, w: &[f64]) -> Result<Option<Stop>, FiniteSumError> {
        self.finite("parameters", w)?;
        self.w.clear();
        self.w.extend_from_slice(w);
        self.n_steps += 1;
        Ok((self.passes() >= self.limits.passes).then_some(Stop::Passes))
    }
    /// Whether so little is left that the run may end.
    pub(super) fn enough(&self, left: f64) -> bool {
        self.limits.tolerance > 0.0 && left <= self.limits.tolerance
    }
    /// [`Run::enough`] by the gradient alone: F − min F ≤ |∇F|²/2λ for a convex F.
    pub(super) fn enough_by_gradient(&self, g: &[f64]) -> bool {
        let l2 = self.problem.l2();
        l2 > 0.0 && self.enough(dot(g, g) / (2.0 * l2))
    }
    fn finite(&self, what: &'static str, values: &[f64]) -> Result<(), FiniteSumError> {
        if values.iter().all(|v| v.is_finite()) {
            return Ok(());
        }
        Err(FiniteSumError::NotFinite { what, n_steps: self.n_steps, passes: self.passes() })
    }
}

pub(super) fn vector(w: &[f64]) -> Array {
    Array::vector(w.to_vec())
}
