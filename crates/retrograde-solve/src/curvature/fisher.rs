//! Fisher's information times a vector, true and empirical.
//!
//! ```text
//! F  = (1/n) Σᵢ E[∇ ln p(y | xᵢ) ∇ ln p(y | xᵢ)ᵀ],  y drawn from the model   = (1/n) Σᵢ Jᵢᵀ F_o Jᵢ
//! F̃  = (1/n) Σᵢ gᵢ gᵢᵀ,                              gᵢ the gradient of example i's loss
//! ```
//!
//! The empirical one is no approximation of the other away from a good fit: it knows the labels. F_o is Fisher's information of
//! the distribution of one example's label, in closed form.
//!
//! Source: J. Martens, New insights and perspectives on the natural gradient method, JMLR 21 (2020); F. Kunstner, L. Balles,
//! P. Hennig, Limitations of the empirical Fisher approximation, NeurIPS 2019.

use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::{Var, mistake};
use retrograde_engine::vmap;

use super::gauss_newton::through;
use super::objective::same;
use super::product::Product;

/// The distribution of a label given the outputs of the model, one row for each example.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Likelihood {
    /// A class; outputs `[n, classes]` are logits: F_o = diag(p) − p pᵀ with p = softmax.
    Categorical,
    /// Yes or no for each output, a logit: F_o = p (1 − p).
    Bernoulli,
    /// A number around each output: F_o = 1/variance.
    Gaussian {
        /// Of the noise.
        variance: f64,
    },
    /// A count whose logarithmic rate is the output: F_o = exp(o).
    Poisson,
}

impl Likelihood {
    /// F_o times tangents of the outputs, over n rows: (1/n) F_o ȯ.
    fn product(self, o: Var, o_dot: Var) -> Var {
        let n = o.shape().first().copied().unwrap_or(1) as f64;
        let curved = match self {
            Likelihood::Categorical => {
                let last = o.rank() - 1;
                let rows: Vec<usize> = (0..last).collect();
                let p = (o - o.logsumexp(&[last]).broadcast(o.shape(), &rows)).exp();
                let weighted = p * o_dot;
                weighted - p * weighted.sum_axes(&[last]).broadcast(o.shape(), &rows)
            }
            Likelihood::Bernoulli => {
                // p (1 − p) without a difference that cancels.
                let half = (o * 0.5).cosh();
                o_dot * 0.25 / (half * half)
            }
            Likelihood::Gaussian { variance } => o_dot * (1.0 / variance),
            Likelihood::Poisson => o.exp() * o_dot,
        };
        curved * (1.0 / n)
    }
}

/// The function that is compiled: (parameters, batch, v) → F v.
#[derive(Clone, Debug)]
pub struct Fisher<M> {
    model: M,
    likelihood: Likelihood,
    location: Location,
}

/// Fisher's information times `v`, of a model whose outputs say how labels are distributed.   p, v: a tree → the same tree.
///
/// # Errors
/// See [`Product`]; outputs that are not one floating-point array with a row for each example.
/// # Cost
/// One tangent through the model and one gradient.
/// # Source
/// Martens 2020.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::{Likelihood, fisher_vp};
/// let logits = |p: Var, x: Var| x.dot(p);
/// let (p, x) = (array([[0.0, 0.0], [0.0, 0.0]]), array([[1.0, 0.0], [0.0, 2.0]]));
/// let product = fisher_vp(logits, Likelihood::Categorical).call((&p, &x), &array([[1.0, 0.0], [0.0, 0.0]]))?;
/// // Two classes of probability ½, two examples: (1/2) (1/4) x².
/// assert_eq!(product, array([[0.125, -0.125], [0.0, 0.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn fisher_vp<M, P: Traceable, B: Traceable>(model: M, likelihood: Likelihood) -> Product<Fisher<M>, P, B>
where
    M: Function<(P, B), Output = Var>,
{
    let location = Location(std::panic::Location::caller());
    Product::new(Fisher { model, likelihood, location })
}

