//! Error bars of predictions: outputs are as uncertain as the parameters that they are made of.
//!
//! ```text
//! w ~ N(ŵ, Λ⁻¹)       f(x, w) ≈ f(x, ŵ) + J (w − ŵ)       cov f(x) = J Λ⁻¹ Jᵀ
//! Λ = Σᵢ Jᵢᵀ F(oᵢ) Jᵢ + τ I         F: Fisher's information of a label's distribution, in closed form
//! ```
//!
//! A is the Gauss–Newton matrix of the negative log-likelihood, which for these distributions is Fisher's and never
//! indefinite. Error bars from the Hessian are a [`Posterior`] made of its products. For those of the last layer alone the batch
//! is what comes into that layer, and the model is the layer.
//!
//! No array has rows, parameters and outputs as its axes: products go through rows in parts, the diagonal needs one gradient for
//! each row and output at a time, a prediction the Jacobian of one row. A model with 10⁵ parameters stays under 200 MB,
//! `a_network_of_1e5_parameters_stays_under_200_mb`.
//!
//! Source: D. J. C. MacKay, A practical Bayesian framework for backpropagation networks, Neural Computation 4 (1992); A. Immer,
//! M. Korzepa, M. Bauer, Improving predictions of Bayesian neural nets via local linearization, AISTATS 2021; E. Daxberger et al.,
//! Laplace redux: effortless Bayesian deep learning, NeurIPS 2021.

use retrograde_array::{Array, ops};
use retrograde_core::ir::Location;
use retrograde_core::trace::door::Jit;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::var::constant;
use retrograde_core::trace::{Error, Tree, Var};
use retrograde_engine::{grad, jit, vmap};

use super::error::{Cause, UseError};
use super::posterior::Posterior;
use super::rows::{NUMBERS_AT_ONCE, count, part, parts};
use crate::curvature::{Fisher, Likelihood, Product, alone, fisher_vp, same};
use crate::linear::flat::{Flattening, add_scaled, numbers};

/// Rows whose products are taken at once.
const ROWS_AT_ONCE: usize = 256;

/// Σ over rows of (J_iᵀ s)², s a column of a square root of Fisher's information: (parameters, batch, which column).
#[derive(Clone, Debug)]
pub(super) struct Squares<M> {
    model: M,
    likelihood: Likelihood,
}

impl<M, P: Traceable, B: Traceable> Function<(P, B, Var)> for Squares<M>
where
    M: Function<(P, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch, column): (P, B, Var)) -> P {
        let of_row = |row: B| {
            let along = |p: P| {
                let outputs = self.model.apply((p, alone(&row)));
                let o = outputs.reshape([outputs.shape().size()]);
                (o * root(self.likelihood, o.stop_gradient(), column)).sum()
            };
            let gradient = grad(along).at(same(&p));
            gradient.map_vars(&mut |g| *g * *g)
        };
        let squares = vmap(of_row).apply((batch,));
        squares.map_vars(&mut |leaf| leaf.sum_axes(&[0]))
    }
}

/// A column of S with S Sᵀ = F(o), chosen by a vector with one 1.   o: `[outputs]`.
fn root(likelihood: Likelihood, o: Var, column: Var) -> Var {
    match likelihood {
        Likelihood::Categorical => {
            // diag(p) − p pᵀ = Σ_k p_k (e_k − p)(e_k − p)ᵀ.
            let p = (o - o.logsumexp(&[0]).spread(o.shape())).exp();
            let chance = (p * column).sum();
            (column - p) * chance.sqrt().spread(o.shape())
        }
        // √(p (1 − p)) = 1/(2 cosh(o/2)).
        Likelihood::Bernoulli => column * 0.5 / (o * 0.5).cosh(),
        Likelihood::Gaussian { variance } => column * (1.0 / variance.sqrt()),
        Likelihood::Poisson => column * (o * 0.5).exp(),
    }
}

/// The Jacobian of the outputs of one row: (parameters, batch of one row) → gradients of the outputs, stacked.
#[derive(Clone, Debug)]
pub(super) struct RowJacobian<M> {
    model: M,
}

