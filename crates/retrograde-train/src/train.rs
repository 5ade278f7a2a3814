//! The training loop: minibatches, SGD with momentum, one gradient program for whole batches and one for the last,
//! smaller batch of an epoch, which is kept.
//!
//! For each batch: `v = momentum·v + g + weight_decay·w` (biases do not decay), then `p = p - learning_rate·v`. All of
//! it in `f32` and in one order, so that a seed fixes every bit of the parameters.
//!
//! Source: I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and momentum in deep
//! learning, ICML 2013, equation 1, with the learning rate outside the velocity.

use std::f64::consts::PI;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, ArrayError, DType, map};
use retrograde_core::exec::{Executor, Interpreter, RunConfig, RunError};
use retrograde_core::prim::Value;
use retrograde_core::tape::Lowered;
use retrograde_core::trace::door::{jit, value_and_grad};
use retrograde_core::trace::{Error, Tree, Var, tree};
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::primal::loss::cross_entropy;
use serde::Serialize;

use crate::recipe::{self, Recipe, Schedule};
use crate::{Dataset, Fold, Progress, RunFolderError};

/// Parameters, and values between layers, of the largest network that is tried: 0.5 GiB of each in `f32`.
const MAX_VALUES: u64 = 1 << 27;

/// One line of the metrics: an epoch.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Record {
    /// Counted from 1.
    pub epoch: u32,
    /// Steps taken so far.
    pub step: u64,
    /// Mean loss of the rows of this epoch, each at its step.
    pub train_loss: f64,
    /// Of the last step.
    pub learning_rate: f64,
    /// Share of the held-back rows that are classified correctly, in the last epoch's record only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
}

