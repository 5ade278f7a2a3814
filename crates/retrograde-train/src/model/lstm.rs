//! Long short-term memory over the rows of an image, from the top to the bottom; the last hidden values are classified.
//!
//! The adjoints of the state are clipped at every step of the reverse sweep.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::lstm::Lstm;

use super::{Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, images_only};
use crate::recipe::{Setting, setting};

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// Values of the state.
    pub hidden: u32,
    /// Share of the last hidden values that are left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { hidden: 128, dropout: 0.2 }
    }
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    cell: Lstm<T>,
    head: Linear<T>,
    image: (usize, usize),
    dropout: f64,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = &[setting!(width hidden), setting!(share dropout)];

    fn check(&self, interface: &Interface) -> Result<(), Misfit> {
        images_only(interface).map(drop)
    }

    fn size(&self, interface: &Interface) -> Size {
        let (height, width) = interface.image().unwrap_or_default();
        let (hidden, height) = (u64::from(self.hidden), height as u64);
        Size::of_inputs(interface)
            .dense(width as u64, 4 * hidden, height)
            .with((4 * hidden).saturating_mul(hidden), (3 * hidden).saturating_mul(height))
            .dense(hidden, interface.n_outputs as u64, 1)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(2);
        let image = interface.image().unwrap_or_default();
        let hidden = self.hidden as usize;
        let layers = Layers {
            cell: Lstm::xavier(keys[0], image.1, hidden, DTYPE),
            head: Linear::xavier(keys[1], hidden, interface.n_outputs, DTYPE),
            image,
            dropout: self.dropout,
        };
        (layers, Buffers::default())
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let rows = x.reshape([x.shape()[0], self.image.0, self.image.1]).transpose(&[1, 0, 2]);
        let (_, (last, _)) = self.cell.apply(rows);
        let last = drop_out(pass.keys(1)[0], self.dropout, last);
        (self.head.apply(last), buffers.clone())
    }
}
