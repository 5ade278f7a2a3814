//! Attention between the rows or patches of an image, with the norm before each part (R. Xiong et al., On layer normalization in the
//! transformer architecture, ICML 2020); the mean over the tokens is classified.

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_derive::Tree;
use retrograde_tricks::primal::activation::gelu_tanh;
use retrograde_tricks::primal::attention::{Mask, SelfAttention};
use retrograde_tricks::primal::dense::Linear;
use retrograde_tricks::primal::embedding::{Embedding, add_places};
use retrograde_tricks::primal::layer_norm::LayerNorm;

use super::{
    Buffers, DTYPE, Forward, Interface, Kind, Misfit, Pass, Size, drop_out, images_only, nothing_left_out,
};
use crate::recipe::{Setting, setting};

/// The keys.
#[derive(Clone, PartialEq, Debug)]
pub struct Keys {
    /// The side of the square patches that are tokens; 0: each row is one.
    pub patch: u32,
    /// Values of a token.
    pub width: u32,
    /// Heads of attention; their number divides the width.
    pub heads: u32,
    /// Blocks of attention and of a dense layer.
    pub blocks: u32,
    /// Values inside the dense layers.
    pub hidden: u32,
    /// Share of what each part adds that is left out in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { patch: 2, width: 64, heads: 4, blocks: 2, hidden: 128, dropout: 0.1 }
    }
}

/// Attention, then a dense layer, each added to what it reads.
#[derive(Tree, Clone, Debug)]
pub struct Block<T> {
    attention_norm: LayerNorm<T>,
    attention: SelfAttention<T>,
    dense_norm: LayerNorm<T>,
    inner: Linear<T>,
    outer: Linear<T>,
}

/// The layers.
#[derive(Tree, Clone, Debug)]
pub struct Layers<T> {
    stem: Linear<T>,
    /// `[tokens, width]`, what is added to each token for its place.
    places: T,
    blocks: Vec<Block<T>>,
    norm: LayerNorm<T>,
    head: Linear<T>,
    image: (usize, usize),
    /// Height and width of a token.
    token: (usize, usize),
    dropout: f64,
}

impl Keys {
    fn token(&self, (_, width): (usize, usize)) -> (usize, usize) {
        if self.patch == 0 { (1, width) } else { (self.patch as usize, self.patch as usize) }
    }
    fn n_tokens(&self, image: (usize, usize)) -> usize {
        let token = self.token(image);
        (image.0 / token.0.max(1)).saturating_mul(image.1 / token.1.max(1))
    }
}

