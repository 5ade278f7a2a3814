//! The training loop: minibatches, an update, one gradient program for whole batches and one for the last, smaller batch of
//! an epoch, which is kept.
//!
//! All of it in `f32` and in one order, so that a seed fixes every bit of the parameters, however often the run is stopped
//! and resumed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use retrograde_array::Array;
use retrograde_array::rng::{self, Key};
use retrograde_core::exec::{Executor, RunConfig, RunError};
use retrograde_core::prim::Value;
use retrograde_core::tape::{Lowered, TapeReport};
use retrograde_core::trace::door::{ValueAndGrad, Vjp};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::{Error, Tree, Var, tree};
use retrograde_engine::{Engine, value_and_grad, vjp};
use retrograde_tricks::update::map::{State, Update};
use serde::Serialize;

use crate::checkpoint::{Checkpoint, Position};
use crate::data::{Dataset, Targets};
use crate::evaluate::{Evaluator, ROWS_AT_ONCE, Score, batch_of, score};
use crate::loss::{Batch, Goal, Loss, Mix};
use crate::model::{Buffers, Interface, Layers, Network, layer_of, like, mlp};
use crate::recipe::{Recipe, RecipeError};
use crate::standardise::Scaling;
use crate::update::{Rates, chain_of, kept, set_rate};
use crate::{Fold, Progress, RunFolderError};

/// Parameters, and values between layers, of the largest network that is tried: 0.5 GiB of each in `f32`.
const MAX_VALUES: u64 = 1 << 27;
/// Training rows whose score is recorded after every epoch: enough for a curve, few enough to cost little.
const ROWS_OF_CURVE: usize = 512;

/// One line of the metrics: an epoch.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Record {
    /// Counted from 1.
    pub epoch: u32,
    /// Steps taken so far.
    pub step: u64,
    /// Mean loss of the rows of this epoch, each at its step.
    pub train_loss: f64,
    /// Of the last step.
    pub learning_rate: f64,
    /// Mean norm of the gradient of each layer over the steps of this epoch, in the order of the layers.
    pub gradient_norms: Vec<f64>,
    /// Of a few training rows, after the epoch.
    pub train: Score,
    /// Of the validation rows, where there are any, after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Score>,
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

/// Why a run stopped early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A NaN or an infinity.
    #[error("{0}")]
    NotFinite(Box<NotFinite>),
    /// The interrupt flag was set.
    #[error("interrupted before step {step} of {total_steps}")]
    Interrupted {
        /// The step that was not taken, counted from 1.
        step: u64,
        /// How many there would have been.
        total_steps: u64,
        /// What it was.
        network: Box<Network>,
    },
    /// A network that would not fit.
    #[error(
        "error: the network has {parameters} parameters and up to {activations} values between layers for {rows} rows, \
         expected at most {MAX_VALUES} of each\n  --> `{key}` of the recipe\n  help: lower `{key}` or `batch`"
    )]
    TooLarge {
        /// Weights and biases.
        parameters: u64,
        /// Values between layers.
        activations: u64,
        /// Rows that are computed at once.
        rows: usize,
        /// What to lower.
        key: &'static str,
    },
    /// A model that does not go with the data.
    #[error("{0}")]
    Recipe(#[from] RecipeError),
    /// Nothing to train or to test on.
    #[error(
        "error: found {train} rows to train on and {test} to test on, expected at least one of each\n  --> `split` of the \
         recipe\n  help: bring more rows, or change the shares under `[split]`"
    )]
    NoRows {
        /// Training rows.
        train: usize,
        /// Test rows.
        test: usize,
    },
    /// So many classes that none has rows enough to hold one back.
    #[error(
        "error: found {n_classes} classes in {n_rows} rows, too few rows of each to test on\n  --> the target `{target}`\n  \
         help: say `--task regression` if it is a quantity, or bring more rows of each class"
    )]
    TooFewOfEach {
        /// Classes.
        n_classes: usize,
        /// Rows.
        n_rows: usize,
        /// The name of the target.
        target: String,
    },
    /// Early stopping has nothing to go by.
    #[error(
        "error: found no row to validate on, expected at least one\n  --> `split.validation` of the recipe\n  help: raise `split.validation`, or leave out `patience`"
    )]
    NoValidation,
    /// A checkpoint of another run.
    #[error(
        "error: the checkpoint belongs to another run: {what} differs from this one\n  --> the checkpoint of the run \
         folder\n  help: the recipe in the run folder must stay as it was"
    )]
    OtherRun {
        /// What tells them apart.
        what: &'static str,
    },
    /// The gradient program failed.
    #[error("{0}")]
    Program(#[from] Error),
    /// A record or a checkpoint could not be kept.
    #[error("{0}")]
    Metrics(#[from] RunFolderError),
}

impl TrainError {
    /// The last good network, where there is any.
    pub fn network(&self) -> Option<&Network> {
        match self {
            TrainError::NotFinite(stop) => Some(&stop.last_good),
            TrainError::Interrupted { network, .. } => Some(network),
            _ => None,
        }
    }
}

/// The first NaN or infinity of a run.
#[derive(Clone, Debug)]
pub struct NotFinite {
    /// The step, counted from 1.
    pub step: u64,
    /// Its epoch, counted from 1.
    pub epoch: u32,
    /// What is not finite: `the loss`, `the gradient`, `the update of head.weight`.
    pub what: String,
    /// The operation that made it of finite operands, with the line it was written on.
    pub place: Option<RunError>,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The parameters of the last step whose loss was finite.
    pub last_good: Network,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotFinite { step, epoch, what, place, learning_rate, .. } = self;
        write!(
            f,
            "error: step {step} (epoch {epoch}): {what} is not finite, expected finite numbers\n  --> "
        )?;
        match place {
            Some(place) => write!(f, "first in {place}")?,
            None => write!(f, "training step {step}")?,
        }
        write!(f, "\n  help: lower `learning_rate` (it was {learning_rate:e} in this step) or raise `batch`")
    }
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
    let mut run = Run::start(job, from)?;
    listeners.progress.begin(run.total_steps);
    let result = run.epochs(listeners);
    listeners.progress.end();
    result
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
    let size = recipe.model.size(&Interface::of(data));
    let at_once = test.max(fold.validation.len()).min(ROWS_AT_ONCE);
    let rows = (recipe.batch as usize).min(train).max(at_once);
    let (parameters, activations) = (size.parameters, size.values.saturating_mul(rows as u64));
    if parameters > MAX_VALUES || activations > MAX_VALUES {
        let key = if recipe.model.name() == "mlp" { "model.hidden" } else { "model" };
        return Err(TrainError::TooLarge { parameters, activations, rows, key });
    }
    Ok(())
}