/// Who hears of a run, and who may stop it.
pub struct Listeners<'a> {
    /// Hears of every step.
    pub progress: &'a mut dyn Progress,
    /// Gets a record after every epoch; its error stops the run.
    pub metrics: &'a mut dyn FnMut(&Record) -> Result<(), RunFolderError>,
    /// Looked at before every step: true stops the run.
    pub interrupt: &'a AtomicBool,
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The parameters after the last step.
    pub parameters: Mlp<Array>,
    /// Share of the held-back rows that are classified correctly.
    pub test_accuracy: f64,
    /// Steps taken.
    pub n_steps: u64,
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
        /// What they were.
        parameters: Box<Mlp<Array>>,
    },
    /// A network that would not fit.
    #[error(
        "the network has {parameters} parameters and up to {activations} values between layers for {rows} rows, \
         expected at most {MAX_VALUES} of each\n  help: lower `model.hidden` or `batch`"
    )]
    TooLarge {
        /// Weights and biases.
        parameters: u64,
        /// Values between layers.
        activations: u64,
        /// Rows that are computed at once.
        rows: usize,
    },
    /// Nothing to train or to test on.
    #[error("found {train} rows to train on and {test} to test on, expected at least one of each")]
    NoRows {
        /// Training rows.
        train: usize,
        /// Test rows.
        test: usize,
    },
    /// The gradient program failed.
    #[error("{0}")]
    Program(#[from] Error),
    /// The data are not arrays.
    #[error("the data: {0}")]
    Data(#[from] ArrayError),
    /// A record could not be kept.
    #[error("{0}")]
    Metrics(#[from] RunFolderError),
}

impl TrainError {
    /// The last good parameters, where there are any.
    pub fn parameters(&self) -> Option<&Mlp<Array>> {
        match self {
            TrainError::NotFinite(stop) => Some(&stop.last_good),
            TrainError::Interrupted { parameters, .. } => Some(parameters),
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
    pub last_good: Mlp<Array>,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotFinite { step, epoch, what, place, learning_rate, .. } = self;
        write!(f, "step {step} (epoch {epoch}): {what} is not finite")?;
        if let Some(place) = place {
            write!(f, "\n  first in {place}")?;
        }
        write!(f, "\n  help: lower `learning_rate` (it was {learning_rate:e} in this step) or raise `batch`")
    }
}

/// Trains a network on the rows of `fold.train` and tests it once, at the end, on those of `fold.test`.
///
/// The same recipe, data, fold and key leave the same parameter bits. The key decides the first parameters and the
/// order of the rows; `recipe.seed` is not looked at.
///
/// # Errors
/// A NaN or an infinity in loss, gradient or update; an interrupt; a network too large; a metrics file that cannot be
/// written.
pub fn train(
    recipe: &Recipe,
    data: &Dataset,
    fold: &Fold,
    key: Key,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, TrainError> {
    check_size(recipe, data, fold)?;
    let batch = (recipe.batch as usize).min(fold.train.len());
    let total_steps = u64::from(recipe.epochs) * fold.train.len().div_ceil(batch) as u64;
    listeners.progress.begin(total_steps);
    let result = epochs(recipe, data, fold, key, batch, total_steps, listeners);
    listeners.progress.end();
    result
}

/// Share of the given rows that the network classifies correctly.
///
/// # Errors
/// Rows that do not fit the network.
pub fn accuracy(parameters: &Mlp<Array>, data: &Dataset, rows: &[usize]) -> Result<f64, TrainError> {
    let (x, labels) = arrays(data, rows)?;
    let classes = jit(|network: Mlp<Var>, x: Var| network.apply(x).argmax(1)).call((parameters, &x))?;
    let found = classes.to_vec::<i64>().unwrap_or_default();
    let expected = labels.to_vec::<i64>().unwrap_or_default();
    let n_right = found.iter().zip(&expected).filter(|(f, e)| f == e).count();
    Ok(n_right as f64 / rows.len().max(1) as f64)
}

fn check_size(recipe: &Recipe, data: &Dataset, fold: &Fold) -> Result<(), TrainError> {
    let (train, test) = (fold.train.len(), fold.test.len());
    if train == 0 || test == 0 {
        return Err(TrainError::NoRows { train, test });
    }
    let widths: Vec<u64> = [data.n_features as u64]
        .into_iter()
        .chain(recipe.model.hidden.iter().map(|&width| u64::from(width)))
        .chain([data.n_classes as u64])
        .collect();
    // Widths are at most 2^16 and their number is bounded by the text of the recipe, so these sums stay below 2^63.
    let parameters = widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum();
    let rows = (recipe.batch as usize).min(train).max(test);
    let activations = widths.iter().sum::<u64>() * rows as u64;
    if parameters > MAX_VALUES || activations > MAX_VALUES {
        return Err(TrainError::TooLarge { parameters, activations, rows });
    }
    Ok(())
}

/// Parameters and velocity.
struct State {
    parameters: Mlp<Array>,
    velocity: Vec<Array>,
}

fn epochs(
    recipe: &Recipe,
    data: &Dataset,
    fold: &Fold,
    key: Key,
    batch: usize,
    total_steps: u64,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, TrainError> {
    let keys = key.split(2);
    let parameters = first_parameters(recipe, data, keys[0]);
    let velocity = tree::leaves(&parameters)
        .into_iter()
        .map(|(_, leaf)| Array::zeros(leaf.dtype(), leaf.shape().clone()))
        .collect();
    let mut state = State { parameters, velocity };
    let mut last_good = state.parameters.clone();
    let door =
        value_and_grad(|network: Mlp<Var>, x: Var, labels: Var| cross_entropy(network.apply(x), labels))
            .wrt::<0>();
    let (mut step, mut test_accuracy) = (0, None);
    for epoch in 1..=recipe.epochs {
        let order = rng::permutation(keys[1].fold_in(u64::from(epoch)), fold.train.len());
        let rows: Vec<usize> = order.into_iter().map(|i| fold.train[i]).collect();
        let (mut loss_sum, mut rate) = (0.0, 0.0);
        for rows in rows.chunks(batch) {
            step += 1;
            if listeners.interrupt.load(Ordering::Relaxed) {
                let parameters = Box::new(state.parameters);
                return Err(TrainError::Interrupted { step, total_steps, parameters });
            }
            rate = learning_rate(recipe, step, total_steps);
            let (x, labels) = arrays(data, rows)?;
            let stop = |what: String, place: Option<RunError>, last_good: &Mlp<Array>| {
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
            let (loss, gradient) = door.call((&state.parameters, &x, &labels))?;
            let loss = f64::from(loss.item::<f32>().unwrap_or(f32::NAN));
            let gradient: Vec<Array> = tree::leaves(&gradient).into_iter().map(|(_, leaf)| leaf).collect();
            if !loss.is_finite() || !gradient.iter().all(is_finite) {
                let what = if loss.is_finite() { "the gradient" } else { "the loss" };
                let place = first_place(
                    &door.lowered((&state.parameters, &x, &labels))?,
                    &state.parameters,
                    x,
                    labels,
                );
                return Err(stop(what.into(), place, &last_good));
            }
            last_good = state.parameters.clone();
            update(&mut state, &gradient, recipe, rate);
            if let Some((path, _)) = tree::leaves(&state.parameters).iter().find(|(_, leaf)| !is_finite(leaf))
            {
                return Err(stop(format!("the update of `{path}`"), None, &last_good));
            }
            loss_sum += loss * rows.len() as f64;
            listeners.progress.step(step, loss);
        }
        let train_loss = loss_sum / rows.len() as f64;
        if epoch == recipe.epochs {
            test_accuracy = Some(accuracy(&state.parameters, data, &fold.test)?);
        }
        (listeners.metrics)(&Record { epoch, step, train_loss, learning_rate: rate, test_accuracy })?;
    }
    let test_accuracy = test_accuracy.map_or_else(|| accuracy(&state.parameters, data, &fold.test), Ok)?;
    Ok(Trained { parameters: state.parameters, test_accuracy, n_steps: step })
}

fn first_parameters(recipe: &Recipe, data: &Dataset, key: Key) -> Mlp<Array> {
    let hidden: Vec<usize> = recipe.model.hidden.iter().map(|&width| width as usize).collect();
    let activation = match recipe.model.activation {
        recipe::Activation::Tanh => Activation::Tanh,
        recipe::Activation::Relu => Activation::Relu,
        recipe::Activation::Sigmoid => Activation::Sigmoid,
    };
    Mlp::xavier(key, data.n_features, &hidden, data.n_classes, activation, DType::F32)
}

/// Features `[n, n_features]` and labels `[n]` of some rows.
fn arrays(data: &Dataset, rows: &[usize]) -> Result<(Array, Array), TrainError> {
    let Dataset { features, labels, .. } = data.select(rows);
    Ok((Array::new([rows.len(), data.n_features], features)?, Array::new([rows.len()], labels)?))
}

/// The learning rate of a step, counted from 1. The cosine reaches 0 one step after the last.
fn learning_rate(recipe: &Recipe, step: u64, total_steps: u64) -> f64 {
    match recipe.schedule {
        Schedule::Constant => recipe.learning_rate,
        Schedule::Cosine => {
            let done = (step - 1) as f64 / total_steps as f64;
            recipe.learning_rate * 0.5 * (1.0 + map::cos_f64(PI * done))
        }
    }
}

fn update(state: &mut State, gradient: &[Array], recipe: &Recipe, rate: f64) {
    let (rate, momentum) = (rate as f32, recipe.momentum as f32);
    let mut moved = vec![];
    for (((path, mut leaf), velocity), gradient) in
        tree::leaves(&state.parameters).into_iter().zip(&mut state.velocity).zip(gradient)
    {
        let decay = if path.ends_with("weight") { recipe.weight_decay as f32 } else { 0.0 };
        let slices = (leaf.make_mut::<f32>(), velocity.make_mut::<f32>(), gradient.as_slice::<f32>());
        let (Some(p), Some(v), Some(g)) = slices else {
            panic!("a parameter or its gradient is not f32; this is a bug in retrograde");
        };
        for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
            *v = momentum * *v + (g + decay * *p);
            *p -= rate * *v;
        }
        moved.push(leaf);
    }
    let mut moved = moved.into_iter();
    state.parameters = state.parameters.map(&mut |old| moved.next().unwrap_or_else(|| old.clone()));
}

fn is_finite(array: &Array) -> bool {
    array.as_slice::<f32>().is_none_or(|entries| entries.iter().all(|x| x.is_finite()))
}

/// Runs a step again and looks where the first NaN or infinity comes from.
fn first_place(lowered: &Lowered, parameters: &Mlp<Array>, x: Array, labels: Array) -> Option<RunError> {
    let interpreter = Interpreter { config: RunConfig { look_for_non_finite: true } };
    let leaves = tree::leaves(parameters).into_iter().map(|(_, leaf)| leaf);
    let inputs: Vec<Value> = leaves.chain([x, labels]).map(Value::Array).collect();
    let tape = match interpreter.run(&lowered.forward, inputs.clone()) {
        Ok((mut out, _)) => out.split_off(lowered.n_outputs),
        Err(place) => return Some(place),
    };
    let seed = Value::Array(Array::scalar(1.0_f32));
    interpreter.run(&lowered.backward, inputs.into_iter().chain(tape).chain([seed]).collect()).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Silent, digits, stratified_folds};

    fn first_fold(data: &Dataset) -> Fold {
        let mut n_calls = 0;
        let mut permute = |n| {
            n_calls += 1;
            rng::permutation(Key::from_seed(5).fold_in(n_calls), n)
        };
        stratified_folds(&data.labels, 5, &mut permute).unwrap().remove(0)
    }

    fn run(recipe: &Recipe, seed: u64) -> (Result<Trained, TrainError>, Vec<Record>) {
        let data = digits();
        let mut records = vec![];
        let mut listeners = Listeners {
            progress: &mut Silent,
            metrics: &mut |record| {
                records.push(*record);
                Ok(())
            },
            interrupt: &AtomicBool::new(false),
        };
        let result = train(recipe, &data, &first_fold(&data), Key::from_seed(seed), &mut listeners);
        (result, records)
    }

    fn short() -> Recipe {
        Recipe::parse("epochs = 2\nbatch = 100\nmodel.hidden = [16]", "short.toml").unwrap()
    }

    fn leaves(trained: &Trained) -> Vec<(String, Array)> {
        tree::leaves(&trained.parameters)
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
        assert_eq!(records[1].test_accuracy, Some(first.test_accuracy));
        assert!(records[1].train_loss < records[0].train_loss);
    }

    /// The same rule in `f64` by hand for one full batch: gradient of a linear model in closed form.
    #[test]
    fn weights_decay_and_biases_do_not() {
        let recipe = Recipe { weight_decay: 0.5, momentum: 0.0, ..short() };
        let data = digits();
        let parameters = first_parameters(&recipe, &data, Key::from_seed(0));
        let zeros: Vec<Array> = tree::leaves(&parameters)
            .into_iter()
            .map(|(_, leaf)| Array::zeros(leaf.dtype(), leaf.shape().clone()))
            .collect();
        let bias = parameters.map(&mut |leaf| {
            if leaf.rank() == 1 {
                Array::full(DType::F32, leaf.shape().clone(), 3.0_f32.into())
            } else {
                leaf.clone()
            }
        });
        let mut state = State { parameters: bias.clone(), velocity: zeros.clone() };
        update(&mut state, &zeros, &recipe, 0.5);
        for ((path, before), (_, after)) in
            tree::leaves(&bias).into_iter().zip(tree::leaves(&state.parameters))
        {
            let factor = if path.ends_with("weight") { 0.75 } else { 1.0 };
            let expected: Vec<f32> = before.to_vec::<f32>().unwrap().iter().map(|x| x * factor).collect();
            let found = after.to_vec::<f32>().unwrap();
            assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() <= 1e-6 * e.abs()), "{path}");
        }
    }

    #[test]
    fn the_cosine_falls_from_the_learning_rate_towards_zero() {
        let recipe = Recipe { learning_rate: 0.2, schedule: Schedule::Cosine, ..short() };
        assert_eq!(learning_rate(&recipe, 1, 10), 0.2);
        assert!((learning_rate(&recipe, 6, 10) - 0.1).abs() < 1e-15);
        assert!(learning_rate(&recipe, 10, 10) > 0.0);
        let recipe = Recipe { schedule: Schedule::Constant, ..recipe };
        assert_eq!(learning_rate(&recipe, 10, 10), 0.2);
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
        assert!(place.location.unwrap().to_string().contains("train.rs:"), "{place}");
        assert!(tree::leaves(&stop.last_good).iter().all(|(_, leaf)| is_finite(leaf)));
        assert!(
            error
                .to_string()
                .starts_with("step 2 (epoch 1): the loss is not finite\n  first in dot_general: ")
        );
    }

    #[test]
    fn an_update_that_overflows_names_the_parameter() {
        let recipe = short().amend("learning_rate = 1e300", "test").unwrap();
        let error = run(&recipe, 1).0.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("step 1 (epoch 1): the update of `hidden.0.weight` is not finite\n  help: "),
            "{text}"
        );
        assert!(tree::leaves(error.parameters().unwrap()).iter().all(|(_, leaf)| is_finite(leaf)));
    }

    #[test]
    fn an_interrupt_and_a_full_disk_stop_the_run() {
        let (data, fold) = (digits(), first_fold(&digits()));
        let run = |interrupt: bool| {
            let mut listeners = Listeners {
                progress: &mut Silent,
                metrics: &mut |_| Err(RunFolderError::Name { name: "full".into() }),
                interrupt: &AtomicBool::new(interrupt),
            };
            train(&short(), &data, &fold, Key::from_seed(1), &mut listeners).unwrap_err()
        };
        assert_eq!(run(true).to_string(), "interrupted before step 1 of 30");
        assert!(matches!(run(false), TrainError::Metrics(_)));
    }

    #[test]
    fn networks_too_large_are_refused_before_they_are_made() {
        let recipe = short().amend("model.hidden = [65536, 65536]", "test").unwrap();
        let text = run(&recipe, 1).0.unwrap_err().to_string();
        assert!(text.starts_with("the network has 4299948042 parameters"), "{text}");
        assert!(text.contains("help: lower `model.hidden`"));
    }
}
