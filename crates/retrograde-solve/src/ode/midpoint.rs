//! The explicit midpoint rule: `y += h f(y + h/2 f(y))`.
//!
//! Second order; two evaluations in a step.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::Tableau;

const CITE: &str = "C. Runge, Ueber die numerische Aufloesung von Differentialgleichungen, Mathematische Annalen 46 (1895) 167-178";

/// The coefficients of [`midpoint`].
pub const MIDPOINT: Tableau = Tableau {
    facts: Facts {
        name: "midpoint",
        order: 2,
        evaluations: 2,
        symmetric: false,
        symplectic: false,
        l_stable: false,
        reversible: false,
        cite: CITE,
    },
    a: &[&[], &[0.5]],
    b: &[0.0, 1.0],
};

/// The explicit midpoint rule for y' = f(y), order 2, two evaluations of f in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Runge 1895 (`MIDPOINT.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let decay = ode::midpoint(|y: Var| -y).step(0.5);
/// let end = jit(|y: Var| decay.run(y, 2).end()).call(&array(1.0))?;
/// assert_eq!(end, array(0.390625));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn midpoint<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Tableau, F> {
    FirstOrder::new(MIDPOINT, field)
}
