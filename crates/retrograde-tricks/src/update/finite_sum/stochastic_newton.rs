//! Newton steps from a growing sample: a curvature of a few examples, corrected by secants that cost nothing.
//!
//! One random order of the data is fixed. Step t takes the gradient g of the first mₜ examples, mₜ doubling up to n, and
//!
//! ```text
//! w ← w − H g,    H = secants( (C_S + λ + μL/S)⁻¹ ),
//! ```
//!
//! where C_S is the mean curvature of S random examples, taken anew every three steps; L bounds the curvature of one example, and
//! μL/S is what a sample of S leaves uncertain. The secants (s, y) are those of the last steps. Both ends of y are gradients of the *same*
//! examples: the new gradient is summed in two parts, of which the first has the examples of the old one, so y costs nothing.
//!
//! A network's loss is not convex, and a unit step by a few examples may be far too long. There ρ is added to the curvature, and to
//! that of the secants, and learns as in [`HessianFree`](super::HessianFree): it grows where a step does less than a quarter of what it
//! foretold, and shrinks where it does more than three quarters; a step that raises the loss of its sample is halved until it does not.
//! Source: Levenberg 1944, A method for the solution of certain non-linear problems in least squares; the rule of Martens 2010, §4.1.
//!
//! Law: inexact: a curvature of a sample, a gradient of a sample until the sample is all; the minimum is that of the whole sum.
//! Cost in passes: mₜ/n for a step and S/n for a curvature, and beside that S d² multiplications (S² d for S < d), which count
//! where a gradient costs little more than d.
//!
//! Memory: a copy of the data in the random order, and S d numbers.
//!
//! The constants are the recipe's: they were fixed before the comparison of `cargo xtask evidence newton-convergence`.

use retrograde_array::rng::{Key, permutation};

use super::hessian_free::next_damping;
use super::memory::{Memory, Remembered, count, list, number};
use super::preconditioner::{SubsampledInverse, curvature_bound};
use super::problem::Examples;
use super::run::{Run, Stop, vector};
use super::secants::Secants;
use super::vector::{add_scaled, difference, dot};
use super::{FiniteSumError, Iteration, Method, check_batch};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of the catalogue.
pub const STOCHASTIC_NEWTON: Trick = Trick {
    id: "E16",
    name: "subsampled Newton steps with secants on a growing sample",
    formula: "w ← w − H g(first m examples), H = secants((C_S + λ + μL/S)⁻¹)",
    law: Law::Inexact {
        what: "a step by the curvature of S examples; its fixed point is the minimum of the whole sum",
    },
    cite: &[
        Source {
            authors: "R. H. Byrd, S. L. Hansen, J. Nocedal and Y. Singer",
            title: "A stochastic quasi-Newton method for large-scale optimization",
            venue: "SIAM Journal on Optimization 26(2)",
            year: 2016,
        },
        Source {
            authors: "F. Roosta-Khorasani and M. W. Mahoney",
            title: "Sub-sampled Newton methods",
            venue: "Mathematical Programming 174",
            year: 2019,
        },
    ],
    file: file!(),
    example: "StochasticNewton",
    property: Property {
        claim: "H y = s for the last pair; few passes are a claim of `cargo xtask evidence newton-convergence`",
        test: "the_secant_equation_holds_for_the_last_pair_and_the_inverse_is_symmetric_and_positive",
        found: "miss below 1e-14",
    },
};

/// The first sample: a tenth of the data and at least 64 examples, growing by two.
const FIRST_PART: f64 = 0.1;
const LEAST_FIRST: f64 = 64.0;
const GROWTH: f64 = 2.0;
/// From so many examples on the first sample is a thousand and grows by four: a thousand tell a first direction well enough.
const MANY: usize = 10_000;
const FIRST_OF_MANY: f64 = 1000.0;
const GROWTH_OF_MANY: f64 = 4.0;
/// S: eight times the parameters up to this, and an eighth of the data where that is more.
const LARGEST_BY_PARAMETERS: usize = 512;
const EXAMPLES_PER_PARAMETER: usize = 8;
const PART_OF_DATA: usize = 8;
/// μ where the penalty outweighs half an example, and where not.
const DAMPING: f64 = 0.1;
const LITTLE_DAMPING: f64 = 0.01;
const HALF_AN_EXAMPLE: f64 = 0.5;
/// A step is taken back by half if the loss rises by this many times g·x, which was to be gained at most: then the curvature along x is
/// four times the model's.
const OVERSHOOT: f64 = 1.0;
/// A step is halved at most so often: then it is below the rounding of any w.
const HALVINGS: usize = 60;

