//! What runs share, whatever their update: where they stand, how good the network is at the end of an epoch, whether that was the last,
//! and which network is kept.

use retrograde_array::Array;
use retrograde_core::trace::tree;

use super::{Job, Record, TrainError, Trained};
use crate::checkpoint::{Checkpoint, Named, Position};
use crate::data::Dataset;
use crate::evaluate::{Evaluator, Score, score};
use crate::model::{Interface, Network, layer_of, like};
use crate::standardise::Scaling;

/// Training rows whose score is recorded after every epoch: enough for a curve, few enough to cost little.
const ROWS_OF_CURVE: usize = 512;

/// A run between two steps.
pub(super) struct Course<'a> {
    pub(super) job: Job<'a>,
    pub(super) scaling: Scaling,
    /// After the last step.
    pub(super) network: Network,
    pub(super) position: Position,
    best: Option<Network>,
    evaluator: Evaluator,
}

/// What an update says of an epoch that ends.
pub(super) struct Epoch {
    /// Mean loss of the rows.
    pub(super) train_loss: f64,
    /// Of the last step, where there is such a thing.
    pub(super) learning_rate: Option<f64>,
    /// Of each layer.
    pub(super) gradient_norms: Vec<f64>,
    /// Passes over the rows so far, where they are not the epochs.
    pub(super) passes: Option<f64>,
    /// Why no step is left, where it is not that the epochs are over.
    pub(super) end: Option<&'static str>,
    /// Whether no step is left.
    pub(super) is_last: bool,
}

impl<'a> Course<'a> {
    /// Before the first step, or where an earlier run of the same job stood.
    pub(super) fn start(job: Job<'a>, from: Option<&Checkpoint>) -> Result<Course<'a>, TrainError> {
        let Job { recipe, data, fold, key } = job;
        let scaling = Scaling::of(&data.inputs, &data.targets, &fold.train, recipe.standardise);
        let mut network = recipe.model.start(&Interface::of(data), key.split(2)[0]);
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
            if from.position.key != position.key {
                return Err(TrainError::OtherRun { what: "the seed" });
            }
            if from.position.recipe != position.recipe {
                return Err(TrainError::OtherRun { what: "the recipe" });
            }
            if from.position.norm_sums.len() != position.norm_sums.len() || from.position.epoch == 0 {
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
            position = from.position.clone();
        }
        Ok(Course { job, scaling, network, position, best, evaluator: Evaluator::new() })
    }

    /// Scores the network that would be kept, decides whether the epoch was the last, and begins the next.
    pub(super) fn end_epoch(&mut self, kept: &Network, of: Epoch) -> Result<Record, TrainError> {
        let Job { recipe, fold, .. } = self.job;
        let few = &fold.train[..fold.train.len().min(ROWS_OF_CURVE)];
        let train = self.score(kept, few)?;
        let validation = match &fold.validation[..] {
            [] => None,
            rows => Some(self.score(kept, rows)?),
        };
        let position = &mut self.position;
        if let Some(validation) = validation.filter(|_| recipe.patience > 0) {
            if validation.loss() < position.best_loss {
                (position.best_loss, position.n_stale) = (validation.loss(), 0);
                self.best = Some(kept.clone());
            } else {
                position.n_stale += 1;
            }
        }
        let is_stale = recipe.patience > 0 && position.n_stale >= recipe.patience;
        position.is_finished = of.is_last || is_stale;
        let mut record = Record {
            epoch: position.epoch,
            step: position.step,
            train_loss: of.train_loss,
            learning_rate: of.learning_rate,
            gradient_norms: of.gradient_norms,
            passes: of.passes,
            end: of.end.or((is_stale && of.passes.is_some()).then_some("patience")),
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
            match self.score(self.chosen(kept), &fold.test)? {
                Score::Classes { accuracy, .. } => record.test_accuracy = Some(accuracy),
                Score::Values { rmse, .. } => record.test_rmse = Some(rmse),
            }
        }
        Ok(record)
    }

    fn score(&self, network: &Network, rows: &[usize]) -> Result<Score, TrainError> {
        let Dataset { inputs, targets, .. } = self.job.data;
        let outputs = self.evaluator.outputs(network, inputs, &self.scaling, rows)?;
        Ok(score(&outputs, targets, &self.scaling, rows))
    }

    /// That of the best epoch if the run may stop early, else the last.
    fn chosen<'n>(&'n self, last: &'n Network) -> &'n Network {
        self.best.as_ref().unwrap_or(last)
    }

    /// What the run leaves; `kept` is the network that would be kept after the last step.
    pub(super) fn finish(self, kept: &Network) -> Result<Trained, TrainError> {
        let Job { data, fold, .. } = self.job;
        let network = self.chosen(kept).clone();
        let test_outputs = self.evaluator.outputs(&network, &data.inputs, &self.scaling, &fold.test)?;
        let test = score(&test_outputs, &data.targets, &self.scaling, &fold.test);
        let (n_steps, n_epochs) = (self.position.step, self.position.epoch - 1);
        Ok(Trained { network, scaling: self.scaling, test, test_outputs, n_steps, n_epochs })
    }

    /// Where the run stands, with what its update remembers.
    pub(super) fn checkpoint(&self, update: Named) -> Checkpoint {
        let both = |network: &Network| (tree::leaves(&network.layers), tree::leaves(&network.buffers));
        let (parameters, buffers) = both(&self.network);
        Checkpoint {
            position: self.position.clone(),
            parameters,
            buffers,
            update,
            best: self.best.as_ref().map(both),
        }
    }
}

/// The norm of the gradient of each layer.
pub(super) fn norms_by_layer(gradient: &[(String, Array)]) -> Vec<f64> {
    let mut squares = Vec::<(&str, f64)>::new();
    for (path, leaf) in gradient {
        let narrow = leaf.as_slice::<f32>().unwrap_or_default().iter().map(|&g| f64::from(g));
        let wide = leaf.as_slice::<f64>().unwrap_or_default().iter().copied();
        let sum: f64 = narrow.chain(wide).map(|g| g * g).sum();
        match squares.last_mut() {
            Some((last, squares)) if *last == layer_of(path) => *squares += sum,
            _ => squares.push((layer_of(path), sum)),
        }
    }
    squares.into_iter().map(|(_, squares)| squares.sqrt()).collect()
}
