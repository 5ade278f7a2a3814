//! Long short-term memory over the rows of an image, from the top to the bottom; the last hidden values are classified.
//!
//! The adjoints of the state are clipped by value at every step of the reverse sweep, as in A. Graves, Generating sequences with
//! recurrent neural networks, 2013, section 2.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::full;
use retrograde_derive::Tree;
use retrograde_tricks::adjoint::clip::clip_each_step;
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::lstm::{Lstm, cell};

use super::{
    Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, images_only, no_finite_sum,
};
use crate::recipe::{Setting, setting};

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// Values of the state.
    pub hidden: u32,
    /// What no adjoint of the state exceeds, above 0: of the loss of a row, whatever the rows of a batch.
    pub clip: f64,
    /// Share of the last hidden values that are left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { hidden: 128, clip: 1.0, dropout: 0.2 }
    }
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    cell: Lstm<T>,
    head: Linear<T>,
    image: (usize, usize),
    clip: f64,
    dropout: f64,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] =
        &[setting!(width hidden), setting!(positive clip), setting!(share dropout)];

    fn check(&self, interface: &Interface) -> Result<(), Misfit> {
        images_only(interface).map(drop)
    }

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        no_finite_sum("whose adjoints are clipped")
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
            clip: self.clip,
            dropout: self.dropout,
        };
        (layers, Buffers::default())
    }
}

impl Layers<Var> {
    /// The hidden values after all steps, from a state of zeros.   xs: `[steps, n, in]` → `[n, hidden]`.
    #[track_caller]
    fn last_hidden(&self, bound: f64, xs: Var) -> Var {
        let hidden = self.cell.recurrent.shape()[0];
        let zeros = full(xs.dtype(), [xs.shape()[1], hidden], 0.0);
        let nothing: Vec<Var> = vec![];
        let step = |state: (Var, Var), driven: Var| {
            let (h, c) = clip_each_step(bound, state);
            let gates = driven + h.dot(self.cell.recurrent);
            let gate = |k: usize| gates.slice(1, k * hidden..(k + 1) * hidden);
            (cell(c, [gate(0), gate(1), gate(2), gate(3)]), nothing)
        };
        scan_over().run((zeros, zeros), self.cell.input.apply(xs), step).0.0
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let rows = x.reshape([x.shape()[0], self.image.0, self.image.1]).transpose(&[1, 0, 2]);
        // The loss is a mean over the rows of a batch, so the adjoints of each are as small as one over their number.
        let bound = self.clip / x.shape()[0].max(1) as f64;
        let last = self.last_hidden(bound, rows);
        let last = drop_out(pass.keys(1)[0], self.dropout, last);
        (self.head.apply(last), buffers.clone())
    }
}
