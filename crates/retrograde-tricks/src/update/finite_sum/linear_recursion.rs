//! Newton steps without a matrix, for many more examples than parameters.
//!
//! The step H⁻¹ g is not solved for: it is the mean of the last half of
//!
//! ```text
//! vₖ₊₁ = β vₖ + η P (g − Ĥₖ xₖ),    xₖ₊₁ = xₖ + vₖ₊₁,    k < K,
//! ```
//!
//! with products of the curvature Ĥₖ of batches that are drawn independently, and P of low rank from S examples (Nyström).
//! g is the gradient of a prefix of one random order, which doubles up to all. Mean: without momentum E x_K − x* = (I − ηPH)ᴷ (x₀ − x*),
//! whatever the batches. The step size is one over what keeps the second moment bounded: the largest eigenvalue of P λ, the
//! largest of P C, which is 1, and the largest leverage aᵀPa of an example divided by the batch.
//!
//! Law: inexact: a draw of known mean, of a step whose fixed point is the minimum of the whole sum.
//! Cost: mₜ/n for a gradient, a half of it for products, S/n once; memory of d rank numbers.

use retrograde_array::rng::{Key, permutation, random_bits};

use super::memory::{Memory, Remembered, number};
use super::preconditioner::LowRankInverse;
use super::problem::{Examples, Recursion};
use super::run::{Run, Stop, vector};
use super::stochastic_newton::{STOCHASTIC_NEWTON, descends};
use super::vector::{difference, dot};
use super::{FiniteSumError, Iteration, Method, check_batch, check_positive};
use crate::catalogue::Source;

/// What the sample grows by.
const GROWTH: f64 = 2.0;
/// The fewest examples of a first gradient.
const LEAST_FIRST: f64 = 64.0;

/// The method; `Default` is the recipe for many examples.
///
/// ```
/// use retrograde_array::{Array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, MatrixFreeNewton, Stop};
/// let (x, y) = (normal(Key::from_seed(1), [2000, 4]), normal(Key::from_seed(2), [2000]));
/// let model = |w: Var, (x, _): (Var, Var)| x.dot(w);
/// let squared = |z: Var, (_, y): (Var, Var)| 0.5 * (z - y) * (z - y);
/// let problem = FiniteSum::new(Array::vector(vec![0.1; 4]), (x, y), model, squared)?.l2(1e-2)?;
/// let found = problem.minimise(&MatrixFreeNewton::default(), Limits { tolerance: 1e-8, ..Limits::default() })?;
/// assert_eq!(found.stop, Stop::Tolerance);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MatrixFreeNewton {
    /// η as a part of the largest that is safe.
    pub eta: f64,
    /// β.
    pub momentum: f64,
    /// Examples in a batch.
    pub batch: usize,
    /// Rank of the preconditioner.
    pub rank: usize,
    /// K b as a part of the examples of the gradient.
    pub products: f64,
    /// The first gradient's part of the data; 1: all from the start.
    pub first_part: f64,
}

impl MatrixFreeNewton {
    /// The fewest examples of the preconditioner, as long as there are so many; four times the rank where that is more.
    pub const LEAST_SUBSAMPLE: usize = 128;
}

impl Default for MatrixFreeNewton {
    fn default() -> Self {
        MatrixFreeNewton { eta: 1.0, momentum: 0.5, batch: 8, rank: 10, products: 0.5, first_part: 0.1 }
    }
}

/// A run between two steps.
struct State {
    settings: MatrixFreeNewton,
    /// The data in a random order.
    shuffled: Examples,
    draws: Key,
    inverse: LowRankInverse,
    eta: f64,
    /// How many examples the next gradient is of.
    sample: f64,
}

impl Method for MatrixFreeNewton {
    fn name(&self) -> &'static str {
        "matrix-free-newton"
    }
    fn cite(&self) -> &'static [Source] {
        STOCHASTIC_NEWTON.cite
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        let problem = run.problem();
        let (n, l2) = (problem.n_examples(), problem.l2());
        check_batch("batch", self.batch, n)?;
        check_batch("rank", self.rank, usize::MAX)?;
        for (setting, found) in
            [("eta", self.eta), ("products", self.products), ("first_part", self.first_part)]
        {
            check_positive(setting, found)?;
        }
        let order = permutation(run.key(0), n);
        let shuffled = problem.rows(&order)?;
        let draws = run.key(2);
        if let Some(memory) = memory {
            let inverse = LowRankInverse::remembered(memory, problem.n_parameters())?;
            let (eta, sample) = (memory.number("eta")?, memory.number("sample")?);
            return Ok(Box::new(State { settings: *self, shuffled, draws, inverse, eta, sample }));
        }
        let key = run.key(1);
        let subsample = MatrixFreeNewton::LEAST_SUBSAMPLE.max(4 * self.rank).min(n);
        let examples = problem.rows(&permutation(key, n)[..subsample])?;
        let (curvature, cost) = problem.curvature(&vector(run.w()), &examples, key.fold_in(1))?;
        run.charge(cost);
        let inverse = LowRankInverse::nystrom(&curvature, self.rank, l2, key.fold_in(2))?;
        let eta = self.eta
            / (inverse.largest() * l2 + 1.0 + inverse.largest_leverage(&curvature) / self.batch as f64);
        let sample = LEAST_FIRST.max(self.first_part * n as f64);
        Ok(Box::new(State { settings: *self, shuffled, draws, inverse, eta, sample }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let problem = run.problem();
        let n = problem.n_examples();
        let MatrixFreeNewton { batch, products, momentum, .. } = self.settings;
        let w = run.w().to_vec();
        let m = (self.sample as usize).clamp(1, n);
        let sums = run.sums(&w, &super::part(&self.shuffled, 0..m))?;
        let (_, g) = run.means(&w, sums, m);
        // A power of two, so that few lengths are compiled; at least four.
        let wanted = (products * m as f64 / batch as f64).max(4.0);
        let n_steps = (wanted as usize).next_power_of_two();
        let batches = batches(self.draws.fold_in(run.n_steps() as u64), n_steps, batch, n);
        let weights = (0..n_steps).map(|k| if 2 * k >= n_steps { 2.0 / n_steps as f64 } else { 0.0 });
        let steps = Recursion {
            batches: &batches,
            weights: weights.collect(),
            eta: self.eta,
            beta: momentum,
            base: self.inverse.base,
            directions: &self.inverse.directions,
            gains: &self.inverse.gains,
        };
        let x = problem.recursion(&vector(&w), &g, &steps)?;
        run.charge(n_steps * batch);
        if !descends(&g, &x) {
            return Ok(Some(if dot(&g, &g) == 0.0 { Stop::Tolerance } else { Stop::NoDescent }));
        }
        self.sample = (self.sample * GROWTH).min(n as f64);
        if let Some(stop) = run.moved(&difference(&w, &x))? {
            return Ok(Some(stop));
        }
        Ok((m == n && run.enough(0.5 * dot(&g, &x))).then_some(Stop::Tolerance))
    }

    fn memory(&self) -> Memory {
        let own = vec![number("eta", self.eta), number("sample", self.sample)];
        [own, self.inverse.memory()].concat()
    }
}

/// Batches of examples, drawn independently and with replacement.
pub(super) fn batches(key: Key, n_batches: usize, b: usize, n: usize) -> Vec<Vec<usize>> {
    let words = random_bits(key, n_batches * b);
    // The high part of a product of 64 bits: a bias below n 2⁻⁶⁴.
    let place = |word: &u64| ((u128::from(*word) * n as u128) >> 64) as usize;
    words.chunks(b).map(|words| words.iter().map(place).collect()).collect()
}
