//! Implicit layers: a result that is said by an equation, `z = f(z)`, and not by the steps that find it.
//!
//! The derivative follows from the equation alone: `z̄ ↦ p̄ = f_pᵀ u` with `u = z̄ + f_zᵀ u`. Nothing of the way there is kept.
//! Law: inexact, by the two tolerances.

use retrograde_core::trace::control::{scan, while_config};
use retrograde_core::trace::custom::{Law as Promise, custom_vjp};
use retrograde_core::trace::door::grad;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Var, tree};

use super::refuse::positive;
use crate::catalogue::{Law, Property, Source, Trick};

/// Derivatives of fixed points.
pub const IMPLICIT: Trick = Trick {
    id: "A18",
    name: "implicit layers (deep equilibrium)",
    formula: "z = f(z, p); pbar = f_p' u with u = zbar + f_z' u",
    law: Law::Inexact { what: "the derivative of the fixed point, not of the iterations that approach it" },
    cite: &[
        Source {
            authors: "B. Christianson",
            title: "Reverse accumulation and attractive fixed points",
            venue: "Optimization Methods and Software 3",
            year: 1994,
        },
        Source {
            authors: "B. Amos and J. Z. Kolter",
            title: "OptNet: differentiable optimization as a layer in neural networks",
            venue: "International Conference on Machine Learning",
            year: 2017,
        },
        Source {
            authors: "S. Bai and J. Z. Kolter and V. Koltun",
            title: "Deep equilibrium models",
            venue: "Advances in Neural Information Processing Systems 32",
            year: 2019,
        },
    ],
    file: file!(),
    example: "fixed_point",
    property: Property {
        claim: "the gradient does not depend on the number of iterations forwards once they converge, and agrees with the unrolled one",
        test: "the_gradient_of_a_fixed_point_forgets_the_way_there",
        found: "1.1e-16 from the unrolled gradient, with 48 bytes kept instead of 4,800; bound 1e-13",
    },
};

/// When the search for a fixed point ends, and that for its derivative.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FixedPoint {
    /// The largest change of an entry in a step that ends the iteration, in the units of z.
    pub tolerance: f64,
    /// Steps after which not having ended is an error.
    pub at_most: usize,
    /// Steps for the derivative, each of which shrinks what is missing as much as a step forwards does.
    pub n_adjoint: usize,
}

impl Default for FixedPoint {
    fn default() -> FixedPoint {
        // What is left of a step that shrinks by a half is below the rounding of f64 after 53.
        FixedPoint { tolerance: 1e-12, at_most: 1000, n_adjoint: 60 }
    }
}

/// The z with `z = f(p, z)` that iteration from `start` finds, and its derivative with respect to p.   z: one array of any shape.
///
/// f gets all that it uses as p; its steps must shrink distances near z. `start` has a derivative of zero.
///
/// # Errors
/// At the front door: a tolerance that is not above 0, an f that does not keep the type of z, or uses traced values that are not in p.
/// When it runs: no end after `at_most` steps.
/// # Cost
/// The steps taken; for the derivative `n_adjoint` times 2–3 of f. It keeps what the derivative of
/// one step at z needs, however many steps there were.
/// # Source
/// [`IMPLICIT`]: Christianson 1994, section 3; Bai, Kolter and Koltun 2019, theorem 1.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::implicit::{FixedPoint, fixed_point};
/// // Heron: the root of p, with the slope 1/(2 √p).
/// let root = |p: Var| fixed_point(|p: Var, z: Var| 0.5 * (z + p / z), p, p * 0.0 + 1.0, FixedPoint::default());
/// assert_eq!((jit(root).call(&array(4.0))?, grad(root).call(&array(4.0))?), (array(2.0), array(0.25)));
/// let endless = |p: Var| fixed_point(|p: Var, z: Var| z + p, p, p * 0.0, FixedPoint::default());
/// let error = jit(endless).call(&array(1.0)).unwrap_err().to_string();
/// assert!(error.contains("the loop would take more than 1000 steps"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn fixed_point<P: Traceable>(f: impl Fn(P, Var) -> Var, p: P, start: Var, config: FixedPoint) -> Var {
    let help = "it is the change in a step at which the iteration ends";
    if !positive("fixed_point", "tolerance", config.tolerance, help) {
        return start;
    }
    let law = Promise::Inexact("the derivative of the fixed point, not of the iterations".into());
    // All leaves of p, then z: one list for the custom rule.
    let like = |leaves: &[Var]| {
        let mut next = leaves.iter();
        p.map_vars(&mut |leaf| next.next().copied().unwrap_or(*leaf))
    };
    let mut all: Vec<Var> = tree::leaves(&p).into_iter().map(|(_, leaf)| leaf).collect();
    let n = all.len();
    all.push(start);
    let find = |all: &[Var]| {
        let (p, start) = (&all[..n], all[n]);
        // Any gap above the tolerance, for the first step.
        let far = full(start.dtype(), [], f64::INFINITY);
        let axes: Vec<usize> = (0..start.rank()).collect();
        let step = |(z, _): (Var, Var)| {
            let next = f(like(p), z);
            (next, (next - z).abs().reduce_max(&axes))
        };
        let going = |(_, gap): (Var, Var)| gap.gt(config.tolerance);
        while_config().at_most(config.at_most).run((start, far), going, step).0
    };
    custom_vjp(
        &law,
        all,
        |all: Vec<Var>| find(&all),
        |all| {
            let z = find(&all);
            (z, [&all[..n], &[z]].concat())
        },
        |all: Vec<Var>, z_bar| {
            let (p, z) = (&all[..n], all[n]);
            let by_z = |u: Var| grad(|z: Var| (f(like(p), z) * u).sum()).at(z);
            let u = scan(config.n_adjoint).repeat(z_bar, |u| z_bar + by_z(u));
            let mut bars = grad(|p: Vec<Var>| (f(like(&p), z) * u).sum()).at(p.to_vec());
            bars.push(full(z.dtype(), z.shape(), 0.0));
            bars
        },
    )
}
