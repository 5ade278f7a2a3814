//! Steps by the gradients of minibatches: one gradient program for whole batches and one for the last, smaller batch of an epoch, which is
//! kept. All of it in `f32`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use retrograde_array::Array;
use retrograde_array::rng::{self, Key};
use retrograde_core::exec::{Executor, RunConfig, RunError};
use retrograde_core::prim::Value;
use retrograde_core::tape::Lowered;
use retrograde_core::trace::door::{ValueAndGrad, Vjp};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::{Tree, Var, tree};
use retrograde_engine::{Engine, value_and_grad, vjp};
use retrograde_tricks::update::map::{State, Update};

use super::course::{Course, Epoch, norms_by_layer};
use super::{Job, Listeners, NotFinite, TrainError, Trained};
use crate::checkpoint::Checkpoint;
use crate::evaluate::{batch_of, targets_of};
use crate::loss::{Batch, Goal, Loss, Mix};
use crate::model::{Buffers, Layers, Network, like};
use crate::recipe::{Recipe, Rule};
use crate::update::{Rates, chain_of, kept, set_rate};

/// See [`super::train`].
pub(super) fn train(
    job: Job<'_>,
    rule: Rule,
    from: Option<Checkpoint>,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, TrainError> {
    let mut run = Run::start(job, rule, from)?;
    listeners.progress.begin(run.total_steps);
    let result = run.epochs(listeners);
    listeners.progress.end();
    result?;
    let kept = run.kept();
    run.course.finish(&kept)
}

/// A run between two steps.
pub(super) struct Run<'a> {
    course: Course<'a>,
    update: Update,
    state: State<Array>,
    rates: Rates,
    batch: usize,
    total_steps: u64,
}

