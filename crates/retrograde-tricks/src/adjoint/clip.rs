//! Clipping: cotangents no larger than a bound, entry by entry or as a whole; on the gradient, or inside of the reverse pass.
//!
//! ```text
//! by value   ḡ = min(max(g, −c), c)
//! by norm    ḡ = g min(1, c/‖g‖),   ‖g‖ over all leaves together
//! ```
//!
//! Law: inexact. A step of a loop is clipped by `clip.at_edge(state)` in its body, as Graves did for every step of a recurrent network.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::{full, select, stack};

use super::map::{AdjointMap, Wrong, declared, each_float, floats};
use crate::catalogue::{Law, Property, Source, Trick};

const MIKOLOV_2012: Source = Source {
    authors: "T. Mikolov",
    title: "Statistical Language Models Based on Neural Networks",
    venue: "PhD thesis, Brno University of Technology",
    year: 2012,
};

const PASCANU_2013: Source = Source {
    authors: "R. Pascanu and T. Mikolov and Y. Bengio",
    title: "On the difficulty of training recurrent neural networks",
    venue: "ICML",
    year: 2013,
};

const GRAVES_2013: Source = Source {
    authors: "A. Graves",
    title: "Generating Sequences With Recurrent Neural Networks",
    venue: "arXiv:1308.0850",
    year: 2013,
};

/// The row of [`ClipValue`].
pub const CLIP_BY_VALUE: Trick = Trick {
    id: "B1",
    name: "clip by value",
    formula: "ḡ = min(max(g, −c), c)",
    law: Law::Inexact { what: "each entry is the nearest number in [−bound, bound]" },
    cite: &[MIKOLOV_2012],
    file: file!(),
    example: "ClipValue",
    property: Property {
        claim: "equal to the formula to the bit, idempotent, the identity inside of the box",
        test: "clipping_by_value_is_its_formula_and_idempotent",
        found: "equal bits on 1000 draws",
    },
};

/// The row of [`ClipNorm`].
pub const CLIP_BY_NORM: Trick = Trick {
    id: "B2",
    name: "clip by global norm",
    formula: "ḡ = g min(1, c/‖g‖), the norm over all leaves",
    law: Law::Inexact { what: "scaled by min(1, bound/‖g‖), the norm over all leaves" },
    cite: &[MIKOLOV_2012, PASCANU_2013],
    file: file!(),
    example: "ClipNorm",
    property: Property {
        claim: "same direction, norm min(c, ‖g‖), the same bits for any order of the leaves",
        test: "clipping_by_norm_keeps_the_direction_and_bounds_the_norm",
        found: "norm off by at most 4 ulp, cosine 1 to 1e-15, bits equal over all 6 orders of 3 leaves",
    },
};

/// The row of clipping inside of the reverse pass.
pub const CLIP_INSIDE: Trick = Trick {
    id: "B4",
    name: "clip inside of the reverse pass",
    formula: "y = x, x̄ = clip(ȳ) at an edge; in the body of a loop, at every step",
    law: Law::Inexact { what: "cotangents are clipped on their way, so what lies before sees clipped ones" },
    cite: &[GRAVES_2013],
    file: file!(),
    example: "clip_each_step",
    property: Property {
        claim: "the primal is the same to the bit; the cotangent is that of a clamp at each step, and another than B1's",
        test: "clipping_each_step_is_a_clamp_at_each_step",
        found: "within 60 roundings of a loop by hand, 20 steps; B1 is off by more than a factor of 2",
    },
};

/// Every entry of a cotangent between −bound and bound. NaN stays NaN.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::{grad, jit};
/// use retrograde_tricks::adjoint::{clip::ClipValue, map::AdjointMap};
/// let clip = ClipValue { bound: 1.0 };
/// assert_eq!(jit(|g: Var| clip.on(g)).call(&array([0.5, -7.0, 2.0]))?, array([0.5, -1.0, 1.0]));
/// assert_eq!(grad(|x: Var| (7.0 * clip.at_edge(x)).sum()).call(&array([0.1, 0.2]))?, array([1.0, 1.0]));
/// let error = jit(|g: Var| ClipValue { bound: 0.0 }.on(g)).call(&array(1.0)).unwrap_err().to_string();
/// assert!(error.contains("clip by value: found a bound of 0, expected a positive number"), "{error}");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClipValue {
    /// The largest magnitude.
    pub bound: f64,
}

/// A cotangent scaled down so that its norm over all leaves is at most the bound. A direction stays; NaN and infinities give NaN.
///
/// Squares are of entries relative to a power of two near the largest, so that nothing overflows; the leaves' sums are added from the smallest on, so that the
/// order of the leaves changes no bit. The norm is an f64 whatever the leaves are.
///
/// # Cost
/// Three passes over the gradient.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::{clip::ClipNorm, map::AdjointMap};
/// let clip = jit(|g: (Var, Var)| ClipNorm { bound: 1.0 }.on(g));
/// assert_eq!(clip.call(&(array([0.0, 3.0]), array(4.0)))?, (array([0.0, 0.6000000000000001]), array(0.8)));
/// assert_eq!(clip.call(&(array([0.0, 0.3]), array(0.4)))?, (array([0.0, 0.3]), array(0.4)));
/// let error = jit(|g: Var| ClipNorm { bound: -1.0 }.on(g)).call(&array(1.0)).unwrap_err().to_string();
/// assert!(error.contains("clip by norm: found a bound of -1, expected a positive number"), "{error}");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClipNorm {
    /// The largest norm.
    pub bound: f64,
}

