//! Quasi-Newton steps over all examples: secants of the last steps and a line search.
//!
//! Law: exact gradients; the inverse curvature H satisfies H y = s for the last pair. Cost: one pass for each point of the line search,
//! mostly one a step; 2 × memory vectors.
//! Source: Liu & Nocedal 1989, On the limited memory BFGS method; the line search by bisection until both of Wolfe's conditions hold.

use super::memory::{Memory, Remembered, list, number};
use super::run::{Run, Stop};
use super::secants::Secants;
use super::vector::{add_scaled, difference, dot, norm};
use super::{FiniteSumError, Iteration, Method, check_batch};
use crate::catalogue::Source;

/// Wolfe's conditions: least decrease and largest slope, the usual pair (Nocedal & Wright 2006, §3.1).
const LEAST_DECREASE: f64 = 1e-4;
const LARGEST_SLOPE: f64 = 0.9;
/// So many points of a line have an interval of 2⁻⁵⁰ of the first step.
const POINTS: usize = 50;

/// The method.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Lbfgs, Limits};
/// let squared = |w: Var, (x, y): (Var, Var)| (x.dot(w) - y).powi(2);
/// let data = (array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), array([1.0, 3.0, 5.0]));
/// let problem = FiniteSum::of_loss(array([0.0, 0.0]), data, squared)?;
/// let found = problem.minimise(&Lbfgs::default(), Limits { tolerance: 1e-18, ..Limits::default() })?;
/// assert!((found.parameters.to_vec::<f64>().unwrap()[1] - 2.0).abs() < 1e-6);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lbfgs {
    /// Pairs kept.
    pub memory: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Lbfgs { memory: 10 }
    }
}

/// A run between two steps.
struct State {
    /// F and ∇F where the run is.
    value: f64,
    g: Vec<f64>,
    secants: Secants,
}

impl Method for Lbfgs {
    fn name(&self) -> &'static str {
        "l-bfgs"
    }
    fn cite(&self) -> &'static [Source] {
        &[Source {
            authors: "D. C. Liu and J. Nocedal",
            title: "On the limited memory BFGS method for large scale optimization",
            venue: "Mathematical Programming 45",
            year: 1989,
        }]
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        check_batch("memory", self.memory, usize::MAX)?;
        let (value, g) = run.gradient_or(memory)?;
        let secants = match memory {
            Some(memory) => Secants::remembered(self.memory, memory, g.len())?,
            None => Secants::new(self.memory),
        };
        Ok(Box::new(State { value, g, secants }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let State { value, g, secants } = self;
        let n = run.problem().n_examples() as f64;
        let w = run.w().to_vec();
        loop {
            if dot(g, g) == 0.0 || run.enough_by_gradient(g) {
                return Ok(Some(Stop::Tolerance));
            }
            // A first step of length one at most: nothing is known of the curvature.
            let scale = secants.scale().unwrap_or(1.0 / norm(g).max(1.0));
            let x = secants.apply(g, |q| Ok::<_, FiniteSumError>(q.iter().map(|q| scale * q).collect()))?;
            let descent = dot(g, &x);
            if run.enough(0.5 * descent) && !secants.is_empty() {
                run.moved(&difference(&w, &x))?;
                return Ok(Some(Stop::Tolerance));
            }
            let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
            let rounding = n * f64::EPSILON * value.abs();
            let mut found = None;
            for _ in 0..POINTS {
                let mut next = w.clone();
                add_scaled(&mut next, -length, &x);
                let (next_value, next_g) = run.gradient(&next)?;
                let slope = dot(&next_g, &x);
                let downhill = next_value <= *value - LEAST_DECREASE * length * descent + rounding;
                let flat = slope <= LARGEST_SLOPE * descent;
                if downhill && flat {
                    found = Some((next, next_value, next_g));
                    break;
                }
                if downhill {
                    low = length
                } else {
                    high = length
                }
                length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
            }
            let Some((next, next_value, next_g)) = found else {
                if secants.is_empty() {
                    return Ok(Some(Stop::NoDescent));
                }
                secants.clear();
                continue;
            };
            secants.push(difference(&next, &w), difference(&next_g, g));
            (*value, *g) = (next_value, next_g);
            return run.moved(&next);
        }
    }

    fn memory(&self) -> Memory {
        let own = vec![number("value", self.value), list("g", &self.g)];
        [own, self.secants.memory()].concat()
    }
}
