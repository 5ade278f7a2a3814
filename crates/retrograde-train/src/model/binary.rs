//! Dense layers whose weights are ±s: the sign of a real weight goes in, and the cotangent comes back straight through to the real
//! weights, which are trained.
//!
//! Each is followed by batch norm and an activation. The real weights begin evenly within ±1, beyond which no cotangent passes, and s
//! is the bound of Xavier's initialisation. Source: M. Courbariaux, Y. Bengio, J.-P. David, BinaryConnect, NIPS 2015.

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, ops};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::adjoint::straight_through::binarise;
use retrograde_tricks::primal::batch_norm::{BatchNorm, Moments};
use retrograde_tricks::primal::dense;

use super::dense_keys::dense_keys;
use super::{
    Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, no_finite_sum, normalise,
};
use crate::recipe::{Setting, setting};

dense_keys!(
    [256, 256], Relu,
    /// Share of the hidden values that are left out in training, from 0 to below 1.
    dropout: f64 = 0.0, share dropout
);

/// A product with ±scale, and a norm, whose shift is the bias.
#[derive(Tree, Clone, Debug)]
pub struct BinaryLinear<T> {
    /// `[in, out]`, real; only the signs are used.
    weight: T,
    norm: BatchNorm<T>,
    scale: f64,
}

/// The layers; the last one is binary too.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    hidden: Vec<BinaryLinear<T>>,
    pub(super) head: BinaryLinear<T>,
    activation: dense::Activation,
    dropout: f64,
}

impl BinaryLinear<Array> {
    fn new(key: Key, n_in: usize, n_out: usize) -> BinaryLinear<Array> {
        let mut weight = uniform(key, [n_in, n_out]);
        if let Some(entries) = weight.make_mut::<f64>() {
            entries.iter_mut().for_each(|w| *w = 2.0 * *w - 1.0);
        }
        BinaryLinear {
            weight: ops::convert(&weight, DTYPE),
            norm: BatchNorm::new(n_out, DTYPE),
            scale: (6.0 / (n_in + n_out) as f64).sqrt(),
        }
    }
}

impl BinaryLinear<Var> {
    /// The weights of the primal, all ±scale.
    #[track_caller]
    pub(super) fn binary(&self) -> Var {
        binarise(self.weight) * self.scale
    }
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = KEYS;

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        no_finite_sum("whose weights are signs, with straight-through derivatives")
    }

    fn size(&self, interface: &Interface) -> Size {
        let (mut size, mut n_in) = (Size::of_inputs(interface), interface.layout.n_features() as u64);
        let widths = self.hidden.iter().map(|&width| u64::from(width)).chain([interface.n_outputs as u64]);
        for width in widths {
            // Two numbers for each value in the norm.
            size = size.with(n_in.saturating_add(2).saturating_mul(width), 2 * width);
            n_in = width;
        }
        size
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(self.hidden.len() + 1);
        let mut n_in = interface.layout.n_features();
        let (mut hidden, mut buffers) = (vec![], Buffers::default());
        for (&width, &key) in self.hidden.iter().zip(&keys[1..]) {
            hidden.push(BinaryLinear::new(key, n_in, width as usize));
            n_in = width as usize;
        }
        let head = BinaryLinear::new(keys[0], n_in, interface.n_outputs);
        for layer in hidden.iter().chain([&head]) {
            buffers.moments.push(Moments::new(layer.norm.scale.size(), DTYPE));
        }
        (Layers { hidden, head, activation: self.activation.function(), dropout: self.dropout }, buffers)
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let mut buffers = buffers.clone();
        let keys = pass.keys(self.hidden.len());
        let mut last = x;
        for (idx, (layer, key)) in self.hidden.iter().zip(keys).enumerate() {
            let normed = normalise(&layer.norm, idx, &mut buffers, pass, last.dot(layer.binary()));
            last = drop_out(key, self.dropout, self.activation.apply(normed));
        }
        let product = last.dot(self.head.binary());
        let outputs = normalise(&self.head.norm, self.hidden.len(), &mut buffers, pass, product);
        (outputs, buffers)
    }
}
