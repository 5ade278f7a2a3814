//! Training: a job goes in, what it leaves comes out, and every epoch is told.
//!
//! - `minibatches`: steps by the gradients of minibatches
//! - `finite_sum`: steps down the mean loss over all training rows
//! - `course`: where a run stands, and what an epoch's end decides
//! - `error`: why a run stops early
//! - `tape`: what one step keeps
//!
//! All of it in one order, so that a seed fixes every bit of the parameters, however often the run is stopped and resumed.

mod course;
mod error;
mod finite_sum;
mod minibatches;
mod tape;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use retrograde_array::rng::Key;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::data::{Dataset, Targets};
use crate::evaluate::{ROWS_AT_ONCE, Score};
use crate::model::{Interface, Network};
use crate::recipe::{Recipe, Update};
use crate::standardise::Scaling;
use crate::{Fold, Progress, RunFolderError};

pub use error::{NotFinite, TrainError};
pub use tape::{StepTape, step_tape};

/// Parameters, and values between layers, of the largest network that is tried: 0.5 GiB of each in `f32`.
const MAX_VALUES: u64 = 1 << 27;

/// One line of the metrics: an epoch.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// Counted from 1.
    pub epoch: u32,
    /// Steps taken so far.
    pub step: u64,
    /// Mean loss of the rows of this epoch, each at its step; of a minimiser of the sum over all rows, after the last step.
    pub train_loss: f64,
    /// Of the last step; a minimiser of the sum over all rows may have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Mean norm of the gradient of each layer over the steps of this epoch, in the order of the layers; of a minimiser of the sum over
    /// all rows, that of the sum after the last step.
    pub gradient_norms: Vec<f64>,
    /// Of a few training rows, after the epoch.
    pub train: Score,
    /// Of the validation rows, where there are any, after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Score>,
    /// Passes over the rows that a minimiser of their sum has spent, in gradients of a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes: Option<f64>,
    /// Why a minimiser ended, in the last epoch's record only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<&'static str>,
    /// Share of the held-back rows that are classified correctly, in the last epoch's record only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Root of the mean squared error on the held-back rows, in the last epoch's record only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_rmse: Option<f64>,
}

/// Who hears of a run, and who may stop it.
pub struct Listeners<'a> {
    /// Hears of every step.
    pub progress: &'a mut dyn Progress,
    /// Gets a record after every epoch; its error stops the run.
    pub metrics: &'a mut dyn FnMut(&Record) -> Result<(), RunFolderError>,
    /// Gets a checkpoint now and then, when the run is interrupted, and at its end; its error stops the run.
    pub checkpoint: &'a mut dyn FnMut(&Checkpoint) -> Result<(), RunFolderError>,
    /// Time between two checkpoints; 0: after every step.
    pub checkpoint_every: Duration,
    /// Looked at before every step: true stops the run.
    pub interrupt: &'a AtomicBool,
}

/// What is trained: the same job leaves the same parameter bits.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// How; its seed is not looked at.
    pub recipe: &'a Recipe,
    /// On what.
    pub data: &'a Dataset,
    /// Which rows are for what.
    pub fold: &'a Fold,
    /// Decides the first parameters and the order of the rows.
    pub key: Key,
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The network after the last step or, with patience, after the best epoch; averaged if the recipe says so.
    pub network: Network,
    /// What is done to inputs and targets.
    pub scaling: Scaling,
    /// Of the held-back rows.
    pub test: Score,
    /// For the held-back rows: logits, or numbers in the unit of the target.
    pub test_outputs: Vec<f32>,
    /// Steps taken.
    pub n_steps: u64,
    /// Epochs begun.
    pub n_epochs: u32,
}

/// Trains a network on the rows of `fold.train` and tests it once, at the end, on those of `fold.test`. With `from`, goes on
/// where an earlier run of the same job stood, to the same bits.
///
/// # Errors
/// A NaN or an infinity in loss, gradient or update; an interrupt; a network too large; a checkpoint of another job; a file
/// that cannot be written.
pub fn train(
    job: Job<'_>,
    from: Option<Checkpoint>,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, TrainError> {
    check_size(job.recipe, job.data, job.fold)?;
    match &job.recipe.update {
        Update::Minibatch(rule) => minibatches::train(job, *rule, from, listeners),
        Update::FiniteSum(minimiser) => finite_sum::train(job, minimiser, from, listeners),
    }
}

/// Whether the network fits into memory and there are rows for every purpose; costs nothing.
///
/// # Errors
/// A network too large; no rows.
pub fn check_size(recipe: &Recipe, data: &Dataset, fold: &Fold) -> Result<(), TrainError> {
    let (train, test) = (fold.train.len(), fold.test.len());
    if train == 0 || test == 0 {
        let n_rows = data.n_rows();
        return Err(match &data.targets {
            Targets::Classes { names, .. } if 2 * names.len() > n_rows => {
                TrainError::TooFewOfEach { n_classes: names.len(), n_rows, target: data.target_name.clone() }
            }
            _ => TrainError::NoRows { train, test },
        });
    }
    if recipe.patience > 0 && fold.validation.is_empty() {
        return Err(TrainError::NoValidation);
    }
    recipe.check_model(data)?;
    recipe.check_update(train)?;
    let interface = Interface::of(data);
    let size = recipe.model.size(&interface);
    let at_once = test.max(fold.validation.len()).min(ROWS_AT_ONCE);
    let (of_step, other) = match recipe.update {
        Update::Minibatch(_) => ((recipe.batch as usize).min(train), "lower `batch`"),
        Update::FiniteSum(_) => (train, "use an update by minibatches, such as \"adam\""),
    };
    let rows = of_step.max(at_once);
    let (parameters, activations) = (size.parameters, size.values.saturating_mul(rows as u64));
    if parameters > MAX_VALUES || activations > MAX_VALUES {
        let key = if recipe.model.name() == "mlp" { "model.hidden" } else { "model" };
        return Err(TrainError::TooLarge { parameters, activations, rows, key, other });
    }
    Ok(recipe.check_memory(train, (parameters, interface.n_outputs), MAX_VALUES)?)
}
