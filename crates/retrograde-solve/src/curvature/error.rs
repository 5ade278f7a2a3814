//! What inverse curvature cannot do, what was measured, and what to change by how much.

use retrograde_core::ir::Location;
use retrograde_core::trace::Error;

use crate::linear::LinearError;

/// Why there is no answer, and where it was asked for.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("error: {cause}\n  --> {location}")]
pub struct CurvatureError {
    /// What went wrong.
    pub cause: Box<Cause>,
    /// The line that asked.
    pub location: Location,
}

/// What went wrong.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Cause {
    /// The loss or the model has mistakes, or trees do not fit together.
    #[error("{0}")]
    Door(#[from] Error),
    /// A linear solver failed.
    #[error("{0}")]
    Linear(#[from] LinearError),
    /// Nothing to take a mean over.
    #[error("found {what}, expected at least one row")]
    EmptyBatch {
        /// What was found.
        what: String,
    },
    /// Leaves of several lengths, or batches of several shapes.
    #[error("found rows of shapes {shapes}, expected one leading axis of examples, the same for all")]
    Uneven {
        /// What was found.
        shapes: String,
    },
    /// A method that draws has nothing to draw from.
    #[error(
        "{method}: found no batches, expected a source of them\n  help: say `.stochastic(&batches)` first, or `.data(&batches)` for a method without draws"
    )]
    NoBatches {
        /// The method.
        method: &'static str,
    },
    /// Given batches run out.
    #[error(
        "{method}: found {found} batches, expected at least {needed} for {n_steps} steps of {n_chains} chains, as each is used once\n  help: take at most {} steps, fewer chains, or `Batches::of(&data, size)`, which draws as many as it takes",
        found * n_steps / needed.max(&1)
    )]
    TooFewBatches {
        /// The method.
        method: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
        /// Of each chain.
        n_steps: usize,
        /// How many chains.
        n_chains: usize,
    },
    /// The curvature, damped as it is, is not positive.
    #[error(
        "found curvature of both signs, from {smallest:.4e} to {largest:.4e} with damping {damping:.4e}, expected positive curvature: the steps would grow {:.4}-fold each\n  help: say `.damping({:.4e})`, take `.gauss_newton()`, or `.normal_form()`",
        1.0 + eta * smallest.abs(),
        damping + 1.5 * smallest.abs()
    )]
    Indefinite {
        /// The smallest curvature that was measured, damping included.
        smallest: f64,
        /// The largest.
        largest: f64,
        /// What was added.
        damping: f64,
        /// The step size.
        eta: f64,
    },
    /// The curvature is zero along part of the right-hand side.
    #[error(
        "found singular curvature, from {smallest:.2e} to {largest:.4e} with damping {damping:.4e}, expected it positive along all of g: the inverse does not exist\n  help: say `.damping({:.4e})`, which solves (H + damping) x = g",
        damping + 1e-3 * largest
    )]
    Singular {
        /// The smallest curvature that was measured, damping included.
        smallest: f64,
        /// The largest.
        largest: f64,
        /// What was added.
        damping: f64,
    },
    /// The step size is too large for the curvature that was measured.
    #[error(
        "found the step size η = {eta:.4e}, expected less than {limit:.4e} = 2 / {largest:.4e}, the largest curvature of {}\n  help: say `.eta({:.4e})`, or leave it out and it is measured",
        if *of_batches { "a batch" } else { "the mean" },
        0.5 * limit
    )]
    StepTooLarge {
        /// The step size.
        eta: f64,
        /// Where it diverges.
        limit: f64,
        /// The largest curvature, preconditioned and damped.
        largest: f64,
        /// Of single batches, which are what a step sees.
        of_batches: bool,
    },
    /// The iterates grow.
    #[error(
        "{method}: found iterates that grow from {before:.3e} to {after:.3e} between steps {half} and {n_steps}, where about {expected:.3e} was expected: η = {eta:.4e}, curvature of batches up to {largest:.4e}\n  help: say `.eta({:.4e})`, draw batches of {} rows or more, or precondition: `.preconditioner(Preconditioner::Nystrom {{ rank: 10, n_rows: 256 }})`",
        0.5 * eta,
        2 * batch_size
    )]
    Diverged {
        /// The method.
        method: &'static str,
        /// Largest norm over chains half way.
        before: f64,
        /// And in the end.
        after: f64,
        /// Of which step.
        half: usize,
        /// How many steps there are.
        n_steps: usize,
        /// The norm of the predicted mean.
        expected: f64,
        /// The step size.
        eta: f64,
        /// The largest curvature of a batch that was measured.
        largest: f64,
        /// Rows in a batch.
        batch_size: usize,
    },
    /// Too slow to be of use.
    #[error(
        "found a condition of {condition:.3e}, for which {n_steps} steps leave a bias of {bias:.2e}, expected at most {wanted:.0e}\n  help: precondition: `.preconditioner(Preconditioner::Nystrom {{ rank: 10, n_rows: 256 }})`; or say how many steps, `.steps(n)`; or damp, which changes the question"
    )]
    TooSlow {
        /// Largest over smallest curvature.
        condition: f64,
        /// As many as are allowed.
        n_steps: usize,
        /// What they leave.
        bias: f64,
        /// What is wanted.
        wanted: f64,
    },
    /// A roulette whose variance is infinite.
    #[error(
        "roulette: found q = {q}, expected more than {rho2:.4} and less than 1: with a lower q the variance is infinite (the second moment grows by up to {rho2:.4} a step)\n  help: say `.roulette({:.4})`, or `.roulette(None)` for (1 + ρ₂)/2",
        0.5 * (1.0 + rho2)
    )]
    Roulette {
        /// The probability of going on.
        q: f64,
        /// Estimated growth of the second moment in a step.
        rho2: f64,
    },
    /// The right-hand side is not what its estimates are of.
    #[error(
        "found a g that differs from the gradient of the loss by {apart:.2e} of its length, expected the same: steps draw fresh gradients\n  help: leave out `.right_side(RightSide::Fresh)`, and the g that is given is used"
    )]
    AnotherGradient {
        /// ‖g − ∇‖ / ‖g‖
        apart: f64,
    },
    /// A preconditioner that is not positive, or too large to make.
    #[error("preconditioner: found {found}, expected {expected}\n  help: {help}")]
    Preconditioner {
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
        /// What to try.
        help: &'static str,
    },
    /// A setting out of range, or two that exclude each other.
    #[error("found {found}, expected {expected}")]
    Setting {
        /// What was found.
        found: String,
        /// What may be.
        expected: &'static str,
    },
}

impl Cause {
    pub(super) fn at(self, location: Location) -> CurvatureError {
        CurvatureError { cause: Box::new(self), location }
    }
    #[track_caller]
    pub(super) fn here(self) -> CurvatureError {
        self.at(Location(std::panic::Location::caller()))
    }
}
