//! What a solver says when it cannot answer.

use retrograde_core::trace::Error;

/// Why a linear system was not solved.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum LinearError {
    /// The operator or the preconditioner failed.
    #[error("{0}")]
    Operator(#[from] Error),
    /// A NaN or an infinity turned up.
    #[error(
        "{method}: found {what} that is not finite (step {step}), expected finite numbers: look for it with \
         `.executor(Interpreter {{ config: RunConfig {{ look_for_non_finite: true }} }})` on the door that makes it"
    )]
    NotFinite {
        /// The solver.
        method: &'static str,
        /// Which vector.
        what: &'static str,
        /// After how many products.
        step: usize,
    },
    /// Conjugate gradients met a direction along which the operator is not positive.
    #[error(
        "cg: found the curvature {curvature:.3e} along a direction (step {step}), expected a positive one: the operator is \
         {}; add damping of more than {:.3e}, take `minres`, or say `.stop_at_negative_curvature()`",
        if *curvature < 0.0 { "indefinite" } else { "singular" }, -curvature
    )]
    Indefinite {
        /// vᵀAv / vᵀv of the direction.
        curvature: f64,
        /// After how many products.
        step: usize,
    },
    /// The preconditioner is not positive definite.
    #[error(
        "{method}: found rᵀMr = {found:.3e} for the preconditioner M (step {step}), expected a positive number: \
         it must be symmetric and positive definite"
    )]
    Preconditioner {
        /// The solver.
        method: &'static str,
        /// What came out.
        found: f64,
        /// After how many products.
        step: usize,
    },
    /// A vector of no entries.
    #[error("{method}: found a right-hand side without entries, expected at least one number")]
    Empty {
        /// The solver.
        method: &'static str,
    },
    /// A setting out of range.
    #[error("{method}: found a {setting} of {found}, expected {expected}")]
    Setting {
        /// The solver.
        method: &'static str,
        /// Its name.
        setting: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
}
