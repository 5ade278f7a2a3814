//! A trained network with all that predicting needs: what its inputs are, how they are scaled, what its outputs mean.
//!
//! In a run folder `data.json` says what the data were, `parameters.safetensors` holds the leaves of the network and the
//! scaling, and `recipe.toml` its kind and widths.

use std::fs;
use std::io;
use std::path::Path;

use retrograde_array::Array;
use retrograde_array::io::load_safetensors;
use retrograde_array::rng::Key;
use retrograde_core::trace::Error;
use serde::{Deserialize, Serialize};

use super::{BUFFERS, Interface, Network};
use crate::data::{Dataset, Inputs, Layout, Targets};
use crate::diagnosis::one_line;
use crate::evaluate::{largest, log_probabilities, outputs};
use crate::standardise::{Columns, Scaling};
use crate::{Diagnosis, Recipe};

/// What a run was trained on: `data.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What the inputs are.
    pub layout: Layout,
    /// The names of the classes, or nothing when numbers are predicted.
    pub classes: Option<Vec<String>>,
    /// The column that is predicted.
    pub target: String,
    /// Rows there were.
    pub n_rows: usize,
    /// [`Dataset::checksum`], so that a run is resumed on the data that it began with.
    pub checksum: u32,
    /// The number of folds, when there are several.
    pub folds: Option<usize>,
}

impl About {
    /// Of some data.
    pub fn of(data: &Dataset, folds: Option<usize>) -> About {
        let classes = match &data.targets {
            Targets::Classes { names, .. } => Some(names.clone()),
            Targets::Values(_) => None,
        };
        About {
            layout: data.inputs.layout.clone(),
            classes,
            target: data.target_name.clone(),
            n_rows: data.n_rows(),
            checksum: data.checksum(),
            folds,
        }
    }

    /// Reads `data.json` of a run folder.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn load(run: &Path) -> Result<About, ModelError> {
        let path = run.join("data.json");
        let bytes = fs::read(&path).map_err(|error| missing(run, &path, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            wrong(
                format!("found {}, expected what `retrograde train` wrote", one_line(&error.to_string())),
                &path,
                "train the run again",
            )
        })
    }
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Predictor {
    /// Its parameters and buffers.
    pub network: Network,
    /// What is done to its inputs and outputs.
    pub scaling: Scaling,
    /// What it was trained on.
    pub about: About,
}

/// Why there is no model in a run folder.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ModelError(pub Box<Diagnosis>);

/// What a network says of some rows.
#[derive(Clone, PartialEq, Debug)]
pub enum Predictions {
    /// Classes.
    Classes {
        /// One for each row, an index into the names.
        labels: Vec<usize>,
        /// One for each row and class, row-major.
        probabilities: Vec<f64>,
    },
    /// Numbers, in the unit of the target.
    Values(Vec<f32>),
}

impl Predictor {
    /// Reads the model of a run folder; `fold` is the number of the fold where there are several.
    ///
    /// # Errors
    /// Files that are missing, damaged, or do not belong together.
    pub fn load(run: &Path, recipe: &Recipe, fold: Option<usize>) -> Result<Predictor, ModelError> {
        let about = About::load(run)?;
        let path = run.join(file_name(fold));
        if !path.exists() {
            let absent = io::Error::from(io::ErrorKind::NotFound);
            return Err(missing(run, &path, &absent));
        }
        let file = load_safetensors(&path).map_err(|error| {
            wrong(one_line(&error.to_string()), &path, "the file is damaged: resume or repeat the training")
        })?;
        let mut tensors = file.tensors;
        let n_in = about.layout.n_features();
        let n_out = about.classes.as_ref().map_or(1, Vec::len);
        let take = |tensors: &mut Vec<(String, Array)>, name: &str| {
            let at = tensors.iter().position(|(found, _)| found == name)?;
            Some(tensors.remove(at).1)
        };
        let mut columns = |name: &str, n: usize| -> Result<Option<Columns>, ModelError> {
            let mean = take(&mut tensors, &format!("{name}.mean"));
            let deviation = take(&mut tensors, &format!("{name}.deviation"));
            let Some((mean, deviation)) = mean.zip(deviation) else { return Ok(None) };
            let values = |array: &Array| array.to_vec::<f32>().filter(|values| values.len() == n);
            match values(&mean).zip(values(&deviation)) {
                Some((mean, deviation)) => Ok(Some(Columns { mean, deviation })),
                None => Err(wrong(
                    format!("found `{name}.mean` {}[{}], expected f32[{n}]", mean.dtype(), mean.size()),
                    &path,
                    "the files of the run do not belong together: repeat the training",
                )),
            }
        };
        let scaling = Scaling { inputs: columns("inputs", n_in)?, target: columns("target", 1)? };
        // The leaves tell how large they are; a network is made only once they fit the recipe.
        let interface = Interface { layout: about.layout.clone(), n_outputs: n_out };
        let model = &recipe.model;
        let expected = model.check(&interface).map(|()| model.size(&interface).parameters);
        let is_buffer = |(name, _): &&(String, Array)| name.starts_with(BUFFERS);
        let n_values: u64 =
            tensors.iter().filter(|leaf| !is_buffer(leaf)).map(|(_, leaf)| leaf.size() as u64).sum();
        let misfit = || {
            wrong(
                format!(
                    "found {} arrays with {n_values} parameters, expected the {} of the model \"{}\" for {} with {n_out} outputs",
                    tensors.len(),
                    expected.as_ref().copied().unwrap_or_default(),
                    model.name(),
                    about.layout
                ),
                &path,
                "the recipe and the parameters do not belong together: repeat the training",
            )
        };
        if expected != Ok(n_values) {
            return Err(misfit());
        }
        let network = model.start(&interface, Key::from_seed(0)).with(&tensors).ok_or_else(misfit)?;
        Ok(Predictor { network, scaling, about })
    }

    /// What the network says of all rows.
    ///
    /// # Errors
    /// Rows that do not fit the network.
    pub fn predict(&self, inputs: &Inputs) -> Result<Predictions, Error> {
        let rows = (0..inputs.n_rows()).collect::<Vec<_>>();
        let outputs = outputs(&self.network, inputs, &self.scaling, &rows)?;
        let Some(classes) = &self.about.classes else { return Ok(Predictions::Values(outputs)) };
        let rows = || outputs.chunks(classes.len());
        Ok(Predictions::Classes {
            labels: rows().map(largest).collect(),
            probabilities: rows().flat_map(probabilities).collect(),
        })
    }
}

/// The name of the file of parameters.
pub fn file_name(fold: Option<usize>) -> String {
    fold.map_or("parameters.safetensors".into(), |n| format!("parameters-{n}.safetensors"))
}

/// Softmax.
pub(crate) fn probabilities(logits: &[f32]) -> Vec<f64> {
    log_probabilities(logits).into_iter().map(retrograde_array::map::exp_f64).collect()
}

fn wrong(message: String, path: &Path, help: &str) -> ModelError {
    ModelError(Box::new(Diagnosis { message, place: path.display().to_string(), help: Some(help.into()) }))
}

fn missing(run: &Path, path: &Path, error: &io::Error) -> ModelError {
    let help = if run.join("recipe.toml").is_file() {
        format!("`retrograde train --resume {}` finishes the training", run.display())
    } else {
        "name a folder that `retrograde train` made".into()
    };
    wrong(format!("cannot read the file: {error}"), path, &help)
}
