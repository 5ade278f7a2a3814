//! What all solvers of linear systems have in common: settings, answers, and checks of what comes in.

use std::fmt;

use retrograde_array::Array;
use retrograde_core::ir::Location;
use retrograde_core::trace::function::expect_like;
use retrograde_core::trace::{Error, Tree};

use super::error::LinearError;
use super::flat::{Flattening, Trees, difference, norm};
use super::{cg, gmres, minres};

/// Until `.tolerance` says otherwise: half the digits of an `f64`, what a Newton step needs at most.
const TOLERANCE: f64 = 1e-8;
/// Until `.max_iterations` says otherwise, this many for each number: without rounding one would do (SciPy allows as many).
const ITERATIONS_PER_NUMBER: usize = 10;

/// Which solver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// See [`cg()`](super::cg()).
    Cg,
    /// See [`minres()`](super::minres()).
    Minres,
    /// See [`gmres()`](super::gmres()).
    Gmres {
        /// After so many steps it begins again from where it is.
        restart: usize,
    },
}

/// Why a solver stopped.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stop {
    /// The residual is within the tolerance.
    Converged,
    /// It took as many steps as it may.
    MaxIterations,
    /// The system has no solution; x makes the residual as small as it can be.
    LeastSquares,
    /// Steps no longer make the residual smaller.
    Stagnated,
    /// The operator is not positive along a direction; x is what came before it. Only where asked for.
    NegativeCurvature {
        /// vᵀAv / vᵀv of the direction.
        curvature: f64,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Solution<T> {
    /// The solution.
    pub x: T,
    /// ‖b − A x‖ / ‖b‖ at the start and after each step, as the solver follows it. [`minres()`](super::minres()) with a preconditioner
    /// M measures both in the norm √(rᵀMr).
    pub residuals: Vec<f64>,
    /// Why it ended there.
    pub stop: Stop,
}

/// When to stop.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Limits {
    pub(crate) tolerance: f64,
    pub(crate) max_iterations: usize,
    pub(crate) stop_at_negative_curvature: bool,
}

impl Limits {
    pub(crate) fn new(n: usize) -> Limits {
        Limits {
            tolerance: TOLERANCE,
            max_iterations: ITERATIONS_PER_NUMBER * n.max(1),
            stop_at_negative_curvature: false,
        }
    }
}

/// A product with a vector of numbers.
pub(crate) type FlatOperator<'a> = dyn FnMut(&[f64]) -> Result<Vec<f64>, LinearError> + 'a;

/// A system of numbers.
pub(crate) struct System<'a> {
    pub(crate) apply: &'a mut FlatOperator<'a>,
    pub(crate) precondition: Option<&'a mut FlatOperator<'a>>,
    pub(crate) b: &'a [f64],
    pub(crate) start: Option<&'a [f64]>,
    pub(crate) limits: Limits,
}

/// What came out of a system of numbers.
pub(crate) struct Run {
    pub(crate) x: Vec<f64>,
    pub(crate) residuals: Vec<f64>,
    pub(crate) stop: Stop,
}

impl System<'_> {
    /// A v.
    pub(super) fn product(
        &mut self,
        method: &'static str,
        v: &[f64],
        step: usize,
    ) -> Result<Vec<f64>, LinearError> {
        finite(method, "a product", step, (self.apply)(v)?)
    }
    /// M r, r itself without a preconditioner.
    pub(super) fn preconditioned(
        &mut self,
        method: &'static str,
        r: &[f64],
        step: usize,
    ) -> Result<Vec<f64>, LinearError> {
        match &mut self.precondition {
            Some(m) => finite(method, "a preconditioned residual", step, m(r)?),
            None => Ok(r.to_vec()),
        }
    }
    /// The start and its residual.
    pub(super) fn begin(&mut self, method: &'static str) -> Result<(Vec<f64>, Vec<f64>), LinearError> {
        finite(method, "a right-hand side", 0, self.b.to_vec())?;
        let Some(start) = self.start else { return Ok((vec![0.0; self.b.len()], self.b.to_vec())) };
        let start = finite(method, "a start", 0, start.to_vec())?;
        let product = self.product(method, &start, 0)?;
        let residual = difference(self.b, &product);
        Ok((start, residual))
    }
}

