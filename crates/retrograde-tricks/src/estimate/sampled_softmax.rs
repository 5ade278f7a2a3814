//! Losses over many classes that touch few of them: sampled softmax, noise-contrastive estimation, negative sampling, and a softmax over
//! the leaves of a tree.
//!
//! ```text
//! sampled       −ln exp s_y / (exp s_y + Σ_S exp(s_j − ln q_j)),   q_j the chance of class j to be in the sample S
//! NCE           softplus(−(s_y − ln k q_y)) + Σ softplus(s_j − ln k q_j),   least where s = ln p
//! negative      NCE with s in the place of s − ln k q,                     least where s = ln p/(k q)
//! tree          Π σ(±h·v_node) over the path from the root to the leaf
//! ```
//!
//! Only rows of the classes that were drawn have adjoints. Law: sampled softmax has a bias, which ends where all classes are in the
//! sample; the tree is a distribution of its own, and exact.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::fori;
use retrograde_core::trace::var::{concat, full, select, uniform};

use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D13.
pub const SAMPLED_SOFTMAX: Trick = Trick {
    id: "D13",
    name: "sampled softmax, NCE, negative sampling, hierarchical softmax",
    formula: "−ln exp s_y / (exp s_y + Σ_S exp(s_j − ln q_j))",
    law: Law::Inexact {
        what: "sampled softmax: a bias that is zero once all classes are sampled; NCE, negative sampling: other losses",
    },
    cite: &[
        Source {
            authors: "F. Morin and Y. Bengio",
            title: "Hierarchical probabilistic neural network language model",
            venue: "AISTATS",
            year: 2005,
        },
        Source {
            authors: "Y. Bengio and J.-S. Senécal",
            title: "Adaptive importance sampling to accelerate training of a neural probabilistic language model",
            venue: "IEEE Transactions on Neural Networks 19",
            year: 2008,
        },
        Source {
            authors: "M. Gutmann and A. Hyvärinen",
            title: "Noise-contrastive estimation: a new estimation principle for unnormalized statistical models",
            venue: "AISTATS",
            year: 2010,
        },
        Source {
            authors: "T. Mikolov and I. Sutskever and K. Chen and G. Corrado and J. Dean",
            title: "Distributed representations of words and phrases and their compositionality",
            venue: "NeurIPS",
            year: 2013,
        },
        Source {
            authors: "S. Jean and K. Cho and R. Memisevic and Y. Bengio",
            title: "On using very large target vocabulary for neural machine translation",
            venue: "ACL",
            year: 2015,
        },
    ],
    file: file!(),
    example: "sampled_softmax",
    property: Property {
        claim: "the bias of the gradient over all samples falls with their size to zero at all classes; NCE and negative sampling are stationary at ln p and ln p/(k q); the tree sums to 1",
        test: "sampled_losses_have_their_biases_and_their_minima",
        found: "",
    },
};

/// `n` different classes other than the label, all sets alike.   key: `i64[2]`, label: i64 number → i64 `[n]`.
///
/// # Errors
/// At the front door, for more than `n_classes − 1`.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::sampled_softmax::negatives;
/// let f = jit(|key: Var, label: Var| negatives(key, 4, label, 3));
/// let mut found = f.call((&Key::from_seed(1).to_array(), &array(2_i64)))?.to_vec::<i64>().unwrap();
/// found.sort();
/// assert_eq!(found, [0, 1, 3]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn negatives(key: Var, n_classes: usize, label: Var, n: usize) -> Var {
    let location = caller();
    if n >= n_classes {
        let found = format!("negatives: found {n} of {n_classes} classes, expected at most all others");
        refuse(location, found, "draw fewer, or take the full softmax");
        return full(DType::I64, [n], 0.0);
    }
    let others = uniform(key, [n_classes - 1]).argsort(0).slice(0, 0..n);
    // Counted without the label: those from it on are one further.
    others + others.ge(label.spread([n])).convert(DType::I64)
}

