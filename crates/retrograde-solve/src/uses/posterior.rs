//! A normal distribution around fitted parameters, in the form that their number allows.
//!
//! ```text
//! w ~ N(ŵ, Λ⁻¹)        Λ = A + τ I        A: curvature of the negative log-likelihood, summed over rows; τ: prior precision
//! ```
//!
//! | form | keeps | variance along j: jᵀΛ⁻¹j |
//! |---|---|---|
//! | dense | d² numbers | exact |
//! | low rank | (k + 1) d | at least the exact one, smaller with every rank, equal in the end |
//! | diagonal | d | as if parameters were independent |
//!
//! Low rank is Nyström's approximation AQ(QᵀAQ)⁻¹QᵀA ⪯ A on the Krylov basis Q of a random start, so it never says that the
//! data fix a direction more than they do: error bars are not too small. With Lanczos' tridiagonal T and the entry β that comes
//! after it, it is T itself with β e and the corner β² (T⁻¹)ₖₖ around it.
//!
//! Source: P. S. Laplace, Mémoire sur la probabilité des causes par les évènements, 1774; D. J. C. MacKay, A practical Bayesian
//! framework for backpropagation networks, Neural Computation 4 (1992); E. Daxberger et al., Laplace redux: effortless Bayesian
//! deep learning, NeurIPS 2021; Nyström's approximation: A. Gittens, M. W. Mahoney, JMLR 17 (2016).

use retrograde_array::Array;
use retrograde_array::rng::{Key, normal};
use retrograde_core::ir::Location;
use retrograde_core::trace::function::expect_like;
use retrograde_core::trace::{Error, Tree};

use super::error::{Cause, UseError};
use super::factored::{factor, not_negative};
use crate::curvature::{LanczosMap, lanczos_steps, lanczos_unchanged};
use crate::linear::LinearError;
use crate::linear::dense::{Matrix, cholesky, cholesky_solve, symmetric_eigen};
use crate::linear::flat::{Flattening, Trees, add_scaled, dot};

/// What is called prior precision in messages.
const PRIOR: &str = "a prior precision";
/// Eigenvalues below this part of the largest are rounding.
const ROUNDING: f64 = 1e-13;

#[derive(Clone, Debug)]
enum Form {
    /// L of Λ = L Lᵀ.
    Dense { lower: Matrix },
    /// Orthonormal rows and what A is along each.
    LowRank { vectors: Matrix, values: Vec<f64> },
    /// Λ's diagonal.
    Diagonal { precision: Vec<f64> },
}

/// A normal distribution around fitted parameters.
#[derive(Clone, Debug)]
pub struct Posterior<T> {
    mean: T,
    prior_precision: f64,
    form: Form,
    location: Location,
}

impl<T: Tree<Leaf = Array, With<Array> = T> + Clone> Posterior<T> {
    /// With the whole matrix. `apply`: v → A v, the curvature of the negative log-likelihood summed over rows: Hessian,
    /// Gauss–Newton or Fisher.
    ///
    /// # Errors
    /// What the operator says; a precision that is negative; Λ that is not positive definite, with its smallest eigenvalue.
    /// # Cost
    /// d products, d³/3 operations, d² numbers.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_engine::hvp;
    /// use retrograde_solve::uses::Posterior;
    /// // Four measurements of one number, each with variance 1, and a prior of precision 1.
    /// let loss = |w: Var| (w - 0.5) * (w - 0.5) * 2.0;
    /// let curvature = hvp(loss);
    /// let w = array(0.4);
    /// let posterior = Posterior::dense(&w, |v| curvature.call(&w, v), 1.0)?;
    /// assert!((posterior.variance_along(&array(1.0))? - 0.2).abs() < 1e-15);
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    #[track_caller]
    pub fn dense(
        mean: &T,
        mut apply: impl FnMut(&T) -> Result<T, Error>,
        prior_precision: f64,
    ) -> Result<Self, UseError> {
        let location = Location(std::panic::Location::caller());
        let factored = factor(&mut apply, mean, prior_precision, PRIOR, location);
        let form = factored.map(|factored| Form::Dense { lower: factored.lower });
        Self::new(mean, prior_precision, form, location)
    }

