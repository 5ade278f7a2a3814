//! Euler's method: `y += h f(y)`.
//!
//! First order; one evaluation in a step.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::Tableau;

const CITE: &str = "L. Euler, Institutiones calculi integralis 1 (1768), section 650";

/// The coefficients of [`euler`].
pub const EULER: Tableau = Tableau {
    facts: Facts {
        name: "euler",
        order: 1,
        evaluations: 1,
        symmetric: false,
        symplectic: false,
        l_stable: false,
        reversible: false,
        cite: CITE,
    },
    a: &[&[]],
    b: &[1.0],
};

/// Euler's method for y' = f(y), order 1, one evaluation of f in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Euler 1768 (`EULER.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let decay = ode::euler(|y: Var| -y).step(0.5);
/// let end = jit(|y: Var| decay.run(y, 2).end()).call(&array(1.0))?;
/// assert_eq!(end, array(0.25));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn euler<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Tableau, F> {
    FirstOrder::new(EULER, field)
}
