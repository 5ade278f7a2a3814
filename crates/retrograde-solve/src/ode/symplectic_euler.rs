//! Symplectic Euler: `v += h a(q); q += h v`.
//!
//! First order; one evaluation in a step.

use retrograde_core::trace::Var;

use super::composition::{Composition, Part};
use super::method::Facts;
use super::run::SecondOrder;

const CITE: &str = "R. de Vogelaere, Methods of integration which preserve the contact transformation property of the Hamiltonian equations, University of Notre Dame (1956)";

/// The updates of [`symplectic_euler`].
pub const SYMPLECTIC_EULER: Composition = Composition {
    facts: Facts {
        name: "symplectic_euler",
        order: 1,
        evaluations: 1,
        symmetric: false,
        symplectic: true,
        l_stable: false,
        reversible: true,
        cite: CITE,
    },
    opening: &[],
    parts: &[Part::Kick(1.0), Part::Drift(1.0)],
    closing: &[],
};

/// Symplectic Euler for q'' = a(q), order 1, one evaluation of a in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: de Vogelaere 1956 (`SYMPLECTIC_EULER.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::symplectic_euler(|q: Var| -q).step(0.01);
/// let (q, _) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-2);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn symplectic_euler<A: Fn(Var) -> Var>(acceleration: A) -> SecondOrder<Composition, A> {
    SecondOrder::new(SYMPLECTIC_EULER, acceleration)
}
