//! Dense layers with an activation between them, and dropout after it.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_tricks::primal::dense::{self, Mlp};

use super::{Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, nothing_left_out};
use crate::recipe::{Activation, Setting, setting};

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// The widths of the hidden layers, each from 1 to 65,536.
    pub hidden: Vec<u32>,
    /// What stands after each hidden layer.
    pub activation: Activation,
    /// Share of the hidden values that are left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { hidden: vec![64], activation: Activation::Tanh, dropout: 0.0 }
    }
}

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
    const KEYS: &'static [Setting<Keys>] =
        &[setting!(widths hidden), setting!(choice activation: Activation), setting!(share dropout)];

    fn check(&self, _: &Interface) -> Result<(), Misfit> {
        Ok(())
    }

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        nothing_left_out(self.dropout)
    }

    fn size(&self, interface: &Interface) -> Size {
        Size::of_dense(&self.hidden, interface)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let hidden: Vec<usize> = self.hidden.iter().map(|&width| width as usize).collect();
        let activation = self.activation.function();
        let n_in = interface.layout.n_features();
        let Mlp { hidden, head, activation } =
            Mlp::xavier(key, n_in, &hidden, interface.n_outputs, activation, DTYPE);
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
