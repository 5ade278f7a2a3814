//! Scaled dot-product attention: each query reads the values, weighted by how well their keys fit. Law: exact.

use retrograde_array::ops::DotDims;
use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::custom::{Law as Promise, custom_vjp};
use retrograde_core::trace::place::iota;
use retrograde_core::trace::var::{full, select};
use retrograde_derive::Tree;

use super::dense::Linear;
use super::refuse::refuse;
use super::softmax::softmax;
use crate::catalogue::{Law, Property, Source, Trick};

/// Attention, and attention by tiles.
pub const ATTENTION: Trick = Trick {
    id: "A16",
    name: "scaled dot-product attention, by tiles with recompute inside",
    formula: "softmax(q k' / sqrt d) v; derivative from q, k, v, y and the log-sum-exp of each row",
    law: Law::Rounding { bound: "by tiles, 1e-6 of the values; attention itself is exact" },
    cite: &[
        Source {
            authors: "D. Bahdanau and K. Cho and Y. Bengio",
            title: "Neural machine translation by jointly learning to align and translate",
            venue: "International Conference on Learning Representations",
            year: 2015,
        },
        Source {
            authors: "A. Vaswani and N. Shazeer and N. Parmar and J. Uszkoreit and L. Jones and A. N. Gomez and L. Kaiser and I. Polosukhin",
            title: "Attention is all you need",
            venue: "Advances in Neural Information Processing Systems 30",
            year: 2017,
        },
        Source {
            authors: "M. Milakov and N. Gimelshein",
            title: "Online normalizer calculation for softmax",
            venue: "arXiv:1805.02867",
            year: 2018,
        },
        Source {
            authors: "T. Dao and D. Y. Fu and S. Ermon and A. Rudra and C. Re",
            title: "FlashAttention: fast and memory-efficient exact attention with IO-awareness",
            venue: "Advances in Neural Information Processing Systems 35",
            year: 2022,
        },
    ],
    file: file!(),
    example: "tiled_attention",
    property: Property {
        claim: "logits of normal entries have variance 1; by tiles, values and gradients are the same to 1e-6 and the tape grows with tokens, not with pairs",
        test: "attention_by_tiles_is_attention",
        found: "2.7e-15 in f64, below 1e-6 in f32; 7, 14, 28 KiB for 32, 64, 128 tokens instead of 36, 136, 528",
    },
};

/// Which keys a query may read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mask {
    /// All.
    Full,
    /// Those at its own place and before.
    Causal,
}

/// `softmax(q kᵀ / √d) v`.   q: `[n, heads, tokens, d]`, k: `[n, heads, keys, d]`, v: `[n, heads, keys, e]` →
/// `[n, heads, tokens, e]`.
///
/// Dividing by √d keeps the variance of the logits at 1 where the entries of q and k have variance 1.
///
/// # Errors
/// At the front door, where the shapes do not fit.
/// # Cost
/// 2·n·heads·tokens·keys·(d + e) operations and as many exponentials as there are pairs of query and key, which the derivative keeps.
/// # Source
/// [`ATTENTION`]: Vaswani et al. 2017, eq. 1 and section 3.2.1; the scale is footnote 4.
///
/// ```
/// use retrograde_array::{Array, DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::attention::{Mask, attention};
/// let read = |mask| jit(move |q: Var, k: Var, v: Var| attention(q, k, v, mask));
/// let (q, v) = (Array::zeros(DType::F64, [1, 1, 2, 3]), array([[[[4.0], [8.0]]]]));
/// assert_eq!(read(Mask::Full).call((&q, &q, &v))?, array([[[[6.0], [6.0]]]]));
/// assert_eq!(read(Mask::Causal).call((&q, &q, &v))?, array([[[[4.0], [6.0]]]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn attention(q: Var, k: Var, v: Var, mask: Mask) -> Var {
    let width = q.shape().last().copied().unwrap_or(1).max(1) as f64;
    let heads = vec![0, 1];
    let by_key = DotDims {
        lhs_contract: vec![3],
        rhs_contract: vec![3],
        lhs_batch: heads.clone(),
        rhs_batch: heads.clone(),
    };
    let by_value = DotDims { rhs_contract: vec![2], ..by_key.clone() };
    let mut logits = q.dot_general(k, by_key) * (1.0 / width.sqrt());
    if mask == Mask::Causal {
        let shape = logits.shape();
        let pairs = &shape[2..];
        let seen = iota(DType::I64, pairs, 0).ge(iota(DType::I64, pairs, 1));
        let hidden = full(logits.dtype(), shape.clone(), f64::NEG_INFINITY);
        logits = select(seen.broadcast(shape, &[2, 3]), logits, hidden);
    }
    softmax(logits, 3).dot_general(v, by_value)
}