fn finite(
    method: &'static str,
    what: &'static str,
    step: usize,
    v: Vec<f64>,
) -> Result<Vec<f64>, LinearError> {
    if v.iter().all(|x| x.is_finite()) { Ok(v) } else { Err(LinearError::NotFinite { method, what, step }) }
}

/// Solves a system of numbers.
pub(crate) fn run(method: Method, system: System<'_>) -> Result<Run, LinearError> {
    let name = method.name();
    if system.b.is_empty() {
        return Err(LinearError::Empty { method: name });
    }
    let setting = |setting, found, expected| LinearError::Setting { method: name, setting, found, expected };
    let tolerance = system.limits.tolerance;
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(setting("tolerance", tolerance, "a positive number, relative to the right-hand side"));
    }
    if norm(system.b) == 0.0 {
        // Zero solves it, and every relative residual would be 0/0.
        return Ok(Run { x: vec![0.0; system.b.len()], residuals: vec![0.0], stop: Stop::Converged });
    }
    match method {
        Method::Cg => cg::run(system),
        Method::Minres => minres::run(system),
        Method::Gmres { restart: 0 } => Err(setting("restart", 0.0, "at least one step")),
        Method::Gmres { restart } => gmres::run(system, restart),
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Cg => "cg",
            Method::Minres => "minres",
            Method::Gmres { .. } => "gmres",
        }
    }
}

/// A product with a tree.
pub(super) type Operator<'a, T> = Box<dyn FnMut(&T) -> Result<T, Error> + 'a>;

/// A linear system that is about to be solved.
///
/// # Errors
/// Of [`Solver::solve`]: what the operator or the preconditioner says; a tree of another structure, shapes or dtypes than the
/// right-hand side; numbers that are not finite; for [`cg()`](super::cg()) an operator that is not positive; a preconditioner that is not; a
/// right-hand side without entries; a tolerance or a restart that is not positive.
#[must_use = "a system is solved when asked to: `.solve()`"]
pub struct Solver<'a, T> {
    method: Method,
    apply: Operator<'a, T>,
    preconditioner: Option<Operator<'a, T>>,
    b: &'a T,
    start: Option<&'a T>,
    limits: Limits,
    location: Location,
}

impl<T> fmt::Debug for Solver<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Solver").field("method", &self.method).field("limits", &self.limits).finish()
    }
}

