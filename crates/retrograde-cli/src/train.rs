//! `retrograde train`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use retrograde::prelude::Key;
use retrograde::rng;
use retrograde::tree;
use retrograde_train::data::load;
use retrograde_train::model::file_name;
use retrograde_train::train::step_tape;
use retrograde_train::{
    About, Checkpoint, Data, Dataset, Fold, Job, Listeners, Metrics, Recipe, RunFolder, RunFolderError,
    Scaling, Score, TrainError, Trained, check_size, checkpoint, digits, hold_out, report, stratified_folds,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::bar::Bar;
use crate::failure::Failure;
use crate::memory;

/// Set by the interrupt key; the loop looks at it before every step.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// The flags of `retrograde train`.
#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// A CSV file, an npz file, an IDX file of images, or a folder of IDX files, gzipped or not [default: the recipe's].
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// The column of a CSV file that is predicted: its name or, without a header, its number.
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// `classification` or `regression`, where the target column does not make it clear.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// `yes` or `no`: whether the first line of a CSV file names the columns.
    #[arg(long, value_name = "YES|NO")]
    header: Option<String>,
    /// A TOML file with what to train and how; keys that are not there have their defaults.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Changes one key of the recipe, such as `epochs=5`, `model.hidden=[32,32]` or `update=stochastic-newton`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The folder for the run's files, which must not exist yet [default: the next free runs/NAME-N].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overrides the recipe's seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Trains once for each of K stratified folds, tests on the fold held back, and prints the mean.
    #[arg(long, value_name = "K")]
    folds: Option<usize>,
    /// Goes on with a run that was interrupted or killed, to the same parameters.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "target", "task", "header", "recipe", "set", "out", "seed", "folds", "print_recipe"])]
    resume: Option<PathBuf>,
    /// Seconds between two checkpoints; 0: after every step.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    checkpoint_seconds: u32,
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
    if args.print_recipe {
        write!(out, "{}", resolve(args)?)?;
        return Ok(());
    }
    // Without a handler the interrupt key still ends the program, only without saving.
    let _ = ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed));
    let start = Instant::now();
    match &args.resume {
        None => {
            let recipe = resolve(args)?;
            let data = dataset(&recipe)?;
            recipe.check(&data)?;
            let folds = folds(&recipe, &data, args.folds)?;
            folds.iter().try_for_each(|fold| check_size(&recipe, &data, fold))?;
            let folder = match &args.out {
                Some(path) => RunFolder::create(path)?,
                None => RunFolder::create_next(Path::new("runs"), &stem(&recipe.data))?,
            };
            let about = serde_json::to_string_pretty(&About::of(&data, args.folds))?;
            folder.write("data.json", about.as_bytes())?;
            folder.write("recipe.toml", with_whole_paths(&recipe).to_string().as_bytes())?;
            let from = folds.iter().map(|_| None).collect();
            finish(
                args,
                start,
                &Start { recipe: &recipe, data: &data, folds: &folds, folder: &folder },
                from,
                out,
            )
        }
        Some(path) => {
            let folder = RunFolder::open(path)?;
            let recipe = Recipe::load(&path.join("recipe.toml"))?;
            let about = About::load(path)?;
            let data = dataset(&recipe)?;
            if About::of(&data, about.folds) != about {
                return Err(Failure::OtherData { path: path.clone(), data: recipe.data.to_string() });
            }
            let folds = folds(&recipe, &data, about.folds)?;
            let from = checkpoints(&folder, about.folds)?;
            folder.rewind_metrics(|record| is_before(record, &from))?;
            finish(
                args,
                start,
                &Start { recipe: &recipe, data: &data, folds: &folds, folder: &folder },
                from,
                out,
            )
        }
    }
}

/// What a run begins with.
struct Start<'a> {
    recipe: &'a Recipe,
    data: &'a Dataset,
    folds: &'a [Fold],
    folder: &'a RunFolder,
}

