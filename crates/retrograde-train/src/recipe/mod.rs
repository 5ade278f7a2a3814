//! What to train and how, as TOML.
//!
//! ```
//! use retrograde_train::Recipe;
//! let recipe = Recipe::parse("epochs = 5\n[model]\nhidden = [32, 32]\n", "wide.toml")?;
//! assert_eq!((recipe.epochs, recipe.model.name()), (5, "mlp"));
//! assert_eq!(Recipe::parse("model = \"cnn\"", "images.toml")?.model.name(), "cnn");
//! let error = Recipe::parse("epoch = 5", "wide.toml").unwrap_err().to_string();
//! assert!(error.starts_with("error: unknown key `epoch`\n  --> wide.toml:1:1\n  help: did you mean `epochs`?"));
//! # Ok::<(), retrograde_train::RecipeError>(())
//! ```

mod check;
mod reader;
mod show;
#[cfg(test)]
mod tests;
mod tricks;
mod update;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use retrograde_core::prim::Tape;
use retrograde_tricks::primal::dense;

use crate::choice::choice;
use crate::data::{Header, Reading, Task};
use crate::diagnosis::{Diagnosis, one_line};
use crate::model::Model;
use reader::{KEYS, Reader};
pub(crate) use reader::{MAX_DEPTH, MAX_WIDTH, Setting, setting};
pub(crate) use show::names;
pub use tricks::tricks_used;
pub use update::{Method, Minimiser, Rule, Update};

/// What to train and how. Every key has a default; printing a recipe gives TOML that parses back to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Recipe {
    /// The data to train on.
    pub data: Data,
    /// The column to be predicted: its name or, without a header, its number.
    pub target: Option<String>,
    /// What is learned.
    pub task: Task,
    /// Whether the first line of a table names the columns.
    pub header: Header,
    /// The file of labels, where it does not lie beside that of the images.
    pub labels: Option<String>,
    /// Whether inputs are brought to mean 0 and standard deviation 1.
    pub standardise: Standardise,
    /// What is minimised.
    pub loss: Loss,
    /// Passes over the training rows, at least 1; a minimiser of a finite sum may spend fewer, and counts its gradients and products.
    pub epochs: u32,
    /// Rows in a minibatch, at least 1.
    pub batch: u32,
    /// What changes the parameters. Keys about minibatches and their steps say nothing to a minimiser of a finite sum.
    pub update: Update,
    /// Size of a step before the schedule, above 0.
    pub learning_rate: f64,
    /// Share of the velocity (of the mean gradient, with Adam) kept from step to step, from 0 to below 1.
    pub momentum: f64,
    /// Coefficient of half the squared norm of the weights, at least 0; of all parameters, biases too, for a minimiser of a finite sum.
    pub weight_decay: f64,
    /// How the learning rate changes during the run.
    pub schedule: Schedule,
    /// Epochs between two steps of the schedule `step`, at least 1.
    pub decay_every: u32,
    /// What the learning rate is multiplied by at each of them, above 0 and at most 1.
    pub decay_factor: f64,
    /// Epochs in which the learning rate rises from 0, before the schedule begins.
    pub warmup: u32,
    /// Share of the mean of squares kept from step to step, in updates that have one, from 0 to below 1.
    pub beta_2: f64,
    /// Norm that the gradient of a step is scaled down to where it is larger; 0: never.
    pub clip_norm: f64,
    /// Which parameters are tested and kept.
    pub average: Average,
    /// Share of the exponential average kept from step to step, from 0 to below 1.
    pub average_decay: f64,
    /// Share of the probability that is spread over all classes, from 0 to below 1.
    pub label_smoothing: f64,
    /// α of the Beta distribution by which pairs of rows are mixed; 0: not at all.
    pub mixup: f64,
    /// Pixels by which images are shifted at random, at most, up or down and left or right.
    pub shift: u32,
    /// What the gradient remembers of loops.
    pub tape: Tape,
    /// Epochs without a smaller validation loss after which the run stops and its best epoch is kept; 0: never.
    pub patience: u32,
    /// All chance in the run comes from this.
    pub seed: u64,
    /// How the rows are divided.
    pub split: Shares,
    /// The network.
    pub model: Model,
    /// Where keys were set, for messages.
    pub places: Places,
}

