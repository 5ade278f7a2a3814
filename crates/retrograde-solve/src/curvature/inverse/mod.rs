//! `H⁻¹ g` from products: one object for every way, with a certificate of what the answer is worth.
//!
//! | method | answer | for |
//! |---|---|---|
//! | [`InverseHvp::conjugate_gradient`] | to a tolerance | all examples at once |
//! | [`InverseHvp::neumann`] | K terms of a series, bias known | all examples at once, a fixed number of products |
//! | [`InverseHvp::stochastic`] | mean known, for any number of steps | batches |
//! | [`InverseHvp::roulette`] | unbiased | batches, averages over many answers |
//! | [`InverseHvp::normal_form`] | `(H² + μ²)⁻¹ H g` | curvature of both signs |
//!
//! Step size, number of steps, batches, q and preconditioner change how fast the answer comes and how much it scatters; its limit is
//! `(H + μ I)⁻¹ g` whatever they are. Damping μ is part of the question, in units of curvature, and the certificate repeats it.

mod certificate;
mod chains;
mod preconditioner;
mod problem;
mod roulette;
mod spectrum;

use std::fmt;

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::ir::{Location, simplify};
use retrograde_core::prim::Program;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::function::{Function, Pick, Traceable, expect_like};
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::jit;

use super::batch::{Batches, Source};
use super::error::{Cause, CurvatureError};
use super::fisher::{Likelihood, alone, empirical_fisher_product, fisher_product};
use super::gauss_newton::gauss_newton_product;
use super::objective::Fitted;
use super::probe::normals;
use crate::hotelling::{Hotelling, hotelling};
use crate::linear::flat::{Flattening, add_scaled, difference, dot, norm, numbers, scaled};
use crate::linear::{Limits, LinearError, Method as Linear, Stop, System};

pub use certificate::{Certificate, Cost};
pub use preconditioner::Preconditioner;

use chains::Plan;
use problem::{Problem, Rows};
use roulette::Roulette;
use spectrum::{Measured, ROUNDING, STEP, largest_of_batches, measure};

/// Steps of Lanczos' process from g, until `.spectrum_steps` says otherwise: it finds the ends of a spectrum first.
const SPECTRUM_STEPS: usize = 30;
/// Independent chains, until `.chains` says otherwise: the least with which a standard deviation is known within a quarter.
const CHAINS: usize = 8;
/// Steps are doubled until the predicted bias is below this.
const BIAS: f64 = 0.01;
/// And at most so often.
const MOST_STEPS: usize = 1 << 15;
/// A second run is compared along at most so many random directions, and a quarter as many as chains.
const DIRECTIONS: usize = 16;
/// A gradient that is told apart from g is another by more than rounding of an f32.
const SAME_GRADIENT: f64 = 1e-4;

/// Parameters, and a batch if the loss has one: the arguments of a loss.
pub trait ParametersAndBatch: Pick<0> {
    /// The batch; an empty list where there is none.
    type Batch: Traceable;
    /// Both together.
    fn join(parameters: Self::Picked, batch: Self::Batch) -> Self;
    /// The batch of a loss that has none.
    fn without() -> Option<<Self::Batch as Traceable>::Arrays>;
}

impl<P: Traceable> ParametersAndBatch for (P,) {
    type Batch = Vec<Var>;
    fn join(parameters: P, _: Vec<Var>) -> Self {
        (parameters,)
    }
    fn without() -> Option<Vec<Array>> {
        Some(vec![])
    }
}

impl<P: Traceable, B: Traceable> ParametersAndBatch for (P, B) {
    type Batch = B;
    fn join(parameters: P, batch: B) -> Self {
        (parameters, batch)
    }
    fn without() -> Option<B::Arrays> {
        None
    }
}

/// Which matrix is inverted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Curvature {
    /// Second derivatives of the loss.
    Hessian,
    /// `Jᵀ H_L J`, never negative for a convex loss of the outputs.
    GaussNewton,
    /// Fisher's information of a likelihood.
    Fisher(Likelihood),
    /// The mean of gᵢ gᵢᵀ.
    EmpiricalFisher,
}

/// Where each step has its right-hand side from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RightSide {
    /// The g that is given: nothing is drawn for it, so this scatters least.
    #[default]
    Given,
    /// The gradient of the step's own batch, from the same sweep as its product: for where the gradient over all examples, which
    /// g stands for, costs too much.
    Fresh,
    /// The gradient of one batch for all steps of a chain.
    Once,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Method {
    ConjugateGradient,
    Neumann(usize),
    Stochastic,
    Roulette(Option<f64>),
}

type AnyCurve<F, P, B> = Box<dyn Fn(&F, P, B, P) -> P>;
type ParameterArrays<Args> = <<Args as Pick<0>>::Picked as Traceable>::Arrays;
type BatchArrays<Args> = <<Args as ParametersAndBatch>::Batch as Traceable>::Arrays;