/// The loss of one example.   hidden: `[d]`, weights: `[classes, d]`, label: i64 number, negatives: i64 `[n]` → number.
///
/// The negatives are those of [`negatives`], each of which has the chance n/(classes − 1).
///
/// # Cost
/// n + 1 products of d; adjoints of n + 1 rows.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::estimate::sampled_softmax::sampled_softmax;
/// let loss = |w: Var, h: Var| sampled_softmax(h, w, h.argmax(0) * 0_i64, h.argmax(0).reshape([1]) * 0_i64 + 2_i64);
/// let (w, h) = (array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), array([1.0, 0.0]));
/// // One of two others, so with twice its weight: −ln e/(e + 2 √e)
/// let found = jit(loss).call((&w, &h))?.item::<f64>().unwrap();
/// assert!((found + (1.0_f64.exp() / (1.0_f64.exp() + 2.0 * 0.5_f64.exp())).ln()).abs() < 1e-15);
/// // The row of class 1 has no adjoint.
/// assert_eq!(grad(loss).call((&w, &h))?.row(1), array([0.0, 0.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn sampled_softmax(hidden: Var, weights: Var, label: Var, negatives: Var) -> Var {
    let (n, n_classes) = (negatives.shape()[0], weights.shape()[0]);
    let scores = weights.gather(0, concat(&[label.reshape([1]), negatives], 0)).dot(hidden);
    let (own, others) = (scores.index(0, 0), scores.slice(0, 1..n + 1));
    let corrected = others - (n as f64 / (n_classes - 1) as f64).ln();
    concat(&[own.reshape([1]), corrected], 0).logsumexp(&[0]) - own
}

/// Noise-contrastive estimation: which of k + 1 is the datum.   score: number, noise_scores: `[k]`; logarithms of the chances under the
/// noise: log_noise number, log_noises `[k]` → number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::sampled_softmax::{negative_sampling, noise_contrastive};
/// let nce = jit(|s: Var, others: Var| noise_contrastive(s, others, s * 0.0, others * 0.0));
/// let plain = jit(|s: Var, others: Var| negative_sampling(s, others));
/// let (s, others) = (array(1.0), array([0.5]));
/// assert_eq!(nce.call((&s, &others))?, plain.call((&s, &others))?); // k q = 1
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn noise_contrastive(score: Var, noise_scores: Var, log_noise: Var, log_noises: Var) -> Var {
    let log_k = (noise_scores.shape()[0] as f64).ln();
    negative_sampling(score - log_noise - log_k, noise_scores - log_noises - log_k)
}

/// `softplus(−score) + Σ softplus(noise_scores)`.   score: number, noise_scores: `[k]` → number.
#[track_caller]
pub fn negative_sampling(score: Var, noise_scores: Var) -> Var {
    (-score).softplus() + noise_scores.softplus().sum()
}

/// The log-probability of a leaf of a binary tree.   hidden: `[d]`, nodes: `[classes − 1, d]`, label: i64 number → number.
///
/// The tree is a heap: node i has children 2i + 1 and 2i + 2, and class c is place c + classes − 1.
///
/// # Cost
/// log₂ of the number of classes products of d.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::sampled_softmax::tree_log_probability;
/// let f = jit(|h: Var, nodes: Var, label: Var| tree_log_probability(h, nodes, label).exp());
/// let (h, nodes) = (array([0.3]), array([[1.0], [2.0]]));
/// let p: Vec<f64> = (0..3).map(|c| f.call((&h, &nodes, &array(c as i64))).unwrap().item().unwrap()).collect();
/// assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn tree_log_probability(hidden: Var, nodes: Var, label: Var) -> Var {
    let n_inner = nodes.shape()[0];
    // The deepest leaf is the last place, 2 n_inner.
    let depth = (2 * n_inner + 1).ilog2() as usize;
    let start = (full(hidden.dtype(), [], 0.0), label + n_inner as i64);
    let (total, _) = fori(0..depth, start, |_, (total, place)| {
        // The root is place 0, and its parent is taken for itself.
        let parent = (place - 1_i64).max(0_i64) >> 1_i64;
        let score = nodes.gather(0, parent).dot(hidden);
        let to_the_right = (place & 1_i64).eq(0_i64);
        let chance = -select(to_the_right, -score, score).softplus();
        (total + select(place.gt(0_i64), chance, score * 0.0), parent)
    });
    total
}