/// Where the keys of a recipe were set. Recipes that say the same are equal, wherever they say it.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<(String, String)>);

impl PartialEq for Places {
    fn eq(&self, _: &Places) -> bool {
        true
    }
}

impl Places {
    /// The place where a key, such as `model.heads`, was set last.
    fn of(&self, key: &str) -> String {
        let found = self
            .0
            .iter()
            .rev()
            .find(|(set, _)| set == key || key.strip_suffix(".name") == Some(set.as_str()));
        found.map_or_else(|| format!("the recipe, `{key}`"), |(_, place)| place.clone())
    }
}

/// Shares of rows that are not trained on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shares {
    /// Of all rows, above 0 and below 1; not looked at when the data come with test rows.
    pub test: f64,
    /// Of the others, from 0 to below 1.
    pub validation: f64,
}

/// The data to train on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// The digits that come with the program.
    Digits,
    /// A file or folder, named from the folder that the command runs in.
    Path(String),
}

impl Data {
    /// `digits`, or the name of a file or folder.
    pub fn named(name: &str) -> Data {
        if name == "digits" { Data::Digits } else { Data::Path(name.into()) }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Digits => f.write_str("digits"),
            Data::Path(path) => f.write_str(path),
        }
    }
}

choice! {
    /// What is minimised.
    Loss {
        /// Cross-entropy for classes, the mean squared error for numbers.
        Auto = "auto",
        /// Mean of −ln softmax(outputs)[class].
        CrossEntropy = "cross_entropy",
        /// Mean of the squared differences, in units of the standardised target.
        SquaredError = "squared_error",
    }
}
choice! {
    /// Which parameters are tested and kept.
    Average {
        /// The last ones.
        None = "none",
        /// An exponential average.
        Ema = "ema",
        /// The mean over the last quarter of the steps.
        Swa = "swa",
        /// The last ones, which every 5 steps go back half of the way. Source: M. R. Zhang et al. 2019.
        Lookahead = "lookahead",
    }
}
choice! {
    /// Whether each input is shifted and scaled to mean 0 and standard deviation 1 over the training rows.
    Standardise {
        /// Columns of tables are, images are not.
        Auto = "auto",
        /// They are.
        Yes = "yes",
        /// They are not.
        No = "no",
    }
}
choice! {
    /// Functions between layers.
    Activation {
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// max(x, 0).
        Relu = "relu",
        /// 1 / (1 + exp(-x)).
        Sigmoid = "sigmoid",
        /// x above 0, 0.01 x below.
        LeakyRelu = "leaky_relu",
        /// x above 0, exp(x) - 1 below.
        Elu = "elu",
        /// The scaled one that normalises itself.
        Selu = "selu",
        /// log(1 + exp(x)).
        Softplus = "softplus",
        /// x times the normal distribution.
        Gelu = "gelu",
        /// x times the sigmoid.
        Silu = "silu",
        /// x tanh(softplus(x)).
        Mish = "mish",
    }
}
choice! {
    /// How the learning rate changes.
    Schedule {
        /// It does not.
        Constant = "constant",
        /// Half a cosine from the learning rate to 0. Source: Loshchilov and Hutter (2017), SGDR, equation 5, one cycle.
        Cosine = "cosine",
        /// It is multiplied by `decay_factor` after every `decay_every` epochs.
        Step = "step",
        /// In a straight line to 0.
        Linear = "linear",
        /// Up over the first 3 of 10 steps and down again. Source: Smith and Topin (2019), as PyTorch's `OneCycleLR`.
        OneCycle = "one_cycle",
    }
}