/// `(H + μ I)⁻¹ g` that is about to be computed; see [`inverse_hvp`].
///
/// # Errors
/// Of [`InverseHvp::solve`], each with the line of [`inverse_hvp`], what was measured and what to change by how much: mistakes in the
/// loss; a g or a diagonal of another tree than the parameters; no batches, too few for the steps; curvature that is singular or of
/// both signs; a step size that diverges; a roulette of infinite variance; settings out of range or against each other.
#[must_use = "an inverse is computed when asked to: `.solve()`"]
pub struct InverseHvp<'a, F, Args: ParametersAndBatch> {
    loss: F,
    parameters: &'a ParameterArrays<Args>,
    g: &'a ParameterArrays<Args>,
    batches: Option<&'a Batches<BatchArrays<Args>>>,
    curvature: Curvature,
    curve: Option<AnyCurve<F, Args::Picked, Args::Batch>>,
    method: Method,
    normal_form: bool,
    damping: f64,
    preconditioner: Preconditioner<ParameterArrays<Args>>,
    eta: Option<f64>,
    n_steps: Option<usize>,
    n_chains: Option<usize>,
    right_side: RightSide,
    averaged: bool,
    always: usize,
    tolerance: Option<f64>,
    spectrum_steps: usize,
    seed: u64,
    is_checked: bool,
    location: Location,
}

impl<F, Args: ParametersAndBatch> fmt::Debug for InverseHvp<'_, F, Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InverseHvp")
            .field("curvature", &self.curvature)
            .field("method", &self.method)
            .field("damping", &self.damping)
            .finish_non_exhaustive()
    }
}

/// The inverse of the curvature of `loss` at `parameters`, times `g`.
///
/// The loss takes parameters, and a batch of rows if its examples come in batches; it is a mean over rows then. Of
/// [`fitted`](super::fitted()) models the Gauss–Newton matrix and Fisher's can be taken instead. Until a method is chosen it is
/// [`InverseHvp::conjugate_gradient`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_solve::curvature::{Batches, inverse_hvp};
/// let loss = |p: Var, (x, y): (Var, Var)| {
///     let miss = x.dot(p) - y;
///     (miss * miss).mean() + 0.1 * (p * p).sum()
/// };
/// let data = (array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [1.0, -1.0]]), array([1.0, 0.0, 2.0, 1.0]));
/// let (params, batches) = (array([0.5, 0.5]), Batches::of(&data, 2)?);
/// let g = grad(loss).call((&params, &data))?;
/// let (exact, _) = inverse_hvp(loss, &params, &g).data(&batches).solve()?;
/// let (x, certificate) = inverse_hvp(loss, &params, &g).stochastic(&batches).seed(7).solve()?;
/// assert!(certificate.predicted_bias < 0.01 && certificate.standard_deviation < 0.3);
/// let (x, exact) = (x.to_vec::<f64>().unwrap(), exact.to_vec::<f64>().unwrap());
/// assert!((x[0] - exact[0]).abs() < 0.2 && (x[1] - exact[1]).abs() < 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn inverse_hvp<'a, F, Args>(
    loss: F,
    parameters: &'a ParameterArrays<Args>,
    g: &'a ParameterArrays<Args>,
) -> InverseHvp<'a, F, Args>
where
    F: Function<Args, Output = Var>,
    Args: ParametersAndBatch,
{
    InverseHvp {
        loss,
        parameters,
        g,
        batches: None,
        curvature: Curvature::Hessian,
        curve: None,
        method: Method::ConjugateGradient,
        normal_form: false,
        damping: 0.0,
        preconditioner: Preconditioner::None,
        eta: None,
        n_steps: None,
        n_chains: None,
        right_side: RightSide::Given,
        averaged: true,
        always: 0,
        tolerance: None,
        spectrum_steps: SPECTRUM_STEPS,
        seed: 0,
        is_checked: false,
        location: Location(std::panic::Location::caller()),
    }
}

impl<M, L, P: Traceable, B: Traceable> InverseHvp<'_, Fitted<M, L>, (P, B)>
where
    M: Function<(P, B)>,
    M::Output: Traceable,
    L: Function<(M::Output, B), Output = Var>,
{
    /// Inverts the Gauss–Newton matrix, which is never negative for a convex loss, in the place of the Hessian.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, fitted, inverse_hvp};
    /// let model = |p: Var, (x, _): (Var, Var)| (x.dot(p)).tanh();
    /// let loss = |o: Var, (_, y): (Var, Var)| ((o - y) * (o - y)).mean();
    /// let data = (array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), array([1.0, 0.0, -1.0]));
    /// let (p, g, batches) = (array([0.5, 0.5]), array([1.0, 0.0]), Batches::of(&data, 2)?);
    /// let (x, certificate) = inverse_hvp(fitted(model, loss), &p, &g).data(&batches).gauss_newton().damping(0.1).solve()?;
    /// assert_eq!(certificate.question, "(G + 0.1 I)⁻¹ g");
    /// assert!(x.to_vec::<f64>().unwrap()[0] > 0.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gauss_newton(mut self) -> Self {
        self.curvature = Curvature::GaussNewton;
        self.curve = Some(Box::new(|loss, p, batch, v| gauss_newton_product(loss, p, &batch, &v)));
        self
    }
}

impl<M, L, P: Traceable, B: Traceable> InverseHvp<'_, Fitted<M, L>, (P, B)>
where
    M: Function<(P, B), Output = Var>,
    L: Function<(Var, B), Output = Var>,
{
    /// Inverts Fisher's information of a likelihood whose parameters the outputs of the model are.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, Likelihood, fitted, inverse_hvp};
    /// let model = |p: Var, (x, _): (Var, Var)| x.dot(p);
    /// let loss = |o: Var, (_, y): (Var, Var)| (o.exp() - y * o).mean(); // counts
    /// let data = (array([[1.0], [2.0]]), array([1.0, 3.0]));
    /// let (p, g, batches) = (array([0.0]), array([1.0]), Batches::of(&data, 1)?);
    /// let found = inverse_hvp(fitted(model, loss), &p, &g).data(&batches).fisher(Likelihood::Poisson).solve()?;
    /// assert!((found.0.to_vec::<f64>().unwrap()[0] - 0.4).abs() < 1e-9); // 1 / mean of rate x²
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fisher(mut self, likelihood: Likelihood) -> Self {
        let location = self.location;
        self.curvature = Curvature::Fisher(likelihood);
        self.curve = Some(Box::new(move |loss, p, batch, v| {
            fisher_product(&loss.model, likelihood, location, p, &batch, &v)
        }));
        self
    }
}