impl Run<'_> {
    pub(super) fn start(job: Job<'_>, rule: Rule, from: Option<Checkpoint>) -> Result<Run<'_>, TrainError> {
        let Job { recipe, fold, .. } = job;
        let course = Course::start(job, from.as_ref())?;
        let batch = (recipe.batch as usize).min(fold.train.len());
        let steps_per_epoch = fold.train.len().div_ceil(batch) as u64;
        let total_steps = u64::from(recipe.epochs) * steps_per_epoch;
        let update = chain_of(recipe, rule, total_steps);
        let mut state = update.init(&course.network.layers)?;
        if let Some(from) = from {
            let n_before = u64::from(from.position.epoch - 1) * steps_per_epoch;
            if from.position.step != n_before.saturating_add(from.position.n_batches) {
                return Err(TrainError::OtherRun { what: "the number of rows or of layers" });
            }
            state = like(&state, &from.update).ok_or(TrainError::OtherRun { what: "the update" })?;
        }
        let rates = Rates::new(recipe, total_steps);
        Ok(Run { course, update, state, rates, batch, total_steps })
    }

    fn epochs(&mut self, listeners: &mut Listeners<'_>) -> Result<(), TrainError> {
        let Job { recipe, data, fold, key } = self.course.job;
        let keys = key.split(4);
        let (order_key, pass_key, mix_key) = (keys[1], keys[2], keys[3]);
        let loss_of = Loss::new(recipe, data);
        let door = door(loss_of, recipe);
        let mut last_good = self.course.network.clone();
        let mut last_checkpoint = Instant::now();
        while !self.course.position.is_finished {
            let epoch = self.course.position.epoch;
            let order = rng::permutation(order_key.fold_in(u64::from(epoch)), fold.train.len());
            let rows: Vec<usize> = order.into_iter().map(|i| fold.train[i]).collect();
            for rows in rows.chunks(self.batch).skip(self.course.position.n_batches as usize) {
                let step = self.course.position.step + 1;
                if listeners.interrupt.load(Ordering::Relaxed) {
                    (listeners.checkpoint)(&self.checkpoint())?;
                    let network = Box::new(self.course.network.clone());
                    return Err(TrainError::Interrupted { step, total_steps: self.total_steps, network });
                }
                let rate = self.rates.of(step)?;
                let batch = self.batch((pass_key.fold_in(step), mix_key.fold_in(step)), rows);
                let stop = |what: String, place: Option<RunError>, last_good: &Network| {
                    let help =
                        format!("lower `learning_rate` (it was {rate:e} in this step) or raise `batch`");
                    let last_good = last_good.clone();
                    TrainError::NotFinite(Box::new(NotFinite { step, epoch, what, place, help, last_good }))
                };
                let ((loss, buffers), pullback) =
                    door.call((&self.course.network.layers, &self.course.network.buffers, &batch))?;
                let nothing = buffers.map(&mut |leaf| Array::zeros(leaf.dtype(), leaf.shape().clone()));
                let one = Array::scalar(1.0_f32);
                let gradient = pullback.call(&(one, nothing))?;
                let loss = f64::from(loss.item::<f32>().unwrap_or(f32::NAN));
                let leaves = tree::leaves(&gradient);
                if !loss.is_finite() || !leaves.iter().all(|(_, leaf)| is_finite(leaf)) {
                    let what = if loss.is_finite() { "the gradient" } else { "the loss" };
                    let lowered = loss_door(loss_of, recipe).lowered((
                        &self.course.network.layers,
                        &self.course.network.buffers,
                        &batch,
                    ))?;
                    let place = first_place(&lowered, &self.course.network, &batch);
                    return Err(stop(what.into(), place, &last_good));
                }
                last_good = self.course.network.clone();
                for (sum, norm) in self.course.position.norm_sums.iter_mut().zip(norms_by_layer(&leaves)) {
                    *sum += norm;
                }
                set_rate(&mut self.state, rate);
                let layers = self.course.network.layers.clone();
                let (layers, state) = self.update.step(&gradient, self.state.clone(), layers)?;
                let moved = tree::leaves(&layers);
                if let Some((path, _)) = moved.iter().find(|(_, leaf)| !is_finite(leaf)) {
                    return Err(stop(format!("the update of `{path}`"), None, &last_good));
                }
                (self.course.network, self.state) = (Network { layers, buffers }, state);
                self.course.position.loss_sum += loss * rows.len() as f64;
                self.course.position.n_batches += 1;
                self.course.position.step = step;
                listeners.progress.step(step, loss);
                if last_checkpoint.elapsed() >= listeners.checkpoint_every {
                    (listeners.checkpoint)(&self.checkpoint())?;
                    last_checkpoint = Instant::now();
                }
            }
            let record = self.end_epoch()?;
            (listeners.metrics)(&record)?;
            if self.course.position.is_finished {
                (listeners.checkpoint)(&self.checkpoint())?;
            }
        }
        Ok(())
    }

    fn batch(&self, keys: (Key, Key), rows: &[usize]) -> Batch<Array> {
        let Job { recipe, data, .. } = self.course.job;
        let mix = Mix::draw(recipe, keys.1, rows.len()).filter(|_| recipe.mixup > 0.0);
        Batch {
            x: batch_of(&data.inputs, &self.course.scaling, rows),
            goal: Goal { targets: targets_of(&data.targets, &self.course.scaling, rows), mix },
            key: keys.0.to_array(),
        }
    }

    fn end_epoch(&mut self) -> Result<super::Record, TrainError> {
        let position = &self.course.position;
        let n_batches = position.n_batches as f64;
        let Job { recipe, fold, .. } = self.course.job;
        let epoch = Epoch {
            train_loss: position.loss_sum / fold.train.len() as f64,
            learning_rate: Some(self.rates.of(position.step)?),
            gradient_norms: position.norm_sums.iter().map(|sum| sum / n_batches).collect(),
            passes: None,
            end: None,
            is_last: position.epoch == recipe.epochs,
        };
        let kept = self.kept();
        self.course.end_epoch(&kept, epoch)
    }

    /// The network as it stands, with averaged parameters if the recipe says so.
    fn kept(&self) -> Network {
        let Course { job, network, .. } = &self.course;
        let layers = kept(job.recipe, &self.state, &network.layers);
        Network { layers, buffers: network.buffers.clone() }
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.course.checkpoint(tree::leaves(&self.state))
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
pub(super) fn loss_door(
    loss: Loss,
    recipe: &Recipe,
) -> ValueAndGrad<impl Function<Inputs, Output = Var>, Inputs> {
    let f = move |layers: Layers<Var>, buffers: Buffers<Var>, batch: Batch<Var>| {
        loss.of(&layers, &buffers, &batch).0
    };
    value_and_grad(f).wrt::<0>().tape(recipe.tape)
}

pub(super) fn is_finite(array: &Array) -> bool {
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
