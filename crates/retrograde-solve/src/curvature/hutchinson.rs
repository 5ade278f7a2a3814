//! Trace and diagonal from products with random signs.
//!
//! ```text
//! tr A = E zᵀAz                   Var zᵀAz = 2 Σ_{i≠j} A_ij²          (A symmetric)
//! diag A = E z ⊙ Az               Var (z ⊙ Az)_i = Σ_{j≠i} A_ij²
//! ```
//!
//! with independent z_i = ±1. With normal z the first variance is 2 ‖A‖²_F, so signs are never worse. Law: inexact, of mean zero
//! error.
//!
//! Source: M. F. Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines,
//! Communications in Statistics: Simulation and Computation 18 (1989); C. Bekas, E. Kokiopoulou, Y. Saad, An estimator for the
//! diagonal of a matrix, Applied Numerical Mathematics 57 (2007).

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::lanczos::Map;
use super::probe::{mean_and_error, signs};
use crate::linear::LinearError;
use crate::linear::flat::{Trees, dot};

/// An estimate of a trace.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TraceEstimate {
    /// The estimate.
    pub trace: f64,
    /// Its standard error, from the spread of the probes; NaN for a single one.
    pub standard_error: f64,
    /// How many products it took.
    pub n_products: usize,
}

/// An estimate of a diagonal.
#[derive(Clone, PartialEq, Debug)]
pub struct DiagonalEstimate<T> {
    /// The estimate, in the tree of the vectors.
    pub diagonal: T,
    /// The standard error of each entry; NaN for a single probe.
    pub standard_error: T,
}

/// Refuses an estimate without draws.
pub(super) fn at_least(
    method: &'static str,
    setting: &'static str,
    n: usize,
    least: usize,
    expected: &'static str,
) -> Result<(), LinearError> {
    if n >= least {
        return Ok(());
    }
    Err(LinearError::Setting { method, setting, found: n as f64, expected })
}

/// The trace of a symmetric operator on trees like `like`, from `n_probes` products.
///
/// # Errors
/// What the operator says; a product of another tree; no probe.
/// # Cost
/// One product for each probe.
/// # Source
/// Hutchinson 1989.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::curvature::hutchinson_trace;
/// let (f, x) = (|x: Var| (x * x * x).sum() + x.sum() * x.sum(), array([1.0, 2.0, 3.0]));
/// let hv = hvp(f);
/// let found = hutchinson_trace(|v| hv.call(&x, v), &x, 400, Key::from_seed(7))?;
/// assert!((found.trace - 42.0).abs() < 4.0 * found.standard_error && found.standard_error < 0.5);
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn hutchinson_trace<T: Tree<Leaf = Array, With<Array> = T>>(
    mut apply: impl FnMut(&T) -> Result<T, Error>,
    like: &T,
    n_probes: usize,
    key: Key,
) -> Result<TraceEstimate, LinearError> {
    at_least("hutchinson_trace", "number of probes", n_probes, 1, "at least one")?;
    let trees = Trees::new(like, Location(std::panic::Location::caller()));
    let n = trees.flattening.size();
    let draws: Vec<f64> = (0..n_probes)
        .map(|i| {
            let z = signs(key.fold_in(i as u64), n);
            Ok(dot(&z, &trees.through(&mut apply, "product", "argument", &z)?))
        })
        .collect::<Result<_, LinearError>>()?;
    let (trace, standard_error) = mean_and_error(&draws);
    Ok(TraceEstimate { trace, standard_error, n_products: n_probes })
}

/// The diagonal of a symmetric operator on trees like `like`, from `n_probes` products.
///
/// # Errors
/// What the operator says; a product of another tree; no probe.
/// # Cost
/// One product for each probe; two vectors.
/// # Source
/// Bekas, Kokiopoulou, Saad 2007.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::curvature::hutchinson_diagonal;
/// // Without entries beside the diagonal one probe is exact.
/// let (f, x) = (|x: Var| (x * x * x).sum(), array([1.0, 2.0]));
/// let hv = hvp(f);
/// let found = hutchinson_diagonal(|v| hv.call(&x, v), &x, 2, Key::from_seed(7))?;
/// assert_eq!((found.diagonal, found.standard_error), (array([6.0, 12.0]), array([0.0, 0.0])));
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn hutchinson_diagonal<T: Tree<Leaf = Array, With<Array> = T>>(
    mut apply: impl FnMut(&T) -> Result<T, Error>,
    like: &T,
    n_probes: usize,
    key: Key,
) -> Result<DiagonalEstimate<T>, LinearError> {
    at_least("hutchinson_diagonal", "number of probes", n_probes, 1, "at least one")?;
    let trees = Trees::new(like, Location(std::panic::Location::caller()));
    let mut product = |v: &[f64]| Ok(trees.through(&mut apply, "product", "argument", v)?);
    let (mean, error) = diagonal(&mut product, trees.flattening.size(), n_probes, key)?;
    Ok(DiagonalEstimate { diagonal: trees.tree(&mean), standard_error: trees.tree(&error) })
}

/// Mean and standard error of z ⊙ Az, by running sums (Welford 1962).
pub(super) fn diagonal(
    product: &mut Map<'_>,
    n: usize,
    n_probes: usize,
    key: Key,
) -> Result<(Vec<f64>, Vec<f64>), LinearError> {
    let (mut mean, mut square) = (vec![0.0; n], vec![0.0; n]);
    for i in 0..n_probes {
        let z = signs(key.fold_in(i as u64), n);
        let az = product(&z)?;
        for j in 0..n {
            let (draw, before) = (z[j] * az[j], mean[j]);
            mean[j] += (draw - before) / (i + 1) as f64;
            square[j] += (draw - before) * (draw - mean[j]);
        }
    }
    let k = n_probes as f64;
    let error = square.iter().map(|s| (s / (k * (k - 1.0))).sqrt()).collect();
    Ok((mean, error))
}
