//! A training step of a transformer: 4 layers of width 128 with 4 heads and a 512 wide inner layer (GELU), normalised before each part,
//! 128 tokens out of 256, batch 8, f32, cross-entropy of the next token, plain gradient descent.

use retrograde::Tree;
use retrograde::prelude::*;
use retrograde::tricks::primal::activation::gelu_tanh;
use retrograde::tricks::primal::attention::{Mask, SelfAttention};
use retrograde::tricks::primal::layer_norm::LayerNorm;

use super::workload::{TimedCase, Workload, dense_f32, filled, leaves, normal_f32, outline, whole_numbers};

pub(super) const CASE: TimedCase = TimedCase {
    name: "transformer",
    about: "a training step of a transformer of 4 layers on 8 times 128 tokens",
    path: None,
    workload: |_, policy| {
        let sizes = Sizes { layers: 4, width: 128, heads: 4, inner: 512, tokens: 128, n: 8, vocabulary: 256 };
        Ok(workload(sizes, policy))
    },
};

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) inner: usize,
    pub(super) tokens: usize,
    pub(super) n: usize,
    pub(super) vocabulary: usize,
}

#[derive(Tree, Clone, Debug)]
struct Block<T> {
    before_attention: LayerNorm<T>,
    attention: SelfAttention<T>,
    before_inner: LayerNorm<T>,
    up: Linear<T>,
    down: Linear<T>,
}

impl Block<Var> {
    fn apply(&self, x: Var) -> Var {
        let x = x + self.attention.apply(self.before_attention.apply(x));
        let inner = self.up.apply(self.before_inner.apply(x));
        // The widest values of a block: kept before the activation, but not once more behind it.
        x + taped(Tape::Recompute, |inner: Var| self.down.apply(gelu_tanh(inner)), inner)
    }
}

#[derive(Tree, Clone, Debug)]
struct Network<T> {
    /// `[vocabulary, width]`
    meanings: T,
    /// `[tokens, width]`
    places: T,
    blocks: Vec<Block<T>>,
    last: LayerNorm<T>,
    head: Linear<T>,
}

impl Network<Var> {
    /// Logits `[n tokens, vocabulary]` of tokens `[n, tokens]`.
    fn apply(&self, tokens: Var) -> Var {
        let x = self.meanings.gather(0, tokens);
        let shape = x.shape();
        let mut x = x + self.places.spread(shape.clone());
        for block in &self.blocks {
            x = block.apply(x);
        }
        let vocabulary = self.head.bias.shape()[0];
        self.head.apply(self.last.apply(x)).reshape([shape[0] * shape[1], vocabulary])
    }
}

pub(super) fn workload(sizes: Sizes, policy: Tape) -> Workload {
    let Sizes { layers, width, heads, inner, tokens, n, vocabulary } = sizes;
    let keys = Key::from_seed(1).split(4 + layers);
    let norm = || LayerNorm::new(width, DType::F32);
    let block = |key: Key| {
        let keys = key.split(4);
        Block {
            before_attention: norm(),
            attention: SelfAttention {
                inward: dense_f32(keys[0], width, 3 * width),
                outward: dense_f32(keys[1], width, width),
                heads,
                mask: Mask::Causal,
            },
            before_inner: norm(),
            up: dense_f32(keys[2], width, inner),
            down: dense_f32(keys[3], inner, width),
        }
    };
    let network = Network {
        meanings: normal_f32(keys[0], &[vocabulary, width], 1.0),
        places: Array::zeros(DType::F32, [tokens, width]),
        blocks: keys[4..].iter().map(|&key| block(key)).collect(),
        last: norm(),
        head: dense_f32(keys[1], width, vocabulary),
    };
    let data = vec![
        whole_numbers(keys[2], &[n, tokens], vocabulary as u64),
        whole_numbers(keys[3], &[n * tokens], vocabulary as u64),
    ];
    let (wrt, network) = (leaves(&network), outline(&network));
    let loss = move |wrt: &[Var], data: &[Var]| cross_entropy(filled(&network, wrt).apply(data[0]), data[1]);
    Workload::descent("transformer", wrt, data, policy, loss)
}
