//! Data readers, recipes, the training loop, metrics and run folders.
//!
//! - [`digits`]: the data that comes with the program
//! - [`split`]: cross-validation folds
//! - [`recipe`]: what to train and how, as TOML
//! - [`run_folder`]: where a run keeps its files
//! - [`mod@train`]: the training loop
//! - [`progress`]: how the loop tells its caller how far it is; nothing here prints
#![forbid(unsafe_code)]

pub mod digits;
pub mod progress;
pub mod recipe;
pub mod run_folder;
pub mod split;
pub mod train;

pub use digits::{DataError, Dataset, digits};
pub use progress::{Progress, Silent};
pub use recipe::{Activation, Data, Mistake, Model, Recipe, RecipeError, Schedule};
pub use run_folder::{Metrics, RunFolder, RunFolderError};
pub use split::{Fold, SplitError, stratified_folds};
pub use train::{Listeners, Record, TrainError, Trained, accuracy, train};
