//! Random sparsification: each entry of a cotangent stays with probability p and is divided by it. Law: inexact; the mean is g, the
//! variance of an entry `g² (1/p − 1)`.

use retrograde_core::trace::Var;
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select, uniform};

use super::map::{AdjointMap, Wrong, declared, each_float};
use super::noise::Parts;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`Sparsify`].
pub const SPARSIFY: Trick = Trick {
    id: "B17",
    name: "random sparsification",
    formula: "x̄ = ȳ m/p, m true with probability p",
    law: Law::Inexact {
        what: "entries are dropped at random and the others divided by the probability to stay; the mean is the cotangent",
    },
    cite: &[Source {
        authors: "J. Wangni and J. Wang and J. Liu and T. Zhang",
        title: "Gradient Sparsification for Communication-Efficient Distributed Optimization",
        venue: "NeurIPS",
        year: 2018,
    }],
    file: file!(),
    example: "Sparsify",
    property: Property {
        claim: "the mean is g and the variance of an entry g² (1/p − 1)",
        test: "what_is_dropped_at_random_is_right_on_average",
        found: "p = 0.43 for the mean; without the division, or with one key for all draws, p < 1e-6",
    },
};

/// A mask of its key. Linear: forward mode has the same mask.
///
/// # Errors
/// At the front door, for a probability outside (0, 1], and a key that is none.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::{map::AdjointMap, sparsify::Sparsify};
/// let f = |x: Var, key: Var| (3.0 * Sparsify { key, keep: 0.5 }.at_edge(x)).sum();
/// let slope = grad(f).call((&array([0.0; 8]), &Key::from_seed(1).to_array()))?;
/// assert!(slope.to_vec::<f64>().unwrap().iter().all(|g| *g == 0.0 || *g == 6.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sparsify {
    /// `i64[2]`; another one for every use.
    pub key: Var,
    /// p
    pub keep: f64,
}

impl AdjointMap for Sparsify {
    fn law(&self) -> custom::Law {
        declared(&SPARSIFY)
    }
    fn is_linear(&self) -> bool {
        true
    }
    fn wrong(&self) -> Option<Wrong> {
        let is_probability = self.keep > 0.0 && self.keep <= 1.0;
        (!is_probability).then(|| {
            let found = format!(
                "random sparsification: found a probability of {}, expected one in (0, 1]",
                self.keep
            );
            (found, "0.1 keeps a tenth of the entries")
        })
    }
    fn known(&self) -> Vec<Var> {
        vec![self.key]
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        let mut parts = Parts::of(&x_bar, |n| uniform(known[0], [n]));
        each_float(&x_bar, |g| {
            let zero = full(g.dtype(), g.shape(), 0.0);
            select(parts.next(g).lt(self.keep), g / self.keep, zero)
        })
    }
}
