//! Scaled dot-product attention: each query reads the values, weighted by how well their keys fit. Law: exact.

use retrograde_array::ops::DotDims;
use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_core::trace::place::iota;
use retrograde_core::trace::var::{full, select};
use retrograde_derive::Tree;

use super::dense::Linear;
use super::softmax::softmax;

/// Where it comes from.
pub const CITE: &str = "A. Vaswani et al., Attention is all you need, NIPS 2017, eq. 1 and section 3.2.2; the scale is footnote 4";

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
/// [`CITE`].
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