impl<M, P: Traceable, B: Traceable> Function<(P, B, P)> for Fisher<M>
where
    M: Function<(P, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch, v): (P, B, P)) -> P {
        fisher_product(&self.model, self.likelihood, self.location, p, &batch, &v)
    }
}

pub(super) fn fisher_product<M, P: Traceable, B: Traceable>(
    model: &M,
    likelihood: Likelihood,
    location: Location,
    p: P,
    batch: &B,
    v: &P,
) -> P
where
    M: Function<(P, B), Output = Var>,
{
    through(model, p, batch, v, |o: Var, tangents| {
        let least = if likelihood == Likelihood::Categorical { 2 } else { 1 };
        let fits = tangents.len() == 1 && o.rank() >= least;
        if !fits {
            let found = format!(
                "fisher: found outputs of type {}, expected a row of numbers for each example",
                o.ty()
            );
            let help =
                "return logits `[n, classes]` for `Categorical`, `[n]` or `[n, outputs]` for the others";
            mistake(Diagnostic::new(found, Some(location)).help(help));
            return vec![o];
        }
        vec![likelihood.product(o, tangents[0])]
    })
}

/// The function that is compiled: (parameters, batch, v) → (1/n) Σ gᵢ gᵢᵀ v.
#[derive(Clone, Debug)]
pub struct EmpiricalFisher<F> {
    loss: F,
}

/// `(1/n) Σᵢ gᵢ gᵢᵀ v` with the gradient gᵢ of each example's loss.   p, v: a tree → the same tree.
///
/// The loss of an example is `loss(p, batch)` of a batch of this one row.
///
/// # Errors
/// See [`Product`]; leaves of the batch without a common leading axis.
/// # Cost
/// One tangent through the losses and one gradient, whatever n is.
/// # Source
/// Kunstner, Balles, Hennig 2019.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_solve::curvature::empirical_fisher_vp;
/// let loss = |p: Var, x: Var| (p.spread(x.shape()) * x).mean();
/// let (p, x) = (array(1.0), array([1.0, 3.0]));
/// assert_eq!(empirical_fisher_vp(loss).call((&p, &x), &array(1.0))?, array(5.0)); // (1 + 9)/2
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn empirical_fisher_vp<F, P: Traceable, B: Traceable>(loss: F) -> Product<EmpiricalFisher<F>, P, B>
where
    F: Function<(P, B), Output = Var>,
{
    Product::new(EmpiricalFisher { loss })
}

impl<F, P: Traceable, B: Traceable> Function<(P, B, P)> for EmpiricalFisher<F>
where
    F: Function<(P, B), Output = Var>,
{
    type Output = P;
    fn apply(&self, (p, batch, v): (P, B, P)) -> P {
        empirical_fisher_product(&self.loss, p, &batch, &v)
    }
}

pub(super) fn empirical_fisher_product<F, P: Traceable, B: Traceable>(loss: &F, p: P, batch: &B, v: &P) -> P
where
    F: Function<(P, B), Output = Var>,
{
    let losses = |p: P, batch: B| losses_of_rows(loss, &p, batch);
    through(&losses, p, batch, v, |losses: Var, tangents| {
        let n = losses.shape().first().copied().unwrap_or(1) as f64;
        vec![tangents[0] * (1.0 / n)]
    })
}

/// The loss of each row.   → `[n]`
pub(crate) fn losses_of_rows<F, P: Traceable, B: Traceable>(loss: &F, p: &P, batch: B) -> Var
where
    F: Function<(P, B), Output = Var>,
{
    vmap(|row: B| loss.apply((same(p), alone(&row)))).apply((batch,))
}

/// A row as a batch of one.
pub(crate) fn alone<B: Traceable>(row: &B) -> B {
    row.map_vars(&mut |leaf| leaf.reshape([&[1][..], &leaf.shape()[..]].concat()))
}
