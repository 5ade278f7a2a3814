//! Leapfrog, drift–kick–drift `q += h/2 v; v += h a(q); q += h/2 v` or kick–drift–kick.
//!
//! Second order, symplectic, symmetric.

use retrograde_core::trace::Var;

use super::composition::{Composition, Part};
use super::method::Facts;
use super::run::SecondOrder;

const CITE: &str = "L. Verlet, Computer experiments on classical fluids I, Physical Review 159 (1967) 98-103";

/// The updates of [`leapfrog`].
pub const LEAPFROG: Composition = Composition {
    facts: Facts {
        name: "leapfrog",
        order: 2,
        evaluations: 1,
        symmetric: true,
        symplectic: true,
        l_stable: false,
        reversible: true,
        cite: CITE,
    },
    opening: &[],
    parts: &[Part::Drift(0.5), Part::Kick(1.0), Part::Drift(0.5)],
    closing: &[],
};

/// Leapfrog, drift–kick–drift, for q'' = a(q), order 2, one evaluation of a in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Verlet 1967 (`LEAPFROG.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::leapfrog(|q: Var| -q).step(0.01);
/// let (q, _) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-4);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn leapfrog<A: Fn(Var) -> Var>(acceleration: A) -> SecondOrder<Composition, A> {
    SecondOrder::new(LEAPFROG, acceleration)
}

/// The updates of [`leapfrog_kdk`].
pub const LEAPFROG_KDK: Composition = Composition {
    facts: Facts {
        name: "leapfrog_kdk",
        order: 2,
        evaluations: 2,
        symmetric: true,
        symplectic: true,
        l_stable: false,
        reversible: true,
        cite: CITE,
    },
    opening: &[],
    parts: &[Part::Kick(0.5), Part::Drift(1.0), Part::Kick(0.5)],
    closing: &[],
};

/// Leapfrog, kick–drift–kick, for q'' = a(q), order 2, two evaluations of a in a step; [`velocity_verlet`](super::velocity_verlet()) has
/// the same states with one.
///
/// Errors and cost: [`Run`](super::Run). Source: Verlet 1967 (`LEAPFROG_KDK.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::leapfrog_kdk(|q: Var| -q).step(0.01);
/// let (q, _) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-4);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn leapfrog_kdk<A: Fn(Var) -> Var>(acceleration: A) -> SecondOrder<Composition, A> {
    SecondOrder::new(LEAPFROG_KDK, acceleration)
}
