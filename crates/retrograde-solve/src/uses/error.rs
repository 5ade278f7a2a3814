//! What influence, error bars and hypergradients cannot be had of, and what to try.

use std::sync::Arc;

use retrograde_core::ir::Location;
use retrograde_core::trace::Error;

use crate::linear::LinearError;

/// Why there is no answer, and where it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("error: {cause}\n  --> {location}")]
pub struct UseError {
    /// What went wrong.
    pub cause: Box<Cause>,
    /// The line that asked.
    pub location: Location,
}

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The loss or the model has mistakes, or trees do not fit together.
    #[error("{0}")]
    Door(#[from] Error),
    /// A linear solver failed.
    #[error("{0}")]
    Linear(#[from] LinearError),
    /// The inverse that the caller brought failed.
    #[error("the inverse curvature failed: {}", _0.to_string().trim_start_matches("error: "))]
    Inverse(Arc<dyn std::error::Error + Send + Sync>),
    /// Nothing to take a mean over.
    #[error("found {what} of no rows, expected at least one\n  help: leave it out: no example says nothing")]
    Empty {
        /// What has none.
        what: &'static str,
    },
    /// Leaves of several lengths.
    #[error(
        "found {what} with leaves of {found} rows, expected one leading axis of examples, the same for all leaves"
    )]
    Uneven {
        /// What has them.
        what: &'static str,
        /// The lengths.
        found: String,
    },
    /// A row that is not there.
    #[error("{what}: found row {row}, expected one from 0 to {}", n_rows.saturating_sub(1))]
    Row {
        /// Where it was named.
        what: String,
        /// Its number, from 0.
        row: usize,
        /// How many there are.
        n_rows: usize,
    },
    /// A group of no rows.
    #[error("found no row in group {group}, expected at least one\n  help: leave the group out")]
    EmptyGroup {
        /// Its number, from 0.
        group: usize,
    },
    /// A row in two groups.
    #[error(
        "found row {row} in group {first} and in group {second}, expected it in one\n  help: leaving a row out twice has no meaning; ask for overlapping groups in separate calls"
    )]
    Overlap {
        /// The row.
        row: usize,
        /// The number of a group.
        first: usize,
        /// And of another, the same for a row named twice.
        second: usize,
    },
    /// Curvature that has no inverse.
    #[error(
        "found curvature that is not positive, its smallest value about {smallest:.3e} and its largest {largest:.3e}, damping included; expected it positive: there is no inverse\n  help: {what} of more than {:.1e} makes it positive and shrinks the answer along directions that the data say little about; the Gauss–Newton matrix needs none beyond rounding",
        (-smallest).max(f64::EPSILON * largest.abs())
    )]
    NotPositive {
        /// Estimate of the smallest eigenvalue.
        smallest: f64,
        /// Of the largest.
        largest: f64,
        /// What adds to it: a damping, a prior precision.
        what: &'static str,
    },
    /// A setting out of range.
    #[error("found a {setting} of {found}, expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Numbers that are not finite.
    #[error(
        "found {what} that is not finite, expected finite numbers\n  help: the fit or its data hold a NaN or an infinity; `.executor(Interpreter {{ config: RunConfig {{ look_for_non_finite: true }} }})` on a door finds where"
    )]
    NotFinite {
        /// What it is.
        what: &'static str,
    },
}

impl Cause {
    pub(super) fn at(self, location: Location) -> UseError {
        UseError { cause: Box::new(self), location }
    }
    pub(super) fn inverse(source: impl std::error::Error + Send + Sync + 'static) -> Cause {
        Cause::Inverse(Arc::new(source))
    }
}