/// A run between two steps.
struct Run<'a> {
    job: Job<'a>,
    scaling: Scaling,
    network: Network,
    update: Update,
    state: State<Array>,
    rates: Rates,
    evaluator: Evaluator,
    position: Position,
    best: Option<Network>,
    batch: usize,
    total_steps: u64,
}

impl Run<'_> {
    fn start(job: Job<'_>, from: Option<Checkpoint>) -> Result<Run<'_>, TrainError> {
        let Job { recipe, data, fold, key } = job;
        let scaling = Scaling::of(&data.inputs, &data.targets, &fold.train, recipe.standardise);
        let mut network = recipe.model.start(&Interface::of(data), key.split(2)[0]);
        let batch = (recipe.batch as usize).min(fold.train.len());
        let total_steps = u64::from(recipe.epochs) * fold.train.len().div_ceil(batch) as u64;
        let update = chain_of(recipe, total_steps);
        let mut state = update.init(&network.layers)?;
        let mut position = Position {
            key: key.0,
            recipe: recipe.checksum(),
            epoch: 1,
            n_batches: 0,
            step: 0,
            loss_sum: 0.0,
            norm_sums: vec![0.0; network.layer_names().len()],
            best_loss: f64::INFINITY,
            n_stale: 0,
            is_finished: false,
        };
        let mut best = None;
        if let Some(from) = from {
            let steps_per_epoch = fold.train.len().div_ceil(batch) as u64;
            let n_before = u64::from(from.position.epoch.saturating_sub(1)) * steps_per_epoch;
            if from.position.key != position.key {
                return Err(TrainError::OtherRun { what: "the seed" });
            }
            if from.position.recipe != position.recipe {
                return Err(TrainError::OtherRun { what: "the recipe" });
            }
            if from.position.norm_sums.len() != position.norm_sums.len()
                || from.position.epoch == 0
                || from.position.step != n_before.saturating_add(from.position.n_batches)
            {
                return Err(TrainError::OtherRun { what: "the number of rows or of layers" });
            }
            let of_network = |layers: &[(String, Array)], buffers: &[(String, Array)]| {
                let layers = like(&network.layers, layers);
                let found = layers.zip(like(&network.buffers, buffers));
                let found = found.map(|(layers, buffers)| Network { layers, buffers });
                found.ok_or(TrainError::OtherRun { what: "the network" })
            };
            let stood = of_network(&from.parameters, &from.buffers)?;
            best = match &from.best {
                Some((layers, buffers)) => Some(of_network(layers, buffers)?),
                None => None,
            };
            network = stood;
            state = like(&state, &from.update).ok_or(TrainError::OtherRun { what: "the update" })?;
            position = from.position;
        }
        let (rates, evaluator) = (Rates::new(recipe, total_steps), Evaluator::new());
        Ok(Run { job, scaling, network, update, state, rates, evaluator, position, best, batch, total_steps })
    }

    fn epochs(&mut self, listeners: &mut Listeners<'_>) -> Result<Trained, TrainError> {
        let Job { recipe, data, fold, key } = self.job;
        let keys = key.split(4);
        let (order_key, pass_key, mix_key) = (keys[1], keys[2], keys[3]);
        let loss_of = Loss::new(recipe, data);
        let door = door(loss_of, recipe);
        let mut last_good = self.network.clone();
        let mut last_checkpoint = Instant::now();
        while !self.position.is_finished {
            let epoch = self.position.epoch;
            let order = rng::permutation(order_key.fold_in(u64::from(epoch)), fold.train.len());
            let rows: Vec<usize> = order.into_iter().map(|i| fold.train[i]).collect();
            for rows in rows.chunks(self.batch).skip(self.position.n_batches as usize) {
                let step = self.position.step + 1;
                if listeners.interrupt.load(Ordering::Relaxed) {
                    (listeners.checkpoint)(&self.checkpoint())?;
                    let network = Box::new(self.network.clone());
                    return Err(TrainError::Interrupted { step, total_steps: self.total_steps, network });
                }
                let rate = self.rates.of(step)?;
                let batch = self.batch((pass_key.fold_in(step), mix_key.fold_in(step)), rows);
                let stop = |what: String, place: Option<RunError>, last_good: &Network| {
                    let last_good = last_good.clone();
                    TrainError::NotFinite(Box::new(NotFinite {
                        step,
                        epoch,
                        what,
                        place,
                        learning_rate: rate,
                        last_good,
                    }))
                };
                let ((loss, buffers), pullback) =
                    door.call((&self.network.layers, &self.network.buffers, &batch))?;
                let nothing = buffers.map(&mut |leaf| Array::zeros(leaf.dtype(), leaf.shape().clone()));
                let one = Array::scalar(1.0_f32);
                let gradient = pullback.call(&(one, nothing))?;
                let loss = f64::from(loss.item::<f32>().unwrap_or(f32::NAN));
                let leaves = tree::leaves(&gradient);
                if !loss.is_finite() || !leaves.iter().all(|(_, leaf)| is_finite(leaf)) {
                    let what = if loss.is_finite() { "the gradient" } else { "the loss" };
                    let lowered = loss_door(loss_of, recipe).lowered((
                        &self.network.layers,
                        &self.network.buffers,
                        &batch,
                    ))?;
                    let place = first_place(&lowered, &self.network, &batch);
                    return Err(stop(what.into(), place, &last_good));
                }
                last_good = self.network.clone();
                for (sum, norm) in self.position.norm_sums.iter_mut().zip(norms_by_layer(&leaves)) {
                    *sum += norm;
                }
                set_rate(&mut self.state, rate);
                let layers = self.network.layers.clone();
                let (layers, state) = self.update.step(&gradient, self.state.clone(), layers)?;
                let moved = tree::leaves(&layers);
                if let Some((path, _)) = moved.iter().find(|(_, leaf)| !is_finite(leaf)) {
                    return Err(stop(format!("the update of `{path}`"), None, &last_good));
                }
                (self.network, self.state) = (Network { layers, buffers }, state);
                self.position.loss_sum += loss * rows.len() as f64;
                self.position.n_batches += 1;
                self.position.step = step;
                listeners.progress.step(step, loss);
                if last_checkpoint.elapsed() >= listeners.checkpoint_every {
                    (listeners.checkpoint)(&self.checkpoint())?;
                    last_checkpoint = Instant::now();
                }
            }
            let record = self.end_epoch()?;
            (listeners.metrics)(&record)?;
            if self.position.is_finished {
                (listeners.checkpoint)(&self.checkpoint())?;
            }
        }
        let network = self.chosen();
        let test_outputs = self.evaluator.outputs(&network, &data.inputs, &self.scaling, &fold.test)?;
        let test = score(&test_outputs, &data.targets, &self.scaling, &fold.test);
        let (n_steps, n_epochs) = (self.position.step, self.position.epoch - 1);
        Ok(Trained { network, scaling: self.scaling.clone(), test, test_outputs, n_steps, n_epochs })
    }

    fn batch(&self, keys: (Key, Key), rows: &[usize]) -> Batch<Array> {
        let Job { recipe, data, .. } = self.job;
        let mix = Mix::draw(recipe, keys.1, rows.len()).filter(|_| recipe.mixup > 0.0);
        Batch {
            x: batch_of(&data.inputs, &self.scaling, rows),
            goal: Goal { targets: targets_of(&data.targets, &self.scaling, rows), mix },
            key: keys.0.to_array(),
        }
    }

    /// Scores the epoch, decides whether it was the last, and begins the next.
    fn end_epoch(&mut self) -> Result<Record, TrainError> {
        let Job { recipe, fold, .. } = self.job;
        let few = &fold.train[..fold.train.len().min(ROWS_OF_CURVE)];
        let kept = self.kept();
        let train = self.score(&kept, few)?;
        let validation = match &fold.validation[..] {
            [] => None,
            rows => Some(self.score(&kept, rows)?),
        };
        let learning_rate = self.rates.of(self.position.step)?;
        let position = &mut self.position;
        let (epoch, n_batches) = (position.epoch, position.n_batches as f64);
        if let Some(validation) = validation.filter(|_| recipe.patience > 0) {
            if validation.loss() < position.best_loss {
                (position.best_loss, position.n_stale) = (validation.loss(), 0);
                self.best = Some(kept);
            } else {
                position.n_stale += 1;
            }
        }
        let is_stale = recipe.patience > 0 && position.n_stale >= recipe.patience;
        position.is_finished = epoch == recipe.epochs || is_stale;
        let mut record = Record {
            epoch,
            step: position.step,
            train_loss: position.loss_sum / fold.train.len() as f64,
            learning_rate,
            gradient_norms: position.norm_sums.iter().map(|sum| sum / n_batches).collect(),
            train,
            validation,
            test_accuracy: None,
            test_rmse: None,
        };
        position.epoch += 1;
        position.n_batches = 0;
        position.loss_sum = 0.0;
        position.norm_sums.fill(0.0);
        if self.position.is_finished {
            match self.score(&self.chosen(), &fold.test)? {
                Score::Classes { accuracy, .. } => record.test_accuracy = Some(accuracy),
                Score::Values { rmse, .. } => record.test_rmse = Some(rmse),
            }
        }
        Ok(record)
    }

    fn score(&self, network: &Network, rows: &[usize]) -> Result<Score, Error> {
        let Dataset { inputs, targets, .. } = self.job.data;
        let outputs = self.evaluator.outputs(network, inputs, &self.scaling, rows)?;
        Ok(score(&outputs, targets, &self.scaling, rows))
    }

    /// The network as it stands, with averaged parameters if the recipe says so.
    fn kept(&self) -> Network {
        let layers = kept(self.job.recipe, &self.state, &self.network.layers);
        Network { layers, buffers: self.network.buffers.clone() }
    }

    /// That of the best epoch if the run may stop early, else the last.
    fn chosen(&self) -> Network {
        self.best.clone().unwrap_or_else(|| self.kept())
    }

    fn checkpoint(&self) -> Checkpoint {
        let both = |network: &Network| (tree::leaves(&network.layers), tree::leaves(&network.buffers));
        let (parameters, buffers) = both(&self.network);
        Checkpoint {
            position: self.position.clone(),
            parameters,
            buffers,
            update: tree::leaves(&self.state),
            best: self.best.as_ref().map(both),
        }
    }
}

