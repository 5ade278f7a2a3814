//! What a step minimises: the loss of a batch, with images shifted, rows mixed in pairs and labels smoothed as the recipe says.

use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::estimate::draw::split;
use retrograde_tricks::primal::augment;
use retrograde_tricks::primal::label_smoothing::smoothed_cross_entropy;
use retrograde_tricks::primal::loss::cross_entropy;
use retrograde_tricks::primal::mixup::{mixing, mixup};

use crate::data::{Dataset, Layout};
use crate::model::{Buffers, Layers, Pass};
use crate::recipe::Recipe;

/// What a step learns from.
#[derive(Tree, Clone, Debug)]
pub(crate) struct Batch<T> {
    /// `[n, features]`
    pub(crate) x: T,
    /// What is to come out.
    pub(crate) goal: Goal<T>,
    /// Decides what is left out and how images are shifted, `i64[2]`.
    pub(crate) key: T,
}

/// What is to come out of a batch.
#[derive(Tree, Clone, Debug)]
pub(crate) struct Goal<T> {
    /// Class numbers `i64[n]`, or standardised numbers `[n, 1]`.
    pub(crate) targets: T,
    /// What each row is mixed with.
    pub(crate) mix: Option<Mix<T>>,
}

/// How rows are mixed. Source: that of [`mixup`].
#[derive(Tree, Clone, Debug)]
pub(crate) struct Mix<T> {
    /// How much of each row stays.
    share: T,
    /// `i64[n]`, the row that the rest comes from.
    partners: T,
}

impl Mix<Array> {
    /// A share and partners for a batch of `n` rows, if rows are mixed.
    pub(crate) fn draw(recipe: &Recipe, key: Key, n: usize) -> Option<Mix<Array>> {
        let keys = key.split(2);
        let share = mixing(keys[0], recipe.mixup).ok()?;
        let partners = rng::permutation(keys[1], n).into_iter().map(|row| row as i64).collect();
        Some(Mix { share: array(share as f32), partners: Array::vector(partners) })
    }
}

/// What is minimised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    is_classes: bool,
    label_smoothing: f64,
    shift: u32,
    image: Option<(usize, usize)>,
}

impl Loss {
    /// Of a recipe on some data.
    pub(crate) fn new(recipe: &Recipe, data: &Dataset) -> Loss {
        let image = match data.inputs.layout {
            Layout::Images { height, width } => Some((height, width)),
            Layout::Columns { .. } => None,
        };
        let is_classes = data.targets.labels().is_some();
        Loss { is_classes, label_smoothing: recipe.label_smoothing, shift: recipe.shift, image }
    }

    /// Of a batch, and the buffers after it.
    #[track_caller]
    pub(crate) fn of(
        self,
        layers: &Layers<Var>,
        buffers: &Buffers<Var>,
        batch: &Batch<Var>,
    ) -> (Var, Buffers<Var>) {
        let keys = split(batch.key, 2);
        let mut x = batch.x;
        if let (1.., Some((height, width))) = (self.shift, self.image) {
            let shape = x.shape();
            let images = x.reshape([shape[0], 1, height, width]);
            x = augment::shift(images, keys[1], self.shift as usize).reshape(shape);
        }
        if let Some(mix) = &batch.goal.mix {
            x = mixup(x, mix.partners, mix.share);
        }
        layers.loss(self, x, &batch.goal, buffers, Pass::Training(keys[0]))
    }

    /// Of outputs. The loss is linear in the targets, so that of mixed targets is the mixed loss.
    #[track_caller]
    pub(crate) fn of_outputs(self, outputs: Var, goal: &Goal<Var>) -> Var {
        let loss = self.of_targets(outputs, goal.targets);
        match &goal.mix {
            Some(mix) => {
                let others = self.of_targets(outputs, goal.targets.gather(0, mix.partners));
                loss * mix.share + others * (1.0 - mix.share)
            }
            None => loss,
        }
    }

    #[track_caller]
    fn of_targets(self, outputs: Var, targets: Var) -> Var {
        if !self.is_classes {
            return squared_error(outputs, targets);
        }
        if self.label_smoothing == 0.0 {
            return cross_entropy(outputs, targets);
        }
        smoothed_cross_entropy(outputs, targets, self.label_smoothing)
    }
}

/// Mean of (output − target)².   outputs: [n, 1], targets: [n, 1] → number.
#[track_caller]
pub(crate) fn squared_error(outputs: Var, targets: Var) -> Var {
    let error = outputs - targets;
    (error * error).mean()
}