/// What is wrong with a bound.
pub(super) fn wrong_bound(name: &str, bound: f64) -> Option<Wrong> {
    let is_bound = bound > 0.0 && bound.is_finite();
    (!is_bound).then(|| {
        (
            format!("{name}: found a bound of {bound}, expected a positive number"),
            "leave the clipping out to have no bound",
        )
    })
}

impl AdjointMap for ClipValue {
    fn law(&self) -> custom::Law {
        declared(&CLIP_BY_VALUE)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn wrong(&self) -> Option<Wrong> {
        wrong_bound("clip by value", self.bound)
    }
    fn cotangents<T: Traceable>(&self, _: &[Var], x_bar: T) -> T {
        each_float(&x_bar, |g| g.clamp(-self.bound, self.bound))
    }
}

impl AdjointMap for ClipNorm {
    fn law(&self) -> custom::Law {
        declared(&CLIP_BY_NORM)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn wrong(&self) -> Option<Wrong> {
        wrong_bound("clip by norm", self.bound)
    }
    fn cotangents<T: Traceable>(&self, _: &[Var], x_bar: T) -> T {
        by_norm(full(DType::F64, [], self.bound), x_bar)
    }
}

/// A tree of cotangents, scaled down to a norm of at most `bound`, a number.
pub(super) fn by_norm<T: Traceable>(bound: Var, x_bar: T) -> T {
    let norm = global_norm(&x_bar);
    let factor = (bound.convert(DType::F64) / norm).min(1.0);
    // Of a zero gradient, bound/0 is infinite and the factor 1; of one that is not finite, all entries are NaN.
    let factor = select(norm.is_finite(), factor, full(DType::F64, [], f64::NAN));
    each_float(&x_bar, |g| g * factor.convert(g.dtype()))
}

/// ‖g‖ over all leaves that can have a cotangent.   g: a tree → f64 number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::clip::global_norm;
/// let norm = jit(|g: (Var, Var)| global_norm(&g));
/// assert_eq!(norm.call(&(array([0.0, 3.0]), array(4.0_f32)))?, array(5.0));
/// let huge = 2f64.powi(600);
/// assert_eq!(norm.call(&(array([3.0 * huge, 4.0 * huge]), array(0.0)))?, array(5.0 * huge));
/// assert_eq!(norm.call(&(array([0.0, 0.0]), array(0.0)))?, array(0.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn global_norm<T: Traceable>(gradient: &T) -> Var {
    let leaves: Vec<Var> = floats(gradient).into_iter().filter(|g| g.shape().size() > 0).collect();
    if leaves.is_empty() {
        return full(DType::F64, [], 0.0);
    }
    let mut largest = vec![];
    for g in &leaves {
        let axes: Vec<usize> = (0..g.rank()).collect();
        largest.push(g.abs().reduce_max(&axes).convert(DType::F64));
    }
    // A power of two near the largest entry, by which to divide is exact. It is no part of the function: its derivative is none.
    let largest = stack(&largest).reduce_max(&[0]).stop_gradient();
    // 2^1024 is no f64.
    let unit = largest.log2().floor().min(1023.0).exp2();
    let unit = select(largest.gt(0.0), unit, full(DType::F64, [], 1.0));
    let mut squares = vec![];
    for g in &leaves {
        let relative = g.convert(DType::F64) / unit;
        squares.push((relative * relative).sum());
    }
    let total = stack(&squares).sort(0).sum();
    // The root of 1 where all is zero, whose slope is finite, and the other side of both choices.
    let is_zero = total.eq(0.0);
    let root = select(is_zero, 1.0, total).sqrt();
    unit * select(is_zero, 0.0, root)
}

/// The state of a loop, clipped by value on its way back: write it around the state in the body.   state: a tree → the same.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, control::scan};
/// use retrograde_engine::{grad, jit};
/// use retrograde_tricks::adjoint::clip::clip_each_step;
/// // Doubles at each step; the cotangent never exceeds 1.
/// let exploding = |x: Var| scan(50).repeat(x, |x| 2.0 * clip_each_step(1.0, x)).sum();
/// assert_eq!(grad(exploding).call(&array([1.0]))?, array([1.0]));
/// assert_eq!(jit(exploding).call(&array([1.0]))?, array(2f64.powi(50)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn clip_each_step<T: Traceable>(bound: f64, state: T) -> T {
    EachStep(ClipValue { bound }).at_edge(state)
}

/// [`ClipValue`], declared as what it is inside of a reverse pass.
#[derive(Clone, Copy, Debug)]
struct EachStep(ClipValue);

impl AdjointMap for EachStep {
    fn law(&self) -> custom::Law {
        declared(&CLIP_INSIDE)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn wrong(&self) -> Option<Wrong> {
        self.0.wrong()
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        self.0.cotangents(known, x_bar)
    }
}
