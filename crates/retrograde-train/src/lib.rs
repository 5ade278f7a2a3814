//! Data readers, recipes, the training loop, metrics and run folders.
//!
//! - [`data`]: tables and images from files
//! - [`digits`](mod@digits): the data that comes with the program
//! - [`split`]: rows to train on, to stop early by, to test on
//! - [`standardise`]: inputs of mean 0 and deviation 1, by the training rows alone
//! - [`recipe`]: what to train and how, as TOML
//! - [`mod@train`]: the training loop
//! - [`update`]: how a gradient changes the parameters
//! - [`evaluate`]: how good a network is
//! - [`model`]: the networks that a recipe can name, and predicting with a trained one
//! - [`checkpoint`]: where a run stands, to go on to the same bits
//! - [`influence`]: which training rows a prediction rests on
//! - [`run_folder`]: where a run keeps its files
//! - [`report`]: what a run did, on one page
//! - [`progress`]: how the loop tells its caller how far it is; nothing here prints
//! - [`diagnosis`]: the shape of messages about a user's files
#![forbid(unsafe_code)]

// The derive macro names its traits through the façade's path.
extern crate retrograde_core as retrograde;

pub mod checkpoint;
mod choice;
pub mod data;
pub mod diagnosis;
pub mod digits;
pub mod evaluate;
#[cfg(test)]
mod fuzz;
pub mod influence;
mod loss;
pub mod model;
pub mod progress;
pub mod recipe;
pub mod report;
pub mod run_folder;
pub mod split;
pub mod standardise;
pub mod train;
pub mod update;

pub use checkpoint::{Checkpoint, NoCheckpoint};
pub use data::{DataError, Dataset, Features, Header, Inputs, Layout, Reading, Targets, Task};
pub use diagnosis::Diagnosis;
pub use digits::digits;
pub use evaluate::Score;
pub use model::{About, Model, ModelError, Network, Predictions, Predictor};
pub use progress::{Progress, Silent};
pub use recipe::{
    Activation, Average, Data, Loss, Mistake, Recipe, RecipeError, Rule, Schedule, Shares, Update,
};
pub use run_folder::{Metrics, RunFolder, RunFolderError};
pub use split::{Fold, SplitError, hold_out, stratified_folds};
pub use standardise::Scaling;
pub use train::{Job, Listeners, Record, TrainError, Trained, check_size, train};
