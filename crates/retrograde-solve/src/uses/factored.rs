//! A symmetric operator as a factored matrix, for as many parameters as a matrix may have rows.

use std::fmt;

use retrograde_array::Array;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::error::{Cause, UseError};
use crate::curvature::{lanczos_steps, lanczos_unchanged};
use crate::linear::LinearError;
use crate::linear::dense::{Matrix, cholesky, cholesky_solve};
use crate::linear::flat::Trees;

/// Steps of Lanczos' process that say why there is no factor: the ends of a spectrum show within a few.
const STEPS_OF_DIAGNOSIS: usize = 40;

/// L of `A + damping I = L Lᵀ`, and trees in the place of vectors.
#[derive(Clone)]
pub struct Factored<T> {
    pub(super) lower: Matrix,
    like: T,
    location: Location,
}

impl<T> fmt::Debug for Factored<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factored").field("n", &self.lower.len()).finish_non_exhaustive()
    }
}

/// The matrix of a symmetric positive definite operator on trees like `like`, with `damping` added to its diagonal, factored.
///
/// Where many solves follow, such as the self-influence of every example, and d parameters are few.
///
/// # Errors
/// What the operator says; a product of another tree or not finite; a damping that is negative or not finite; a matrix that is
/// not positive definite beyond rounding, with its smallest eigenvalue and what damping would do.
/// # Cost
/// d products, d³/3 operations, d² numbers. A solve takes 2 d².
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::uses::factored;
/// let curvature = hvp(|x: Var| (x * x).sum() + x.sum() * x.sum());
/// let x = array([1.0, 2.0]);
/// let matrix = factored(|v| curvature.call(&x, v), &x, 0.0)?; // [[4, 2], [2, 4]]
/// let found = matrix.solve(&array([6.0, 0.0]))?.to_vec::<f64>().unwrap();
/// assert!((found[0] - 2.0).abs() < 1e-14 && (found[1] + 1.0).abs() < 1e-14);
/// let flat = hvp(|x: Var| x.sum() * x.sum());
/// let error = factored(|v| flat.call(&x, v), &x, 0.0).unwrap_err().to_string();
/// assert!(error.contains("there is no inverse") && error.contains("damping"));
/// # Ok::<(), retrograde_solve::uses::UseError>(())
/// ```
#[track_caller]
pub fn factored<T: Tree<Leaf = Array, With<Array> = T> + Clone>(
    mut apply: impl FnMut(&T) -> Result<T, Error>,
    like: &T,
    damping: f64,
) -> Result<Factored<T>, UseError> {
    let location = Location(std::panic::Location::caller());
    factor(&mut apply, like, damping, "a damping", location).map_err(|cause| cause.at(location))
}

pub(super) fn factor<T: Tree<Leaf = Array, With<Array> = T> + Clone>(
    apply: &mut dyn FnMut(&T) -> Result<T, Error>,
    like: &T,
    damping: f64,
    what: &'static str,
    location: Location,
) -> Result<Factored<T>, Cause> {
    not_negative("damping", damping)?;
    let trees = Trees::new(like, location);
    let n = trees.flattening.size();
    if n == 0 {
        return Err(LinearError::Empty { method: "factored" }.into());
    }
    let mut unit = vec![0.0; n];
    let mut matrix: Matrix = Vec::with_capacity(n);
    for i in 0..n {
        unit[i] = 1.0;
        let mut row = trees.through(&mut *apply, "product", "argument", &unit)?;
        unit[i] = 0.0;
        if row.iter().any(|x| !x.is_finite()) {
            return Err(Cause::NotFinite { what: "a product with curvature" });
        }
        row[i] += damping;
        matrix.push(row);
    }
    match cholesky(&matrix) {
        Some(lower) => Ok(Factored { lower, like: like.clone(), location }),
        None => Err(not_positive(&matrix, what)),
    }
}

/// What the ends of the spectrum are, for the message.
fn not_positive(matrix: &Matrix, what: &'static str) -> Cause {
    let times = |v: &[f64]| matrix.iter().map(|row| crate::linear::flat::dot(row, v)).collect::<Vec<f64>>();
    // Entries that no eigenvector of a structured matrix is orthogonal to.
    let start: Vec<f64> = (0..matrix.len()).map(|i| 1.0 + (i as f64).sin()).collect();
    let found = lanczos_steps(&mut |v| Ok(times(v)), &mut lanczos_unchanged, &start, STEPS_OF_DIAGNOSIS);
    let values = found.map(|basis| basis.eigen().0).unwrap_or_default();
    Cause::NotPositive {
        smallest: values.first().copied().unwrap_or(f64::NAN),
        largest: values.last().copied().unwrap_or(f64::NAN),
        what,
    }
}

pub(super) fn not_negative(setting: &'static str, found: f64) -> Result<(), Cause> {
    if found >= 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(Cause::Setting { setting, found, expected: "a number that is finite and not negative" })
}

impl<T: Tree<Leaf = Array, With<Array> = T>> Factored<T> {
    /// x of `(A + damping I) x = b`.
    ///
    /// # Errors
    /// A b of another tree.
    pub fn solve(&self, b: &T) -> Result<T, UseError> {
        let trees = Trees::new(&self.like, self.location);
        retrograde_core::trace::function::expect_like(
            "right-hand side",
            b,
            "argument",
            &self.like,
            self.location,
        )
        .map_err(|error| Cause::from(error).at(self.location))?;
        Ok(trees.tree(&cholesky_solve(&self.lower, &trees.flattening.flatten(b))))
    }
}
