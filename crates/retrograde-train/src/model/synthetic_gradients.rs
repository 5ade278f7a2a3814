//! Dense layers that are cut in two: the part below learns from cotangents that a third, small network predicts from the values at the
//! cut, and never waits for the part above.
//!
//! The prediction is linear in the values, begins at zero, and learns from the cotangents that the part above makes.
//! Source: M. Jaderberg et al., Decoupled neural interfaces using synthetic gradients, ICML 2017, section 2.1; zeros there in appendix B.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::adjoint::synthetic_gradient::decoupled;
use retrograde_tricks::primal::dense::{self, Linear, Mlp};

use super::dense_keys::{dense_keys, xavier};
use super::{Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, no_finite_sum};
use crate::loss::{Goal, Loss};
use crate::recipe::{Setting, setting};

dense_keys!(
    [256, 256], Tanh,
    /// How many of the hidden layers lie below the cut, from 1.
    cut: u32 = 1, depth cut
);

/// The layers above the cut, and what they shall make of it.
#[derive(Tree, Clone, Debug)]
struct Above<T> {
    hidden: Vec<Linear<T>>,
    head: Linear<T>,
    goal: Goal<T>,
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    below: Vec<Linear<T>>,
    above: Vec<Linear<T>>,
    head: Linear<T>,
    /// Predicts the cotangent at the cut of a row's own loss.
    prediction: Linear<T>,
    activation: dense::Activation,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = KEYS;

    fn check(&self, _: &Interface) -> Result<(), Misfit> {
        if self.cut as usize > self.hidden.len() {
            return Err(Misfit {
                key: "cut",
                message: format!(
                    "found a cut above {} hidden layers of {}, expected at most as many",
                    self.cut,
                    self.hidden.len()
                ),
                help: "lower `cut`, or name more widths under `hidden`".into(),
            });
        }
        Ok(())
    }

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        no_finite_sum("whose cotangents are predicted")
    }

    fn size(&self, interface: &Interface) -> Size {
        let at_cut = self.hidden.get(self.cut as usize - 1).copied().unwrap_or_default();
        Size::of_dense(&self.hidden, interface).dense(at_cut.into(), at_cut.into(), 1)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let Mlp { hidden: mut below, head, activation } =
            xavier(key, &self.hidden, self.activation, interface);
        let above = below.split_off(self.cut as usize);
        let at_cut = self.hidden[self.cut as usize - 1] as usize;
        let prediction =
            Linear { weight: Array::zeros(DTYPE, [at_cut, at_cut]), bias: Array::zeros(DTYPE, [at_cut]) };
        (Layers { below, above, head, prediction, activation }, Buffers::default())
    }
}

/// Layers with an activation after each.
#[track_caller]
fn through(layers: &[Linear<Var>], activation: dense::Activation, x: Var) -> Var {
    let mut last = x;
    for layer in layers {
        last = activation.apply(layer.apply(last));
    }
    last
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, _: Pass) -> (Var, Buffers<Var>) {
        let h = through(&self.below, self.activation, x);
        (self.head.apply(through(&self.above, self.activation, h)), buffers.clone())
    }

    /// The loss is a mean over n rows, so a cotangent at the cut is an n-th of that of a row's own loss, which is predicted.
    fn loss(
        &self,
        loss: Loss,
        x: Var,
        goal: &Goal<Var>,
        buffers: &Buffers<Var>,
        _: Pass,
    ) -> (Var, Buffers<Var>) {
        let h = through(&self.below, self.activation, x);
        let n = x.shape()[0].max(1) as f64;
        let predicted = self.prediction.apply(h.stop_gradient()) / n;
        let above = Above { hidden: self.above.clone(), head: self.head.clone(), goal: goal.clone() };
        let activation = self.activation;
        let (of_batch, of_prediction) = decoupled(h, predicted, above, move |above: Above<Var>, h: Var| {
            let outputs = above.head.apply(through(&above.hidden, activation, h));
            loss.of_outputs(outputs, &above.goal)
        });
        // Squares of errors that are n times as large.
        (of_batch + n * n * of_prediction, buffers.clone())
    }
}