    /// From the `rank` leading directions that Lanczos' process finds from a random start.
    ///
    /// # Errors
    /// What the operator says; no rank; a precision that is not positive; an A that is indefinite, with its smallest eigenvalue.
    /// # Cost
    /// `rank` + 1 products and as many vectors.
    ///
    /// ```
    /// use retrograde_array::{Array, array, ops, rng::Key};
    /// use retrograde_solve::uses::Posterior;
    /// let entries = array([9.0, 4.0, 0.0]);
    /// let times = |v: &Array| Ok(ops::binary(ops::Binary::Mul, &entries, v).unwrap());
    /// let posterior = Posterior::low_rank(&array([0.0; 3]), times, 1.0, 2, Key::from_seed(1))?;
    /// for (j, variance) in [([1.0, 0.0, 0.0], 0.1), ([0.0, 1.0, 0.0], 0.2), ([0.0, 0.0, 1.0], 1.0)] {
    ///     assert!((posterior.variance_along(&array(j))? - variance).abs() < 1e-12);
    /// }
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    #[track_caller]
    pub fn low_rank(
        mean: &T,
        mut apply: impl FnMut(&T) -> Result<T, Error>,
        prior_precision: f64,
        rank: usize,
        key: Key,
    ) -> Result<Self, UseError> {
        let location = Location(std::panic::Location::caller());
        let trees = Trees::new(mean, location);
        let mut product =
            |v: &[f64]| trees.through(&mut apply, "product", "argument", v).map_err(LinearError::from);
        let form = low_rank(&mut product, trees.flattening.size(), prior_precision, rank, key);
        Self::new(mean, prior_precision, form, location)
    }

    /// With independent parameters: `diagonal` is that of A, from [`Laplace::diagonal`](super::Laplace::diagonal) or
    /// [`hutchinson_diagonal`](crate::curvature::hutchinson_diagonal).
    ///
    /// # Errors
    /// Another tree than the parameters; an entry that is negative with the prior precision added, or zero.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_solve::uses::Posterior;
    /// let posterior = Posterior::diagonal(&array([1.0, 2.0]), &array([3.0, 0.0]), 1.0)?;
    /// assert_eq!(posterior.variances(), array([0.25, 1.0]));
    /// assert!(Posterior::diagonal(&array([1.0, 2.0]), &array([3.0, 0.0]), 0.0).is_err());
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    #[track_caller]
    pub fn diagonal(mean: &T, diagonal: &T, prior_precision: f64) -> Result<Self, UseError> {
        let location = Location(std::panic::Location::caller());
        let form = || {
            not_negative("prior precision", prior_precision)?;
            expect_like("diagonal", diagonal, "parameters", mean, location)?;
            let precision: Vec<f64> =
                Flattening::of(mean).flatten(diagonal).iter().map(|a| a + prior_precision).collect();
            let ends = |f: fn(f64, f64) -> f64, start| precision.iter().copied().fold(start, f);
            let (smallest, largest) = (ends(f64::min, f64::INFINITY), ends(f64::max, f64::NEG_INFINITY));
            if precision.iter().all(|p| *p > 0.0 && p.is_finite()) {
                Ok(Form::Diagonal { precision })
            } else {
                Err(Cause::NotPositive { smallest, largest, what: PRIOR })
            }
        };
        Self::new(mean, prior_precision, form(), location)
    }

    fn new(
        mean: &T,
        prior_precision: f64,
        form: Result<Form, Cause>,
        location: Location,
    ) -> Result<Self, UseError> {
        let form = form.map_err(|cause| cause.at(location))?;
        Ok(Posterior { mean: mean.clone(), prior_precision, form, location })
    }

    /// ŵ.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_solve::uses::Posterior;
    /// assert_eq!(Posterior::diagonal(&array(2.0), &array(1.0), 0.0)?.mean(), &array(2.0));
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    pub fn mean(&self) -> &T {
        &self.mean
    }

    /// Λ⁻¹ v.
    ///
    /// # Errors
    /// A v of another tree.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_solve::uses::Posterior;
    /// let posterior = Posterior::diagonal(&array([1.0, 2.0]), &array([3.0, 1.0]), 1.0)?;
    /// assert_eq!(posterior.covariance_times(&array([4.0, 4.0]))?, array([1.0, 2.0]));
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    pub fn covariance_times(&self, v: &T) -> Result<T, UseError> {
        let flat = self.solve(&self.flat(v)?);
        Ok(Trees::new(&self.mean, self.location).tree(&flat))
    }

