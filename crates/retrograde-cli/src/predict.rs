//! `retrograde predict`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use retrograde::arrays::io::durable;
use retrograde_train::data::load_inputs;
use retrograde_train::{About, Predictions, Predictor, Recipe};

use crate::failure::Failure;

/// The flags of `retrograde predict`.
#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// The folder of a run that `retrograde train` finished.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Rows like those that the run was trained on; a target column among them is not looked at.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Where the predictions go, as CSV; the file must not exist yet [default: the output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The number of the fold whose network predicts, when the run has several.
    #[arg(long, value_name = "K")]
    fold: Option<usize>,
}

/// Runs the command.
pub(crate) fn run(args: &PredictArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(path) = args.out.as_ref().filter(|path| path.exists()) {
        return Err(Failure::OutExists { path: path.clone() });
    }
    let about = About::load(&args.run)?;
    expect_fold(&about, &args.run, args.fold)?;
    let recipe = Recipe::load(&args.run.join("recipe.toml"))?;
    let predictor = Predictor::load(&args.run, &recipe, args.fold)?;
    let inputs = load_inputs(&args.data, &about.layout, &about.target)?;
    let predictions = predictor.predict(&inputs)?;
    match &args.out {
        None => write(&predictions, &about, out),
        Some(path) => {
            let mut bytes = vec![];
            write(&predictions, &about, &mut bytes)?;
            durable::replace(path, &bytes)
                .map_err(|source| Failure::Unwritable { path: path.clone(), source })?;
            let n_rows = inputs.n_rows();
            Ok(writeln!(out, "{n_rows} predictions in {}", path.display())?)
        }
    }
}

/// Whether the run has this network: one of several where it has folds, the only one where not.
pub(crate) fn expect_fold(about: &About, run: &Path, found: Option<usize>) -> Result<(), Failure> {
    let n_folds = about.folds;
    let is_there = match (found, n_folds) {
        (None, None) => true,
        (Some(fold), Some(n_folds)) => (1..=n_folds).contains(&fold),
        _ => false,
    };
    if is_there { Ok(()) } else { Err(Failure::Fold { run: run.into(), found, n_folds }) }
}

/// One line per row: its number, what is predicted and, for classes, the probability of each.
fn write(predictions: &Predictions, about: &About, out: &mut dyn Write) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(out);
    let mut put = |fields: Vec<String>| csv.write_record(fields).map_err(io::Error::from);
    match predictions {
        Predictions::Values(values) => {
            put(vec!["row".into(), about.target.clone()])?;
            for (row, value) in (1..).zip(values) {
                put(vec![format!("{row}"), value.to_string()])?;
            }
        }
        Predictions::Classes { labels, probabilities } => {
            let names = about.classes.as_deref().unwrap_or_default();
            let head = names.iter().map(|name| format!("p({name})"));
            put(["row".into(), about.target.clone()].into_iter().chain(head).collect())?;
            for ((row, &label), probabilities) in (1..).zip(labels).zip(probabilities.chunks(names.len())) {
                let probabilities = probabilities.iter().map(|p| format!("{p:.6}"));
                put([format!("{row}"), names[label].clone()].into_iter().chain(probabilities).collect())?;
            }
        }
    }
    Ok(csv.flush()?)
}
