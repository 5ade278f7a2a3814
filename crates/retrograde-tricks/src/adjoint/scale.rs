//! Scaling and reversal of cotangents: `y = x`, `x̄ = k ȳ`, or `x̄ = −k ȳ`. Law: inexact, and linear: tangents are scaled alike.
//!
//! A factor below 1 slows the layers before it down, as a learning rate of their own does. The reversal makes what lies before it
//! ascend where what lies behind descends: both players of a saddle in one sweep.

use retrograde_core::trace::Var;
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;

use super::map::{AdjointMap, Wrong, declared, each_float};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`Scale`].
pub const GRADIENT_SCALING: Trick = Trick {
    id: "B6",
    name: "gradient scaling",
    formula: "y = x, x̄ = k ȳ",
    law: Law::Inexact { what: "multiplied by a factor" },
    cite: &[Source {
        authors: "J. Howard and S. Ruder",
        title: "Universal Language Model Fine-tuning for Text Classification",
        venue: "ACL",
        year: 2018,
    }],
    file: file!(),
    example: "Scale",
    property: Property {
        claim: "the factor is exactly k, and factors multiply",
        test: "scales_multiply_and_reversals_cancel",
        found: "equal bits",
    },
};

/// The row of [`Reverse`].
pub const GRADIENT_REVERSAL: Trick = Trick {
    id: "B7",
    name: "gradient reversal",
    formula: "y = x, x̄ = −k ȳ",
    law: Law::Inexact { what: "multiplied by minus a factor" },
    cite: &[Source {
        authors: "Y. Ganin and V. Lempitsky",
        title: "Unsupervised Domain Adaptation by Backpropagation",
        venue: "ICML",
        year: 2015,
    }],
    file: file!(),
    example: "Reverse",
    property: Property {
        claim: "two reversals are the identity; descent on both sides of one leads to the saddle",
        test: "descent_through_a_reversal_finds_the_saddle",
        found: "saddle of a quadratic game reached to 1e-12",
    },
};

/// Cotangents multiplied by a factor.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::{map::AdjointMap, scale::Scale};
/// let f = |x: Var| (3.0 * Scale { factor: 0.25 }.at_edge(x)).sum();
/// assert_eq!(grad(f).call(&array([1.0, 2.0]))?, array([0.75, 0.75]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    /// k
    pub factor: f64,
}

/// Cotangents multiplied by minus a factor, which is a traced number: it usually grows from 0 to 1 while training.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::{map::AdjointMap, scale::Reverse};
/// let f = |x: Var, factor: Var| 3.0 * Reverse { factor }.at_edge(x);
/// assert_eq!(grad(f).call((&array(1.0), &array(0.5)))?, array(-1.5));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reverse {
    /// k, a number.
    pub factor: Var,
}

/// What is wrong with a factor.
fn wrong_factor(factor: f64) -> Option<Wrong> {
    (!factor.is_finite()).then(|| {
        (
            format!("gradient scaling: found a factor of {factor}, expected a finite number"),
            "a factor of 1 changes nothing",
        )
    })
}

impl AdjointMap for Scale {
    fn law(&self) -> custom::Law {
        declared(&GRADIENT_SCALING)
    }
    fn is_linear(&self) -> bool {
        true
    }
    fn wrong(&self) -> Option<Wrong> {
        wrong_factor(self.factor)
    }
    fn cotangents<T: Traceable>(&self, _: &[Var], x_bar: T) -> T {
        each_float(&x_bar, |g| g * self.factor)
    }
}

impl AdjointMap for Reverse {
    fn law(&self) -> custom::Law {
        declared(&GRADIENT_REVERSAL)
    }
    fn is_linear(&self) -> bool {
        true
    }
    fn wrong(&self) -> Option<Wrong> {
        let ty = self.factor.ty();
        (!ty.is_float() || ty.shape.rank() > 0).then(|| {
            (
                format!("gradient reversal: found a factor of type {ty}, expected a number"),
                "pass the factor as f64[] or f32[]",
            )
        })
    }
    fn known(&self) -> Vec<Var> {
        vec![self.factor]
    }
    fn cotangents<T: Traceable>(&self, known: &[Var], x_bar: T) -> T {
        each_float(&x_bar, |g| g * (-known[0]).convert(g.dtype()))
    }
}
