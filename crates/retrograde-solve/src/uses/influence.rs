//! Which training examples a prediction rests on.
//!
//! ```text
//! ŵ minimises  (1/n) Σᵢ ℓᵢ(w) + r(w)                  H its second derivatives at ŵ, gᵢ = ∇ℓᵢ(ŵ)
//! without example i the minimum moves by    (1/n) H⁻¹ gᵢ + O(1/n²)
//! and a number q(w), such as a test loss, by  (1/n) ∇q(ŵ)ᵀ H⁻¹ gᵢ
//! ```
//!
//! The other examples keep their weight 1/n and the penalty r its own. One solve x = H⁻¹ ∇q serves all examples. The products
//! gᵢᵀx are the slopes of the n losses along x, so one tangent through the losses gives them all, and no gradient of an example
//! is ever made: memory is that of a part of the rows, whatever n and the number of parameters d are. With a residual
//! ρ = ∇q − H x̂ of the solve a score is off by at most ‖gᵢ‖ ‖ρ‖ / (n λ) where λ is the smallest eigenvalue of H. Law: the
//! first term of a series in 1/n; exact for its limit.
//!
//! Source: R. D. Cook, S. Weisberg, Residuals and Influence in Regression, Chapman and Hall 1982; P. W. Koh, P. Liang,
//! Understanding black-box predictions via influence functions, ICML 2017; groups: P. W. Koh, K.-S. Ang, H. H. K. Teo, P. Liang,
//! On the accuracy of influence functions for measuring group effects, NeurIPS 2019.

use retrograde_array::Array;
use retrograde_core::ir::Location;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{Grad, Jit};
use retrograde_core::trace::function::{Function, Traceable, expect_like};
use retrograde_engine::{grad, jit, jvp};

use super::error::{Cause, UseError};
use super::rows::{NUMBERS_AT_ONCE, count, part, parts};
use super::scores::Scores;
use crate::curvature::{PerExampleGradients, losses_of_rows, per_example_gradients, same};
use crate::linear::flat::{Flattening, dot};

/// Rows whose losses are taken at once, until `.rows_at_once` says otherwise: enough for products of matrices to be fast.
const ROWS_AT_ONCE: usize = 256;

/// The slopes of the losses of rows along a direction: (parameters, batch, x) → `[n]`.
#[derive(Clone, Debug)]
pub(super) struct Along<F> {
    loss: F,
}

impl<F, P: Traceable, B: Traceable> Function<(P, B, P)> for Along<F>
where
    F: Function<(P, B), Output = Var>,
{
    type Output = Var;
    fn apply(&self, (p, batch, x): (P, B, P)) -> Var {
        let losses = |p: P| losses_of_rows(&self.loss, &p, same(&batch));
        let (values, slopes) = jvp(losses).at(p, &x);
        slopes.first().copied().unwrap_or(values)
    }
}

/// See [`influence`].
#[derive(Debug)]
pub struct Influence<F, P: Traceable, B: Traceable> {
    along: Jit<Along<F>, (P, B, P)>,
    slope: Grad<F, (P, B)>,
    each: PerExampleGradients<F, P, B>,
    rows_at_once: usize,
}

/// Which examples made a fit what it is. `loss(parameters, batch)` is the mean over the rows of a batch, without penalties.
///
/// The inverse is a function of the gradient: it returns `H⁻¹ g` and a certificate, whatever it knows of how good that is, which
/// the scores carry. H is the curvature of the whole objective, penalties included; a damping that makes it positive makes
/// scores those of a fit with so much more penalty around ŵ.
///
/// # Errors
/// Of its methods: mistakes in the loss; batches of no rows or of leaves without a common leading axis; a gradient of another tree
/// than the parameters; what the inverse says; scores that are not finite.
/// # Cost
/// Of a call: one solve, and a tangent through the loss of each training row.
/// # Source
/// Koh & Liang 2017.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::hvp;
/// use retrograde_solve::{linear::cg, uses::influence};
/// // The mean of numbers, by least squares; the last one is far out.
/// let loss = |mean: Var, x: Var| { let miss = mean.spread(x.shape()) - x; 0.5 * (miss * miss).mean() };
/// let (mean, train, test) = (array(3.0), array([1.0, 1.0, 2.0, 8.0]), array([1.0]));
/// let curvature = hvp(loss);
/// let scores = influence(loss).on_loss(&mean, &train, &test, |g| {
///     let found = cg(|v| curvature.call((&mean, &train), v), g).solve()?;
///     Ok::<_, retrograde_solve::linear::LinearError>((found.x, found.residuals))
/// })?;
/// // Without a number x the mean moves by (3 − x)/4, and the loss at 1 by twice that.
/// assert_eq!(scores.changes, [1.0, 1.0, 0.5, -2.5]);
/// assert_eq!((scores.most_harmful(1), scores.certificate.last()), (vec![3], Some(&0.0)));
/// # Ok::<(), retrograde_solve::uses::UseError>(())
/// ```
#[track_caller]
pub fn influence<F, P: Traceable, B: Traceable>(loss: F) -> Influence<F, P, B>
where
    F: Function<(P, B), Output = Var> + Clone,
{
    Influence {
        along: jit(Along { loss: loss.clone() }),
        slope: grad(loss.clone()),
        each: per_example_gradients(loss),
        rows_at_once: ROWS_AT_ONCE,
    }
}

