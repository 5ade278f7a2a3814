//! Bounds that adapt: to the size of the weights, unit by unit (AGC), or to the norms that were seen before (AutoClip).
//!
//! ```text
//! AGC        ḡᵢ = gᵢ min(1, λ max(‖wᵢ‖, ε)/‖gᵢ‖)             for each unit i
//! AutoClip   ḡ = g min(1, c/‖g‖),  c the p-th percentile of all ‖g‖ so far, this one included
//! ```
//!
//! Law: inexact. A unit is what one output of a layer reads: a column of a matrix `[in, out]`, all but the first axis of a kernel
//! `[out, in, ..]`; a vector or number is one unit.

use retrograde_core::trace::Var;
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select};

use super::clip::{by_norm, wrong_bound};
use super::map::{AdjointMap, Wrong, declared, each_float, floats};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`AdaptiveClip`] and [`AutoClip`].
pub const ADAPTIVE_CLIPPING: Trick = Trick {
    id: "B3",
    name: "adaptive clipping",
    formula: "ḡᵢ = gᵢ min(1, λ max(‖wᵢ‖, ε)/‖gᵢ‖) for each unit i; or by a percentile of the norms so far",
    law: Law::Inexact {
        what: "scaled down to a multiple of the weights' norm, unit by unit, or to a percentile of earlier norms",
    },
    cite: &[
        Source {
            authors: "P. Seetharaman and G. Wichern and B. Pardo and J. Le Roux",
            title: "AutoClip: Adaptive Gradient Clipping for Source Separation Networks",
            venue: "MLSP",
            year: 2020,
        },
        Source {
            authors: "A. Brock and S. De and S. L. Smith and K. Simonyan",
            title: "High-Performance Large-Scale Image Recognition Without Normalization",
            venue: "ICML",
            year: 2021,
        },
    ],
    file: file!(),
    example: "AdaptiveClip",
    property: Property {
        claim: "the formula for each unit; (w, g) → (c w, c g) scales the result by c",
        test: "adaptive_clipping_is_its_formula_and_scales",
        found: "formula to 1e-15, equal bits for c a power of two",
    },
};

/// Cotangents of weights, no longer than a part of the weights themselves, unit by unit.
///
/// At an edge the weights are those that stand there: `AdaptiveClip::of(&w, 0.01).at_edge(w)`.
///
/// # Errors
/// At the front door, for a factor or floor that is not positive, and cotangents of other shapes than the weights.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::{adaptive_clip::AdaptiveClip, map::AdjointMap};
/// // Two units, columns: of norms 5 and 1, and gradients 10 and 0.1.
/// let (w, g) = (array([[3.0, 0.0], [4.0, 1.0]]), array([[10.0, 0.0], [0.0, 0.1]]));
/// let clipped = jit(|g: Var, w: Var| AdaptiveClip::of(&w, 0.2).on(g)).call((&g, &w))?;
/// assert_eq!(clipped, array([[1.0, 0.0], [0.0, 0.1]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveClip {
    /// The weights, leaf by leaf.
    pub weights: Vec<Var>,
    /// λ, the largest ratio of the norms.
    pub factor: f64,
    /// ε, the least norm that a unit counts as having, so that zero weights can leave zero.
    pub floor: f64,
}

impl AdaptiveClip {
    /// For a tree of weights, with the floor 10⁻³ of the paper.
    pub fn of<T: Traceable>(weights: &T, factor: f64) -> AdaptiveClip {
        AdaptiveClip { weights: floats(weights), factor, floor: 1e-3 }
    }
}