impl Activation {
    /// The function itself.
    pub(crate) fn function(self) -> dense::Activation {
        match self {
            Activation::Tanh => dense::Activation::Tanh,
            Activation::Relu => dense::Activation::Relu,
            Activation::Sigmoid => dense::Activation::Sigmoid,
            Activation::LeakyRelu => dense::Activation::LeakyRelu,
            Activation::Elu => dense::Activation::Elu,
            Activation::Selu => dense::Activation::Selu,
            Activation::Softplus => dense::Activation::Softplus,
            Activation::Gelu => dense::Activation::Gelu,
            Activation::Silu => dense::Activation::Silu,
            Activation::Mish => dense::Activation::Mish,
        }
    }
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            data: Data::Digits,
            target: None,
            task: Task::Auto,
            header: Header::Auto,
            labels: None,
            standardise: Standardise::Auto,
            loss: Loss::Auto,
            epochs: 30,
            batch: 32,
            update: Update::Minibatch(Rule::Sgd),
            learning_rate: 0.05,
            momentum: 0.9,
            weight_decay: 1e-4,
            schedule: Schedule::Cosine,
            decay_every: 10,
            decay_factor: 0.1,
            warmup: 0,
            beta_2: 0.999,
            clip_norm: 0.0,
            average: Average::None,
            average_decay: 0.99,
            label_smoothing: 0.0,
            mixup: 0.0,
            shift: 0,
            tape: Tape::Store,
            patience: 0,
            seed: 0,
            split: Shares::default(),
            model: Model::default(),
            places: Places::default(),
        }
    }
}

impl Default for Shares {
    fn default() -> Shares {
        Shares { test: 0.2, validation: 0.0 }
    }
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("error: cannot read the recipe: {source}\n  --> {}\n  help: `retrograde train --print-recipe` prints one to start from", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The text has mistakes: all of them, in the order of the text.
    #[error("{}", .0.iter().map(|mistake| mistake.diagnosis.to_string()).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
    /// Keys that are legal alone and not together.
    #[error("{0}")]
    Together(Diagnosis),
}

/// One mistake in a recipe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What was found and expected, where, and what to try.
    pub diagnosis: Diagnosis,
}

impl Recipe {
    /// Reads a recipe file.
    ///
    /// # Errors
    /// The file cannot be read; it has mistakes.
    pub fn load(path: &Path) -> Result<Recipe, RecipeError> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| RecipeError::Unreadable { path: path.into(), source })?;
        Recipe::parse(&text, &path.display().to_string())
    }

    /// Reads a recipe; keys that are not there have their defaults. `file_name` is for the errors.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn parse(text: &str, file_name: &str) -> Result<Recipe, RecipeError> {
        Recipe::default().amend(text, file_name)
    }

    /// The same recipe but for the keys in `text`, such as `seed = 7` or `model.hidden = [32]`. `file_name` is for the
    /// errors.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn amend(&self, text: &str, file_name: &str) -> Result<Recipe, RecipeError> {
        let mut recipe = self.clone();
        let mut reader = Reader { text, file: file_name, mistakes: vec![], places: vec![] };
        match DeTable::parse(text) {
            Ok(table) => reader.table(KEYS, &mut recipe, table.get_ref()),
            Err(error) => {
                let message = one_line(&error.message().replace('\n', ", "));
                let span = error.span().unwrap_or(0..0);
                reader.mistake(span.start, format!("not TOML: {message}"), None);
            }
        }
        if reader.mistakes.is_empty() {
            recipe.places.0.append(&mut reader.places);
            return Ok(recipe);
        }
        reader.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        Err(RecipeError::Mistakes(reader.mistakes))
    }

    /// A checksum over what decides the result, apart from the data. Where the files lie does not matter.
    pub fn checksum(&self) -> u32 {
        let anywhere = Recipe { data: Data::Digits, labels: None, ..self.clone() };
        crc32fast::hash(anywhere.to_string().as_bytes())
    }

    /// How the data files are to be read.
    pub fn reading(&self) -> Reading {
        Reading {
            target: self.target.clone(),
            header: self.header,
            task: self.task,
            labels: self.labels.clone(),
        }
    }
}