impl<F, P: Traceable, B: Traceable> Influence<F, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    /// How many rows are taken at once, which bounds the memory; 256 until said otherwise.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::uses::influence;
    /// let loss = |p: Var, x: Var| (p.spread(x.shape()) * x).mean();
    /// let same = |g: &retrograde_array::Array| Ok::<_, std::fmt::Error>((g.clone(), ()));
    /// let scores = influence(loss).rows_at_once(2).on(&array(1.0), &array([1.0, 2.0, 3.0, 4.0, 5.0]), &array(1.0), same)?;
    /// assert_eq!(scores.changes, [0.2, 0.4, 0.6, 0.8, 1.0]);
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    pub fn rows_at_once(mut self, n: usize) -> Self {
        self.rows_at_once = n.max(1);
        self
    }
    /// How a number changes without each training example, of which the gradient at the parameters is given: a loss, a logit,
    /// any prediction.
    ///
    /// # Errors
    /// See [`influence`].
    #[track_caller]
    pub fn on<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        parameters: &P::Arrays,
        train: &B::Arrays,
        gradient: &P::Arrays,
        inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
    ) -> Result<Scores<C>, UseError> {
        let location = Location(std::panic::Location::caller());
        self.scores(parameters, train, gradient, inverse, location).map_err(|cause| cause.at(location))
    }
    /// How the mean loss of test examples changes without each training example.
    ///
    /// # Errors
    /// See [`influence`].
    #[track_caller]
    pub fn on_loss<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        parameters: &P::Arrays,
        train: &B::Arrays,
        test: &B::Arrays,
        mut inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
    ) -> Result<Scores<C>, UseError> {
        let location = Location(std::panic::Location::caller());
        let mut scores = || {
            count(test, "a test batch")?;
            let gradient = self.slope.call((parameters, test))?;
            self.scores(parameters, train, &gradient, &mut inverse, location)
        };
        scores().map_err(|cause| cause.at(location))
    }
    /// How much the loss of each training example would rise without it: large for examples that the others speak against, such as
    /// those with a wrong label.
    ///
    /// # Errors
    /// See [`influence`].
    /// # Cost
    /// A gradient and a solve for each row: with few parameters take a [`Factored`](super::Factored) inverse.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::uses::influence;
    /// let loss = |mean: Var, x: Var| { let miss = mean.spread(x.shape()) - x; 0.5 * (miss * miss).mean() };
    /// let inverse = |g: &retrograde_array::Array| Ok::<_, std::fmt::Error>((g.clone(), ())); // H = 1
    /// let own = influence(loss).on_themselves(&array(3.0), &array([1.0, 1.0, 2.0, 8.0]), inverse)?;
    /// assert_eq!(own, [1.0, 1.0, 0.25, 6.25]);
    /// # Ok::<(), retrograde_solve::uses::UseError>(())
    /// ```
    #[track_caller]
    pub fn on_themselves<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        parameters: &P::Arrays,
        train: &B::Arrays,
        inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
    ) -> Result<Vec<f64>, UseError> {
        let location = Location(std::panic::Location::caller());
        self.own(parameters, train, inverse, location).map_err(|cause| cause.at(location))
    }
    fn scores<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        parameters: &P::Arrays,
        train: &B::Arrays,
        gradient: &P::Arrays,
        mut inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
        location: Location,
    ) -> Result<Scores<C>, Cause> {
        let n = count(train, "a training batch")?;
        expect_like("gradient", gradient, "parameters", parameters, location)?;
        let (x, certificate) = inverse(gradient).map_err(Cause::inverse)?;
        expect_like("result of the inverse", &x, "parameters", parameters, location)?;
        let mut changes = Vec::with_capacity(n);
        for rows in parts(n, self.rows_at_once) {
            let slopes = self.along.call((parameters, &part::<B>(train, rows), &x))?;
            changes.extend(crate::linear::flat::numbers(&slopes).iter().map(|slope| slope / n as f64));
        }
        if changes.iter().any(|change| !change.is_finite()) {
            return Err(Cause::NotFinite { what: "a score" });
        }
        Ok(Scores { changes, certificate })
    }
    fn own<C, E: std::error::Error + Send + Sync + 'static>(
        &self,
        parameters: &P::Arrays,
        train: &B::Arrays,
        mut inverse: impl FnMut(&P::Arrays) -> Result<(P::Arrays, C), E>,
        location: Location,
    ) -> Result<Vec<f64>, Cause> {
        let n = count(train, "a training batch")?;
        let flattening = Flattening::of(parameters);
        let at_once = (NUMBERS_AT_ONCE / flattening.size().max(1)).clamp(1, self.rows_at_once);
        let mut own = Vec::with_capacity(n);
        for rows in parts(n, at_once) {
            let n_here = rows.len();
            let gradients = self.each.call((parameters, &part::<B>(train, rows)))?;
            for row in 0..n_here {
                let gradient = P::map_arrays(&gradients, &mut |leaf: &Array| leaf.row(row));
                let (x, _) = inverse(&gradient).map_err(Cause::inverse)?;
                expect_like("result of the inverse", &x, "parameters", parameters, location)?;
                own.push(dot(&flattening.flatten(&gradient), &flattening.flatten(&x)) / n as f64);
            }
        }
        if own.iter().any(|own| !own.is_finite()) {
            return Err(Cause::NotFinite { what: "a self-influence" });
        }
        Ok(own)
    }
}
