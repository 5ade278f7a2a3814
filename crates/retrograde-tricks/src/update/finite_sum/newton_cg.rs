//! Newton's method with its system solved by conjugate gradients: `H x = g` to a tolerance that falls with |g|.
//!
//! Law: exact products over all examples; the step is inexact by the tolerance. Cost: one pass for the gradient, one for each product.
//! Source: Dembo, Eisenstat, Steihaug 1982, Inexact Newton methods, with the forcing min(½, √|g|) of Dembo and Steihaug 1983.

use retrograde_solve::linear::{Stop as SolverStop, cg};

use super::memory::{Memory, Remembered, list, number};
use super::problem::numbers;
use super::run::{Run, Stop, vector};
use super::stochastic_newton::descends;
use super::vector::{difference, dot, norm};
use super::{FiniteSumError, Iteration, Method, check_positive};
use crate::catalogue::Source;

/// A step is halved at most so often: then it is below the rounding of any w.
const HALVINGS: usize = 60;
/// The least decrease for a step, as a part of what the gradient promises: Armijo 1966, with the usual 1e-4.
const LEAST_DECREASE: f64 = 1e-4;

/// The method.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, NewtonCg};
/// let squared = |w: Var, (x, y): (Var, Var)| (x.dot(w) - y).powi(2);
/// let data = (array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), array([1.0, 3.0, 5.0]));
/// let problem = FiniteSum::of_loss(array([0.0, 0.0]), data, squared)?;
/// let found = problem.minimise(&NewtonCg { forcing: 1e-12 }, Limits { tolerance: 1e-20, ..Limits::default() })?;
/// let w = found.parameters.to_vec::<f64>().unwrap();
/// assert!((w[0] - 1.0).abs() < 1e-9 && (w[1] - 2.0).abs() < 1e-9);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NewtonCg {
    /// The largest ‖g − H x‖ / ‖g‖.
    pub forcing: f64,
}

impl Default for NewtonCg {
    fn default() -> Self {
        NewtonCg { forcing: 0.5 }
    }
}

/// A run between two steps.
struct State {
    forcing: f64,
    /// F and ∇F where the run is.
    value: f64,
    g: Vec<f64>,
}

impl Method for NewtonCg {
    fn name(&self) -> &'static str {
        "newton-cg"
    }
    fn cite(&self) -> &'static [Source] {
        &[Source {
            authors: "R. S. Dembo and S. C. Eisenstat and T. Steihaug",
            title: "Inexact Newton methods",
            venue: "SIAM Journal on Numerical Analysis 19(2)",
            year: 1982,
        }]
    }
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError> {
        check_positive("forcing", self.forcing)?;
        let (value, g) = run.gradient_or(memory)?;
        Ok(Box::new(State { forcing: self.forcing, value, g }))
    }
}

impl Iteration for State {
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError> {
        let State { forcing, value, g } = self;
        let problem = run.problem();
        let (n, l2) = (problem.n_examples(), problem.l2());
        let w = run.w().to_vec();
        if dot(g, g) == 0.0 {
            return Ok(Some(Stop::Tolerance));
        }
        let (here, b) = (vector(&w), vector(g));
        let mut n_products = 0;
        let times = |v: &retrograde_array::Array| {
            n_products += 1;
            let product = problem.product(&here, problem.data(), v);
            let bent = product.map_err(FiniteSumError::into_trace)?;
            let (bent, v) = (numbers(&bent), numbers(v));
            Ok(vector(&bent.iter().zip(&v).map(|(h, v)| h / n as f64 + l2 * v).collect::<Vec<_>>()))
        };
        let tolerance = forcing.min(norm(g).sqrt());
        // The products are exact, so conjugate gradients need no more than d steps; d more for rounding.
        let most = 2 * problem.n_parameters();
        let solved =
            cg(times, &b).tolerance(tolerance).max_iterations(most).stop_at_negative_curvature().solve()?;
        run.charge(n_products * n);
        let mut x = numbers(&solved.x);
        if matches!(solved.stop, SolverStop::NegativeCurvature { .. }) && norm(&x) == 0.0 {
            x.clone_from(g);
        }
        if !descends(g, &x) {
            return Ok(Some(Stop::NoDescent));
        }
        let descent = dot(g, &x);
        let mut halvings = 0;
        let (next, next_value, next_g) = loop {
            let next = difference(&w, &x);
            if run.enough(0.5 * descent) {
                run.moved(&next)?;
                return Ok(Some(Stop::Tolerance));
            }
            let (next_value, next_g) = run.gradient(&next)?;
            let rounding = n as f64 * f64::EPSILON * value.abs();
            if next_value <= *value - LEAST_DECREASE * 0.5f64.powi(halvings) * descent + rounding {
                break (next, next_value, next_g);
            }
            if halvings as usize == HALVINGS {
                return Ok(Some(Stop::NoDescent));
            }
            halvings += 1;
            x.iter_mut().for_each(|x| *x *= 0.5);
        };
        (*value, *g) = (next_value, next_g);
        run.moved(&next)
    }

    fn memory(&self) -> Memory {
        vec![number("value", self.value), list("g", &self.g)]
    }
}
