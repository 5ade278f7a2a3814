//! Relaxations: sorting, assignment, coverage and memory as smooth functions with a temperature. Law: exact.

use retrograde_core::trace::Var;

use super::refuse::positive;
use super::softmax::softmax;
use crate::catalogue::{Law, Property, Source, Trick};

/// Differentiable relaxations of what has no derivative.
pub const RELAXATIONS: Trick = Trick {
    id: "A17",
    name: "soft sort, Sinkhorn, soft rasteriser, NTM memory",
    formula: "softmax(-|sort x - x'|/T) x; diag(a) exp(-C/T) diag(b); 1 - prod(1 - s(d/T)); softmax(b cos(k, M)) M",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "M. Cuturi",
            title: "Sinkhorn distances: lightspeed computation of optimal transport",
            venue: "Advances in Neural Information Processing Systems 26",
            year: 2013,
        },
        Source {
            authors: "A. Graves and G. Wayne and I. Danihelka",
            title: "Neural Turing machines",
            venue: "arXiv:1410.5401",
            year: 2014,
        },
        Source {
            authors: "S. Liu and T. Li and W. Chen and H. Li",
            title: "Soft rasterizer: a differentiable renderer for image-based 3D reasoning",
            venue: "IEEE International Conference on Computer Vision",
            year: 2019,
        },
        Source {
            authors: "S. Prillo and J. M. Eisenschlos",
            title: "SoftSort: a continuous relaxation for the argsort operator",
            venue: "International Conference on Machine Learning",
            year: 2020,
        },
    ],
    file: file!(),
    example: "soft_sort",
    property: Property {
        claim: "as the temperature goes to 0 each gives the hard answer, and gradients are those of differences",
        test: "cold_relaxations_give_the_hard_answer",
        found: "no difference at temperature 1e-3; bound 1e-9; slopes within 1e-7 of differences",
    },
};

/// `softmax(−|xᵢ' − xⱼ|/T)` over j, with x' the sorted x: row i says which entry stands at place i.   x: `[n]` → `[n, n]`.
///
/// # Errors
/// At the front door, for a temperature that is not above 0.
/// # Cost
/// A sort and n² exponentials, which the derivative keeps.
/// # Source
/// [`RELAXATIONS`]: Prillo and Eisenschlos 2020, eq. 4.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::soft_sort::{soft_argsort, soft_sort};
/// let x = array([3.0, 1.0, 2.0]);
/// assert_eq!(jit(|x: Var| soft_sort(x, 1e-3)).call(&x)?, array([1.0, 2.0, 3.0]));
/// let order = jit(|x: Var| soft_argsort(x, 1e-3)).call(&x)?;
/// assert_eq!(order, array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
/// let error = jit(|x: Var| soft_sort(x, 0.0)).call(&x).unwrap_err().to_string();
/// assert!(error.starts_with("error: soft_sort: found a temperature of 0, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn soft_argsort(x: Var, temperature: f64) -> Var {
    let n = x.shape().size();
    let pairs = [n, n];
    if !positive("soft_sort", "temperature", temperature, "use sort for the limit of zero") {
        return x.broadcast(pairs, &[1]);
    }
    let apart = x.sort(0).broadcast(pairs, &[0]) - x.broadcast(pairs, &[1]);
    softmax(apart.abs() * (-1.0 / temperature), 1)
}

/// The entries sorted, the smallest first, each a mean of those near its place.   x: `[n]` → `[n]`.
///
/// # Errors
/// At the front door, for a temperature that is not above 0.
#[track_caller]
pub fn soft_sort(x: Var, temperature: f64) -> Var {
    soft_argsort(x, temperature).dot(x)
}