/// The method; `Default` is the recipe.
///
/// ```
/// use retrograde_array::{Array, array, rng::{Key, normal}};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, StochasticNewton};
/// let (x, y) = (normal(Key::from_seed(1), [500, 4]), normal(Key::from_seed(2), [500]));
/// let model = |w: Var, (x, _): (Var, Var)| x.dot(w).tanh();
/// let squared = |z: Var, (_, y): (Var, Var)| 0.5 * (z - y) * (z - y);
/// let problem = FiniteSum::new(Array::vector(vec![0.1; 4]), (x, y), model, squared)?.l2(1e-2)?;
/// let found = problem.minimise(&StochasticNewton::default(), Limits::default())?;
/// let (_, slope) = problem.value_and_gradient(&found.parameters)?;
/// assert!(slope.to_vec::<f64>().unwrap().iter().all(|g| g.abs() < 1e-4));
/// assert!(found.passes < 20.0);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StochasticNewton {
    /// Pairs kept; 0: none.
    pub memory: usize,
    /// Steps between two curvatures, at least 1.
    pub refresh_every: usize,
    /// S; `None`: by the recipe.
    pub subsample: Option<usize>,
    /// μ; `None`: by the recipe.
    pub damping: Option<f64>,
    /// ρ at first; 0: none ever, for convex losses.
    pub levenberg: f64,
}

impl Default for StochasticNewton {
    fn default() -> Self {
        StochasticNewton { memory: 5, refresh_every: 3, subsample: None, damping: None, levenberg: 0.0 }
    }
}

impl StochasticNewton {
    /// S for n examples and d parameters.
    ///
    /// ```
    /// use retrograde_tricks::update::finite_sum::StochasticNewton;
    /// assert_eq!(StochasticNewton::default().examples_of_curvature(1797, 31), 248);
    /// let few = StochasticNewton { subsample: Some(20), ..StochasticNewton::default() };
    /// assert_eq!(few.examples_of_curvature(1797, 31), 20);
    /// ```
    pub fn examples_of_curvature(&self, n: usize, d: usize) -> usize {
        let by_size = LARGEST_BY_PARAMETERS.min(EXAMPLES_PER_PARAMETER * d).max(n / PART_OF_DATA).min(n);
        self.subsample.unwrap_or(by_size)
    }
}

/// A step that was taken.
struct Step {
    /// Where it began.
    w: Vec<f64>,
    /// Of how many examples value and gradient are.
    m: usize,
    value: f64,
    g: Vec<f64>,
    /// g·x.
    descent: f64,
}

/// A run between two steps.
struct State {
    refresh_every: usize,
    subsample: usize,
    damping: f64,
    /// The data in their random order.
    shuffled: Examples,
    draws: Key,
    /// How many examples the next gradient is of, and what that grows by.
    sample: f64,
    growth: f64,
    secants: Secants,
    inverse: Option<SubsampledInverse>,
    bound: f64,
    /// ρ.
    levenberg: f64,
    last: Option<Step>,
}

impl Method for StochasticNewton {
    fn name(&self) -> &'static str {
        "stochastic-newton"
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
        let (n, d, l2) = (problem.n_examples(), problem.n_parameters(), problem.l2());
        let subsample = check_batch("subsample", self.examples_of_curvature(n, d), n)?;
        check_batch("refresh_every", self.refresh_every, usize::MAX)?;
        let by_penalty = if l2 * n as f64 > HALF_AN_EXAMPLE { DAMPING } else { LITTLE_DAMPING };
        let damping = self.damping.unwrap_or(by_penalty);
        for (setting, found) in [("damping", damping), ("levenberg", self.levenberg)] {
            if !(found >= 0.0 && found.is_finite()) {
                let expected = "a finite number that is not negative".into();
                return Err(FiniteSumError::Setting { setting, found, expected });
            }
        }
        let (sample, growth) = match n >= MANY {
            true => (FIRST_OF_MANY, GROWTH_OF_MANY),
            false => (LEAST_FIRST.max(FIRST_PART * n as f64), GROWTH),
        };
        let order = permutation(run.key(0), n);
        let mut state = State {
            refresh_every: self.refresh_every,
            subsample,
            damping,
            shuffled: problem.rows(&order)?,
            draws: run.key(1),
            sample,
            growth,
            secants: Secants::new(self.memory),
            inverse: None,
            bound: 0.0,
            levenberg: self.levenberg,
            last: None,
        };
        if let Some(memory) = memory {
            state.sample = memory.number("sample")?;
            state.bound = memory.number("bound")?;
            state.levenberg = memory.number("levenberg")?;
            state.secants = Secants::remembered(self.memory, memory, d)?;
            if run.n_steps() > 0 {
                state.inverse = Some(SubsampledInverse::remembered(memory, d)?);
                state.last = Some(Step::remembered(memory, n, d)?);
            }
        }
        Ok(Box::new(state))
    }
}

