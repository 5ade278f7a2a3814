//! Gradients made to agree: centralised, without the mean over what a unit reads; and projected, where those of two tasks oppose.
//!
//! ```text
//! centralised   ḡ = g − mean(g) over each unit                    (weights of two axes and more)
//! PCGrad        gᵢ ← gᵢ − ⟨gᵢ, gⱼ⟩/‖gⱼ‖² gⱼ  where ⟨gᵢ, gⱼ⟩ < 0,  for each other task j in turn; then the sum
//! ```
//!
//! Law: inexact; centralising is linear and a projection. Units are those of [`AdaptiveClip`](super::adaptive_clip::AdaptiveClip).

use retrograde_array::DType;
use retrograde_core::ir::{Diagnostic, Location};
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::tree::structure;
use retrograde_core::trace::var::{full, select};
use retrograde_core::trace::{Var, blame, mistake};

use super::adaptive_clip::{along_units, unit_axes};
use super::map::{AdjointMap, declared, each_float, leaves, with_leaves};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`Centralise`] and [`project_conflicts`].
pub const CENTRALISE: Trick = Trick {
    id: "B18",
    name: "gradient centralisation and PCGrad",
    formula: "ḡ = g − mean(g) over each unit; gᵢ −= ⟨gᵢ, gⱼ⟩/‖gⱼ‖² gⱼ where ⟨gᵢ, gⱼ⟩ < 0",
    law: Law::Inexact {
        what: "projected: without the mean over each unit, or without what opposes another task",
    },
    cite: &[
        Source {
            authors: "H. Yong and J. Huang and X. Hua and L. Zhang",
            title: "Gradient Centralization: A New Optimization Technique for Deep Neural Networks",
            venue: "ECCV",
            year: 2020,
        },
        Source {
            authors: "T. Yu and S. Kumar and A. Gupta and S. Levine and K. Hausman and C. Finn",
            title: "Gradient Surgery for Multi-Task Learning",
            venue: "NeurIPS",
            year: 2020,
        },
    ],
    file: file!(),
    example: "Centralise",
    property: Property {
        claim: "no mean is left and a second time changes nothing; of two tasks, neither is opposed after the projection",
        test: "projected_gradients_do_not_oppose_each_other",
        found: "inner products above −1e-15 ‖gᵢ‖‖gⱼ‖ on 100 pairs, 45 of which opposed each other",
    },
};

/// Without the mean over each unit; vectors and numbers stay.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::{centralise::Centralise, map::AdjointMap};
/// // A matrix [in, out]: each column.
/// let central = jit(|g: (Var, Var)| Centralise.on(g)).call(&(array([[1.0, 5.0], [3.0, 5.0]]), array([1.0, 2.0])))?;
/// assert_eq!(central, (array([[-1.0, 0.0], [1.0, 0.0]]), array([1.0, 2.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Centralise;

impl AdjointMap for Centralise {
    fn law(&self) -> custom::Law {
        declared(&CENTRALISE)
    }
    fn is_linear(&self) -> bool {
        true
    }
    fn cotangents<T: Traceable>(&self, _: &[Var], x_bar: T) -> T {
        each_float(&x_bar, |g| {
            if g.rank() < 2 {
                return g;
            }
            let axes = unit_axes(g.rank());
            let n: usize = axes.iter().map(|&axis| g.shape()[axis]).product();
            g - along_units(g.sum_axes(&axes) / n as f64, g)
        })
    }
}

/// The sum of the gradients of several tasks, each first without what opposes another.   gradients: trees of one structure → the same.
///
/// Task i meets the others in the order `i + 1, i + 2, ..`, each as it was given. (The paper draws the order anew at every step; turn the
/// list to do so.)
///
/// # Errors
/// At the front door, for no gradient, and for trees that do not match.
/// # Cost
/// An inner product for each pair of tasks.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::jit;
/// use retrograde_tricks::adjoint::centralise::project_conflicts;
/// let sum = jit(|a: Var, b: Var| project_conflicts(&[a, b]));
/// // (1, 0) and (−1, 1): without what opposes, (½, ½) and (0, 1).
/// assert_eq!(sum.call((&array([1.0, 0.0]), &array([-1.0, 1.0])))?, array([0.5, 1.5]));
/// assert_eq!(sum.call((&array([1.0, 0.0]), &array([1.0, 1.0])))?, array([2.0, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn project_conflicts<T: Traceable>(gradients: &[T]) -> T {
    let location = Location(std::panic::Location::caller());
    let Some(first) = gradients.first() else {
        let help = "pass the gradients of all tasks";
        mistake(
            Diagnostic::new("pcgrad: found no gradients, expected at least 1", Some(location)).help(help),
        );
        panic!("pcgrad without gradients: there is no result to go on with");
    };
    let shape = structure(&first.types());
    let differ = |g: &T| {
        structure(&g.types()) != shape || leaves(g).iter().zip(leaves(first)).any(|(a, b)| a.ty() != b.ty())
    };
    if let Some(i) = gradients.iter().position(differ) {
        let found = format!("pcgrad: gradient {i} has another structure or other types than gradient 0");
        let help = "gradients of all tasks are with respect to the same parameters";
        mistake(Diagnostic::new(found, Some(location)).help(help));
        return first.map_vars(&mut |g| *g);
    }
    blame(location, || {
        let all: Vec<Vec<Var>> = gradients.iter().map(leaves).collect();
        let projected = (0..all.len()).map(|i| {
            let others = (1..all.len()).map(|step| &all[(i + step) % all.len()]);
            others.fold(all[i].clone(), |g, other| without_opposition(&g, other))
        });
        let total = projected.reduce(|a, b| a.iter().zip(b).map(|(a, b)| *a + b).collect());
        with_leaves(first, &total.unwrap_or_default())
    })
}

fn inner(a: &[Var], b: &[Var]) -> Var {
    let products = a.iter().zip(b).map(|(a, b)| (a.convert(DType::F64) * b.convert(DType::F64)).sum());
    products.reduce(|a, b| a + b).unwrap_or_else(|| full(DType::F64, [], 0.0))
}

/// `g` less its part along `other` where they oppose each other.
fn without_opposition(g: &[Var], other: &[Var]) -> Vec<Var> {
    let (product, square) = (inner(g, other), inner(other, other));
    let opposes = product.lt(0.0);
    let one = full(DType::F64, [], 1.0);
    let factor = select(opposes, product / select(opposes, square, one), one * 0.0);
    g.iter().zip(other).map(|(g, o)| *g - *o * factor.convert(o.dtype())).collect()
}