impl Kind for Keys {
    type Layers = Layers<Array>;
    const KEYS: &'static [Setting<Keys>] = &[
        setting!(count patch),
        setting!(width width),
        setting!(width heads),
        setting!(depth blocks),
        setting!(width hidden),
        setting!(share dropout),
    ];

    fn check(&self, interface: &Interface) -> Result<(), Misfit> {
        let image = images_only(interface)?;
        let token = self.token(image);
        if !image.0.is_multiple_of(token.0) || !image.1.is_multiple_of(token.1) {
            return Err(Misfit {
                key: "patch",
                message: format!(
                    "found patches of {0}×{0} pixels, which do not divide images of {1}×{2}",
                    self.patch, image.0, image.1
                ),
                help: "use a divisor of both sides, or 0 for rows as tokens".into(),
            });
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Misfit {
                key: "heads",
                message: format!(
                    "found {} heads for a width of {}, expected a divisor of it",
                    self.heads, self.width
                ),
                help: format!("try {}", near_divisor(self.width, self.heads)),
            });
        }
        Ok(())
    }

    fn check_finite_sum(&self) -> Result<(), Misfit> {
        nothing_left_out(self.dropout)
    }

    fn size(&self, interface: &Interface) -> Size {
        let image = interface.image().unwrap_or_default();
        let token = self.token(image);
        let (width, hidden, tokens) =
            (u64::from(self.width), u64::from(self.hidden), self.n_tokens(image) as u64);
        let pairs = tokens.saturating_mul(tokens).saturating_mul(self.heads.into());
        let block = Size::default()
            .with(4 * width, tokens.saturating_mul(2 * width))
            .dense(width, 3 * width, tokens)
            .with(0, pairs)
            .dense(width, width, tokens)
            .dense(width, hidden, tokens)
            .dense(hidden, width, tokens);
        let blocks = block.times(self.blocks.into());
        Size::of_inputs(interface)
            .dense((token.0 as u64).saturating_mul(token.1 as u64), width, tokens)
            .with(tokens.saturating_mul(width), 0)
            .with(blocks.parameters, blocks.values)
            .with(2 * width, width.saturating_mul(tokens))
            .dense(width, interface.n_outputs as u64, 1)
    }

    fn start(&self, interface: &Interface, key: Key) -> (Layers<Array>, Buffers<Array>) {
        let keys = key.split(4);
        let image = interface.image().unwrap_or_default();
        let token = self.token(image);
        let (width, hidden, heads) = (self.width as usize, self.hidden as usize, self.heads as usize);
        let block = |key: Key| {
            let keys = key.split(3);
            Block {
                attention_norm: LayerNorm::new(width, DTYPE),
                attention: SelfAttention::xavier(keys[0], width, heads, Mask::Full, DTYPE),
                dense_norm: LayerNorm::new(width, DTYPE),
                inner: Linear::xavier(keys[1], width, hidden, DTYPE),
                outer: Linear::xavier(keys[2], hidden, width, DTYPE),
            }
        };
        let layers = Layers {
            stem: Linear::xavier(keys[0], token.0 * token.1, width, DTYPE),
            places: Embedding::new(keys[1], self.n_tokens(image), width, DTYPE).table,
            blocks: keys[2].split(self.blocks as usize).into_iter().map(block).collect(),
            norm: LayerNorm::new(width, DTYPE),
            head: Linear::xavier(keys[3], width, interface.n_outputs, DTYPE),
            image,
            token,
            dropout: self.dropout,
        };
        (layers, Buffers::default())
    }
}

/// The divisor of `n` that is nearest to `wanted`.
fn near_divisor(n: u32, wanted: u32) -> u32 {
    (1..=n)
        .filter(|divisor| n.is_multiple_of(*divisor))
        .min_by_key(|divisor| divisor.abs_diff(wanted))
        .unwrap_or(1)
}

impl Layers<Var> {
    /// `[n, pixels]` → `[n, tokens, pixels of a token]`.
    #[track_caller]
    pub(super) fn tokens(&self, x: Var) -> Var {
        let ((height, width), (rows, columns)) = (self.image, self.token);
        let (down, along) = (height / rows, width / columns);
        let n = x.shape()[0];
        let parts = x.reshape([n, down, rows, along, columns]).transpose(&[0, 1, 3, 2, 4]);
        parts.reshape([n, down * along, rows * columns])
    }
}

impl Forward for Layers<Var> {
    fn forward(&self, x: Var, buffers: &Buffers<Var>, pass: Pass) -> (Var, Buffers<Var>) {
        let keys = pass.keys(2 * self.blocks.len());
        let mut x = add_places(self.stem.apply(self.tokens(x)), self.places);
        for (block, keys) in self.blocks.iter().zip(keys.chunks(2)) {
            let read = block.attention.apply(block.attention_norm.apply(x));
            x = x + drop_out(keys[0], self.dropout, read);
            let inner = gelu_tanh(block.inner.apply(block.dense_norm.apply(x)));
            x = x + drop_out(keys[1], self.dropout, block.outer.apply(inner));
        }
        let tokens = x.shape()[1] as f64;
        let mean = self.norm.apply(x).sum_axes(&[1]) / tokens;
        (self.head.apply(mean), buffers.clone())
    }
}