/// Trains every fold from where it stands, and prints how good the networks are.
fn finish(
    args: &TrainArgs,
    start: Instant,
    of: &Start<'_>,
    from: Vec<Option<Checkpoint>>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Start { recipe, folds, folder, .. } = *of;
    let mut run = Run { start: of, metrics: folder.metrics()?, every: args.checkpoint_seconds };
    let several = folds.len() > 1;
    let (mut scores, mut fold_seconds) = (vec![], vec![]);
    for (i, (fold, from)) in folds.iter().zip(from).enumerate() {
        let label = several.then_some(i + 1);
        let name = label.map_or("train".into(), |n| format!("fold {n}/{}", folds.len()));
        let fold_start = Instant::now();
        let trained = run.fold(i, label, from, &mut Bar::new(&name, args.quiet))?;
        let text = text_of(trained.test);
        if several {
            writeln!(out, "fold {}: test {text} of {} rows", i + 1, fold.test.len())?;
            scores.push(main_of(trained.test));
            fold_seconds.push(seconds(fold_start));
            continue;
        }
        let Fold { train, test, .. } = fold;
        writeln!(
            out,
            "test {text} of {} rows held back, after {} steps on {} others, in {:.1} s; files in {}",
            test.len(),
            trained.n_steps,
            train.len(),
            seconds(start),
            folder.path().display()
        )?;
        if args.json {
            let n_parameters: usize =
                tree::leaves(&trained.network.layers).iter().map(|(_, leaf)| leaf.size()).sum();
            let mut result = json!({
                "command": "train", "n_train": train.len(), "n_test": test.len(), "n_steps": trained.n_steps,
                "n_epochs": trained.n_epochs, "n_parameters": n_parameters, "seed": recipe.seed,
                "seconds": seconds(start), "folder": folder.path().display().to_string(),
            });
            let (key, value) = main_of(trained.test);
            result[key] = value.into();
            if let Score::Values { r2, .. } = trained.test {
                result["test_r2"] = r2.into();
            }
            result["peak_resident_mb"] = memory::peak_resident_mb().into();
            writeln!(out, "{result}")?;
        }
    }
    let Some(&(key, _)) = scores.first() else { return Ok(()) };
    let values = scores.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let (mean, sd) = mean_and_sd(&values);
    let figures = json!({
        "folds": folds.len(), key: mean, format!("{key}_sd"): sd, format!("fold_{key}s").replace("accuracys", "accuracies"): values,
    });
    run.metrics.append(&figures)?;
    let n_folds = folds.len();
    let (time, path) = (seconds(start), folder.path().display());
    if key == "test_accuracy" {
        let (mean, sd) = (100.0 * mean, 100.0 * sd);
        writeln!(
            out,
            "test accuracy {mean:.2} %, mean of {n_folds} folds (standard deviation {sd:.2} %), in {time:.1} s; files in {path}"
        )?;
    } else {
        writeln!(
            out,
            "test error {mean:.4} (root mean square), mean of {n_folds} folds (standard deviation {sd:.4}), in {time:.1} s; files in {path}"
        )?;
    }
    if args.json {
        let mut result = figures;
        result["command"] = "train".into();
        result["seed"] = recipe.seed.into();
        result["seconds"] = time.into();
        result["fold_seconds"] = fold_seconds.into();
        result["folder"] = path.to_string().into();
        writeln!(out, "{result}")?;
    }
    Ok(())
}

fn text_of(score: Score) -> String {
    match score {
        Score::Classes { accuracy, .. } => format!("accuracy {:.2} %", 100.0 * accuracy),
        Score::Values { rmse, r2, .. } => format!("error {rmse:.4} (root mean square; R² {r2:.3})"),
    }
}

/// The figure that stands for the score, with its key in records.
fn main_of(score: Score) -> (&'static str, f64) {
    match score {
        Score::Classes { accuracy, .. } => ("test_accuracy", accuracy),
        Score::Values { rmse, .. } => ("test_rmse", rmse),
    }
}

/// The recipe file, then `--set` in order, then the flags that have names of their own.
fn resolve(args: &TrainArgs) -> Result<Recipe, Failure> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::load(path)?,
        None => Recipe::default(),
    };
    for set in &args.set {
        recipe = recipe.amend(&toml_of(set)?, "--set")?;
    }
    for (name, value) in
        [("data", &args.data), ("target", &args.target), ("task", &args.task), ("header", &args.header)]
    {
        if let Some(value) = value {
            let quoted = Value::String(value.clone());
            recipe = recipe.amend(&format!("{name} = {quoted}"), &format!("--{name}"))?;
        }
    }
    recipe.seed = args.seed.unwrap_or(recipe.seed);
    Ok(recipe)
}