impl<M, P: Traceable, B: Traceable> Function<(P, B)> for RowJacobian<M>
where
    M: Function<(P, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch): (P, B)) -> P {
        let outputs = self.model.apply((same(&p), same(&batch)));
        let n = outputs.shape().size();
        let mut unit = vec![0.0; n * n];
        (0..n).for_each(|i| unit[i * n + i] = 1.0);
        let unit = Array::new([n, n], unit).expect("n × n numbers; this is a bug in retrograde");
        let of_output = |column: Var| {
            let along = |p: P| {
                let outputs = self.model.apply((p, same(&batch)));
                (outputs.reshape([n]) * column).sum()
            };
            grad(along).at(same(&p))
        };
        vmap(of_output).apply((constant(&ops::convert(&unit, outputs.dtype())),))
    }
}

/// See [`laplace`].
#[derive(Debug)]
pub struct Laplace<M, P, B> {
    fisher: Product<Fisher<M>, P, B>,
    squares: Jit<Squares<M>, (P, B, Var)>,
    jacobian: Jit<RowJacobian<M>, (P, B)>,
    model: Jit<M, (P, B)>,
    likelihood: Likelihood,
}

/// Outputs of a model and how they scatter.
#[derive(Clone, PartialEq, Debug)]
pub struct Predicted {
    /// `[n, outputs]`
    pub outputs: Array,
    /// `[n, outputs, outputs]`, by the parameters alone: the noise of labels is not in it.
    pub covariance: Array,
    likelihood: Likelihood,
}

/// Error bars of a model whose outputs say how labels are distributed. `model(parameters, batch)` → `[n]` or `[n, outputs]`.
///
/// # Errors
/// Of its methods: mistakes in the model; outputs that are not rows of numbers; batches of no rows.
/// # Source
/// MacKay 1992; Immer, Korzepa, Bauer 2021.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::Likelihood;
/// use retrograde_solve::uses::{Posterior, laplace};
/// // A line through the origin, noise of variance 0.5, a prior of precision 2.
/// let line = |slope: Var, x: Var| slope.spread(x.shape()) * x;
/// let (slope, x) = (array(1.0), array([1.0, 2.0]));
/// let bars = laplace(line, Likelihood::Gaussian { variance: 0.5 });
/// let posterior = Posterior::dense(&slope, |v| bars.curvature_times((&slope, &x), v), 2.0)?;
/// // Λ = (1 + 4)/0.5 + 2.
/// let predicted = bars.predict(&posterior, &array([3.0]))?;
/// assert!((predicted.standard_deviations()[0] - 3.0 / 12f64.sqrt()).abs() < 1e-14);
/// # Ok::<(), retrograde_solve::uses::UseError>(())
/// ```
#[track_caller]
pub fn laplace<M, P: Traceable, B: Traceable>(model: M, likelihood: Likelihood) -> Laplace<M, P, B>
where
    M: Function<(P, B), Output = Var> + Clone,
{
    Laplace {
        fisher: fisher_vp(model.clone(), likelihood),
        squares: jit(Squares { model: model.clone(), likelihood }),
        jacobian: jit(RowJacobian { model: model.clone() }),
        model: jit(model),
        likelihood,
    }
}

