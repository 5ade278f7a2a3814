//! `retrograde influence`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use retrograde_train::influence::{Attribution, DAMPING, attribute};
use retrograde_train::report::{influence_page, name_of};
use retrograde_train::{About, Dataset, Predictor, Recipe, RunFolder};
use serde_json::json;

use crate::failure::Failure;
use crate::predict::expect_fold;
use crate::train::{dataset, folds};

/// The flags of `retrograde influence`.
#[derive(Args, Debug)]
pub(crate) struct InfluenceArgs {
    /// The folder of a run that `retrograde train` finished.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The row whose prediction is explained, counted from 0 in the order of the data, as in `report.html`.
    #[arg(long, value_name = "ROW")]
    test: usize,
    /// How much curvature is added in every direction: the network is held where the data say little.
    #[arg(long, value_name = "MU", default_value_t = DAMPING)]
    damping: f64,
    /// How many rows of each kind are shown.
    #[arg(long, value_name = "N", default_value_t = 12)]
    show: usize,
    /// The number of the fold whose network is looked at, when the run has several.
    #[arg(long, value_name = "K")]
    fold: Option<usize>,
    /// Ends the output with one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &InfluenceArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = RunFolder::open(&args.run)?;
    let about = About::load(&args.run)?;
    expect_fold(&about, &args.run, args.fold)?;
    let recipe = Recipe::load(&args.run.join("recipe.toml"))?;
    let predictor = Predictor::load(&args.run, &recipe, args.fold)?;
    let data = dataset(&recipe)?;
    if About::of(&data, about.folds) != about {
        return Err(Failure::OtherData { path: args.run.clone(), data: recipe.data.to_string() });
    }
    let folds = folds(&recipe, &data, about.folds)?;
    let fold = &folds[args.fold.map_or(0, |fold| fold - 1)];
    let found = attribute(&predictor, &data, fold, args.test, args.damping)?;
    let part = |rows: &[usize]| rows.contains(&args.test);
    let part = match (part(&fold.train), part(&fold.validation)) {
        (true, _) => "trained on",
        (_, true) => "validated on",
        _ => "held back",
    };
    let name = args.fold.map_or(format!("influence-{}.html", args.test), |fold| {
        format!("influence-{}-fold-{fold}.html", args.test)
    });
    folder.write(&name, influence_page(&predictor, &data, &found, args.show).as_bytes())?;
    let path = folder.path().join(name);
    writeln!(out, "row {}, {}: {}, loss {:.4}", args.test, part, name_of(&data, args.test), found.loss)?;
    list(out, &data, "most helpful, whose absence would raise the loss:", &found.helpful(args.show))?;
    list(out, &data, "most harmful, whose absence would lower it:", &found.harmful(args.show))?;
    writeln!(out, "{}", found.scores.certificate)?;
    writeln!(out, "damping {} (--damping); pictures in {}", found.damping, path.display())?;
    if args.json {
        writeln!(out, "{}", as_json(&found, args.show, &path.display().to_string()))?;
    }
    Ok(())
}

fn list(out: &mut dyn Write, data: &Dataset, title: &str, rows: &[(usize, f64)]) -> Result<(), Failure> {
    writeln!(out, "{title}")?;
    for &(row, change) in rows {
        writeln!(out, "  row {row:<7} {change:+.3e}  {}", name_of(data, row))?;
    }
    Ok(())
}

fn as_json(found: &Attribution, n: usize, page: &str) -> serde_json::Value {
    let rows = |rows: Vec<(usize, f64)>| {
        rows.into_iter().map(|(row, change)| json!({ "row": row, "change": change })).collect::<Vec<_>>()
    };
    let certificate = &found.scores.certificate;
    json!({
        "command": "influence", "row": found.row, "loss": found.loss, "damping": found.damping,
        "helpful": rows(found.helpful(n)), "harmful": rows(found.harmful(n)), "n_train": found.rows.len(),
        "question": certificate.question, "residual": certificate.predicted_bias,
        "n_steps": certificate.n_steps, "page": page,
    })
}