impl<F, P: Traceable, B: Traceable> InverseHvp<'_, F, (P, B)>
where
    F: Function<(P, B), Output = Var>,
{
    /// Inverts the mean of gᵢ gᵢᵀ over the gradients of examples. It has as many directions as examples: damp it.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, inverse_hvp};
    /// let (p, g, batches) = (array([1.0]), array([1.0]), Batches::of(&array([[1.0], [3.0]]), 1)?);
    /// let found = inverse_hvp(|p: Var, x: Var| x.dot(p).mean(), &p, &g).data(&batches).empirical_fisher().solve()?;
    /// assert!((found.0.to_vec::<f64>().unwrap()[0] - 0.2).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn empirical_fisher(mut self) -> Self {
        self.curvature = Curvature::EmpiricalFisher;
        self.curve = Some(Box::new(|loss, p, batch, v| empirical_fisher_product(loss, p, &batch, &v)));
        self
    }
}

/// Answers chain by chain, for a look at how they scatter.
#[derive(Clone, Debug)]
pub struct Draws {
    /// One flat answer for each chain, leaves in order.
    pub draws: Vec<Vec<f64>>,
    /// The mean that is predicted from the measured spectrum, flat; empty where none was measured.
    pub predicted: Vec<f64>,
    /// What the mean of the draws is worth.
    pub certificate: Certificate,
}