    /// The variance of jᵀw: that of any number whose gradient by the parameters is j, to first order.
    ///
    /// # Errors
    /// A j of another tree.
    pub fn variance_along(&self, j: &T) -> Result<f64, UseError> {
        let j = self.flat(j)?;
        Ok(dot(&j, &self.solve(&j)))
    }

    /// The variance of each parameter.
    ///
    /// # Cost
    /// d³/3 operations for the dense form, d for each vector of the others.
    pub fn variances(&self) -> T {
        let n = Flattening::of(&self.mean).size();
        let variances: Vec<f64> = match &self.form {
            Form::Dense { lower } => {
                // Λ⁻¹ = L⁻ᵀ L⁻¹: entry i of its diagonal is the sum of the squares of column i of L⁻¹.
                let mut variances = vec![0.0; n];
                let mut column = vec![0.0; n];
                for i in 0..n {
                    column[..i].fill(0.0);
                    column[i] = 1.0 / lower[i][i];
                    for k in i + 1..n {
                        column[k] = -dot(&lower[k][i..k], &column[i..k]) / lower[k][k];
                    }
                    variances[i] = dot(&column[i..], &column[i..]);
                }
                variances
            }
            Form::LowRank { vectors, values } => {
                let mut variances = vec![1.0 / self.prior_precision; n];
                for (vector, value) in vectors.iter().zip(values) {
                    let share = value / (value + self.prior_precision) / self.prior_precision;
                    variances.iter_mut().zip(vector).for_each(|(variance, u)| *variance -= share * u * u);
                }
                variances
            }
            Form::Diagonal { precision } => precision.iter().map(|p| 1.0 / p).collect(),
        };
        Trees::new(&self.mean, self.location).tree(&variances)
    }

    /// Parameters drawn from the distribution.
    ///
    /// ```
    /// use retrograde_array::{array, rng::Key};
    /// use retrograde_solve::uses::Posterior;
    /// let sharp = Posterior::diagonal(&array([1.0, 2.0]), &array([1e18, 1e18]), 0.0)?;
    /// let drawn = sharp.sample(Key::from_seed(3)).to_vec::<f64>().unwrap();
    /// assert!((drawn[0] - 1.0).abs() < 1e-8 && (drawn[1] - 2.0).abs() < 1e-8 && drawn[0] != 1.0);
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    pub fn sample(&self, key: Key) -> T {
        let flattening = Flattening::of(&self.mean);
        let n = flattening.size();
        let z = normal(key, [n]).to_vec::<f64>().expect("normal draws are f64");
        let away: Vec<f64> = match &self.form {
            // Lᵀ x = z.
            Form::Dense { lower } => {
                let mut x = z;
                for i in (0..n).rev() {
                    let known: f64 = (i + 1..n).map(|k| lower[k][i] * x[k]).sum();
                    x[i] = (x[i] - known) / lower[i][i];
                }
                x
            }
            Form::LowRank { vectors, values } => {
                let tau = self.prior_precision;
                let mut x = z.clone();
                for (vector, value) in vectors.iter().zip(values) {
                    add_scaled(&mut x, ((tau / (value + tau)).sqrt() - 1.0) * dot(vector, &z), vector);
                }
                x.iter().map(|x| x / tau.sqrt()).collect()
            }
            Form::Diagonal { precision } => z.iter().zip(precision).map(|(z, p)| z / p.sqrt()).collect(),
        };
        let mean = flattening.flatten(&self.mean);
        let drawn: Vec<f64> = mean.iter().zip(away).map(|(mean, away)| mean + away).collect();
        Trees::new(&self.mean, self.location).tree(&drawn)
    }

    /// ln det Λ: with it the evidence of prior precisions is compared, ln p(data) ≈ ln p(data | ŵ) − τ‖ŵ‖²/2 + (d/2) ln τ − ½ ln det Λ
    /// (MacKay 1992).
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_solve::uses::Posterior;
    /// let posterior = Posterior::diagonal(&array([1.0, 2.0]), &array([3.0, 1.0]), 1.0)?;
    /// assert!((posterior.log_determinant() - 8f64.ln()).abs() < 1e-15);
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    pub fn log_determinant(&self) -> f64 {
        match &self.form {
            Form::Dense { lower } => 2.0 * lower.iter().enumerate().map(|(i, row)| row[i].ln()).sum::<f64>(),
            Form::LowRank { values, .. } => {
                let rest = Flattening::of(&self.mean).size() - values.len();
                let tau = self.prior_precision;
                rest as f64 * tau.ln() + values.iter().map(|value| (value + tau).ln()).sum::<f64>()
            }
            Form::Diagonal { precision } => precision.iter().map(|p| p.ln()).sum(),
        }
    }