impl<'a, T: Tree<Leaf = Array, With<Array> = T>> Solver<'a, T> {
    pub(super) fn new(method: Method, apply: Operator<'a, T>, b: &'a T, location: Location) -> Self {
        let limits = Limits::new(Flattening::of(b).size());
        Solver { method, apply, preconditioner: None, b, start: None, limits, location }
    }
    /// An approximation of the inverse of the operator: symmetric and positive definite for [`cg()`](super::cg()) and
    /// [`minres()`](super::minres()).
    ///
    /// ```
    /// use retrograde_array::{Array, array, ops};
    /// use retrograde_solve::linear::cg;
    /// let entries = array([1.0, 10.0, 100.0]);
    /// let times = |by: &Array, v: &Array| Ok(ops::binary(ops::Binary::Mul, by, v).unwrap());
    /// let (b, inverse) = (array([1.0, 1.0, 1.0]), array([1.0, 0.1, 0.01]));
    /// let plain = cg(|v| times(&entries, v), &b).solve()?;
    /// let preconditioned = cg(|v| times(&entries, v), &b).preconditioner(|r| times(&inverse, r)).solve()?;
    /// assert_eq!((plain.residuals.len(), preconditioned.residuals.len()), (4, 2));
    /// # Ok::<(), retrograde_solve::linear::LinearError>(())
    /// ```
    pub fn preconditioner(mut self, m: impl FnMut(&T) -> Result<T, Error> + 'a) -> Self {
        self.preconditioner = Some(Box::new(m));
        self
    }
    /// Begins here instead of at zero.
    ///
    /// ```
    /// use retrograde_array::{Array, array};
    /// use retrograde_solve::linear::cg;
    /// let found = cg(|v: &Array| Ok(v.clone()), &array([1.0, 2.0])).start(&array([1.0, 2.0])).solve()?;
    /// assert_eq!(found.residuals, [0.0]);
    /// # Ok::<(), retrograde_solve::linear::LinearError>(())
    /// ```
    pub fn start(mut self, x: &'a T) -> Self {
        self.start = Some(x);
        self
    }
    /// Stops when ‖b − A x‖ is at most this part of ‖b‖; 1e-8 until said otherwise.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.limits.tolerance = tolerance;
        self
    }
    /// Stops after so many steps; ten for each number until said otherwise.
    ///
    /// ```
    /// use retrograde_array::{Array, array, ops};
    /// use retrograde_solve::linear::{Stop, cg};
    /// let entries = array([1.0, 2.0, 3.0]);
    /// let times = |v: &Array| Ok(ops::binary(ops::Binary::Mul, &entries, v).unwrap());
    /// let found = cg(times, &array([1.0, 1.0, 1.0])).tolerance(1e-12).max_iterations(2).solve()?;
    /// assert_eq!((found.stop, found.residuals.len()), (Stop::MaxIterations, 3));
    /// # Ok::<(), retrograde_solve::linear::LinearError>(())
    /// ```
    pub fn max_iterations(mut self, n: usize) -> Self {
        self.limits.max_iterations = n;
        self
    }
    /// Makes [`cg()`](super::cg()) answer with what it has when the operator is not positive along a direction, instead of an error.
    ///
    /// ```
    /// use retrograde_array::{Array, array, ops};
    /// use retrograde_solve::linear::{Stop, cg};
    /// let entries = array([1.0, -2.0]);
    /// let times = |v: &Array| Ok(ops::binary(ops::Binary::Mul, &entries, v).unwrap());
    /// let found = cg(times, &array([1.0, 1.0])).stop_at_negative_curvature().solve()?;
    /// assert_eq!(found.stop, Stop::NegativeCurvature { curvature: -0.5 });
    /// let error = cg(times, &array([1.0, 1.0])).solve().unwrap_err().to_string();
    /// assert!(error.contains("found the curvature -5.000e-1") && error.contains("add damping of more than 5.000e-1"));
    /// # Ok::<(), retrograde_solve::linear::LinearError>(())
    /// ```
    pub fn stop_at_negative_curvature(mut self) -> Self {
        self.limits.stop_at_negative_curvature = true;
        self
    }
    /// The solution, and how it was found.
    ///
    /// # Errors
    /// See [`Solver`].
    pub fn solve(self) -> Result<Solution<T>, LinearError> {
        let Solver { method, mut apply, mut preconditioner, b, start, limits, location } = self;
        let trees = Trees::new(b, location);
        if let Some(start) = start {
            expect_like("start", start, "right-hand side", b, location)?;
        }
        let flat = |tree: &T| trees.flattening.flatten(tree);
        let (flat_b, flat_start) = (flat(b), start.map(flat));
        let through = |operator: &mut Operator<'a, T>, what: &str, v: &[f64]| {
            Ok(trees.through(operator, what, "right-hand side", v)?)
        };
        let mut flat_apply = |v: &[f64]| through(&mut apply, "product", v);
        let mut flat_precondition =
            preconditioner.as_mut().map(|m| move |v: &[f64]| through(m, "preconditioned residual", v));
        let found = run(
            method,
            System {
                apply: &mut flat_apply,
                precondition: flat_precondition.as_mut().map(|m| m as &mut FlatOperator<'_>),
                b: &flat_b,
                start: flat_start.as_deref(),
                limits,
            },
        )?;
        Ok(Solution { x: trees.tree(&found.x), residuals: found.residuals, stop: found.stop })
    }
}