impl AdjointMap for AdaptiveClip {
    fn law(&self) -> custom::Law {
        declared(&ADAPTIVE_CLIPPING)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn wrong(&self) -> Option<Wrong> {
        wrong_bound("adaptive clipping, the factor", self.factor)
            .or_else(|| wrong_bound("adaptive clipping, the floor", self.floor))
    }
    fn wrong_for(&self, x_bar: &[Var]) -> Option<Wrong> {
        let differ = x_bar.iter().zip(&self.weights).find(|(g, w)| g.shape() != w.shape());
        let found = match differ {
            Some((g, w)) => format!("found a cotangent {} for weights {}", g.ty(), w.ty()),
            None if x_bar.len() != self.weights.len() => {
                format!("found {} cotangents for {} weights", x_bar.len(), self.weights.len())
            }
            None => return None,
        };
        Some((format!("adaptive clipping: {found}"), "the gradient has the structure of the weights"))
    }
    fn known(&self) -> Vec<Var> {
        self.weights.clone()
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        let mut next = known.iter();
        each_float(&x_bar, |g| {
            let w = *next.next().expect("one weight per cotangent; this is a bug in retrograde");
            let axes = unit_axes(g.rank());
            let most = w.norm_axes(&axes).max(self.floor) * self.factor;
            let size = g.norm_axes(&axes);
            let is_long = size.gt(most);
            let one = full(size.dtype(), size.shape(), 1.0);
            let factor = select(is_long, most / select(is_long, size, one), one);
            g * along_units(factor, g)
        })
    }
}

/// The axes within a unit.
pub(super) fn unit_axes(rank: usize) -> Vec<usize> {
    match rank {
        0 | 1 => (0..rank).collect(),
        2 => vec![0],
        _ => (1..rank).collect(),
    }
}

/// One value for each unit, repeated over its entries.
pub(super) fn along_units(value: Var, like: Var) -> Var {
    let within = unit_axes(like.rank());
    let axes: Vec<usize> = (0..like.rank()).filter(|axis| !within.contains(axis)).collect();
    value.broadcast(like.shape(), &axes)
}

/// [`ClipNorm`](super::clip::ClipNorm) with a traced bound, which may be another at every step.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::{adaptive_clip::{AutoClip, ClipNormTo}, map::AdjointMap};
/// let clip = jit(|g: Var, bound: Var| ClipNormTo { bound }.on(g));
/// let mut history = AutoClip::new(50.0).unwrap();
/// let mut norms = vec![];
/// for g in [1.0, 2.0, 100.0] {
///     let bound = history.bound(g);
///     norms.push(clip.call((&array([g]), &array(bound)))?.get(0).unwrap());
/// }
/// // Bounds 1, 1.5 and 2: the median so far.
/// assert_eq!(norms.iter().map(|n| n.to_string()).collect::<Vec<_>>(), ["1", "1.5", "2"]);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClipNormTo {
    /// The largest norm, a number.
    pub bound: Var,
}

impl AdjointMap for ClipNormTo {
    fn law(&self) -> custom::Law {
        declared(&ADAPTIVE_CLIPPING)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn known(&self) -> Vec<Var> {
        vec![self.bound]
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        by_norm(known[0], x_bar)
    }
}

/// A percentile that is none.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("autoclip: found a percentile of {found}, expected a number in [0, 100]; 10 is that of the paper")]
pub struct NotAPercentile {
    /// What was found.
    pub found: f64,
}

/// The norms so far, and the bound that they give.
///
/// ```
/// use retrograde_tricks::adjoint::adaptive_clip::AutoClip;
/// let mut clip = AutoClip::new(10.0)?;
/// assert_eq!([3.0, 1.0, 2.0].map(|norm| clip.bound(norm)), [3.0, 1.2, 1.2]);
/// assert!(AutoClip::new(101.0).is_err());
/// # Ok::<(), retrograde_tricks::adjoint::adaptive_clip::NotAPercentile>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct AutoClip {
    percentile: f64,
    sorted: Vec<f64>,
}

impl AutoClip {
    /// Without a history.
    ///
    /// # Errors
    /// [`NotAPercentile`] outside [0, 100].
    pub fn new(percentile: f64) -> Result<AutoClip, NotAPercentile> {
        match (0.0..=100.0).contains(&percentile) {
            true => Ok(AutoClip { percentile, sorted: vec![] }),
            false => Err(NotAPercentile { found: percentile }),
        }
    }
    /// Notes the norm of a gradient and gives the bound for it: the percentile of all norms, by linear interpolation. A norm that is not
    /// finite is not noted.
    pub fn bound(&mut self, norm: f64) -> f64 {
        if norm.is_finite() {
            let at = self.sorted.partition_point(|seen| *seen < norm);
            self.sorted.insert(at, norm);
        }
        let Some(last) = self.sorted.len().checked_sub(1) else { return f64::INFINITY };
        let place = self.percentile / 100.0 * last as f64;
        let (below, above) = (self.sorted[place.floor() as usize], self.sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }
}
