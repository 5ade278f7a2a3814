//! Steps down the mean loss over all training rows, by the methods of [`finite_sum`](retrograde_tricks::update::finite_sum).
//!
//! ```text
//! F(w) = (1/n) Σᵢ loss(network(w, xᵢ), yᵢ) + ½ weight_decay |w|²        over all parameters, biases too
//! ```
//!
//! In `f64`; what is scored, kept and predicted with is rounded to `f32`. An epoch is a pass: n gradients of a row, where a product with
//! the curvature counts as one. A step that costs several passes ends several epochs at once and has one record; one that costs less
//! has a record with those after it. Between any two steps the run can be put away, to go on to the same bits.

use std::sync::atomic::Ordering;
use std::time::Instant;

use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::var::constant;
use retrograde_core::trace::{Tree, Var, tree};
use retrograde_tricks::update::finite_sum::{Descent, FiniteSum, FiniteSumError, Progress, Stop};

use super::course::{Course, Epoch, norms_by_layer};
use super::minibatches::is_finite;
use super::{Job, Listeners, NotFinite, TrainError, Trained};
use crate::checkpoint::{Checkpoint, Named};
use crate::evaluate::{batch_of, targets_of, wide};
use crate::loss::{Goal, Loss};
use crate::model::{Layers, Network, Pass};
use crate::recipe::Minimiser;
use crate::standardise::Scaling;

/// What the rate of a run is called among the things that it remembers.
const RATE: &str = "rate";

/// See [`super::train`].
pub(super) fn train(
    job: Job<'_>,
    minimiser: &Minimiser,
    from: Option<Checkpoint>,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, TrainError> {
    let mut course = Course::start(job, from.as_ref())?;
    listeners.progress.begin(job.recipe.epochs.into());
    let result = steps(&mut course, minimiser, from, listeners);
    listeners.progress.end();
    result?;
    let last = course.network.clone();
    course.finish(&last)
}

/// The sum over the training rows, which begins at a network.
pub(super) fn sum_of(
    job: Job<'_>,
    scaling: &Scaling,
    network: &Network,
) -> Result<FiniteSum<Layers<Var>>, FiniteSumError> {
    let Job { recipe, data, fold, .. } = job;
    let x = wide(&batch_of(&data.inputs, scaling, &fold.train));
    let targets = wide(&targets_of(&data.targets, scaling, &fold.train));
    let buffers = network.buffers.map(&mut |leaf| wide(leaf));
    let one_row = |x: Var| x.reshape([&[1], &x.shape()[..]].concat());
    let model = move |layers: Layers<Var>, (x, _): (Var, Var)| {
        let buffers = buffers.map(&mut |leaf| constant(leaf));
        let outputs = layers.forward(one_row(x), &buffers, Pass::Evaluation).0;
        outputs.reshape([outputs.shape().size()])
    };
    let loss = Loss::new(recipe, data);
    let of_row = move |outputs: Var, (_, target): (Var, Var)| {
        loss.of_outputs(one_row(outputs), &Goal { targets: one_row(target), mix: None })
    };
    FiniteSum::new(network.layers.map(&mut |leaf| wide(leaf)), (x, targets), model, of_row)?
        .l2(recipe.weight_decay)
}

/// Where a run begins, or where it stood; and its rate, if the method has one.
fn descent_of<'s>(
    sum: &'s FiniteSum<Layers<Var>>,
    course: &Course<'_>,
    minimiser: &Minimiser,
    from: Option<Checkpoint>,
) -> Result<(Descent<'s>, Option<f64>), TrainError> {
    let Job { recipe, fold, key, .. } = course.job;
    let refused = |error| refused(error, minimiser);
    let limits = minimiser.limits(recipe.epochs, key.split(2)[1].0[0]);
    let mut method = minimiser.method.damped();
    if let Some(from) = from {
        let rate = from.update.iter().find(|(name, _)| name == RATE);
        let rate = rate.and_then(|(_, rate)| rate.item::<f64>());
        if let Some((own, _)) = method.rate() {
            *own = rate.ok_or(TrainError::OtherRun { what: "the update" })?;
        }
        let resumed = sum.resume(method.of_sum(), limits, &from.update).map_err(|error| match error {
            FiniteSumError::Memory { .. } => TrainError::OtherRun { what: "the update" },
            error => refused(error),
        })?;
        return Ok((resumed, rate));
    }
    let start = course.network.layers.map(&mut |leaf| wide(leaf));
    let mut n_gradients = 0;
    let rate = match method.rate() {
        None => None,
        Some((own, _)) if *own > 0.0 => Some(*own),
        Some((own, of_curvature_one)) => {
            let curvature = sum.largest_curvature(&start).map_err(refused)? + recipe.weight_decay;
            n_gradients = fold.train.len();
            // Rows that are all zero have no curvature, and any rate is right.
            *own = if curvature > 0.0 { of_curvature_one / curvature } else { of_curvature_one };
            Some(*own)
        }
    };
    let begun = sum.begin(method.of_sum(), limits, &start);
    let mut begun = begun.map_err(|error| failed(error, course, rate, minimiser))?;
    begun.charge(n_gradients);
    Ok((begun, rate))
}

