//! Convolutions in couplings: two halves of the channels update each other, so that under `tape = "reverse"` nothing of the images
//! between blocks is kept but the last and the bits that rounding destroys.
//!
//! A convolution makes 2 · `channels` channels of the image; a loop runs over the couplings, whose functions are convolution, relu,
//! convolution; the halves are pooled to 2 × 2 and classified.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::concat;
use retrograde_core::trace::window::{ConvConfig, PoolConfig, max_pool};
use retrograde_derive::Tree;
use retrograde_tricks::primal::conv::Conv;
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::reversible::couple;

use super::{
    Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, images_only, nothing_left_out,
};
use crate::recipe::{Setting, setting};

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// Channels of a half.
    pub channels: u32,
    /// Couplings.
    pub blocks: u32,
    /// Share of the pooled values that are left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { channels: 16, blocks: 4, dropout: 0.5 }
    }
}

/// `relu(x ∗ k₁ + b₁) ∗ k₂ + b₂`
#[derive(Tree, Clone, Debug)]
pub struct Branch<T> {
    inner: Conv<T>,
    outer: Conv<T>,
}

/// A coupling; in [`Layers`] all of them, along a new leading axis of each parameter.
#[derive(Tree, Clone, Debug)]
pub struct Block<T> {
    f: Branch<T>,
    g: Branch<T>,
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    stem: Conv<T>,
    blocks: Block<T>,
    head: Linear<T>,
    image: (usize, usize),
    dropout: f64,
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] =
        &[setting!(width channels), setting!(depth blocks), setting!(share dropout)];

    fn check(&self, interface: &Interface) -> Result<(), Misfit> {
        let (height, width) = images_only(interface)?;
        if height < 2 || width < 2 {
            return Err(Misfit {
                key: "name",
                message: format!("found images of {height}×{width} pixels, expected at least 2×2"),
                help: "use the model \"mlp\", which takes any inputs".into(),
            });
        }
        Ok(())
    }

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        nothing_left_out(self.dropout)
    }

    fn size(&self, interface: &Interface) -> Size {
        let (height, width) = interface.image().unwrap_or_default();
        let (channels, places) = (u64::from(self.channels), (height as u64).saturating_mul(width as u64));
        let blocks = Size::default()
            .dense(9 * channels, channels, places.saturating_mul(2))
            .times(4 * u64::from(self.blocks));
        Size::of_inputs(interface)
            .dense(9, 2 * channels, places)
            .with(blocks.parameters, blocks.values)
            .dense(8 * channels, interface.n_outputs as u64, 1)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(3);
        let (channels, n_blocks) = (self.channels as usize, self.blocks as usize);
        let config = ConvConfig::default().padding(1);
        let conv = |key, n_in, n_out| Conv::he(key, n_in, n_out, &[3, 3], config.clone(), DTYPE);
        let stacked = |key: Key| {
            let each: Vec<_> =
                key.split(n_blocks).into_iter().map(|key| conv(key, channels, channels).kernel).collect();
            let kernel = Array::stack(&each);
            kernel
                .unwrap_or_else(|error| panic!("kernels of one shape: {error}; this is a bug in retrograde"))
        };
        // The last layers begin at zero (Zhang, Dauphin and Ma 2019, Fixup): couplings begin as the identity.
        let branch = |key: Key| {
            let kernel = stacked(key);
            let zeros = Array::zeros(DTYPE, kernel.shape().clone());
            let layer = |kernel| Conv {
                kernel,
                bias: Array::zeros(DTYPE, [n_blocks, channels]),
                config: config.clone(),
            };
            Branch { inner: layer(kernel), outer: layer(zeros) }
        };
        let halves = keys[1].split(2);
        let layers = Layers {
            stem: conv(keys[0], 1, 2 * channels),
            blocks: Block { f: branch(halves[0]), g: branch(halves[1]) },
            head: Linear::xavier(keys[2], 8 * channels, interface.n_outputs, DTYPE),
            image: interface.image().unwrap_or_default(),
            dropout: self.dropout,
        };
        (layers, Buffers::default())
    }
}

impl Branch<Var> {
    #[track_caller]
    fn apply(&self, x: Var) -> Var {
        let hidden = self.inner.apply(x).max(0.0);
        self.outer.apply(hidden)
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let (height, width) = self.image;
        let n = x.shape()[0];
        let x = self.stem.apply(x.reshape([n, 1, height, width]));
        let channels = x.shape()[1] / 2;
        let halves = (x.slice(1, 0..channels), x.slice(1, channels..2 * channels));
        let nothing: Vec<Var> = vec![];
        let step =
            |halves, block: Block<Var>| (couple(halves, |x| block.f.apply(x), |y| block.g.apply(y)), nothing);
        let ((y1, y2), _) = scan_over().run(halves, self.blocks.clone(), step);
        let (rows, columns) = (height / 2, width / 2);
        let pool = PoolConfig::new([rows, columns]).strides([rows, columns]);
        let pooled = max_pool(concat(&[y1, y2], 1).max(0.0), &pool);
        let flat = pooled.slice(2, 0..2).slice(3, 0..2).reshape([n, 8 * channels]);
        let flat = drop_out(pass.keys(1)[0], self.dropout, flat);
        (self.head.apply(flat), buffers.clone())
    }
}