impl<M, P: Traceable, B: Traceable> Laplace<M, P, B>
where
    M: Function<(P, B), Output = Var>,
{
    /// A v, the Gauss–Newton curvature of the negative log-likelihood summed over rows, times a vector.
    ///
    /// # Errors
    /// See [`laplace`]; a v of another tree than the parameters.
    /// # Cost
    /// A tangent and a gradient of the model; memory of 256 rows.
    #[track_caller]
    pub fn curvature_times(
        &self,
        (parameters, batch): (&P::Arrays, &B::Arrays),
        v: &P::Arrays,
    ) -> Result<P::Arrays, Error> {
        let location = Location(std::panic::Location::caller());
        let n = count(batch, "a batch").map_err(|cause| door(cause, location))?;
        let mut sum: Option<Vec<Vec<f64>>> = None;
        for rows in parts(n, ROWS_AT_ONCE) {
            let size = rows.len() as f64;
            let mean = self.fisher.call((parameters, &part::<B>(batch, rows)), v)?;
            let leaves = crate::curvature::arrays(&mean);
            let sum = sum.get_or_insert_with(|| leaves.iter().map(|leaf| vec![0.0; leaf.size()]).collect());
            sum.iter_mut().zip(&leaves).for_each(|(sum, leaf)| add_scaled(sum, size, &numbers(leaf)));
        }
        let mut sums = sum.unwrap_or_default().into_iter();
        Ok(P::map_arrays(v, &mut |leaf| {
            let sum = sums.next().expect("one sum for each leaf; this is a bug in retrograde");
            let sum = Array::new(leaf.shape().clone(), sum)
                .expect("as many as entries; this is a bug in retrograde");
            ops::convert(&sum, leaf.dtype())
        }))
    }

    /// The diagonal of A, exactly.
    ///
    /// # Errors
    /// See [`laplace`].
    /// # Cost
    /// A gradient for each row and output, so many at once that together they have about a million numbers.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::Likelihood;
    /// use retrograde_solve::uses::laplace;
    /// let rates = |p: Var, x: Var| x.dot(p);
    /// let (p, x) = (array([0.0, 0.0]), array([[1.0, 0.0], [1.0, 2.0]]));
    /// assert_eq!(laplace(rates, Likelihood::Poisson).diagonal((&p, &x))?, array([2.0, 4.0]));
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    #[track_caller]
    pub fn diagonal(&self, (parameters, batch): (&P::Arrays, &B::Arrays)) -> Result<P::Arrays, UseError> {
        let location = Location(std::panic::Location::caller());
        self.squares((parameters, batch)).map_err(|cause| cause.at(location))
    }

    fn squares(&self, (parameters, batch): (&P::Arrays, &B::Arrays)) -> Result<P::Arrays, Cause> {
        let n = count(batch, "a batch")?;
        let flattening = Flattening::of(parameters);
        let outputs = self.model.call((parameters, &part::<B>(batch, 0..1)))?;
        let n_outputs = outputs.size();
        let at_once = (NUMBERS_AT_ONCE / flattening.size().max(1)).clamp(1, ROWS_AT_ONCE);
        let mut sum = vec![0.0; flattening.size()];
        for rows in parts(n, at_once) {
            let rows = part::<B>(batch, rows);
            for k in 0..n_outputs {
                let column: Vec<f64> = (0..n_outputs).map(|i| f64::from(u8::from(i == k))).collect();
                let column = ops::convert(&Array::vector(column), outputs.dtype());
                let squares = self.squares.call((parameters, &rows, &column))?;
                add_scaled(&mut sum, 1.0, &flattening.flatten(&squares));
            }
        }
        let mut leaves = flattening.leaves(&sum).into_iter();
        Ok(P::map_arrays(parameters, &mut |_| {
            leaves.next().expect("one for each; this is a bug in retrograde")
        }))
    }

    /// Outputs for rows and their covariance under a posterior.
    ///
    /// # Errors
    /// See [`laplace`]; a posterior of other parameters than the model's.
    /// # Cost
    /// A gradient and a product with the covariance for each row and output; memory of one row's Jacobian.
    #[track_caller]
    pub fn predict(&self, posterior: &Posterior<P::Arrays>, batch: &B::Arrays) -> Result<Predicted, UseError>
    where
        P::Arrays: Tree<With<Array> = P::Arrays> + Clone,
    {
        let location = Location(std::panic::Location::caller());
        self.predicted(posterior, batch).map_err(|cause| cause.at(location))
    }

    fn predicted(&self, posterior: &Posterior<P::Arrays>, batch: &B::Arrays) -> Result<Predicted, Cause>
    where
        P::Arrays: Tree<With<Array> = P::Arrays> + Clone,
    {
        let n = count(batch, "a batch")?;
        let parameters = posterior.mean();
        let (mut outputs, mut covariance, mut n_outputs) = (vec![], vec![], 0);
        for row in 0..n {
            let row = part::<B>(batch, row..row + 1);
            let own = numbers(&self.model.call((parameters, &row))?);
            let jacobian = self.jacobian.call((parameters, &row))?;
            let leaves: Vec<Vec<f64>> = crate::curvature::arrays(&jacobian).iter().map(numbers).collect();
            n_outputs = own.len();
            let rows: Vec<Vec<f64>> = (0..n_outputs)
                .map(|k| {
                    let of_output = |leaf: &Vec<f64>| {
                        let size = leaf.len() / n_outputs;
                        leaf[k * size..(k + 1) * size].to_vec()
                    };
                    leaves.iter().flat_map(of_output).collect()
                })
                .collect();
            outputs.extend(own);
            covariance.extend(posterior.covariances(&rows).into_iter().flatten());
        }
        if outputs.iter().chain(&covariance).any(|x| !x.is_finite()) {
            return Err(Cause::NotFinite { what: "a predicted output or its covariance" });
        }
        let array = |shape: Vec<usize>, values| {
            Array::new(shape, values).expect("rows of one length; this is a bug in retrograde")
        };
        Ok(Predicted {
            outputs: array(vec![n, n_outputs], outputs),
            covariance: array(vec![n, n_outputs, n_outputs], covariance),
            likelihood: self.likelihood,
        })
    }
}

