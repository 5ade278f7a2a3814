//! Bounds on logits: capped, of unit vectors, or drawn towards a partition function of 1. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::full;

use super::attention::{Mask, attention};
use super::refuse::{positive, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// Bounded logits.
pub const CAPS: Trick = Trick {
    id: "A20",
    name: "soft capping, QK-norm, z-loss",
    formula: "c tanh(x/c); g <q/|q|, k/|k|>; w mean (log sum exp x)^2",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "A. Henry and P. R. Dachapally and S. Pawar and Y. Chen",
            title: "Query-key normalization for transformers",
            venue: "Findings of the Association for Computational Linguistics: EMNLP",
            year: 2020,
        },
        Source {
            authors: "A. Chowdhery and S. Narang and J. Devlin and others",
            title: "PaLM: scaling language modeling with pathways",
            venue: "arXiv:2204.02311",
            year: 2022,
        },
        Source {
            authors: "Gemma Team",
            title: "Gemma 2: improving open language models at a practical size",
            venue: "arXiv:2408.00118",
            year: 2024,
        },
    ],
    file: file!(),
    example: "soft_cap",
    property: Property {
        claim: "|cap(x)| is below c, its slope is 1 - tanh(x/c)^2; logits of unit vectors are within g; the z-loss has slope 2 w z p / n",
        test: "capped_logits_stay_below_their_cap",
        found: "slope off by at most 1.2e-16; bound 4.5e-16",
    },
};

/// `c tanh(x/c)`, entry by entry: x where it is small beside c, and never beyond ±c.   x: `[..]` float → the same shape.
///
/// # Errors
/// At the front door, for a cap that is not above 0.
/// # Source
/// [`CAPS`]: Gemma Team 2024, section 2, with c = 30 for logits and 50 in attention.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::soft_cap::soft_cap;
/// let x = array([-1e4, 0.0, 1e4]);
/// assert_eq!(jit(|x: Var| soft_cap(x, 30.0)).call(&x)?, array([-30.0, 0.0, 30.0]));
/// assert_eq!(grad(|x: Var| soft_cap(x, 30.0).sum()).call(&x)?, array([0.0, 1.0, 0.0]));
/// let error = jit(|x: Var| soft_cap(x, 0.0)).call(&x).unwrap_err().to_string();
/// assert!(error.starts_with("error: soft_cap: found a cap of 0, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn soft_cap(x: Var, cap: f64) -> Var {
    if !positive("soft_cap", "cap", cap, "it bounds the result: 30 or 50 for logits") {
        return x;
    }
    (x / cap).tanh() * cap
}

/// `w` times the mean square of `log Σ exp` over the rows: draws the logits towards a sum of 1.   logits: `[n, classes]` → number.
///
/// # Source
/// [`CAPS`]: Chowdhery et al. 2022, section 5, with w = 10⁻⁴.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::soft_cap::z_loss;
/// let logits = array([[0.5_f64.ln(), 0.5_f64.ln()], [2.0, f64::NEG_INFINITY]]);
/// assert_eq!(jit(|x: Var| z_loss(x, 0.5)).call(&logits)?, array(1.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn z_loss(logits: Var, weight: f64) -> Var {
    if logits.rank() != 2 {
        let found = format!("z_loss: found logits {}, expected [n, classes]", logits.ty());
        refuse(found, "put one row of logits for each example");
        return full(logits.dtype(), [], 0.0);
    }
    let log_sum = logits.logsumexp(&[1]);
    (log_sum * log_sum).mean() * weight
}

/// Attention whose logits are `g` times the cosine of query and key.   q: `[n, heads, tokens, d]`, k: `[n, heads, keys, d]`,
/// v: `[n, heads, keys, e]`, g: number `[]` → `[n, heads, tokens, e]`.
///
/// Vectors of zeros have cosine 0 with all others, and a derivative of 0.
///
/// # Errors
/// At the front door, where the shapes do not fit.
/// # Source
/// [`CAPS`]: Henry et al. 2020, section 3, with a g that is learnt.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::attention::Mask;
/// use retrograde_tricks::primal::soft_cap::normalised_attention;
/// let f = jit(|[q, k, v, g]: [Var; 4]| normalised_attention(q, k, v, g, Mask::Full));
/// // However long queries and keys are.
/// let (q, k) = (array([[[[1e9, 0.0]]]]), array([[[[1e-9, 0.0], [0.0, 7.0]]]]));
/// let y = f.call(&[q, k, array([[[[1.0], [0.0]]]]), array(3f64.ln())])?.to_vec::<f64>().unwrap();
/// assert!((y[0] - 0.75).abs() < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn normalised_attention(q: Var, k: Var, v: Var, g: Var, mask: Mask) -> Var {
    let width = q.shape().last().copied().unwrap_or(1).max(1) as f64;
    // `attention` divides by the root of the width.
    let q = direction(q) * (g * width.sqrt());
    attention(q, direction(k), v, mask)
}

/// Each row over its length; zeros stay zeros.
#[track_caller]
fn direction(x: Var) -> Var {
    let shape = x.shape();
    let last = shape.rank().saturating_sub(1);
    let rows: Vec<usize> = (0..last).collect();
    let length = x.norm_axes(&[last]).broadcast(shape, &rows);
    super::guarded::divide_or_zero(x, length)
}