impl<'a, F, Args> InverseHvp<'a, F, Args>
where
    Args: ParametersAndBatch,
    F: Function<Args, Output = Var>,
{
    /// The examples, for a method that takes all of them in each product.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, inverse_hvp};
    /// let loss = |p: Var, x: Var| { let y = x.dot(p); 0.5 * (y * y).mean() };
    /// let (p, g, batches) = (array([1.0]), array([1.0]), Batches::of(&array([[1.0], [3.0]]), 1)?);
    /// let (x, certificate) = inverse_hvp(loss, &p, &g).data(&batches).conjugate_gradient().tolerance(1e-12).solve()?;
    /// assert!((x.to_vec::<f64>().unwrap()[0] - 0.2).abs() < 1e-15 && certificate.predicted_bias <= 1e-12);
    /// let (x, certificate) = inverse_hvp(loss, &p, &g).data(&batches).neumann(40).eta(0.05).solve()?;
    /// let left = 0.75_f64.powi(40); // η H = 1/4
    /// assert!((x.to_vec::<f64>().unwrap()[0] - 0.2 * (1.0 - left)).abs() < 1e-15);
    /// assert!((certificate.predicted_bias / left - 1.0).abs() < 1e-6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn data(mut self, batches: &'a Batches<BatchArrays<Args>>) -> Self {
        self.batches = Some(batches);
        self
    }
    /// Conjugate gradients on all examples, to a tolerance.
    pub fn conjugate_gradient(mut self) -> Self {
        self.method = Method::ConjugateGradient;
        self
    }
    /// `n_steps` steps x ← x + η P (g − H x) on all examples: a series cut off there, with its bias known.
    pub fn neumann(mut self, n_steps: usize) -> Self {
        self.method = Method::Neumann(n_steps);
        self
    }
    /// Steps on batches, each used once; the answer is the mean of the last half of the steps, over independent chains.
    ///
    /// As many steps as it takes for a predicted bias below 1 %, until [`InverseHvp::steps`] says otherwise.
    pub fn stochastic(mut self, batches: &'a Batches<BatchArrays<Args>>) -> Self {
        self.method = Method::Stochastic;
        self.batches = Some(batches);
        self
    }
    /// Goes on after each step with probability q, and weighs what comes so that the mean is right exactly. `None`: (1 + ρ₂)/2.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, inverse_hvp};
    /// let loss = |p: Var, x: Var| { let y = x.dot(p); 0.5 * (y * y).mean() };
    /// let (p, g, batches) = (array([1.0]), array([1.0]), Batches::of(&array([[1.0], [1.2]]), 1)?);
    /// let (x, certificate) = inverse_hvp(loss, &p, &g).stochastic(&batches).roulette(None).chains(200).solve()?;
    /// assert_eq!(certificate.predicted_bias, 0.0);
    /// assert!((x.to_vec::<f64>().unwrap()[0] * 1.22 - 1.0).abs() < 4.0 * certificate.standard_deviation);
    /// let error = inverse_hvp(loss, &p, &g).stochastic(&batches).roulette(0.01).solve().unwrap_err().to_string();
    /// assert!(error.contains("the variance is infinite"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn roulette(mut self, q: impl Into<Option<f64>>) -> Self {
        self.method = Method::Roulette(q.into());
        self
    }
    /// Solves `(H² + μ²) x = H g` instead, which exists for curvature of both signs: `.damping(μ)`.
    ///
    /// Stochastic steps take two independent batches each. κ² steps where others take κ.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::inverse_hvp;
    /// // A saddle: curvature 2 and −1.
    /// let loss = |p: Var| p.index(0, 0) * p.index(0, 0) - 0.5 * p.index(0, 1) * p.index(0, 1);
    /// let (p, g) = (array([0.0, 0.0]), array([1.0, 1.0]));
    /// let (x, certificate) = inverse_hvp(loss, &p, &g).normal_form().damping(0.5).tolerance(1e-12).solve()?;
    /// let x = x.to_vec::<f64>().unwrap();
    /// assert!((x[0] - 2.0 / 4.25).abs() < 1e-12 && (x[1] + 1.0 / 1.25).abs() < 1e-12);
    /// assert_eq!(certificate.question, "(H² + 0.5² I)⁻¹ H g");
    /// assert!(inverse_hvp(loss, &p, &g).solve().unwrap_err().to_string().contains("the operator is indefinite"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn normal_form(mut self) -> Self {
        self.normal_form = true;
        self
    }
    /// Solves `(H + μ I) x = g`: a question of its own, in units of curvature, whatever the step size.
    pub fn damping(mut self, mu: f64) -> Self {
        self.damping = mu;
        self
    }
    /// Steps through an approximate inverse; the limit stays the same.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Preconditioner, inverse_hvp};
    /// let loss = |p: Var| 50.0 * p.index(0, 0) * p.index(0, 0) + 0.5 * p.index(0, 1) * p.index(0, 1);
    /// let (p, g) = (array([1.0, 1.0]), array([1.0, 1.0]));
    /// let diagonal = Preconditioner::Diagonal(array([100.0, 1.0]));
    /// let (x, certificate) = inverse_hvp(loss, &p, &g).preconditioner(diagonal).neumann(30).solve()?;
    /// assert!(certificate.predicted_bias < 1e-9 && (x.to_vec::<f64>().unwrap()[1] - 1.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn preconditioner(mut self, preconditioner: Preconditioner<ParameterArrays<Args>>) -> Self {
        self.preconditioner = preconditioner;
        self
    }
    /// The step size, in units of one over the (preconditioned) curvature; measured from batches until said otherwise.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::inverse_hvp;
    /// let (p, g) = (array(1.0), array(1.0));
    /// let error = inverse_hvp(|p: Var| p * p, &p, &g).neumann(10).eta(1.5).solve().unwrap_err().to_string();
    /// assert!(error.contains("found the step size η = 1.5000e0, expected less than 1.0000e0 = 2 / 2.0000e0"));
    /// assert!(error.contains("say `.eta(5.0000e-1)`"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn eta(mut self, eta: f64) -> Self {
        self.eta = Some(eta);
        self
    }
    /// How many steps each chain takes.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, RightSide, inverse_hvp};
    /// let loss = |p: Var, x: Var| { let y = x.dot(p) - 1.0; 0.5 * (y * y).mean() };
    /// let batches = Batches::of(&array([[1.0], [1.5], [0.5]]), 2)?;
    /// let (p, g) = (array([0.0]), array([-1.0]));
    /// let ask = || inverse_hvp(loss, &p, &g).stochastic(&batches).steps(20).chains(50).seed(3);
    /// let draws = ask().right_side(RightSide::Fresh).last_iterate().draws()?;
    /// assert_eq!((draws.draws.len(), draws.certificate.n_steps), (50, 20.0));
    /// // A second run with other batches has the same mean, as far as chance allows.
    /// assert!(ask().check().solve()?.1.check.unwrap().p > 0.01);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn steps(mut self, n: usize) -> Self {
        self.n_steps = Some(n);
        self
    }
    /// How many independent chains are run together and averaged; 8 until said otherwise.
    pub fn chains(mut self, n: usize) -> Self {
        self.n_chains = Some(n);
        self
    }
    /// Where each step has its right-hand side from; g as given until said otherwise.
    pub fn right_side(mut self, right_side: RightSide) -> Self {
        self.right_side = right_side;
        self
    }
    /// Answers with the last step of each chain instead of the mean of the last half.
    pub fn last_iterate(mut self) -> Self {
        self.averaged = false;
        self
    }
    /// A roulette begins after so many steps: more steps, less scatter.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::{Batches, inverse_hvp};
    /// let loss = |p: Var, x: Var| { let y = x.dot(p); 0.5 * (y * y).mean() };
    /// let (p, g, batches) = (array([1.0]), array([1.0]), Batches::of(&array([[1.0], [1.2]]), 1)?);
    /// let ask = || inverse_hvp(loss, &p, &g).stochastic(&batches).roulette(0.9).chains(20);
    /// let (_, certificate) = ask().at_least(30).solve()?;
    /// assert!(certificate.n_steps > ask().solve()?.1.n_steps + 20.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_least(mut self, n_steps: usize) -> Self {
        self.always = n_steps;
        self
    }
    /// How far conjugate gradients go: ‖g − H x‖ / ‖g‖; 1e-8 until said otherwise.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }
    /// How many products over all examples measure the spectrum along g; 30 until said otherwise. The predicted bias is as good as
    /// these are many.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::Var;
    /// use retrograde_solve::curvature::inverse_hvp;
    /// let (p, g) = (array([1.0, 2.0]), array([1.0, 1.0]));
    /// let (_, certificate) = inverse_hvp(|p: Var| (p * p * p).sum(), &p, &g).neumann(50).spectrum_steps(2).solve()?;
    /// let spectrum = certificate.spectrum.unwrap();
    /// assert!((spectrum.smallest() - 6.0).abs() < 1e-9 && (spectrum.largest() - 12.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spectrum_steps(mut self, n: usize) -> Self {
        self.spectrum_steps = n;
        self
    }
    /// The seed of all draws: batches, probes, stopping times.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
    /// Compares with the chains of a second, independent run, by Hotelling's T² along random directions; costs as much again.
    pub fn check(mut self) -> Self {
        self.is_checked = true;
        self
    }
    /// x and its certificate.
    ///
    /// # Errors
    /// See [`InverseHvp`].
    pub fn solve(self) -> Result<(ParameterArrays<Args>, Certificate), CurvatureError> {
        let location = self.location;
        let parameters = self.parameters;
        let Draws { draws, certificate, .. } = self.run().map_err(|cause| cause.at(location))?;
        let mean = mean_of(&draws);
        let mut leaves = Flattening::of(parameters).leaves(&mean).into_iter();
        let x = Args::Picked::map_arrays(parameters, &mut |_| {
            leaves.next().expect("one array per leaf; this is a bug in retrograde")
        });
        Ok((x, certificate))
    }
    /// The answers of the chains, one by one.
    ///
    /// # Errors
    /// See [`InverseHvp`].
    pub fn draws(self) -> Result<Draws, CurvatureError> {
        let location = self.location;
        self.run().map_err(|cause| cause.at(location))
    }

    fn question(&self) -> String {
        let name = match self.curvature {
            Curvature::Hessian => "H",
            Curvature::GaussNewton => "G",
            Curvature::Fisher(_) | Curvature::EmpiricalFisher => "F",
        };
        match (self.normal_form, self.damping) {
            (true, mu) => format!("({name}² + {mu}² I)⁻¹ {name} g"),
            (false, 0.0) => format!("{name}⁻¹ g"),
            (false, mu) => format!("({name} + {mu} I)⁻¹ g"),
        }
    }

    /// Refuses settings that cannot be, before anything runs.
    fn check_settings(&self) -> Result<(), Cause> {
        let refuse = |found: String, expected: &'static str| Err(Cause::Setting { found, expected });
        if !(self.damping >= 0.0 && self.damping.is_finite()) {
            return refuse(format!("a damping of {}", self.damping), "zero or a positive number");
        }
        if self.eta.is_some_and(|eta| !(eta > 0.0 && eta.is_finite())) {
            return refuse(format!("a step size of {:?}", self.eta.unwrap_or(0.0)), "a positive number");
        }
        if self.n_steps == Some(0) || self.method == Method::Neumann(0) {
            return refuse("no steps".into(), "at least one");
        }
        if self.n_chains == Some(0) {
            return refuse("no chains".into(), "at least one");
        }
        if self.spectrum_steps == 0 {
            return refuse("a spectrum of no steps".into(), "at least one");
        }
        let is_preconditioned = !matches!(self.preconditioner, Preconditioner::None);
        if self.normal_form && is_preconditioned {
            return refuse("a preconditioner of H for the normal form".into(), "one or the other");
        }
        if self.normal_form && matches!(self.method, Method::Roulette(_) | Method::Neumann(_)) {
            return refuse(
                "a normal form with another method".into(),
                "`.stochastic(&batches)` or `.conjugate_gradient()` with `.normal_form()`",
            );
        }
        if matches!(self.method, Method::Roulette(_)) && self.right_side == RightSide::Fresh {
            return refuse(
                "fresh gradients for a roulette".into(),
                "`RightSide::Given` or `RightSide::Once`",
            );
        }
        Ok(())
    }

    fn run(self) -> Result<Draws, Cause> {
        self.check_settings()?;
        expect_like("g", self.g, "parameters", self.parameters, self.location)?;
        let without = Args::without();
        let like = match (self.batches.map(|batches| &batches.source), &without) {
            (Some(Source::Rows { data, .. }), _) => data,
            (Some(Source::Given(batches)), _) => &batches[0],
            (None, Some(nothing)) => nothing,
            (None, None) => return Err(Cause::NoBatches { method: "inverse_hvp" }),
        };
        let curve = self.curve.as_ref().map(|curve| {
            |p: Args::Picked, batch: Args::Batch, v: Args::Picked| curve(&self.loss, p, batch, v)
        });
        let curve = curve.as_ref().map(|curve| curve as &problem::Curve<'_, Args::Picked, Args::Batch>);
        let damping = if self.normal_form { 0.0 } else { self.damping };
        let mut problem = Problem::new::<F, Args>(&self.loss, self.parameters, like, curve, damping);
        if let Some(batches) = self.batches {
            problem = problem.with_rows(&batches.source);
        }
        let g = problem.flattening.flatten(self.g);
        if g.iter().any(|x| !x.is_finite()) {
            let (method, what) = ("inverse_hvp", "a right-hand side");
            return Err(LinearError::NotFinite { method, what, step: 0 }.into());
        }
        let keys = Key::from_seed(self.seed).split(4);
        let diagonal = |tree: &ParameterArrays<Args>| {
            expect_like("preconditioner", tree, "parameters", self.parameters, self.location)?;
            Ok(Flattening::of(tree).flatten(tree))
        };
        let of_row = || self.program_of_row(like);
        let (made, passes) = preconditioner::make(&problem, &self.preconditioner, diagonal, of_row, keys[0])?;
        problem.preconditioner = made;
        let mut cost = Cost { measuring: passes, ..Cost::default() };
        if norm(&g) == 0.0 {
            return Ok(self.finished(vec![g.clone()], g, Certificate::default_of(&self), cost));
        }
        match self.method {
            Method::ConjugateGradient => self.by_conjugate_gradient(&problem, &g, cost),
            Method::Neumann(n_steps) => self.by_neumann(&problem, &g, n_steps, cost, &keys),
            Method::Stochastic => self.by_chains(&problem, &g, &mut cost, &keys),
            Method::Roulette(q) => self.by_roulette(&problem, &g, q, &mut cost, &keys),
        }
    }

    fn finished(
        &self,
        draws: Vec<Vec<f64>>,
        predicted: Vec<f64>,
        certificate: Certificate,
        cost: Cost,
    ) -> Draws {
        Draws { draws, predicted, certificate: Certificate { cost, ..certificate } }
    }

    /// The program of a loss of one row: parameters.., leaves of the row.. → loss. None without rows.
    fn program_of_row(&self, like: &BatchArrays<Args>) -> Result<Option<Program>, Error> {
        if self.batches.is_none() {
            return Ok(None);
        }
        let row = Args::Batch::map_arrays(like, &mut |leaf| leaf.row(0));
        let of_row = |p: Args::Picked, row: Args::Batch| self.loss.apply(Args::join(p, alone(&row)));
        Ok(Some(simplify(&jit(of_row).program((self.parameters, &row))?)))
    }

    fn by_conjugate_gradient(
        &self,
        problem: &Problem<'_>,
        g: &[f64],
        mut cost: Cost,
    ) -> Result<Draws, Cause> {
        let (product, preconditioner) = (problem.product(), problem.preconditioner());
        let mut n_products = 0;
        let mut once = |v: &[f64]| -> Result<Vec<f64>, LinearError> {
            n_products += 1;
            Ok(product(v)?)
        };
        let square = self.damping * self.damping;
        let right = if self.normal_form { once(g)? } else { g.to_vec() };
        let mut apply = |v: &[f64]| {
            let mut found = once(v)?;
            if self.normal_form {
                found = once(&found)?;
                add_scaled(&mut found, square, v);
            }
            Ok(found)
        };
        let mut precondition = |v: &[f64]| Ok(preconditioner(v)?);
        let mut limits = Limits::new(g.len());
        limits.tolerance = self.tolerance.unwrap_or(limits.tolerance);
        limits.max_iterations = self.n_steps.unwrap_or(limits.max_iterations);
        let system = System {
            apply: &mut apply,
            precondition: Some(&mut precondition),
            b: &right,
            start: None,
            limits,
        };
        let found = crate::linear::run(Linear::Cg, system)?;
        cost.products = f64::from(n_products);
        let last = found.residuals.last().copied().unwrap_or(0.0);
        let certificate = Certificate {
            method: format!("conjugate gradients, {} steps", found.residuals.len() - 1),
            // Relative to the right-hand side: for a condition of one this is the error.
            predicted_bias: last,
            n_steps: (found.residuals.len() - 1) as f64,
            residuals: found.residuals,
            ..Certificate::default_of(self)
        };
        debug_assert!(found.stop != Stop::LeastSquares);
        Ok(self.finished(vec![found.x.clone()], found.x, certificate, cost))
    }

    /// The spectrum, if it is one that steps converge on.
    fn measured(
        &self,
        problem: &Problem<'_>,
        g: &[f64],
        cost: &mut Cost,
        key: Key,
    ) -> Result<(Measured, f64), Cause> {
        let found = measure(problem, g, self.spectrum_steps, key)?;
        cost.measuring += found.n_products as f64;
        let size = found.largest.abs().max(found.smallest.abs());
        // What a step sees: curvature, or its square for the normal form.
        let largest = if self.normal_form { size * size + self.damping * self.damping } else { size };
        let eta = self.eta.unwrap_or(STEP / largest);
        let (smallest, damping) = (found.smallest, self.damping);
        if !self.normal_form {
            if smallest < -1e3 * ROUNDING * size {
                return Err(Cause::Indefinite { smallest, largest: found.largest, damping, eta });
            }
            if found.values[0] <= 1e2 * ROUNDING * size {
                return Err(Cause::Singular { smallest: found.values[0], largest: found.largest, damping });
            }
        }
        if eta * largest >= 2.0 {
            return Err(Cause::StepTooLarge { eta, limit: 2.0 / largest, largest, of_batches: false });
        }
        Ok((found, eta))
    }

    fn by_neumann(
        &self,
        problem: &Problem<'_>,
        g: &[f64],
        n_steps: usize,
        mut cost: Cost,
        keys: &[Key],
    ) -> Result<Draws, Cause> {
        let (measured, eta) = self.measured(problem, g, &mut cost, keys[1])?;
        let run = jit(|fixed: Vec<Var>, data: Vec<Var>, g: Var| {
            let zero = full(retrograde_array::DType::F64, [problem.size()], 0.0);
            scan(n_steps).repeat(zero, |x: Var| {
                x + eta * problem.preconditioned(&fixed, g - problem.curved_by_all(&fixed, &data, x))
            })
        });
        let found = run.call((&problem.fixed(), &problem.data, &Array::vector(g.to_vec())));
        let x = numbers(&found.map_err(Cause::from)?);
        cost.products = n_steps as f64;
        let left = |value: f64| (1.0 - eta * value).powi(n_steps as i32);
        let certificate = Certificate {
            method: format!("Neumann's series, {n_steps} terms"),
            predicted_bias: measured.bias(|value| 1.0 / value, left),
            eta,
            n_steps: n_steps as f64,
            spectrum: Some(measured.basis.spectrum()),
            ..Certificate::default_of(self)
        };
        let predicted = measured.predicted(|value| (1.0 - left(value)) / value);
        Ok(self.finished(vec![x], predicted, certificate, cost))
    }

    /// The source of batches that a method draws from.
    fn source(&self, method: &'static str) -> Result<&'a Source<BatchArrays<Args>>, Cause> {
        self.batches.map(|batches| &batches.source).ok_or(Cause::NoBatches { method })
    }

    fn by_chains(
        &self,
        problem: &Problem<'_>,
        g: &[f64],
        cost: &mut Cost,
        keys: &[Key],
    ) -> Result<Draws, Cause> {
        self.source("stochastic")?;
        self.expect_own_gradient(problem, g, cost)?;
        let (measured, _) = self.measured(problem, g, cost, keys[1])?;
        let largest = largest_of_batches(problem, keys[2])?;
        cost.measuring += 160.0 * problem.pass();
        let mu = self.damping;
        let of_steps = if self.normal_form { largest * largest + mu * mu } else { largest };
        let eta = self.eta.unwrap_or(STEP / of_steps);
        // θ of what is inverted, and the limit along it, from the curvature.
        let theta = |value: f64| if self.normal_form { value * value + mu * mu } else { value };
        let limit = |value: f64| if self.normal_form { value / theta(value) } else { 1.0 / value };
        let bias = |plan: &Plan| measured.bias(limit, |value| plan.left(theta(value)));
        let mut plan = Plan {
            eta,
            n_steps: self.n_steps.unwrap_or(16),
            n_chains: self.n_chains.unwrap_or(CHAINS),
            right_side: self.right_side,
            averaged: self.averaged,
            normal_form: self.normal_form.then_some(mu),
        };
        let n_runs = if self.is_checked { 2 } else { 1 };
        if self.n_steps.is_none() {
            match problem.rows {
                // As many steps as there are batches for.
                Rows::Given { n_batches, .. } => {
                    let of_chain = n_batches / (n_runs * plan.n_chains);
                    let each = if self.normal_form { 2 } else { 1 };
                    plan.n_steps = (of_chain.saturating_sub(usize::from(self.right_side == RightSide::Once))
                        / each)
                        .max(1);
                }
                _ => {
                    while bias(&plan) > BIAS && plan.n_steps < MOST_STEPS {
                        plan.n_steps *= 2;
                    }
                    if bias(&plan) > BIAS {
                        return Err(Cause::TooSlow {
                            condition: measured.largest / measured.values[0].abs(),
                            n_steps: plan.n_steps,
                            bias: bias(&plan),
                            wanted: BIAS,
                        });
                    }
                }
            }
        }
        if let Rows::Given { n_batches, .. } = problem.rows {
            let needed = n_runs * plan.n_chains * plan.n_batches();
            if needed > n_batches {
                let (n_steps, n_chains) = (plan.n_steps, plan.n_chains);
                return Err(Cause::TooFewBatches {
                    method: "stochastic",
                    found: n_batches,
                    needed,
                    n_steps,
                    n_chains,
                });
            }
        }
        let predicted = measured.predicted(|value| limit(value) * (1.0 - plan.left(theta(value))));
        let run = chains::run(problem, &plan, g, keys[3].fold_in(0), 0)?;
        self.expect_no_growth(problem, &plan, &run.norms, norm(&measured.predicted(limit)), largest)?;
        cost.products += (plan.n_chains * plan.n_batches()) as f64 * problem.pass();
        let check = if self.is_checked {
            let second =
                chains::run(problem, &plan, g, keys[3].fold_in(1), plan.n_chains * plan.n_batches())?;
            cost.products *= 2.0;
            compare(&run.draws, &second.draws, keys[3].fold_in(2))
        } else {
            None
        };
        let scale = norm(&measured.predicted(limit));
        let certificate = Certificate {
            method: format!(
                "{} chains of {} stochastic steps, {} examples each",
                plan.n_chains,
                plan.n_steps,
                problem.batch_size() * if self.normal_form { 2 } else { 1 }
            ),
            predicted_bias: bias(&plan),
            standard_deviation_of_a_chain: spread(&run.draws) / scale,
            standard_deviation: spread(&run.draws) / scale / (plan.n_chains as f64).sqrt(),
            eta,
            n_steps: plan.n_steps as f64,
            n_chains: plan.n_chains,
            spectrum: Some(measured.basis.spectrum()),
            check,
            ..Certificate::default_of(self)
        };
        Ok(self.finished(run.draws, predicted, certificate, *cost))
    }

    /// Where estimates of the gradient take the place of g, they must be estimates of it.
    fn expect_own_gradient(&self, problem: &Problem<'_>, g: &[f64], cost: &mut Cost) -> Result<(), Cause> {
        if self.right_side == RightSide::Given {
            return Ok(());
        }
        cost.gradients += 1.0;
        let apart = norm(&difference(&problem.gradient()?, g)) / norm(g);
        if apart > SAME_GRADIENT { Err(Cause::AnotherGradient { apart }) } else { Ok(()) }
    }

    /// Refuses the answer of chains that grow where they should settle.
    fn expect_no_growth(
        &self,
        problem: &Problem<'_>,
        plan: &Plan,
        norms: &[f64],
        expected: f64,
        largest: f64,
    ) -> Result<(), Cause> {
        let half = plan.n_steps / 2;
        let (before, after) = (norms[half.max(1) - 1], norms[plan.n_steps - 1]);
        // Chains that settle scatter about their mean; ones that diverge leave it behind at a steady rate.
        let grows = after > 4.0 * before && after > 100.0 * expected;
        if after.is_finite() && !grows {
            return Ok(());
        }
        Err(Cause::Diverged {
            method: "stochastic",
            before,
            after,
            half,
            n_steps: plan.n_steps,
            expected,
            eta: plan.eta,
            largest,
            batch_size: problem.batch_size(),
        })
    }

    fn by_roulette(
        &self,
        problem: &Problem<'_>,
        g: &[f64],
        q: Option<f64>,
        cost: &mut Cost,
        keys: &[Key],
    ) -> Result<Draws, Cause> {
        if let Source::Given(_) = self.source("roulette")? {
            return Err(Cause::Setting {
                found: "given batches for a roulette, which may take any number of them".into(),
                expected: "`Batches::of(&data, size)`, which draws as many as it takes",
            });
        }
        self.expect_own_gradient(problem, g, cost)?;
        let (measured, _) = self.measured(problem, g, cost, keys[1])?;
        let largest = largest_of_batches(problem, keys[2])?;
        cost.measuring += 160.0 * problem.pass();
        let eta = self.eta.unwrap_or(STEP / largest);
        // No estimate from few chains goes below what the mean alone makes of the slowest direction.
        let of_mean = measured.values.iter().map(|value| (1.0 - eta * value).powi(2)).fold(0.0, f64::max);
        let rho2 = roulette::growth(problem, eta, keys[2].fold_in(2))?.max(of_mean);
        cost.measuring += roulette::GROWTH_PRODUCTS as f64 * problem.pass();
        let q = q.unwrap_or(0.5 * (1.0 + rho2));
        if rho2 >= 1.0 {
            return Err(Cause::StepTooLarge { eta, limit: 2.0 / largest, largest, of_batches: true });
        }
        if q.is_nan() || q <= rho2 || q >= 1.0 {
            return Err(Cause::Roulette { q, rho2 });
        }
        let n_chains = self.n_chains.unwrap_or(CHAINS);
        let plan = Roulette { eta, q, always: self.always, n_chains, right_side: self.right_side };
        let (draws, n_steps) = roulette::run(problem, &plan, g, keys[3].fold_in(0))?;
        let total: f64 = n_steps.iter().sum();
        cost.products += total * problem.pass();
        let check = if self.is_checked {
            let (second, n_steps) = roulette::run(problem, &plan, g, keys[3].fold_in(1))?;
            cost.products += n_steps.iter().sum::<f64>() * problem.pass();
            compare(&draws, &second, keys[3].fold_in(2))
        } else {
            None
        };
        let predicted = measured.predicted(|value| 1.0 / value);
        let scale = norm(&predicted);
        let certificate = Certificate {
            method: format!(
                "roulette with q = {q:.4}, {n_chains} chains of {:.1} steps",
                total / n_chains as f64
            ),
            standard_deviation_of_a_chain: spread(&draws) / scale,
            standard_deviation: spread(&draws) / scale / (n_chains as f64).sqrt(),
            eta,
            n_steps: total / n_chains as f64,
            n_chains,
            spectrum: Some(measured.basis.spectrum()),
            rho2: Some(rho2),
            check,
            ..Certificate::default_of(self)
        };
        Ok(self.finished(draws, predicted, certificate, *cost))
    }
}

impl Certificate {
    /// Of an exact answer at no cost.
    fn default_of<F, Args: ParametersAndBatch>(asked: &InverseHvp<'_, F, Args>) -> Certificate
    where
        F: Function<Args, Output = Var>,
    {
        Certificate {
            question: asked.question(),
            curvature: asked.curvature,
            method: "nothing, as g is zero".into(),
            predicted_bias: 0.0,
            standard_deviation: 0.0,
            standard_deviation_of_a_chain: 0.0,
            cost: Cost::default(),
            eta: f64::NAN,
            n_steps: 0.0,
            n_chains: 1,
            spectrum: None,
            rho2: None,
            residuals: vec![],
            check: None,
        }
    }
}

fn mean_of(draws: &[Vec<f64>]) -> Vec<f64> {
    let mut mean = vec![0.0; draws[0].len()];
    draws.iter().for_each(|draw| add_scaled(&mut mean, 1.0, draw));
    scaled(1.0 / draws.len() as f64, &mean)
}

/// √(Σ sample variances); NaN for a single draw.
fn spread(draws: &[Vec<f64>]) -> f64 {
    let mean = mean_of(draws);
    let square = |draw: &Vec<f64>| dot(&difference(draw, &mean), &difference(draw, &mean));
    (draws.iter().map(square).sum::<f64>() / (draws.len() as f64 - 1.0)).sqrt()
}

/// Whether two sets of chains have one mean, along random directions.
fn compare(one: &[Vec<f64>], other: &[Vec<f64>], key: Key) -> Option<Hotelling> {
    let d = one[0].len();
    let k = DIRECTIONS.min(d).min((one.len() / 4).max(1));
    let directions: Vec<Vec<f64>> = (0..k).map(|i| normals(key.fold_in(i as u64), d)).collect();
    let projected: Vec<Vec<f64>> = one
        .iter()
        .zip(other)
        .map(|(a, b)| {
            let apart = difference(a, b);
            directions.iter().map(|direction| dot(direction, &apart)).collect()
        })
        .collect();
    hotelling(&projected, &vec![0.0; k])
}
