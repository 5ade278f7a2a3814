//! Convolutions with batch norm and pooling between them, then a dense layer and dropout.
//!
//! Each stage is a few convolutions of odd size that keep the image's, each with batch norm and relu, and a pooling that halves it.
//! Source: K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015, section 2.1, with
//! the norm of S. Ioffe, C. Szegedy, ICML 2015.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::window::{ConvConfig, PoolConfig};
use retrograde_derive::Tree;
use retrograde_tricks::primal::batch_norm::{BatchNorm, Moments};
use retrograde_tricks::primal::conv::Conv;
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::pool::Pool;

use super::{
    Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, images_only, no_finite_sum,
    normalise,
};
use crate::choice::choice;
use crate::recipe::{Setting, setting};

choice! {
    /// What stands for a window of 2 × 2.
    Pooling {
        /// The largest value.
        Max = "max",
        /// The mean.
        Average = "average",
    }
}

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// Channels of each stage; the image is halved after each.
    pub channels: Vec<u32>,
    /// Convolutions in each stage.
    pub convolutions: u32,
    /// The size of the convolutions, odd.
    pub kernel: u32,
    /// How an image is halved.
    pub pool: Pooling,
    /// Values of the dense layer.
    pub dense: u32,
    /// Share of the values before and after the dense layer that are left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            channels: vec![32, 64],
            convolutions: 2,
            kernel: 3,
            pool: Pooling::Max,
            dense: 128,
            dropout: 0.5,
        }
    }
}

/// A convolution and its norm.
#[derive(Tree, Clone, Debug)]
pub struct Normed<T> {
    conv: Conv<T>,
    norm: BatchNorm<T>,
}

/// What stands before a pooling.
#[derive(Tree, Clone, Debug)]
pub struct Stage<T> {
    layers: Vec<Normed<T>>,
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    stages: Vec<Stage<T>>,
    dense: Linear<T>,
    head: Linear<T>,
    image: (usize, usize),
    pool: Pool,
    dropout: f64,
}

impl Keys {
    /// Height and width after all stages.
    fn last(&self, (height, width): (usize, usize)) -> (usize, usize) {
        let halved = |n: usize| n.checked_shr(self.channels.len() as u32).unwrap_or(0);
        (halved(height), halved(width))
    }
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = &[
        setting!(widths channels),
        setting!(depth convolutions),
        setting!(depth kernel),
        setting!(choice pool: Pooling),
        setting!(width dense),
        setting!(share dropout),
    ];

    fn check(&self, interface: &Interface) -> Result<(), Misfit> {
        let (height, width) = images_only(interface)?;
        if self.kernel.is_multiple_of(2) {
            return Err(Misfit {
                key: "kernel",
                message: format!("found convolutions of size {}, expected an odd one", self.kernel),
                help: "use 3 or 5, which leave an image as large as it was".into(),
            });
        }
        let (last_height, last_width) = self.last((height, width));
        if last_height == 0 || last_width == 0 {
            let n_stages = self.channels.len();
            let most = height.min(width).checked_ilog2().unwrap_or(0);
            return Err(Misfit {
                key: "channels",
                message: format!(
                    "found {n_stages} stages, each of which halves an image, for images of {height}×{width} pixels, expected at most {most}"
                ),
                help: "name fewer channels".into(),
            });
        }
        Ok(())
    }

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        no_finite_sum("whose batch norms mix the rows of a batch")
    }

    fn size(&self, interface: &Interface) -> Size {
        let (height, width) = interface.image().unwrap_or_default();
        let (mut size, mut n_in) = (Size::of_inputs(interface), 1);
        let mut places = (height as u64).saturating_mul(width as u64);
        let kernel = u64::from(self.kernel).saturating_mul(self.kernel.into());
        for &channels in &self.channels {
            let channels = u64::from(channels);
            // The norm and the relu leave as much as the convolution does.
            let layer = |n_in: u64| {
                let places = places.saturating_mul(3);
                Size::default().dense(kernel.saturating_mul(n_in), channels, places).with(2 * channels, 0)
            };
            let others = layer(channels).times(u64::from(self.convolutions) - 1);
            let first = layer(n_in);
            size = size.with(first.parameters, first.values).with(others.parameters, others.values);
            (n_in, places) = (channels, places.div_ceil(4));
        }
        let last = self.last((height, width));
        let flat = n_in.saturating_mul((last.0 as u64).saturating_mul(last.1 as u64));
        size.dense(flat, self.dense.into(), 1).dense(self.dense.into(), interface.n_outputs as u64, 1)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(self.channels.len() + 2);
        let image = interface.image().unwrap_or_default();
        let size = [self.kernel as usize; 2];
        let config = ConvConfig::default().padding(self.kernel as usize / 2);
        let (mut stages, mut buffers, mut n_in) = (vec![], Buffers::default(), 1);
        for (&channels, &key) in self.channels.iter().zip(&keys[2..]) {
            let channels = channels as usize;
            let mut layers = vec![];
            for key in key.split(self.convolutions as usize) {
                let conv = Conv::he(key, n_in, channels, &size, config.clone(), DTYPE);
                layers.push(Normed { conv, norm: BatchNorm::new(channels, DTYPE) });
                buffers.moments.push(Moments::new(channels, DTYPE));
                n_in = channels;
            }
            stages.push(Stage { layers });
        }
        let last = self.last(image);
        let dense = self.dense as usize;
        let layers = Layers {
            stages,
            dense: Linear::he(keys[0], n_in * last.0 * last.1, dense, DTYPE),
            head: Linear::xavier(keys[1], dense, interface.n_outputs, DTYPE),
            image,
            pool: match self.pool {
                Pooling::Max => Pool::Max,
                Pooling::Average => Pool::Average,
            },
            dropout: self.dropout,
        };
        (layers, buffers)
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let mut buffers = buffers.clone();
        let n = x.shape()[0];
        let mut x = x.reshape([n, 1, self.image.0, self.image.1]);
        let mut idx = 0;
        for stage in &self.stages {
            for layer in &stage.layers {
                x = normalise(&layer.norm, idx, &mut buffers, pass, layer.conv.apply(x)).max(0.0);
                idx += 1;
            }
            x = self.pool.apply(x, &PoolConfig::new([2, 2]));
        }
        let keys = pass.keys(2);
        let flat = x.shape()[1..].iter().product();
        let x = drop_out(keys[0], self.dropout, x.reshape([n, flat]));
        let x = drop_out(keys[1], self.dropout, self.dense.apply(x).max(0.0));
        (self.head.apply(x), buffers)
    }
}