/// `key=value` as TOML; the value may be a word without quotes, as shells like it.
fn toml_of(set: &str) -> Result<String, Failure> {
    let (key, value) = set.split_once('=').ok_or_else(|| Failure::Set { found: set.into() })?;
    let value = value.trim();
    let is_word = value.starts_with(|c: char| c.is_ascii_alphabetic() || "./~".contains(c))
        && value.chars().all(|c| c.is_alphanumeric() || "_-./~".contains(c))
        && !["true", "false", "inf", "nan"].contains(&value);
    Ok(if is_word { format!("{} = \"{value}\"", key.trim()) } else { format!("{} = {value}", key.trim()) })
}

pub(crate) fn dataset(recipe: &Recipe) -> Result<Dataset, Failure> {
    match &recipe.data {
        Data::Digits => Ok(digits()),
        Data::Path(path) => Ok(load(Path::new(path), &recipe.reading())?),
    }
}

/// `iris` of `data/iris.csv.gz`.
fn stem(data: &Data) -> String {
    let text = data.to_string();
    let name =
        Path::new(&text).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    match name.split('.').next() {
        Some(stem) if !stem.is_empty() => stem.into(),
        _ => "run".into(),
    }
}

/// The recipe that is kept names its files from the root, so that a run is resumed from any folder.
fn with_whole_paths(recipe: &Recipe) -> Recipe {
    let whole = |path: &String| {
        std::path::absolute(path).ok().and_then(|path| path.into_os_string().into_string().ok())
    };
    let mut recipe = recipe.clone();
    if let Data::Path(path) = &recipe.data {
        recipe.data = Data::Path(whole(path).unwrap_or_else(|| path.clone()));
    }
    recipe.labels = recipe.labels.map(|path| whole(&path).unwrap_or(path));
    recipe
}

/// The folds of a run, each without the rows to validate on. Data that come with test rows are tested on these, unless
/// folds are asked for.
pub(crate) fn folds(recipe: &Recipe, data: &Dataset, n_folds: Option<usize>) -> Result<Vec<Fold>, Failure> {
    let keys = Key::from_seed(recipe.seed).split(3);
    let mut n_calls = 0;
    let mut permute = |n| {
        n_calls += 1;
        rng::permutation(keys[0].fold_in(n_calls), n)
    };
    let mut folds = match (n_folds, data.given_test_from) {
        (Some(n_folds), _) => stratified_folds(&data.targets, n_folds, &mut permute)?,
        (None, Some(first)) => {
            vec![Fold {
                train: (0..first).collect(),
                validation: vec![],
                test: (first..data.n_rows()).collect(),
            }]
        }
        (None, None) => {
            let all = (0..data.n_rows()).collect::<Vec<_>>();
            let (train, test) = hold_out(&data.targets, &all, recipe.split.test, &mut permute);
            vec![Fold { train, validation: vec![], test }]
        }
    };
    if recipe.split.validation > 0.0 {
        for (i, fold) in folds.iter_mut().enumerate() {
            let key = keys[2].fold_in(i as u64);
            let mut n_calls = 0;
            let mut permute = |n| {
                n_calls += 1;
                rng::permutation(key.fold_in(n_calls), n)
            };
            (fold.train, fold.validation) =
                hold_out(&data.targets, &fold.train, recipe.split.validation, &mut permute);
        }
    }
    Ok(folds)
}

/// Where each fold of an earlier run stands. Says which checkpoints are damaged.
fn checkpoints(folder: &RunFolder, n_folds: Option<usize>) -> Result<Vec<Option<Checkpoint>>, Failure> {
    let labels = n_folds.map_or(vec![None], |n| (1..=n).map(Some).collect());
    let mut all = vec![];
    for label in labels {
        let found = checkpoint::load(folder, &checkpoint_name(label))?;
        if let Some((path, error)) = found.as_ref().and_then(|found| found.damaged.as_ref()) {
            let note = "using the one before it, which gives the same result";
            writeln!(
                io::stderr(),
                "warning: the checkpoint is damaged: {error}\n  --> {}\n  help: {note}",
                path.display()
            )?;
        }
        all.push(found.map(|found| found.checkpoint));
    }
    Ok(all)
}

