//! Why a run stops early: what was found, where, what to try.

use std::fmt;

use retrograde_core::exec::RunError;
use retrograde_core::trace::Error;
use retrograde_tricks::update::finite_sum::FiniteSumError;

use super::MAX_VALUES;
use crate::RunFolderError;
use crate::model::Network;
use crate::recipe::RecipeError;

/// Why a run stopped early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A NaN or an infinity.
    #[error("{0}")]
    NotFinite(Box<NotFinite>),
    /// The interrupt flag was set.
    #[error("interrupted before step {step} of {total_steps}")]
    Interrupted {
        /// The step that was not taken, counted from 1.
        step: u64,
        /// How many there would have been.
        total_steps: u64,
        /// What it was.
        network: Box<Network>,
    },
    /// The interrupt flag was set, in a run whose steps are not counted beforehand.
    #[error("interrupted after {passes:.2} of {epochs} passes")]
    InterruptedInPass {
        /// Passes over the rows that were spent.
        passes: f64,
        /// How many there would have been, at most.
        epochs: u32,
        /// What it was.
        network: Box<Network>,
    },
    /// A minimiser of the sum over all rows refuses.
    #[error("error: {source}\n  --> the update \"{update}\"")]
    FiniteSum {
        /// Why.
        source: Box<FiniteSumError>,
        /// Its name.
        update: &'static str,
    },
    /// A network that would not fit.
    #[error(
        "error: the network has {parameters} parameters and up to {activations} values between layers for {rows} rows, \
         expected at most {MAX_VALUES} of each\n  --> `{key}` of the recipe\n  help: lower `{key}`, or {other}"
    )]
    TooLarge {
        /// Weights and biases.
        parameters: u64,
        /// Values between layers.
        activations: u64,
        /// Rows that are computed at once.
        rows: usize,
        /// What to lower.
        key: &'static str,
        /// What else to do.
        other: &'static str,
    },
    /// A model that does not go with the data.
    #[error("{0}")]
    Recipe(#[from] RecipeError),
    /// Nothing to train or to test on.
    #[error(
        "error: found {train} rows to train on and {test} to test on, expected at least one of each\n  --> `split` of the \
         recipe\n  help: bring more rows, or change the shares under `[split]`"
    )]
    NoRows {
        /// Training rows.
        train: usize,
        /// Test rows.
        test: usize,
    },
    /// So many classes that none has rows enough to hold one back.
    #[error(
        "error: found {n_classes} classes in {n_rows} rows, too few rows of each to test on\n  --> the target `{target}`\n  \
         help: say `--task regression` if it is a quantity, or bring more rows of each class"
    )]
    TooFewOfEach {
        /// Classes.
        n_classes: usize,
        /// Rows.
        n_rows: usize,
        /// The name of the target.
        target: String,
    },
    /// Early stopping has nothing to go by.
    #[error(
        "error: found no row to validate on, expected at least one\n  --> `split.validation` of the recipe\n  help: raise `split.validation`, or leave out `patience`"
    )]
    NoValidation,
    /// A checkpoint of another run.
    #[error(
        "error: the checkpoint belongs to another run: {what} differs from this one\n  --> the checkpoint of the run \
         folder\n  help: the recipe in the run folder must stay as it was"
    )]
    OtherRun {
        /// What tells them apart.
        what: &'static str,
    },
    /// The gradient program failed.
    #[error("{0}")]
    Program(#[from] Error),
    /// A record or a checkpoint could not be kept.
    #[error("{0}")]
    Metrics(#[from] RunFolderError),
}

impl TrainError {
    /// The last good network, where there is any.
    pub fn network(&self) -> Option<&Network> {
        match self {
            TrainError::NotFinite(stop) => Some(&stop.last_good),
            TrainError::Interrupted { network, .. } | TrainError::InterruptedInPass { network, .. } => {
                Some(network)
            }
            _ => None,
        }
    }

    /// Whether somebody wanted it so, and the run can go on.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, TrainError::Interrupted { .. } | TrainError::InterruptedInPass { .. })
    }
}

/// The first NaN or infinity of a run.
#[derive(Clone, Debug)]
pub struct NotFinite {
    /// The step, counted from 1.
    pub step: u64,
    /// Its epoch, counted from 1.
    pub epoch: u32,
    /// What is not finite: `the loss`, `the gradient`, `the update of head.weight`.
    pub what: String,
    /// The operation that made it of finite operands, with the line it was written on.
    pub place: Option<RunError>,
    /// What to try.
    pub help: String,
    /// The parameters of the last step whose loss was finite.
    pub last_good: Network,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotFinite { step, epoch, what, place, help, .. } = self;
        write!(
            f,
            "error: step {step} (epoch {epoch}): {what} is not finite, expected finite numbers\n  --> "
        )?;
        match place {
            Some(place) => write!(f, "first in {place}")?,
            None => write!(f, "training step {step}")?,
        }
        write!(f, "\n  help: {help}")
    }
}