fn steps(
    course: &mut Course<'_>,
    minimiser: &Minimiser,
    from: Option<Checkpoint>,
    listeners: &mut Listeners<'_>,
) -> Result<(), TrainError> {
    if course.position.is_finished {
        return Ok(());
    }
    let recipe = course.job.recipe;
    let refused = |error| refused(error, minimiser);
    let sum = sum_of(course.job, &course.scaling, &course.network).map_err(refused)?;
    let (mut descent, rate) = descent_of(&sum, course, minimiser, from)?;
    let remembered = |memory: Named| -> Named {
        rate.map(|rate| (RATE.to_owned(), Array::scalar(rate))).into_iter().chain(memory).collect()
    };
    let at = |layers: &Layers<Array>| sum.value_and_gradient(layers).map_err(refused);
    let mut here = sum.tree(descent.progress().w);
    let mut loss = at(&here)?.0 - penalty(recipe.weight_decay, &here);
    let mut last_checkpoint = Instant::now();
    while !course.position.is_finished {
        if listeners.interrupt.load(Ordering::Relaxed) {
            (listeners.checkpoint)(&course.checkpoint(remembered(descent.memory())))?;
            return Err(TrainError::InterruptedInPass {
                passes: descent.progress().passes,
                epochs: recipe.epochs,
                network: Box::new(course.network.clone()),
            });
        }
        let stop = descent.step().map_err(|error| failed(error, course, rate, minimiser))?;
        let Progress { n_steps, passes, w } = descent.progress();
        let before = std::mem::replace(&mut here, sum.tree(w));
        // Methods judge a step by the next one. The last has none: it is taken back if it raised the sum.
        if stop == Some(Stop::Passes) && at(&before)?.0 < at(&here)?.0 {
            here = before;
        }
        let layers = here.map(&mut |leaf| ops::convert(leaf, DType::F32));
        if let Some((path, _)) = tree::leaves(&layers).iter().find(|(_, leaf)| !is_finite(leaf)) {
            let what = format!("the update of `{path}`, as f32,");
            return Err(not_finite(what, n_steps as u64, passes, course, rate));
        }
        course.network = Network { layers, buffers: course.network.buffers.clone() };
        course.position.step = n_steps as u64;
        let n_epochs = if stop.is_some() { passes.ceil() } else { passes.floor() } as u32;
        if stop.is_some() || n_epochs >= course.position.epoch {
            course.position.epoch = course.position.epoch.max(n_epochs);
            let (value, slope) = at(&here)?;
            loss = value - penalty(recipe.weight_decay, &here);
            let epoch = Epoch {
                train_loss: loss,
                learning_rate: rate,
                gradient_norms: norms_by_layer(&tree::leaves(&slope)),
                passes: Some(passes),
                end: stop.map(end_of),
                is_last: stop.is_some(),
            };
            let last = course.network.clone();
            let record = course.end_epoch(&last, epoch)?;
            (listeners.metrics)(&record)?;
        }
        listeners.progress.step((passes as u64).min(recipe.epochs.into()), loss);
        if course.position.is_finished || last_checkpoint.elapsed() >= listeners.checkpoint_every {
            (listeners.checkpoint)(&course.checkpoint(remembered(descent.memory())))?;
            last_checkpoint = Instant::now();
        }
    }
    Ok(())
}

/// ½ λ |w|².
fn penalty(weight_decay: f64, layers: &Layers<Array>) -> f64 {
    let leaves = tree::leaves(layers);
    let squares = leaves.iter().flat_map(|(_, leaf)| leaf.as_slice::<f64>().unwrap_or_default());
    0.5 * weight_decay * squares.map(|w| w * w).sum::<f64>()
}

/// What the last record says of why a method ended.
fn end_of(stop: Stop) -> &'static str {
    match stop {
        Stop::Tolerance => "tolerance",
        Stop::Passes => "epochs",
        Stop::NoDescent => "no step leads down",
        Stop::Observer => "interrupt",
    }
}

/// Why a method failed, with the network before its last step where numbers are not finite.
fn failed(
    error: FiniteSumError,
    course: &Course<'_>,
    rate: Option<f64>,
    minimiser: &Minimiser,
) -> TrainError {
    match error {
        FiniteSumError::NotFinite { what, n_steps, passes } => {
            not_finite(format!("the {what}"), n_steps as u64 + 1, passes, course, rate)
        }
        error => refused(error, minimiser),
    }
}

/// Whatever else is wrong with a method and its sum.
pub(super) fn refused(error: FiniteSumError, minimiser: &Minimiser) -> TrainError {
    TrainError::FiniteSum { source: Box::new(error), update: minimiser.name() }
}

fn not_finite(what: String, step: u64, passes: f64, course: &Course<'_>, rate: Option<f64>) -> TrainError {
    let help = match rate {
        Some(rate) => format!("lower `update.rate` (it was {rate:e})"),
        None => "raise `weight_decay`, or set `standardise = \"yes\"`".into(),
    };
    let (epoch, last_good) = (passes as u32 + 1, course.network.clone());
    TrainError::NotFinite(Box::new(NotFinite { step, epoch, what, place: None, help, last_good }))
}