/// [`attention`] over `tile` keys at a time: weights of all pairs stand nowhere, and the derivative computes them again.
///
/// Forwards, each tile adds to a running maximum, sum and mean. Backwards, the weights of a tile are `exp(logits − l)`, with the
/// log-sum-exp l of each row, and the derivative of the logits is `weights (v̄ − Σ ȳ y)` with `v̄ = ȳ vᵀ`.
///
/// # Errors
/// At the front door, where the shapes do not fit and where tiles do not make up the keys.
/// # Cost
/// As [`attention`], and the logits once more for the derivative. It keeps the result and one number for each query.
/// # Source
/// [`ATTENTION`]: Milakov and Gimelshein 2018, algorithm 3, forwards; Dao et al. 2022, appendix B.4, backwards.
///
/// ```
/// use retrograde_array::rng::{Key, normal};
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::attention::{Mask, attention, tiled_attention};
/// let draw = |seed| normal(Key::from_seed(seed), [1, 2, 64, 4]);
/// let (q, k, v) = (draw(1), draw(2), draw(3));
/// let loss = |tiled: bool| move |q: Var, k: Var, v: Var| {
///     let y = if tiled { tiled_attention(q, k, v, Mask::Causal, 16) } else { attention(q, k, v, Mask::Causal) };
///     (y * y).sum()
/// };
/// let (plain, tiled) = (grad(loss(false)), grad(loss(true)));
/// let (a, b) = (plain.call((&q, &k, &v))?, tiled.call((&q, &k, &v))?);
/// assert!(a.to_vec::<f64>().unwrap().iter().zip(b.to_vec::<f64>().unwrap()).all(|(a, b)| (a - b).abs() < 1e-12));
/// // 5 numbers for each query and head, against as many as there are keys.
/// assert_eq!(tiled.last_tape().tape_bytes(), 2 * 64 * 5 * 8);
/// assert!(plain.last_tape().tape_bytes() > 2 * 64 * 64 * 8);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn tiled_attention(q: Var, k: Var, v: Var, mask: Mask, tile: usize) -> Var {
    let (of_q, of_k, of_v) = (q.shape(), k.shape(), v.shape());
    let keys = of_k.get(2).copied().unwrap_or(0);
    let fit = [&of_q, &of_k, &of_v].iter().all(|s| s.rank() == 4 && s[..2] == of_q[..2])
        && of_q[3] == of_k[3]
        && of_v[2] == keys;
    if !fit || tile == 0 || keys % tile != 0 {
        refuse(
            format!(
                "tiled_attention: found q {}, k {}, v {} and tiles of {tile} keys",
                q.ty(),
                k.ty(),
                v.ty()
            ),
            "q is [n, heads, tokens, d], k [n, heads, keys, d], v [n, heads, keys, e], and tiles divide the keys",
        );
        return q;
    }
    let tiles = Tiles { mask, tile, n: keys / tile };
    custom_vjp(
        &Promise::Exact,
        (q, k, v),
        |(q, k, v)| tiles.forwards(q, k, v).0,
        |(q, k, v)| {
            let (y, log_sum) = tiles.forwards(q, k, v);
            (y, (q, k, v, (y, log_sum)))
        },
        |(q, k, v, (y, log_sum)), y_bar| tiles.backwards((q, k, v), y, log_sum, y_bar),
    )
}

/// How keys are divided.
#[derive(Clone, Copy)]
struct Tiles {
    mask: Mask,
    tile: usize,
    n: usize,
}

/// `[a, b, i, k]` times `[a, b, k, j]`, after transposing either or both.
fn product(lhs: Var, transpose_lhs: bool, rhs: Var, transpose_rhs: bool) -> Var {
    let contract = |transposed: bool, plain: usize| vec![if transposed { 5 - plain } else { plain }];
    lhs.dot_general(
        rhs,
        DotDims {
            lhs_contract: contract(transpose_lhs, 3),
            rhs_contract: contract(transpose_rhs, 2),
            lhs_batch: vec![0, 1],
            rhs_batch: vec![0, 1],
        },
    )
}

/// One number for each row, repeated along it.
fn along(rows: Var, like: Var) -> Var {
    rows.broadcast(like.shape(), &[0, 1, 2])
}

