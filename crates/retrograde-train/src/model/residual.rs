//! Dense layers that add to their input: a stem, a loop over residual blocks, a layer norm, a head.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::layer_norm::LayerNorm;
use retrograde_tricks::primal::residual::{ResNet, Residual};

use super::{Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, nothing_left_out};
use crate::choice::choice;
use crate::recipe::{Setting, setting};

choice! {
    /// How the blocks begin, always as the identity.
    Start {
        /// Times 0, which is learnt. Source: Bachlechner et al. 2021.
        ReZero = "rezero",
        /// With zeros in their last layer. Source: Zhang, Dauphin and Ma 2019.
        Fixup = "fixup",
    }
}

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// Values between blocks.
    pub width: u32,
    /// Values inside a block.
    pub hidden: u32,
    /// How many there are.
    pub blocks: u32,
    /// How they begin.
    pub start: Start,
    /// Share of the values before and after the blocks that are left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { width: 128, hidden: 256, blocks: 4, start: Start::Fixup, dropout: 0.1 }
    }
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    stem: Linear<T>,
    stack: ResNet<T>,
    norm: LayerNorm<T>,
    head: Linear<T>,
    dropout: f64,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = &[
        setting!(width width),
        setting!(width hidden),
        setting!(depth blocks),
        setting!(choice start: Start),
        setting!(share dropout),
    ];

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        nothing_left_out(self.dropout)
    }

    fn size(&self, interface: &Interface) -> Size {
        let (width, hidden) = (self.width.into(), self.hidden.into());
        let block = Size::default().dense(width, hidden, 1).dense(hidden, width, 1).with(1, 0);
        let blocks = block.times(self.blocks.into());
        Size::of_inputs(interface)
            .dense(interface.layout.n_features() as u64, width, 1)
            .with(blocks.parameters, blocks.values)
            .with(2 * width, width)
            .dense(width, interface.n_outputs as u64, 1)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(3);
        let (width, hidden, n_blocks) = (self.width as usize, self.hidden as usize, self.blocks as usize);
        let block = |key: Key| match self.start {
            Start::ReZero => Residual::rezero(key, width, hidden, DTYPE),
            Start::Fixup => Residual::fixup(key, width, hidden, n_blocks, DTYPE),
        };
        let blocks: Vec<_> = keys[1].split(n_blocks).into_iter().map(block).collect();
        let stack = ResNet::of(&blocks)
            .unwrap_or_else(|error| panic!("blocks of one shape: {error}; this is a bug in retrograde"));
        let layers = Layers {
            stem: Linear::he(keys[0], interface.layout.n_features(), width, DTYPE),
            stack,
            norm: LayerNorm::new(width, DTYPE),
            head: Linear::xavier(keys[2], width, interface.n_outputs, DTYPE),
            dropout: self.dropout,
        };
        (layers, Buffers::default())
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let keys = pass.keys(2);
        let x = drop_out(keys[0], self.dropout, self.stem.apply(x));
        let x = self.norm.apply(self.stack.apply(x));
        let x = drop_out(keys[1], self.dropout, x);
        (self.head.apply(x), buffers.clone())
    }
}
