//! Minimising a mean over examples: `F(w) = (1/n) Σᵢ ℓᵢ(w) + (λ/2)|w|²`, one interface for all methods.
//!
//! | method | step | needs |
//! |---|---|---|
//! | [`StochasticNewton`] | curvature of a few examples, secants, a growing sample | d² or S d numbers |
//! | [`MatrixFreeNewton`] | a recursion over batches in place of the solve, low-rank preconditioner | n ≫ d |
//! | [`HessianFree`] | conjugate gradients on Gauss–Newton, damping that learns | |
//! | [`NewtonCg`] | conjugate gradients on the Hessian | |
//! | [`Lbfgs`] | secants and a line search | |
//! | [`Lissa`] | the series of the inverse, example by example | a known curvature |
//! | [`Svrg`], [`Saga`] | gradients with a control variate | a known curvature; n d numbers for the table |
//! | [`Sgd`], [`Adam`] | gradients of batches | |
//!
//! The sum is a [`FiniteSum`]: any tree of parameters, any tree of data, an ordinary loss of one example. Methods are plain values; they
//! take the sum's compiled programs, count passes over the data in gradients of an example (a product with the curvature is one),
//! and say why they ended.
//!
//! A run is taken in one go, [`FiniteSum::minimise`] and [`FiniteSum::observe`], or step by step, [`FiniteSum::begin`]. Between any two steps
//! it can be put away as arrays by name, [`Descent::memory`], from which [`FiniteSum::resume`] goes on to the same bits.
//!
//! Compiled programs are kept by the sum: one for each number of examples that occurs, so a growing sample has some six of
//! them. The loops of [`Svrg`], [`Saga`], [`Sgd`] and [`Adam`] are compiled in each run.

mod adam;
mod descent;
mod epochs;
pub mod hessian_free;
mod lbfgs;
mod linear_recursion;
mod lissa;
mod memory;
mod newton_cg;
mod preconditioner;
mod problem;
mod run;
mod saga;
mod secants;
mod sgd;
pub mod stochastic_newton;
pub mod svrg;
mod traced;
mod vector;

use retrograde_array::{ArrayError, ops};
use retrograde_core::trace::Error;
use retrograde_solve::linear::LinearError;

use crate::catalogue::Source;
use memory::Remembered;

pub use adam::Adam;
pub use descent::Descent;
pub use hessian_free::HessianFree;
pub use lbfgs::Lbfgs;
pub use linear_recursion::MatrixFreeNewton;
pub use lissa::Lissa;
pub use memory::Memory;
pub use newton_cg::NewtonCg;
pub use problem::{FiniteSum, Problem};
pub use run::{Limits, Minimum, Progress, Run, Stop};
pub use saga::Saga;
pub use sgd::Sgd;
pub use stochastic_newton::StochasticNewton;
pub use svrg::Svrg;

/// A way to minimise a finite sum.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Lbfgs, Limits, Method, NewtonCg};
/// let squared = |w: Var, x: Var| (w - x) * (w - x);
/// let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0, 6.0]), squared)?;
/// let methods: [&dyn Method; 2] = [&NewtonCg::default(), &Lbfgs::default()];
/// assert_eq!(methods.map(|method| method.name()), ["newton-cg", "l-bfgs"]);
/// for method in methods {
///     let found = problem.minimise(method, Limits { tolerance: 1e-14, ..Limits::default() })?;
///     assert!((found.parameters.item::<f64>().unwrap() - 3.0).abs() < 1e-6); // the mean
/// }
/// assert_eq!(methods[1].cite()[0].year, 1989);
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
pub trait Method: std::fmt::Debug {
    /// What reports call it.
    fn name(&self) -> &'static str;
    /// Where it comes from.
    fn cite(&self) -> &'static [Source];
    /// Ready for the first step or, with what [`Iteration::memory`] gave, for the next one. Call it by [`FiniteSum::minimise`],
    /// [`FiniteSum::observe`], [`FiniteSum::begin`] or [`FiniteSum::resume`].
    ///
    /// # Errors
    /// See [`FiniteSum::minimise`].
    fn begin(
        &self,
        run: &mut Run<'_>,
        memory: Option<Remembered<'_>>,
    ) -> Result<Box<dyn Iteration>, FiniteSumError>;
}

