//! Noise on the gradient, less from step to step: `ḡ = g + N(0, σₜ²)` with `σₜ² = η/(1 + t)^γ`. Law: inexact; the mean is g.

use retrograde_core::trace::Var;
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;

use super::map::{AdjointMap, Wrong, declared, each_float, floats};
use crate::catalogue::{Law, Property, Source, Trick};
use crate::estimate::draw::normal;

/// The row of [`GradientNoise`].
pub const GRADIENT_NOISE: Trick = Trick {
    id: "B5",
    name: "gradient noise",
    formula: "ḡ = g + N(0, η/(1 + t)^γ)",
    law: Law::Inexact { what: "normal noise of mean zero is added, independent for all entries" },
    cite: &[Source {
        authors: "A. Neelakantan and L. Vilnis and Q. V. Le and I. Sutskever and L. Kaiser and K. Kurach and J. Martens",
        title: "Adding Gradient Noise Improves Learning for Very Deep Networks",
        venue: "arXiv:1511.06807",
        year: 2015,
    }],
    file: file!(),
    example: "GradientNoise",
    property: Property {
        claim: "the mean is g, the variance that of the formula, and a key fixes every bit",
        test: "noise_has_the_mean_and_the_variance_of_its_formula",
        found: "p = 0.80 for the mean; a bias of 5 % of the deviation is refused with probability above 0.99",
    },
};

/// Noise of a key and a variance, both traced, as they are others at every step.
///
/// # Errors
/// At the front door, for a key that is none, and a variance that is no number.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::{map::AdjointMap, noise::{GradientNoise, annealed_variance}};
/// let noisy = jit(|g: (Var, Var), key: Var, variance: Var| GradientNoise { key, variance }.on(g));
/// let (g, key) = ((array([1.0, 2.0]), array(3.0)), Key::from_seed(1).to_array());
/// let first = noisy.call((&g, &key, &array(annealed_variance(0.3, 0))))?;
/// let again = noisy.call((&g, &key, &array(annealed_variance(0.3, 0))))?;
/// assert!(first.0.bits_eq(&again.0) && !first.0.bits_eq(&g.0));
/// assert_eq!(noisy.call((&g, &key, &array(0.0)))?, g);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GradientNoise {
    /// `i64[2]`
    pub key: Var,
    /// σₜ², a number.
    pub variance: Var,
}

/// The γ of the paper.
const DECAY: f64 = 0.55;

/// `η/(1 + t)^0.55`, the variance of step t. The paper takes η of 0.01, 0.3 or 1.
///
/// ```
/// use retrograde_tricks::adjoint::noise::annealed_variance;
/// assert_eq!(annealed_variance(0.3, 0), 0.3);
/// assert!((annealed_variance(0.3, 1023) - 0.3 * 2f64.powf(-5.5)).abs() < 1e-16);
/// ```
pub fn annealed_variance(eta: f64, step: u64) -> f64 {
    eta / (1.0 + step as f64).powf(DECAY)
}

impl AdjointMap for GradientNoise {
    fn law(&self) -> custom::Law {
        declared(&GRADIENT_NOISE)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn wrong(&self) -> Option<Wrong> {
        let ty = self.variance.ty();
        (!ty.is_float() || ty.shape.rank() > 0).then(|| {
            let found = format!("gradient noise: found a variance of type {ty}, expected a number");
            (found, "pass the variance as f64[]; `annealed_variance` gives that of a step")
        })
    }
    fn known(&self) -> Vec<Var> {
        vec![self.key, self.variance]
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        // One draw for all leaves: every entry has numbers of its own.
        let mut parts = Parts::of(&x_bar, |n| normal(known[0], [n]));
        let deviation = known[1].sqrt();
        each_float(&x_bar, |g| {
            g + (parts.next(g) * deviation.convert(retrograde_array::DType::F64)).convert(g.dtype())
        })
    }
}

/// One long draw, handed out leaf by leaf.
pub(super) struct Parts {
    all: Var,
    at: usize,
}

impl Parts {
    /// `draw` of as many numbers as all leaves that can have cotangents have entries.
    pub(super) fn of<T: Traceable>(tree: &T, draw: impl FnOnce(usize) -> Var) -> Parts {
        let n = floats(tree).iter().map(|leaf| leaf.shape().size()).sum();
        Parts { all: draw(n), at: 0 }
    }
    /// The numbers of the next leaf, in its shape.
    pub(super) fn next(&mut self, like: Var) -> Var {
        let from = self.at;
        self.at += like.shape().size();
        self.all.slice(0, from..self.at).reshape(like.shape())
    }
}
