//! Lanczos' process: the spectrum of a symmetric operator from products.
//!
//! k steps from v give an orthonormal basis Q of v, Av, … and the tridiagonal T = QᵀAQ. The eigenvalues of T approach those of A
//! from inside, the outermost first; with the squared first entries of its eigenvectors as weights they are Gauss' quadrature of the
//! spectral measure of v, exact for polynomials up to degree 2k − 1. The mean over random v is the spectral density of A.
//!
//! Source: C. Lanczos, An iteration method for the solution of the eigenvalue problem, J. Res. Natl. Bur. Stand. 45 (1950);
//! G. H. Golub, J. H. Welsch, Calculation of Gauss quadrature rules, Mathematics of Computation 23 (1969); S. Ubaru, J. Chen,
//! Y. Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, SIAM J. Matrix Anal. Appl. 38 (2017).

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::ir::Location;
use retrograde_core::trace::{Error, Tree};

use super::hutchinson::at_least;
use super::probe::signs;
use crate::linear::LinearError;
use crate::linear::dense::tridiagonal_eigen;
use crate::linear::flat::{Trees, add_scaled, dot, norm, scaled};

/// A discrete measure: eigenvalues and how much of the vector lies along each. Weights sum to one.
#[derive(Clone, PartialEq, Debug)]
pub struct Spectrum {
    /// Ascending.
    pub values: Vec<f64>,
    /// One for each value.
    pub weights: Vec<f64>,
}

impl Spectrum {
    /// The smallest value: at least the smallest eigenvalue.
    pub fn smallest(&self) -> f64 {
        self.values.first().copied().unwrap_or(f64::NAN)
    }
    /// The largest value: at most the largest eigenvalue.
    pub fn largest(&self) -> f64 {
        self.values.last().copied().unwrap_or(f64::NAN)
    }
    /// Σ weight f(value): vᵀ f(A) v / vᵀv, exactly for polynomials up to degree 2k − 1.
    ///
    /// ```
    /// use retrograde_array::{Array, array, ops, rng::Key};
    /// use retrograde_solve::curvature::{Spectrum, spectral_density};
    /// let entries = array([1.0, 2.0, 4.0, 8.0]);
    /// let times = |v: &Array| Ok(ops::binary(ops::Binary::Mul, &entries, v).unwrap());
    /// let density: Spectrum = spectral_density(times, &entries, 4, 3, Key::from_seed(1))?;
    /// assert!((density.mean(f64::ln) - (64f64).ln() / 4.0).abs() < 1e-12); // ln det A / n
    /// # Ok::<(), retrograde_solve::linear::LinearError>(())
    /// ```
    pub fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.values.iter().zip(&self.weights).map(|(value, weight)| weight * f(*value)).sum()
    }
}

/// What k steps leave of an operator A that is preconditioned with M: vectors v with vᵢᵀ M vⱼ = δᵢⱼ, their images z = M v, and the
/// tridiagonal T = zᵀAz, similar to a section of √M A √M.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    pub(crate) images: Vec<Vec<f64>>,
    pub(crate) diagonal: Vec<f64>,
    pub(crate) beside: Vec<f64>,
    /// √(startᵀ M start)
    pub(crate) length: f64,
}

impl Basis {
    /// Eigenvalues, ascending, and eigenvectors of T.
    pub(crate) fn eigen(&self) -> (Vec<f64>, Vec<Vec<f64>>) {
        tridiagonal_eigen(&self.diagonal, &self.beside[..self.diagonal.len() - 1])
    }
    pub(crate) fn spectrum(&self) -> Spectrum {
        let (values, vectors) = self.eigen();
        Spectrum { weights: vectors.iter().map(|v| v[0] * v[0]).collect(), values }
    }
}

/// A function on vectors of numbers.
pub(crate) type Map<'a> = dyn FnMut(&[f64]) -> Result<Vec<f64>, LinearError> + 'a;

/// At most `n_steps` steps from `start`, with every vector made orthogonal to all before it, twice.
pub(crate) fn steps(
    product: &mut Map<'_>,
    preconditioned: &mut Map<'_>,
    start: &[f64],
    n_steps: usize,
) -> Result<Basis, LinearError> {
    let image = preconditioned(start)?;
    let length = dot(start, &image).sqrt();
    let (mut vectors, mut images) = (vec![scaled(1.0 / length, start)], vec![scaled(1.0 / length, &image)]);
    let (mut diagonal, mut beside) = (vec![], vec![]);
    for k in 0..n_steps.min(start.len()) {
        let mut w = product(&images[k])?;
        if w.iter().any(|x| !x.is_finite()) {
            return Err(LinearError::NotFinite { method: "lanczos", what: "a product", step: k + 1 });
        }
        let image = preconditioned(&w)?;
        let whole = dot(&w, &image).max(0.0).sqrt();
        diagonal.push(dot(&images[k], &w));
        for _ in 0..2 {
            for (v, z) in vectors.iter().zip(&images) {
                let part = dot(z, &w);
                add_scaled(&mut w, -part, v);
            }
        }
        let image = preconditioned(&w)?;
        let left = dot(&w, &image).max(0.0).sqrt();
        beside.push(left);
        // What is left is rounding: the vectors so far span a subspace that the operator maps to itself.
        if left <= 1e-13 * whole {
            break;
        }
        vectors.push(scaled(1.0 / left, &w));
        images.push(scaled(1.0 / left, &image));
    }
    images.truncate(diagonal.len());
    Ok(Basis { images, diagonal, beside, length })
}