impl Step {
    fn memory(&self) -> Memory {
        vec![
            list("last.w", &self.w),
            count("last.m", self.m),
            number("last.value", self.value),
            list("last.g", &self.g),
            number("last.descent", self.descent),
        ]
    }
    fn remembered(memory: Remembered<'_>, n: usize, d: usize) -> Result<Step, FiniteSumError> {
        Ok(Step {
            w: memory.list("last.w", d)?,
            m: check_batch("last.m", memory.count("last.m")?, n)?,
            value: memory.number("last.value")?,
            g: memory.list("last.g", d)?,
            descent: memory.number("last.descent")?,
        })
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let problem = run.problem();
        let (n, l2) = (problem.n_examples(), problem.l2());
        let part = |range: std::ops::Range<usize>| super::part(&self.shuffled, range);
        let mut w = run.w().to_vec();
        let m = (self.sample as usize).clamp(1, n);
        // The examples of the last gradient first, so that both ends of a pair are of the same.
        let head = self.last.as_ref().map_or(m, |last| last.m);
        let mut sums = run.sums(&w, &part(0..head))?;
        let mut is_poor = false;
        if let Some(last) = &self.last {
            let mut halvings = 0;
            let (mut value, mut g) = run.means(&w, sums.clone(), head);
            let rounding = head as f64 * f64::EPSILON * last.value.abs();
            let mut overshoot = OVERSHOOT * last.descent + rounding;
            if self.levenberg > 0.0 {
                let next = next_damping(self.levenberg, (last.value - value) / (0.5 * last.descent));
                is_poor = next > self.levenberg;
                self.levenberg = next;
                overshoot = rounding;
            }
            // Along a curvature that the model has too small a unit step may overshoot: the secant of it is what corrects the model. Only
            // where the loss of the same sample rises by more than OVERSHOOT times what was to be gained is half of the step taken.
            while value > last.value + overshoot {
                if halvings == HALVINGS {
                    run.moved(&last.w)?;
                    return Ok(Some(Stop::NoDescent));
                }
                halvings += 1;
                w = w.iter().zip(&last.w).map(|(w, from)| 0.5 * (w + from)).collect();
                sums = run.sums(&w, &part(0..head))?;
                (value, g) = run.means(&w, sums.clone(), head);
            }
            let (s, mut y) = (difference(&w, &last.w), difference(&g, &last.g));
            if self.levenberg > 0.0 {
                add_scaled(&mut y, self.levenberg, &s);
            }
            self.secants.push(s, y);
        }
        let step = run.n_steps();
        if step.is_multiple_of(self.refresh_every) || is_poor {
            let key = self.draws.fold_in(step as u64);
            let chosen = permutation(key, n);
            let examples = problem.rows(&chosen[..self.subsample])?;
            let (curvature, cost) = problem.curvature(&vector(&w), &examples, key.fold_in(1))?;
            run.charge(cost);
            self.bound = self.bound.max(curvature_bound(&curvature) + l2);
            let shift = l2 + self.damping * self.bound / self.subsample as f64 + self.levenberg;
            self.inverse = Some(SubsampledInverse::new(&curvature, shift)?);
        }
        let inverse = self.inverse.as_ref().expect("made in the first step");
        if m > head {
            let (value, slope) = run.sums(&w, &part(head..m))?;
            sums.0 += value;
            sums.1.iter_mut().zip(&slope).for_each(|(a, b)| *a += b);
        }
        let (value, g) = run.means(&w, sums, m);
        let mut x = self.secants.apply(&g, |q| inverse.apply(q))?;
        if !descends(&g, &x) && !self.secants.is_empty() {
            self.secants.clear();
            x = inverse.apply(&g)?;
        }
        if !descends(&g, &x) {
            return Ok(Some(if dot(&g, &g) == 0.0 { Stop::Tolerance } else { Stop::NoDescent }));
        }
        let descent = dot(&g, &x);
        let next = difference(&w, &x);
        self.last = Some(Step { w, m, value, g, descent });
        self.sample = (self.sample * self.growth).min(n as f64);
        if let Some(stop) = run.moved(&next)? {
            return Ok(Some(stop));
        }
        Ok((m == n && run.enough(0.5 * descent)).then_some(Stop::Tolerance))
    }

    fn memory(&self) -> Memory {
        let mut memory = vec![
            number("sample", self.sample),
            number("bound", self.bound),
            number("levenberg", self.levenberg),
        ];
        memory.extend(self.secants.memory());
        memory.extend(self.inverse.iter().flat_map(SubsampledInverse::memory));
        memory.extend(self.last.iter().flat_map(Step::memory));
        memory
    }
}

/// Whether −x leads downhill; a step that does not is refused.
pub(super) fn descends(g: &[f64], x: &[f64]) -> bool {
    let descent = dot(g, x);
    descent > 0.0 && x.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_does_not_descend_is_refused() {
        assert!(descends(&[1.0, 2.0], &[1.0, 0.0]));
        assert!(!descends(&[1.0, 2.0], &[-1.0, 0.0]));
        assert!(!descends(&[1.0, 2.0], &[2.0, -1.0])); // g·x = 0
        assert!(!descends(&[1.0, 2.0], &[f64::INFINITY, 0.0]));
        assert!(!descends(&[1.0, f64::NAN], &[1.0, 1.0]));
    }
}
