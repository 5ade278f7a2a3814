//! `retrograde train`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use retrograde::prelude::Key;
use retrograde::rng;
use retrograde::tree;
use retrograde_train::{
    Dataset, Fold, Listeners, Metrics, Recipe, RunFolder, RunFolderError, TrainError, Trained, digits,
    stratified_folds,
};
use serde::Serialize;
use serde_json::json;

use crate::bar::Bar;
use crate::failure::Failure;

/// Folds of which the first is held back when `--folds` is not given.
const DEFAULT_FOLDS: usize = 5;

/// Set by the interrupt key; the loop looks at it before every step.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// The flags of `retrograde train`.
#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// A TOML file with what to train and how; keys that are not there have their defaults.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Changes one key of the recipe, such as `epochs=5` or `model.hidden=[32,32]`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The folder for the run's files, which must not exist yet [default: the next free runs/digits-N].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overrides the recipe's seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Trains once for each of K stratified folds, tests on the fold held back, and prints the mean.
    #[arg(long, value_name = "K")]
    folds: Option<usize>,
    /// Ends the output with one JSON object.
    #[arg(long)]
    json: bool,
    /// Prints the recipe with all its keys and stops.
    #[arg(long)]
    print_recipe: bool,
    /// Shows no progress bar.
    #[arg(long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(args: &TrainArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let recipe = resolve(args)?;
    if args.print_recipe {
        write!(out, "{recipe}")?;
        return Ok(());
    }
    // Without a handler the interrupt key still ends the program, only without saving.
    let _ = ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed));
    let data = digits();
    let start = Instant::now();
    let keys = Key::from_seed(recipe.seed).split(2);
    let folds = folds(&data, args.folds.unwrap_or(DEFAULT_FOLDS), keys[0])?;
    let folder = match &args.out {
        Some(path) => RunFolder::create(path)?,
        None => RunFolder::create_next(Path::new("runs"), &recipe.data.to_string())?,
    };
    folder.write("recipe.toml", recipe.to_string().as_bytes())?;
    let mut run =
        Run { recipe: &recipe, data: &data, folder: &folder, metrics: folder.metrics()?, key: keys[1] };
    match args.folds {
        None => {
            let trained = run.fold(0, &folds[0], None, &mut Bar::new("train", args.quiet))?;
            let accuracy = trained.test_accuracy;
            let Fold { train, test } = &folds[0];
            writeln!(
                out,
                "test accuracy {:.2} % of {} rows held back, after {} steps on {} others, in {:.1} s; files in {}",
                100.0 * accuracy,
                test.len(),
                trained.n_steps,
                train.len(),
                seconds(start),
                folder.path().display()
            )?;
            if args.json {
                let n_parameters: usize =
                    tree::leaves(&trained.parameters).iter().map(|(_, leaf)| leaf.size()).sum();
                let folder = folder.path().display().to_string();
                let result = json!({
                    "command": "train", "test_accuracy": accuracy, "n_train": train.len(), "n_test": test.len(),
                    "n_steps": trained.n_steps, "n_parameters": n_parameters, "seed": recipe.seed,
                    "seconds": seconds(start), "folder": folder,
                });
                writeln!(out, "{result}")?;
            }
        }
        Some(n_folds) => {
            let mut accuracies = vec![];
            for (i, fold) in folds.iter().enumerate() {
                let mut bar = Bar::new(&format!("fold {}/{n_folds}", i + 1), args.quiet);
                let trained = run.fold(i, fold, Some(i + 1), &mut bar)?;
                let accuracy = trained.test_accuracy;
                writeln!(
                    out,
                    "fold {}: test accuracy {:.2} % of {} rows",
                    i + 1,
                    100.0 * accuracy,
                    fold.test.len()
                )?;
                accuracies.push(accuracy);
            }
            let (mean, sd) = mean_and_sd(&accuracies);
            let figures = json!({
                "folds": n_folds, "test_accuracy": mean, "test_accuracy_sd": sd, "fold_test_accuracies": accuracies,
            });
            run.metrics.append(&figures)?;
            writeln!(
                out,
                "test accuracy {:.2} %, mean of {n_folds} folds (standard deviation {:.2} %), in {:.1} s; files in {}",
                100.0 * mean,
                100.0 * sd,
                seconds(start),
                folder.path().display()
            )?;
            if args.json {
                let folder = folder.path().display().to_string();
                let result = json!({
                    "command": "train", "test_accuracy": mean, "test_accuracy_sd": sd, "folds": n_folds,
                    "fold_test_accuracies": accuracies, "seed": recipe.seed, "seconds": seconds(start), "folder": folder,
                });
                writeln!(out, "{result}")?;
            }
        }
    }
    Ok(())
}

