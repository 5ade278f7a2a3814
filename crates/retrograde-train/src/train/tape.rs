//! What the tape of one step keeps, by layer and by source line.

use std::collections::BTreeMap;
use std::path::Path;

use retrograde_array::Array;
use retrograde_core::tape::TapeReport;
use retrograde_core::trace::{Tree, tree};

use super::finite_sum::{refused, sum_of};
use super::minibatches::loss_door;
use super::{Job, TrainError, Trained};
use crate::evaluate::{batch_of, targets_of, wide};
use crate::loss::{Batch, Goal, Loss};
use crate::model::{Layers, layer_of, mlp};
use crate::recipe::Update;

/// What the tape of one step holds.
#[derive(Clone, PartialEq, Debug)]
pub struct StepTape {
    /// How many rows the step is on.
    pub n_rows: usize,
    /// Its report.
    pub report: TapeReport,
    /// Bytes by layer; the last is the loss.
    pub by_layer: Vec<(String, usize)>,
}

/// Measures the tape of one gradient: on a whole batch, or on all training rows if the update goes by their sum.
///
/// # Errors
/// The gradient program fails.
pub fn step_tape(job: Job<'_>, trained: &Trained) -> Result<StepTape, TrainError> {
    let Job { recipe, data, fold, key } = job;
    if let Update::FiniteSum(minimiser) = &recipe.update {
        let refused = |error| refused(error, minimiser);
        let sum = sum_of(job, &trained.scaling, &trained.network).map_err(refused)?;
        let layers = trained.network.layers.map(&mut |leaf| wide(leaf));
        sum.value_and_gradient(&layers).map_err(refused)?;
        let report = sum.last_tape();
        return Ok(StepTape { n_rows: fold.train.len(), by_layer: tape_by_line(&report), report });
    }
    let rows = &fold.train[..fold.train.len().min(recipe.batch as usize)];
    let x = batch_of(&data.inputs, &trained.scaling, rows);
    let targets = targets_of(&data.targets, &trained.scaling, rows);
    let goal = Goal { targets, mix: None };
    let batch = Batch { x, goal, key: key.to_array() };
    let door = loss_door(Loss::new(recipe, data), recipe);
    let (_, report, _) = door.forward((&trained.network.layers, &trained.network.buffers, &batch))?;
    let by_layer = match &trained.network.layers {
        Layers::Mlp(mlp) => tape_of_mlp(&report, mlp, rows.len()),
        _ => tape_by_line(&report),
    };
    Ok(StepTape { n_rows: rows.len(), report, by_layer })
}

/// The lines of a network's file, each with its operations; all else is the loss.
fn tape_by_line(report: &TapeReport) -> Vec<(String, usize)> {
    let mut lines = Vec::<(String, usize)>::new();
    let mut rest = 0;
    for entry in &report.entries {
        let path = Path::new(entry.line());
        let is_network = path.parent().is_some_and(|folder| folder.ends_with("model"));
        let Some(line) = path.file_name().filter(|_| is_network) else {
            rest += entry.bytes;
            continue;
        };
        let name = format!("{} ({})", line.to_string_lossy(), entry.op);
        match lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, bytes)) => *bytes += entry.bytes,
            None => lines.push((name, entry.bytes)),
        }
    }
    lines.push(("loss".into(), rest));
    lines
}

/// Layers share one line of source. They are told apart by the shape of what they leave, `[rows, width]`: layers of one
/// width leave the same, so each has its even part.
fn tape_of_mlp(report: &TapeReport, network: &mlp::Layers<Array>, n_rows: usize) -> Vec<(String, usize)> {
    let width_of = |path: &str, leaf: &Array| (layer_of(path).to_owned(), leaf.shape()[0]);
    let layers = tree::leaves(network).into_iter().filter(|(path, _)| path.ends_with("bias"));
    let layers: Vec<(String, usize)> = layers.map(|(path, leaf)| width_of(&path, &leaf)).collect();
    let mut by_width = BTreeMap::<String, usize>::new();
    let mut rest = 0;
    for entry in &report.entries {
        let shape = entry.ty.split_once('[').map_or("", |(_, shape)| shape);
        let here = entry.place.as_ref().is_some_and(|place| place.contains("mlp.rs:"));
        if here && layers.iter().any(|(_, width)| shape == format!("{n_rows},{width}]")) {
            *by_width.entry(shape.into()).or_default() += entry.bytes;
        } else {
            rest += entry.bytes;
        }
    }
    let n_like =
        |width: usize, layers: &[(String, usize)]| layers.iter().filter(|(_, w)| *w == width).count();
    // The head has no activation and leaves nothing of its own.
    let hidden = &layers[..layers.len() - 1];
    let mut bytes = hidden
        .iter()
        .map(|(name, width)| {
            let of_width = by_width.get(&format!("{n_rows},{width}]")).copied().unwrap_or_default();
            (name.clone(), of_width / n_like(*width, hidden))
        })
        .collect::<Vec<_>>();
    let found: usize = bytes.iter().map(|(_, bytes)| bytes).sum();
    bytes.push(("loss".into(), rest + by_width.values().sum::<usize>() - found));
    bytes
}