fn door(cause: Cause, location: Location) -> Error {
    match cause {
        Cause::Door(error) => error,
        other => Error::Input { message: other.to_string(), location, help: "bring rows".into() },
    }
}

impl Predicted {
    /// The error bar of each output, row by row.
    pub fn standard_deviations(&self) -> Vec<f64> {
        self.variances().into_iter().map(f64::sqrt).collect()
    }
    fn variances(&self) -> Vec<f64> {
        let k = self.outputs.shape()[1];
        let covariance = numbers(&self.covariance);
        (0..self.outputs.size()).map(|i| covariance[i / k * k * k + i % k * (k + 1)]).collect()
    }
    /// Probabilities that are less sure where outputs are uncertain: softmax or sigmoid of o/√(1 + π v/8), v the variance of an
    /// output, row by row. None for labels that are numbers.
    ///
    /// Source: D. J. C. MacKay, The evidence framework applied to classification networks, Neural Computation 4 (1992), for two
    /// classes; for several Z. Lu, E. Ie, F. Sha, Mean-field approximation to Gaussian-softmax integral with application to
    /// uncertainty estimation, 2020.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::Likelihood;
    /// use retrograde_solve::uses::{Posterior, laplace};
    /// let bars = laplace(|p: Var, x: Var| x.dot(p), Likelihood::Bernoulli);
    /// let [sure, unsure] = [1e6, 0.1].map(|precision| {
    ///     let posterior = Posterior::diagonal(&array([2.0]), &array([precision]), 0.0).unwrap();
    ///     bars.predict(&posterior, &array([[1.0]])).unwrap().probabilities().unwrap()[0]
    /// });
    /// assert!((sure - 1.0 / (1.0 + (-2f64).exp())).abs() < 1e-6 && unsure > 0.5 && unsure < sure - 0.1);
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    pub fn probabilities(&self) -> Option<Vec<f64>> {
        let shrunk: Vec<f64> = numbers(&self.outputs)
            .iter()
            .zip(self.variances())
            .map(|(o, v)| o / (1.0 + std::f64::consts::PI * v / 8.0).sqrt())
            .collect();
        let exp = retrograde_array::map::exp_f64;
        match self.likelihood {
            Likelihood::Bernoulli => Some(shrunk.iter().map(|o| 1.0 / (1.0 + exp(-o))).collect()),
            Likelihood::Categorical => {
                let softmax = |row: &[f64]| {
                    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let parts: Vec<f64> = row.iter().map(|o| exp(o - top)).collect();
                    let sum: f64 = parts.iter().sum();
                    parts.into_iter().map(move |part| part / sum).collect::<Vec<_>>()
                };
                Some(shrunk.chunks(self.outputs.shape()[1]).flat_map(softmax).collect())
            }
            Likelihood::Gaussian { .. } | Likelihood::Poisson => None,
        }
    }
}