impl Tiles {
    /// Tiles along a new leading axis.
    fn split(self, x: Var) -> Var {
        let s = x.shape();
        x.reshape([s[0], s[1], self.n, self.tile, s[3]]).transpose(&[2, 0, 1, 3, 4])
    }
    /// And back.
    fn join(self, x: Var) -> Var {
        let s = x.shape();
        x.transpose(&[1, 2, 0, 3, 4]).reshape([s[1], s[2], self.n * self.tile, s[4]])
    }
    /// Logits of the queries and the keys of tile number `at`.
    fn logits(self, q: Var, k: Var, at: Var) -> Var {
        let width = q.shape()[3].max(1) as f64;
        let logits = product(q, false, k, true) * (1.0 / width.sqrt());
        if self.mask == Mask::Full {
            return logits;
        }
        let shape = logits.shape();
        let pairs = &shape[2..];
        let key = iota(DType::I64, pairs, 1) + at * self.tile as i64;
        let seen = iota(DType::I64, pairs, 0).ge(key);
        let hidden = full(logits.dtype(), shape.clone(), f64::NEG_INFINITY);
        select(seen.broadcast(shape, &[2, 3]), logits, hidden)
    }
    /// The result, and the log-sum-exp of each row.
    fn forwards(self, q: Var, k: Var, v: Var) -> (Var, Var) {
        let (s, dtype) = (q.shape(), q.dtype());
        let rows = [s[0], s[1], s[2]];
        let most = full(dtype, rows, f64::NEG_INFINITY);
        let start = (most, full(dtype, rows, 0.0), full(dtype, [s[0], s[1], s[2], v.shape()[3]], 0.0));
        let xs = (self.split(k), self.split(v), iota(DType::I64, [self.n], 0));
        let step = |(most, total, sum): (Var, Var, Var), (k, v, at): (Var, Var, Var)| {
            let logits = self.logits(q, k, at);
            let new = most.max(logits.reduce_max(&[3]));
            // The first tile has a key for every query, so that the maximum is finite from then on.
            let (weights, fade) = ((logits - along(new, logits)).exp(), (most - new).exp());
            let total = total * fade + weights.sum_axes(&[3]);
            let sum = sum * along(fade, sum) + product(weights, false, v, false);
            ((new, total, sum), Vec::<Var>::new())
        };
        let ((most, total, sum), _) = scan_over().run(start, xs, step);
        (sum / along(total, sum), most + total.log())
    }
    /// Cotangents of q, k and v.
    fn backwards(self, (q, k, v): (Var, Var, Var), y: Var, log_sum: Var, y_bar: Var) -> (Var, Var, Var) {
        let scale = 1.0 / (q.shape()[3].max(1) as f64).sqrt();
        let through = (y_bar * y).sum_axes(&[3]);
        let xs = (self.split(k), self.split(v), iota(DType::I64, [self.n], 0));
        let step = |q_bar: Var, (k, v, at): (Var, Var, Var)| {
            let logits = self.logits(q, k, at);
            let weights = (logits - along(log_sum, logits)).exp();
            let of_weights = product(y_bar, false, v, true);
            let of_logits = weights * (of_weights - along(through, of_weights)) * scale;
            let q_bar = q_bar + product(of_logits, false, k, false);
            (q_bar, (product(of_logits, true, q, false), product(weights, true, y_bar, false)))
        };
        // Linear in ȳ as all that is added to it, or there would be no forward mode.
        let zeros = along(through * 0.0, q);
        let (q_bar, (k_bar, v_bar)) = scan_over().run(zeros, xs, step);
        (q_bar, self.join(k_bar), self.join(v_bar))
    }
}

/// Several heads of [`attention`] from tokens to themselves.   x: `[n, tokens, d]` → the same shape; `heads` divides d.
///
/// ```
/// use retrograde_array::{DType, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::attention::{Mask, SelfAttention};
/// let layer = SelfAttention::xavier(Key::from_seed(1), 6, 2, Mask::Causal, DType::F64);
/// let f = jit(|layer: SelfAttention<Var>, x: Var| layer.apply(x));
/// let x = normal(Key::from_seed(2), [1, 4, 6]);
/// let y = f.call((&layer, &x))?;
/// assert_eq!(y.shape().to_string(), "[1,4,6]");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct SelfAttention<T> {
    /// To queries, keys and values of all heads, one after another: `[d, 3 d]`.
    pub inward: Linear<T>,
    /// From the heads, side by side: `[d, d]`.
    pub outward: Linear<T>,
    /// How many.
    pub heads: usize,
    /// Which tokens each may read.
    pub mask: Mask,
}

impl SelfAttention<Var> {
    /// What the tokens read. Costs 8 n·tokens·d² operations beside those of [`attention`].
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let shape = x.shape();
        let (n, tokens, width) = (shape[0], shape[1], shape[2]);
        let part = width / self.heads.max(1);
        let all = self.inward.apply(x).reshape([n, tokens, 3, self.heads, part]);
        let all = all.transpose(&[2, 0, 3, 1, 4]);
        let read = attention(all.index(0, 0), all.index(0, 1), all.index(0, 2), self.mask);
        self.outward.apply(read.transpose(&[0, 2, 1, 3]).reshape(shape))
    }
}

impl SelfAttention<Array> {
    /// Xavier initialisation of both layers, zero biases.
    pub fn xavier(key: Key, width: usize, heads: usize, mask: Mask, dtype: DType) -> SelfAttention<Array> {
        let keys = key.split(2);
        SelfAttention {
            inward: Linear::xavier(keys[0], width, 3 * width, dtype),
            outward: Linear::xavier(keys[1], width, width, dtype),
            heads,
            mask,
        }
    }
}