type Inputs = (Layers<Var>, Buffers<Var>, Batch<Var>);

/// The loss of a batch and the buffers after it, and the gradient of the loss.
fn door(loss: Loss, recipe: &Recipe) -> Vjp<impl Function<Inputs, Output = (Var, Buffers<Var>)>, Inputs> {
    let f = move |layers: Layers<Var>, buffers: Buffers<Var>, batch: Batch<Var>| {
        loss.of(&layers, &buffers, &batch)
    };
    vjp(f).wrt::<0>().tape(recipe.tape)
}

/// The loss alone: the same program but for the new buffers.
fn loss_door(loss: Loss, recipe: &Recipe) -> ValueAndGrad<impl Function<Inputs, Output = Var>, Inputs> {
    let f = move |layers: Layers<Var>, buffers: Buffers<Var>, batch: Batch<Var>| {
        loss.of(&layers, &buffers, &batch).0
    };
    value_and_grad(f).wrt::<0>().tape(recipe.tape)
}

/// Class numbers `i64[n]`, or standardised numbers `f32[n,1]`.
pub(crate) fn targets_of(targets: &Targets, scaling: &Scaling, rows: &[usize]) -> Array {
    match targets {
        Targets::Classes { labels, .. } => {
            Array::vector(rows.iter().map(|&row_idx| i64::from(labels[row_idx])).collect())
        }
        Targets::Values(values) => {
            let mut values: Vec<f32> = rows.iter().map(|&row_idx| values[row_idx]).collect();
            if let Some(columns) = &scaling.target {
                columns.apply(&mut values);
            }
            let array = Array::new([rows.len(), 1], values);
            array.unwrap_or_else(|error| panic!("a batch of targets: {error}; this is a bug in retrograde"))
        }
    }
}