fn checkpoint_name(label: Option<usize>) -> String {
    label.map_or("checkpoint".into(), |n| format!("checkpoint-{n}"))
}

/// Whether a record was written before the checkpoint of its fold.
fn is_before(record: &Value, from: &[Option<Checkpoint>]) -> bool {
    let fold = record["fold"].as_u64().map_or(0, |n| n as usize - 1);
    let next = from.get(fold).and_then(Option::as_ref).map_or(1, |checkpoint| checkpoint.position.epoch);
    record["epoch"].as_u64().is_some_and(|epoch| epoch < u64::from(next))
}

/// What the folds of a run share.
struct Run<'a> {
    start: &'a Start<'a>,
    metrics: Metrics,
    every: u32,
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
        label: Option<usize>,
        from: Option<Checkpoint>,
        bar: &mut Bar,
    ) -> Result<Trained, Failure> {
        let Start { recipe, data, folds, folder } = *self.start;
        let key = Key::from_seed(recipe.seed).split(2)[1].fold_in(index as u64);
        let job = Job { recipe, data, fold: &folds[index], key };
        let metrics = &mut self.metrics;
        let mut listeners = Listeners {
            progress: bar,
            metrics: &mut |record| metrics.append(&FoldRecord { fold: label, record }),
            checkpoint: &mut |state| checkpoint::save(folder, &checkpoint_name(label), state),
            checkpoint_every: Duration::from_secs(self.every.into()),
            interrupt: &INTERRUPT,
        };
        let name = file_name(label);
        match retrograde_train::train(job, from, &mut listeners) {
            Ok(trained) => {
                let arrays = [trained.network.arrays(), trained.scaling.arrays()].concat();
                folder.write_arrays(&name, &arrays)?;
                self.report(job, label, &trained)?;
                Ok(trained)
            }
            Err(source) => Err(self.keep_last_good(job, source, &name)?),
        }
    }

    fn report(&self, job: Job<'_>, label: Option<usize>, trained: &Trained) -> Result<(), Failure> {
        let folder = self.start.folder;
        let fold = label.map_or(Value::Null, Value::from);
        let records = folder.records()?.into_iter().map(|(_, record)| record);
        let records = records.filter(|record| record["fold"] == fold).collect::<Vec<_>>();
        let page = report::page(job, trained, &step_tape(job, trained)?, &records);
        let name = label.map_or("report.html".into(), |n| format!("report-{n}.html"));
        Ok(folder.write(&name, page.as_bytes())?)
    }

    /// Saves what a stopped run leaves, and says in the metrics why it stopped.
    fn keep_last_good(
        &mut self,
        job: Job<'_>,
        source: TrainError,
        name: &str,
    ) -> Result<Failure, RunFolderError> {
        let folder = self.start.folder;
        let resume = source.is_interrupt().then(|| folder.path().into());
        let Some(network) = source.network() else {
            return Ok(Failure::Train { source: Box::new(source), saved: None, resume });
        };
        let scaling =
            Scaling::of(&job.data.inputs, &job.data.targets, &job.fold.train, job.recipe.standardise);
        folder.write_arrays(name, &[network.arrays(), scaling.arrays()].concat())?;
        let reason = source.to_string();
        let reason = reason.lines().next().unwrap_or_default().trim_start_matches("error: ");
        self.metrics.append(&json!({ "stopped": reason }))?;
        let saved = Some(folder.path().join(name));
        Ok(Failure::Train { source: Box::new(source), saved, resume })
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
        check("data=../my-data/a_1.csv", "data = \"../my-data/a_1.csv\"");
        check("epochs = 5", "epochs = 5");
        check("model.hidden=[32,32]", "model.hidden = [32,32]");
        check("learning_rate=nan", "learning_rate = nan");
        assert!(
            toml_of("epochs")
                .unwrap_err()
                .to_string()
                .starts_with("error: found \"epochs\", expected `key=value`\n  --> --set\n")
        );
    }

    #[test]
    fn run_folders_are_named_after_the_data() {
        let check = |path: &str, expected: &str| assert_eq!(stem(&Data::named(path)), expected);
        check("digits", "digits");
        check("data/iris.csv.gz", "iris");
        check("/a/mnist/", "mnist");
        check("..", "run");
    }

    #[test]
    fn mean_and_sd_of_a_pair() {
        assert_eq!(mean_and_sd(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }
}