/// A method at work, which a [`Descent`] carries.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::update::finite_sum::{FiniteSum, Limits, Svrg};
/// let problem = FiniteSum::of_loss(array(0.0), array([1.0, 2.0, 6.0]), |w: Var, x: Var| 0.5 * (w - x) * (w - x))?;
/// let mut descent = problem.begin(&Svrg::default(), Limits::default(), &array(0.0))?;
/// assert_eq!(descent.step()?, None);
/// assert_eq!(descent.memory().len(), 3); // where it is and what it spent: steps by a snapshot depend on nothing else
/// # Ok::<(), retrograde_tricks::update::finite_sum::FiniteSumError>(())
/// ```
pub trait Iteration {
    /// Takes a step; says whether it was the last.
    ///
    /// # Errors
    /// See [`FiniteSum::minimise`].
    fn step(&mut self, run: &mut Run<'_>) -> Result<Option<Stop>, FiniteSumError>;
    /// What the next step depends on, beside where the run is.
    fn memory(&self) -> Memory;
}

/// Why a finite sum was not minimised.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum FiniteSumError {
    /// Mistakes in the functions, or trees that do not fit.
    #[error("{0}")]
    Trace(#[from] Error),
    /// A matrix operation is not in this build.
    #[error("{0}")]
    Array(#[from] ArrayError),
    /// The linear system of a step.
    #[error("{0}")]
    Linear(#[from] LinearError),
    /// Nothing to sum over, or nothing to change.
    #[error("finite sum: found {what} without entries, expected at least one: look at where they come from")]
    Empty {
        /// Data or parameters.
        what: &'static str,
    },
    /// Arrays of the data have several lengths.
    #[error(
        "finite sum: leaf `{path}` of the data is {found}, expected {expected} entries along the first axis as the first leaf \
         has: every array has one entry per example"
    )]
    UnequalLengths {
        /// Which leaf.
        path: String,
        /// Its type.
        found: String,
        /// Examples of the first leaf.
        expected: usize,
    },
    /// A parameter that has no derivative.
    #[error(
        "finite sum: leaf `{path}` of the parameters is {found}, expected floating-point numbers: put what is fixed into the data \
         or capture it"
    )]
    NotFloating {
        /// Which leaf.
        path: String,
        /// Its type.
        found: String,
    },
    /// A setting out of range.
    #[error("finite sum: found {setting} = {found}, expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it is.
        found: f64,
        /// What it may be, and why.
        expected: String,
    },
    /// What a run remembered does not fit.
    #[error(
        "finite sum: found {found} under `{name}` in the memory of a run, expected {expected}: resume with the method and the sum that \
         the run began with"
    )]
    Memory {
        /// Of the array.
        name: &'static str,
        /// Its type.
        found: String,
        /// That of an array that fits.
        expected: String,
    },
    /// A NaN or an infinity turned up.
    #[error(
        "finite sum: the {what} is not finite after {n_steps} steps ({passes:.2} passes), expected finite numbers: take a smaller \
         rate or more damping, or look for it with `RunConfig {{ look_for_non_finite: true }}` on a door of the loss"
    )]
    NotFinite {
        /// Loss, gradient or parameters.
        what: &'static str,
        /// Steps taken before.
        n_steps: usize,
        /// Passes spent.
        passes: f64,
    },
}

impl FiniteSumError {
    /// For a solver that asks for products and knows the errors of doors alone.
    fn into_trace(self) -> Error {
        match self {
            FiniteSumError::Trace(error) => error,
            other => Error::Audit(other.to_string()),
        }
    }
}

/// A number of examples, of steps or of vectors, from 1 to `most`.
fn check_batch(setting: &'static str, found: usize, most: usize) -> Result<usize, FiniteSumError> {
    if (1..=most).contains(&found) {
        return Ok(found);
    }
    let expected = match most {
        usize::MAX => "at least 1".to_owned(),
        most => format!("from 1 to {most}, the number of examples"),
    };
    Err(FiniteSumError::Setting { setting, found: found as f64, expected })
}

fn check_positive(setting: &'static str, found: f64) -> Result<(), FiniteSumError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(FiniteSumError::Setting { setting, found, expected: "a finite number above zero".into() })
}

/// Some examples next to each other; a view.
fn part(examples: &[retrograde_array::Array], range: std::ops::Range<usize>) -> Vec<retrograde_array::Array> {
    let of_leaf = |leaf: &retrograde_array::Array| {
        let (mut starts, mut limits) = (vec![0; leaf.rank()], leaf.shape().to_vec());
        (starts[0], limits[0]) = (range.start, range.end);
        ops::slice(leaf, &starts, &limits, &vec![1; leaf.rank()])
    };
    examples.iter().map(of_leaf).collect()
}

#[cfg(test)]
mod test_problem {
    use super::FiniteSum;
    use retrograde_array::rng::{Key, normal};
    use retrograde_array::{Array, DType};
    use retrograde_core::trace::Var;

    /// Logistic regression on random rows.
    pub(super) fn logistic(n: usize, d: usize, l2: f64) -> FiniteSum<Var> {
        let labels = (0..n).map(|i| if i * i % 3 == 1 { 1.0 } else { -1.0 }).collect::<Vec<_>>();
        let data = (normal(Key::from_seed(5), [n, d]), Array::vector(labels));
        let model = |w: Var, (x, _): (Var, Var)| x.dot(w);
        let loss = |z: Var, (_, y): (Var, Var)| (-(y * z)).exp().log1p();
        FiniteSum::new(Array::zeros(DType::F64, [d]), data, model, loss).unwrap().l2(l2).unwrap()
    }
}