/// No preconditioner.
pub(crate) fn unchanged(v: &[f64]) -> Result<Vec<f64>, LinearError> {
    Ok(v.to_vec())
}

/// The spectral measure of `start` under a symmetric operator, from `n_steps` products.
///
/// # Errors
/// What the operator says; a product of another tree, or one that is not finite; no step; a start of zeros.
/// # Cost
/// One product in a step and as many vectors as steps.
/// # Source
/// Lanczos 1950; Golub & Welsch 1969.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::curvature::lanczos;
/// let (f, x) = (|x: Var| (x * x * x).sum(), array([1.0, -2.0, 3.0]));
/// let hv = hvp(f);
/// let found = lanczos(|v| hv.call(&x, v), &array([1.0, 1.0, 1.0]), 3)?;
/// assert!((found.smallest() + 12.0).abs() < 1e-12 && (found.largest() - 18.0).abs() < 1e-12);
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn lanczos<T: Tree<Leaf = Array, With<Array> = T>>(
    mut apply: impl FnMut(&T) -> Result<T, Error>,
    start: &T,
    n_steps: usize,
) -> Result<Spectrum, LinearError> {
    at_least("lanczos", "number of steps", n_steps, 1, "at least one")?;
    let trees = Trees::new(start, Location(std::panic::Location::caller()));
    let flat = trees.flattening.flatten(start);
    if norm(&flat) == 0.0 {
        let (setting, expected) = ("norm of the start", "a vector that is not zero");
        return Err(LinearError::Setting { method: "lanczos", setting, found: 0.0, expected });
    }
    let mut product = |v: &[f64]| Ok(trees.through(&mut apply, "product", "start", v)?);
    Ok(steps(&mut product, &mut unchanged, &flat, n_steps)?.spectrum())
}

/// The spectral density of a symmetric operator on trees like `like`: the mean measure of `n_probes` random starts.
///
/// # Errors
/// See [`lanczos`]; no probe.
/// # Cost
/// `n_steps` products for each probe.
/// # Source
/// Ubaru, Chen, Saad 2017.
///
/// ```
/// use retrograde_array::{Array, array, ops, rng::Key};
/// use retrograde_solve::curvature::spectral_density;
/// let entries = array([1.0, 2.0, 4.0]);
/// let times = |v: &Array| Ok(ops::binary(ops::Binary::Mul, &entries, v).unwrap());
/// let density = spectral_density(times, &entries, 3, 5, Key::from_seed(1))?;
/// assert!((density.mean(|x| x) - 7.0 / 3.0).abs() < 1e-12); // tr A / n: exact for signs on a diagonal
/// # Ok::<(), retrograde_solve::linear::LinearError>(())
/// ```
#[track_caller]
pub fn spectral_density<T: Tree<Leaf = Array, With<Array> = T>>(
    mut apply: impl FnMut(&T) -> Result<T, Error>,
    like: &T,
    n_steps: usize,
    n_probes: usize,
    key: Key,
) -> Result<Spectrum, LinearError> {
    at_least("spectral_density", "number of steps", n_steps, 1, "at least one")?;
    at_least("spectral_density", "number of probes", n_probes, 1, "at least one")?;
    let trees = Trees::new(like, Location(std::panic::Location::caller()));
    let n = trees.flattening.size();
    if n == 0 {
        return Err(LinearError::Empty { method: "spectral_density" });
    }
    let mut product = |v: &[f64]| Ok(trees.through(&mut apply, "product", "argument", v)?);
    let mut all: Vec<(f64, f64)> = vec![];
    for i in 0..n_probes {
        let found =
            steps(&mut product, &mut unchanged, &signs(key.fold_in(i as u64), n), n_steps)?.spectrum();
        all.extend(found.values.into_iter().zip(found.weights.iter().map(|w| w / n_probes as f64)));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (values, weights) = all.into_iter().unzip();
    Ok(Spectrum { values, weights })
}
