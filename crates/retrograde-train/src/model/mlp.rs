//! Dense layers with an activation between them, and dropout after it.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_tricks::primal::dense::{self, Mlp};

use super::dense_keys::{dense_keys, xavier};
use super::{Buffers, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, nothing_left_out};
use crate::recipe::{Setting, setting};

dense_keys!(
    [64], Tanh,
    /// Share of the hidden values that are left out in training, from 0 to below 1.
    dropout: f64 = 0.0, share dropout
);

/// The dense layers, and the share that is left out after them.
#[derive(retrograde_derive::Tree, Clone, Debug)]
pub struct Layers<T> {
    /// Layers with activation.
    pub hidden: Vec<dense::Linear<T>>,
    /// The last layer, without.
    pub head: dense::Linear<T>,
    activation: dense::Activation,
    dropout: f64,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = KEYS;

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        nothing_left_out(self.dropout)
    }

    fn size(&self, interface: &Interface) -> Size {
        Size::of_dense(&self.hidden, interface)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let Mlp { hidden, head, activation } = xavier(key, &self.hidden, self.activation, interface);
        (Layers { hidden, head, activation, dropout: self.dropout }, Buffers::default())
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let keys = pass.keys(self.hidden.len());
        let mut last = x;
        for (layer, key) in self.hidden.iter().zip(keys) {
            last = drop_out(key, self.dropout, self.activation.apply(layer.apply(last)));
        }
        (self.head.apply(last), buffers.clone())
    }
}