    fn flat(&self, v: &T) -> Result<Vec<f64>, UseError> {
        let likeness = expect_like("vector", v, "parameters", &self.mean, self.location);
        likeness.map_err(|error| Cause::from(error).at(self.location))?;
        Ok(Flattening::of(&self.mean).flatten(v))
    }

    /// Λ⁻¹ v.
    fn solve(&self, v: &[f64]) -> Vec<f64> {
        match &self.form {
            Form::Dense { lower } => cholesky_solve(lower, v),
            Form::LowRank { vectors, values } => {
                let tau = self.prior_precision;
                let mut x = v.to_vec();
                for (vector, value) in vectors.iter().zip(values) {
                    add_scaled(&mut x, -value / (value + tau) * dot(vector, v), vector);
                }
                x.iter_mut().for_each(|x| *x /= tau);
                x
            }
            Form::Diagonal { precision } => v.iter().zip(precision).map(|(v, p)| v / p).collect(),
        }
    }

    /// jₐᵀ Λ⁻¹ j_b of several vectors, which are rows.
    pub(super) fn covariances(&self, rows: &[Vec<f64>]) -> Matrix {
        let solved: Vec<Vec<f64>> = rows.iter().map(|row| self.solve(row)).collect();
        rows.iter().map(|a| solved.iter().map(|b| dot(a, b)).collect()).collect()
    }
}

/// See the module: T with β e and β² (T⁻¹)ₖₖ around it, turned to its eigenvectors.
fn low_rank(
    product: &mut LanczosMap<'_>,
    n: usize,
    prior_precision: f64,
    rank: usize,
    key: Key,
) -> Result<Form, Cause> {
    if rank == 0 {
        return Err(Cause::Setting { setting: "rank", found: 0.0, expected: "at least one direction" });
    }
    if !(prior_precision > 0.0 && prior_precision.is_finite()) {
        let expected = "a positive number: along directions that the rank leaves out it is all there is";
        return Err(Cause::Setting { setting: "prior precision", found: prior_precision, expected });
    }
    if n == 0 {
        return Err(LinearError::Empty { method: "low_rank" }.into());
    }
    let start = normal(key, [n]).to_vec::<f64>().expect("normal draws are f64");
    let basis = lanczos_steps(product, &mut lanczos_unchanged, &start, rank.saturating_add(1))?;
    let m = basis.diagonal.len();
    // One vector more than the rank, unless the space ended before.
    let k = rank.min(m);
    let mut inner: Matrix = vec![vec![0.0; m]; m];
    for i in 0..k {
        inner[i][i] = basis.diagonal[i];
        if i + 1 < m {
            (inner[i][i + 1], inner[i + 1][i]) = (basis.beside[i], basis.beside[i]);
        }
    }
    if k < m {
        let top: Matrix = inner[..k].iter().map(|row| row[..k].to_vec()).collect();
        let mut last = vec![0.0; k];
        last[k - 1] = 1.0;
        let Some(lower) = cholesky(&top) else { return Err(not_semidefinite(&top)) };
        let beta = basis.beside[k - 1];
        inner[k][k] = beta * beta * cholesky_solve(&lower, &last)[k - 1];
    }
    let (values, turns) = symmetric_eigen(&inner);
    let largest = values.iter().copied().fold(0.0, f64::max);
    if values.iter().any(|value| *value < -ROUNDING.sqrt() * largest) {
        return Err(not_semidefinite(&inner));
    }
    let (mut vectors, mut kept) = (vec![], vec![]);
    for (value, turn) in values.into_iter().zip(turns).filter(|(value, _)| *value > ROUNDING * largest) {
        let mut vector = vec![0.0; n];
        turn.iter().zip(&basis.images).for_each(|(part, q)| add_scaled(&mut vector, *part, q));
        vectors.push(vector);
        kept.push(value);
    }
    Ok(Form::LowRank { vectors, values: kept })
}

fn not_semidefinite(matrix: &Matrix) -> Cause {
    let values = symmetric_eigen(matrix).0;
    Cause::NotPositive { smallest: values[0], largest: values[values.len() - 1], what: PRIOR }
}
