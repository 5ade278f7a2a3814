//! Velocity Verlet: kick–drift–kick with the kicks of neighbouring steps in one.
//!
//! `v += h/2 a(q)`, then in each step `q += h v; v += h a(q)`, at last `v -= h/2 a(q)`. This is the familiar `q += h v + h²/2 a; v += h/2 (a + a')`,
//! but nothing is carried along that is a function of the others, so that each step reverses by itself.

use retrograde_core::trace::Var;

use super::composition::{Composition, Part};
use super::method::Facts;
use super::run::SecondOrder;

const CITE: &str = "W. C. Swope, H. C. Andersen, P. H. Berens, K. R. Wilson, A computer simulation method for the calculation of equilibrium constants, Journal of Chemical Physics 76 (1982) 637-649";

/// The updates of [`velocity_verlet`].
pub const VELOCITY_VERLET: Composition = Composition {
    facts: Facts {
        name: "velocity_verlet",
        order: 2,
        evaluations: 1,
        symmetric: true,
        symplectic: true,
        l_stable: false,
        reversible: true,
        cite: CITE,
    },
    opening: &[Part::Kick(0.5)],
    parts: &[Part::Drift(1.0), Part::Kick(1.0)],
    closing: &[Part::Kick(-0.5)],
};

/// Velocity Verlet for q'' = a(q), order 2, one evaluation of a in a step and two more in a run.
///
/// Errors and cost: [`Run`](super::Run). Source: Swope, Andersen, Berens & Wilson 1982 (`VELOCITY_VERLET.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::velocity_verlet(|q: Var| -q).step(0.01);
/// let (q, _) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-4);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn velocity_verlet<A: Fn(Var) -> Var>(acceleration: A) -> SecondOrder<Composition, A> {
    SecondOrder::new(VELOCITY_VERLET, acceleration)
}