/// The recipe file, then `--set` in order, then `--seed`.
fn resolve(args: &TrainArgs) -> Result<Recipe, Failure> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::load(path)?,
        None => Recipe::default(),
    };
    for set in &args.set {
        recipe = recipe.amend(&toml_of(set)?, "--set")?;
    }
    recipe.seed = args.seed.unwrap_or(recipe.seed);
    Ok(recipe)
}

/// `key=value` as TOML; the value may be a word without quotes, as shells like it.
fn toml_of(set: &str) -> Result<String, Failure> {
    let (key, value) = set.split_once('=').ok_or_else(|| Failure::Set { found: set.into() })?;
    let value = value.trim();
    let is_word = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        && !["true", "false", "inf", "nan"].contains(&value);
    Ok(if is_word { format!("{} = \"{value}\"", key.trim()) } else { format!("{} = {value}", key.trim()) })
}

fn folds(data: &Dataset, n_folds: usize, key: Key) -> Result<Vec<Fold>, Failure> {
    let mut n_calls = 0;
    let mut permute = |n| {
        n_calls += 1;
        rng::permutation(key.fold_in(n_calls), n)
    };
    Ok(stratified_folds(&data.labels, n_folds, &mut permute)?)
}

/// What the folds of a run share.
struct Run<'a> {
    recipe: &'a Recipe,
    data: &'a Dataset,
    folder: &'a RunFolder,
    metrics: Metrics,
    key: Key,
}

/// An epoch of one fold.
#[derive(Serialize)]
struct FoldRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    fold: Option<usize>,
    #[serde(flatten)]
    record: &'a retrograde_train::Record,
}

impl Run<'_> {
    /// Trains without the rows of one fold and keeps the parameters; `label` is the fold's number where there are several.
    fn fold(
        &mut self,
        index: usize,
        fold: &Fold,
        label: Option<usize>,
        bar: &mut Bar,
    ) -> Result<Trained, Failure> {
        let name = label.map_or("parameters.safetensors".into(), |n| format!("parameters-{n}.safetensors"));
        let metrics = &mut self.metrics;
        let mut listeners = Listeners {
            progress: bar,
            metrics: &mut |record| metrics.append(&FoldRecord { fold: label, record }),
            interrupt: &INTERRUPT,
        };
        let key = self.key.fold_in(index as u64);
        match retrograde_train::train(self.recipe, self.data, fold, key, &mut listeners) {
            Ok(trained) => {
                self.folder.write_arrays(&name, &tree::leaves(&trained.parameters))?;
                Ok(trained)
            }
            Err(source) => Err(self.keep_last_good(source, &name)?),
        }
    }

    /// Saves what a stopped run leaves, and says in the metrics why it stopped.
    fn keep_last_good(&mut self, source: TrainError, name: &str) -> Result<Failure, RunFolderError> {
        let Some(parameters) = source.parameters() else { return Ok(Failure::Train { source, saved: None }) };
        self.folder.write_arrays(name, &tree::leaves(parameters))?;
        self.metrics.append(&json!({ "stopped": source.to_string() }))?;
        let saved = Some(self.folder.path().join(name));
        Ok(Failure::Train { source, saved })
    }
}

/// Mean and sample standard deviation; there are at least two folds.
fn mean_and_sd(xs: &[f64]) -> (f64, f64) {
    let n = xs.len() as f64;
    let mean = xs.iter().sum::<f64>() / n;
    let squares: f64 = xs.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

fn seconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_takes_words_numbers_and_arrays() {
        let check = |set: &str, expected: &str| assert_eq!(toml_of(set).unwrap(), expected);
        check("schedule=constant", "schedule = \"constant\"");
        check("epochs = 5", "epochs = 5");
        check("model.hidden=[32,32]", "model.hidden = [32,32]");
        check("learning_rate=nan", "learning_rate = nan");
        assert!(
            toml_of("epochs")
                .unwrap_err()
                .to_string()
                .starts_with("--set: found \"epochs\", expected `key=value`")
        );
    }

    #[test]
    fn mean_and_sd_of_a_pair() {
        assert_eq!(mean_and_sd(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }
}