fn norms_by_layer(gradient: &[(String, Array)]) -> Vec<f64> {
    let mut squares = Vec::<(&str, f64)>::new();
    for (path, leaf) in gradient {
        let entries = leaf.as_slice::<f32>().unwrap_or_default();
        let sum: f64 = entries.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        match squares.last_mut() {
            Some((last, squares)) if *last == layer_of(path) => *squares += sum,
            _ => squares.push((layer_of(path), sum)),
        }
    }
    squares.into_iter().map(|(_, squares)| squares.sqrt()).collect()
}

/// What the tape of one step holds.
#[derive(Clone, PartialEq, Debug)]
pub struct StepTape {
    /// Its report.
    pub report: TapeReport,
    /// Bytes by layer; the last is the loss.
    pub by_layer: Vec<(String, usize)>,
}

/// Measures the tape of one step on a whole batch.
///
/// # Errors
/// The gradient program fails.
pub fn step_tape(job: Job<'_>, trained: &Trained) -> Result<StepTape, TrainError> {
    let Job { recipe, data, fold, key } = job;
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
    Ok(StepTape { report, by_layer })
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

fn is_finite(array: &Array) -> bool {
    array.as_slice::<f32>().is_none_or(|entries| entries.iter().all(|x| x.is_finite()))
}

/// Where the first NaN or infinity comes from.
fn first_place(lowered: &Lowered, network: &Network, batch: &Batch<Array>) -> Option<RunError> {
    let leaves =
        [tree::leaves(&network.layers), tree::leaves(&network.buffers), tree::leaves(batch)].concat();
    let inputs: Vec<Value> = leaves.into_iter().map(|(_, leaf)| Value::Array(leaf)).collect();
    let engine = Engine { config: RunConfig { look_for_non_finite: true }, ..Engine::default() };
    let tape = match engine.run(&lowered.forward, inputs.clone()) {
        Ok((mut out, _)) => out.split_off(lowered.n_outputs),
        Err(place) => return Some(place),
    };
    let seed = Value::Array(Array::scalar(1.0_f32));
    engine.run(&lowered.backward, inputs.into_iter().chain(tape).chain([seed]).collect()).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::digits;
    use crate::evaluate::outputs;
    use crate::model::Model;
    use crate::recipe::Update;
    use crate::{Silent, hold_out, stratified_folds};

    fn first_fold(data: &Dataset) -> Fold {
        let mut n_calls = 0;
        let mut permute = |n| {
            n_calls += 1;
            rng::permutation(Key::from_seed(5).fold_in(n_calls), n)
        };
        stratified_folds(&data.targets, 5, &mut permute).unwrap().remove(0)
    }

    fn run(recipe: &Recipe, seed: u64) -> (Result<Trained, TrainError>, Vec<Record>) {
        let data = digits();
        run_on(recipe, &data, &first_fold(&data), seed)
    }

    fn run_on(
        recipe: &Recipe,
        data: &Dataset,
        fold: &Fold,
        seed: u64,
    ) -> (Result<Trained, TrainError>, Vec<Record>) {
        let mut records = vec![];
        let mut listeners = Listeners {
            progress: &mut Silent,
            metrics: &mut |record| {
                records.push(record.clone());
                Ok(())
            },
            checkpoint: &mut |_| Ok(()),
            checkpoint_every: Duration::MAX,
            interrupt: &AtomicBool::new(false),
        };
        let job = Job { recipe, data, fold, key: Key::from_seed(seed) };
        let result = train(job, None, &mut listeners);
        (result, records)
    }

    fn short() -> Recipe {
        Recipe::parse("epochs = 2\nbatch = 100\nmodel.hidden = [16]", "short.toml").unwrap()
    }

    fn leaves(trained: &Trained) -> Vec<(String, Array)> {
        trained.network.arrays()
    }

    /// The model of this name, so small that a step takes little even where nothing is optimised.
    fn small(name: &str) -> String {
        let keys = match name {
            "residual" => "width = 8, hidden = 8, blocks = 2",
            "cnn" => "channels = [4], dense = 8",
            "lstm" => "hidden = 8",
            "transformer" => "width = 8, hidden = 8, heads = 2, patch = 4, blocks = 1",
            "revnet" => "channels = 2, blocks = 2",
            _ => "hidden = [8, 8]",
        };
        format!("{{ name = \"{name}\", {keys} }}")
    }

    #[test]
    fn a_seed_fixes_every_bit_and_another_seed_changes_them() {
        let (first, records) = run(&short(), 1);
        let first = first.unwrap();
        let second = run(&short(), 1).0.unwrap();
        let equal =
            |a: &Trained, b: &Trained| leaves(a).iter().zip(&leaves(b)).all(|(a, b)| a.1.bits_eq(&b.1));
        assert!(equal(&first, &second));
        assert!(!equal(&first, &run(&short(), 2).0.unwrap()));
        // 1437 or 1438 rows: 14 whole batches and a smaller one, twice.
        assert_eq!(first.n_steps, 30);
        assert_eq!(
            records.iter().map(|record| (record.epoch, record.step)).collect::<Vec<_>>(),
            [(1, 15), (2, 30)]
        );
        assert_eq!(records[0].test_accuracy, None);
        let Score::Classes { accuracy, .. } = first.test else { panic!("{:?}", first.test) };
        assert_eq!(records[1].test_accuracy, Some(accuracy));
        assert!(
            records[1].gradient_norms.len() == 2 && records[1].gradient_norms.iter().all(|&norm| norm > 0.0)
        );
        assert!(records[1].train_loss < records[0].train_loss);
    }

    /// Stops after every step and goes on from the encoded checkpoint: the parameters of the uninterrupted run.
    #[test]
    fn a_run_resumed_after_every_step_ends_with_the_same_bits() {
        let mut data = digits();
        let fold = first_fold(&data);
        let (train_rows, validation) = hold_out(&data.targets, &fold.train, 0.2, &mut |n| (0..n).collect());
        let fold = Fold { train: train_rows, validation, ..fold };
        let plain = [
            "batch = 500\nepochs = 3",
            "batch = 500\nepochs = 4\nupdate = \"adam\"\npatience = 1\nlearning_rate = 0.3",
            "batch = 500\nepochs = 4\naverage = \"swa\"\nmixup = 0.2\nmodel.dropout = 0.5",
        ];
        // Buffers, keys and the average come back for every kind of network, too.
        let each = Model::NAMES.iter().map(|name| {
            format!("batch = 600\nepochs = 1\naverage = \"ema\"\nshift = 1\nmodel = {}", small(name))
        });
        for text in plain.map(String::from).into_iter().chain(each) {
            let recipe = short().amend(&text, "test").unwrap();
            let (straight, expected) = run_on(&recipe, &data, &fold, 3);
            let straight = straight.unwrap();
            let (mut from, mut records) = (None, vec![]);
            let resumed = loop {
                let saved = std::cell::RefCell::new(None);
                let interrupt = AtomicBool::new(false);
                let mut listeners = Listeners {
                    progress: &mut Silent,
                    metrics: &mut |record| {
                        records.push(record.clone());
                        Ok(())
                    },
                    checkpoint: &mut |checkpoint| {
                        interrupt.store(true, Ordering::Relaxed);
                        *saved.borrow_mut() = Some(Checkpoint::decode(&checkpoint.encode()).unwrap());
                        Ok(())
                    },
                    checkpoint_every: Duration::ZERO,
                    interrupt: &interrupt,
                };
                let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(3) };
                match train(job, from, &mut listeners) {
                    Ok(trained) => break trained,
                    Err(TrainError::Interrupted { .. }) => from = saved.into_inner(),
                    Err(error) => panic!("{error}"),
                }
            };
            assert!(leaves(&resumed).iter().zip(&leaves(&straight)).all(|(a, b)| a.1.bits_eq(&b.1)));
            assert_eq!(resumed.test_outputs, straight.test_outputs);
            assert_eq!(records, expected);
        }
        // A checkpoint of another job is refused.
        data.targets = Targets::Values((0..data.n_rows()).map(|row_idx| row_idx as f32).collect());
        let job = Job { recipe: &short(), data: &data, fold: &fold, key: Key::from_seed(3) };
        let other = Run::start(job, None).map(|run| run.checkpoint()).unwrap();
        let data = digits();
        let job = Job { recipe: &short(), data: &data, fold: &fold, key: Key::from_seed(3) };
        assert!(matches!(
            Run::start(job, Some(other.clone())),
            Err(TrainError::OtherRun { what: "the network" })
        ));
        let longer = short().amend("epochs = 9", "test").unwrap();
        let changed = Run::start(Job { recipe: &longer, ..job }, Some(other.clone()));
        assert!(matches!(changed, Err(TrainError::OtherRun { what: "the recipe" })));
        let job = Job { key: Key::from_seed(4), ..job };
        assert!(matches!(Run::start(job, Some(other)), Err(TrainError::OtherRun { what: "the seed" })));
    }

    /// What no gradient changes: running moments go along, feedback stays; both are kept, and predict the same again.
    #[test]
    fn buffers_are_kept_with_the_network() {
        let data = digits();
        for (name, moves) in [("cnn", true), ("feedback_alignment", false)] {
            let text = format!("batch = 700\nepochs = 1\nmodel = {}", small(name));
            let recipe = short().amend(&text, "test").unwrap();
            let fold = first_fold(&data);
            let trained = run_on(&recipe, &data, &fold, 1).0.unwrap();
            let start = recipe.model.start(&Interface::of(&data), Key::from_seed(1).split(2)[0]);
            let (before, after) = (tree::leaves(&start.buffers), tree::leaves(&trained.network.buffers));
            assert!(!before.is_empty() && before.len() == after.len());
            assert!(before.iter().zip(&after).all(|(b, a)| b.1.bits_eq(&a.1) != moves), "{name}");
            let again = start.with(&trained.network.arrays()).unwrap();
            let found = outputs(&again, &data.inputs, &trained.scaling, &fold.test).unwrap();
            assert_eq!(found, trained.test_outputs, "{name}");
        }
    }

    /// The same gradient, to the bit, from a tape that does not grow with the couplings, and the page says which policy kept it.
    #[test]
    fn a_reversible_network_keeps_little_under_its_policy() {
        let data = digits();
        let fold = first_fold(&data);
        let run = |tape: &str, blocks: usize| {
            let text = format!(
                "batch = 700\nepochs = 1\ntape = \"{tape}\"\nmodel = {{ name = \"revnet\", channels = 2, blocks = {blocks} }}"
            );
            let recipe = short().amend(&text, "test").unwrap();
            let (trained, records) = run_on(&recipe, &data, &fold, 1);
            let trained = trained.unwrap();
            let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
            let tape = step_tape(job, &trained).unwrap();
            let records: Vec<_> =
                records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
            let page = crate::report::page(job, &trained, &tape, &records);
            (leaves(&trained), tape.report.tape_bytes(), page)
        };
        let ((stored, bytes_of_4, _), (_, bytes_of_8, _)) = (run("store", 4), run("store", 8));
        let ((reversed, few_bytes_of_4, page), (_, few_bytes_of_8, _)) =
            (run("reverse", 4), run("reverse", 8));
        assert!(stored.iter().zip(&reversed).all(|(a, b)| a.1.bits_eq(&b.1)));
        let (grown, grown_little) = (bytes_of_8 - bytes_of_4, few_bytes_of_8 - few_bytes_of_4);
        assert!(4 * grown_little < grown, "{grown_little} of {grown} bytes");
        assert!(page.contains(">reverse: ") && page.contains("revnet.rs:"), "{page}");
    }

    #[test]
    fn early_stopping_keeps_the_best_epoch() {
        let data = digits();
        let fold = first_fold(&data);
        let (train_rows, validation) = hold_out(&data.targets, &fold.train, 0.2, &mut |n| (0..n).collect());
        let fold = Fold { train: train_rows, validation, ..fold };
        let text = "epochs = 50\npatience = 2\nlearning_rate = 0.5\nschedule = \"constant\"";
        let recipe = short().amend(text, "test").unwrap();
        let (trained, records) = run_on(&recipe, &data, &fold, 1);
        let trained = trained.unwrap();
        assert!(records.len() < 50 && trained.n_epochs as usize == records.len());
        let losses: Vec<f64> = records.iter().map(|record| record.validation.unwrap().loss()).collect();
        let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(losses[losses.len() - 3], best);
        let found = outputs(&trained.network, &data.inputs, &trained.scaling, &fold.validation).unwrap();
        assert_eq!(score(&found, &data.targets, &trained.scaling, &fold.validation).loss(), best);
    }

    /// `y = 3a − 2b + 1` on points of a grid.
    #[test]
    fn a_plane_is_learned_in_its_own_units() {
        let rows = || (0..100).map(|i| (f32::from(i as u8 % 10) * 100.0, f32::from(i as u8 / 10) * 0.01));
        let layout = crate::Layout::Columns { names: vec!["a".into(), "b".into()], header: true };
        let features = crate::Features::Numbers(rows().flat_map(|(a, b)| [a, b]).collect());
        let data = Dataset {
            inputs: crate::Inputs { features, layout },
            targets: Targets::Values(rows().map(|(a, b)| 3.0 * a - 2.0 * b + 1.0).collect()),
            target_name: "y".into(),
            given_test_from: None,
        };
        let (kept, test) = hold_out(&data.targets, &(0..100).collect::<Vec<_>>(), 0.2, &mut |n| {
            rng::permutation(Key::from_seed(1), n)
        });
        let fold = Fold { train: kept, validation: vec![], test };
        for update in [Update::Sgd, Update::Adam] {
            let recipe = Recipe { epochs: 60, batch: 10, update, learning_rate: 0.01, ..short() };
            let (trained, records) = run_on(&recipe, &data, &fold, 1);
            let Score::Values { rmse, r2, .. } = trained.unwrap().test else { panic!("found classes") };
            // The targets spread by 860.
            assert!(rmse < 60.0 && r2 > 0.99, "{update}: {rmse} {r2}");
            assert_eq!(records[59].test_rmse, Some(rmse));
        }
    }

    #[test]
    fn tape_bytes_by_layer_sum_to_the_report() {
        let recipe = short().amend("epochs = 1\nmodel.hidden = [16, 10, 16]", "test").unwrap();
        let data = digits();
        let fold = first_fold(&data);
        let trained = run(&recipe, 1).0.unwrap();
        let job = Job { recipe: &recipe, data: &data, fold: &fold, key: Key::from_seed(1) };
        let StepTape { report, by_layer } = step_tape(job, &trained).unwrap();
        let names: Vec<&str> = by_layer.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["hidden.0", "hidden.1", "hidden.2", "loss"]);
        assert_eq!(by_layer.iter().map(|(_, bytes)| bytes).sum::<usize>(), report.tape_bytes());
        assert_eq!(by_layer[0].1, by_layer[2].1);
        assert_eq!(by_layer[0].1 * 10, by_layer[1].1 * 16);
        assert!(by_layer.iter().all(|(_, bytes)| *bytes > 0));
    }

    #[test]
    fn a_loss_that_overflows_names_step_and_place_and_keeps_finite_parameters() {
        // The first update makes weights near 1e36, whose square no f32 holds.
        let text =
            "learning_rate = 1e37\nschedule = \"constant\"\nweight_decay = 0\nmodel.activation = \"relu\"";
        let recipe = short().amend(text, "test").unwrap();
        let error = run(&recipe, 1).0.unwrap_err();
        let TrainError::NotFinite(stop) = &error else { panic!("{error}") };
        assert_eq!((stop.step, stop.epoch, stop.what.as_str()), (2, 1, "the loss"));
        let place = stop.place.as_ref().unwrap();
        assert!(place.location.unwrap().to_string().contains("mlp.rs:"), "{place}");
        assert!(tree::leaves(&stop.last_good.layers).iter().all(|(_, leaf)| is_finite(leaf)));
        assert!(
            error
                .to_string()
                .starts_with("error: step 2 (epoch 1): the loss is not finite, expected finite numbers\n  --> first in dot_general: ")
        );
    }

    #[test]
    fn an_update_that_overflows_names_the_parameter() {
        let recipe = short().amend("learning_rate = 1e300", "test").unwrap();
        let error = run(&recipe, 1).0.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(
                "error: step 1 (epoch 1): the update of `hidden.0.weight` is not finite, expected finite numbers\n  --> training \
                 step 1\n  help: "
            ),
            "{text}"
        );
        assert!(tree::leaves(&error.network().unwrap().layers).iter().all(|(_, leaf)| is_finite(leaf)));
    }

    #[test]
    fn an_interrupt_and_a_full_disk_stop_the_run() {
        let (data, fold) = (digits(), first_fold(&digits()));
        let run = |interrupt: bool| {
            let mut listeners = Listeners {
                progress: &mut Silent,
                metrics: &mut |_| Err(RunFolderError::Name { path: "run".into(), name: "full".into() }),
                checkpoint: &mut |_| Ok(()),
                checkpoint_every: Duration::MAX,
                interrupt: &AtomicBool::new(interrupt),
            };
            let job = Job { recipe: &short(), data: &data, fold: &fold, key: Key::from_seed(1) };
            train(job, None, &mut listeners).unwrap_err()
        };
        assert_eq!(run(true).to_string(), "interrupted before step 1 of 30");
        assert!(matches!(run(false), TrainError::Metrics(_)));
    }

    #[test]
    fn networks_too_large_are_refused_before_they_are_made() {
        let recipe = short().amend("model.hidden = [65536, 65536]", "test").unwrap();
        let text = run(&recipe, 1).0.unwrap_err().to_string();
        assert!(text.starts_with("error: the network has 4299948042 parameters"), "{text}");
        assert!(text.contains("\n  --> `model.hidden` of the recipe\n  help: lower `model.hidden`"));
        let (data, fold) = (digits(), Fold { train: vec![0], ..Fold::default() });
        let error = check_size(&short(), &data, &fold).unwrap_err().to_string();
        assert_eq!(
            error,
            "error: found 1 rows to train on and 0 to test on, expected at least one of each\n  --> `split` of the recipe\n  \
             help: bring more rows, or change the shares under `[split]`"
        );
        let targets = Targets::Classes { labels: vec![0, 1], names: vec!["1.5".into(), "2.5".into()] };
        let prices = Dataset { targets, target_name: "price".into(), ..data.clone() };
        let error = check_size(&short(), &prices, &fold).unwrap_err().to_string();
        assert_eq!(
            error,
            "error: found 2 classes in 2 rows, too few rows of each to test on\n  --> the target `price`\n  help: say `--task \
             regression` if it is a quantity, or bring more rows of each class"
        );
        let fold = Fold { test: vec![1], ..fold };
        let recipe = short().amend("patience = 2", "test").unwrap();
        let error = check_size(&recipe, &data, &fold).unwrap_err().to_string();
        assert_eq!(
            error,
            "error: found no row to validate on, expected at least one\n  --> `split.validation` of the recipe\n  help: raise \
             `split.validation`, or leave out `patience`"
        );
    }
}
