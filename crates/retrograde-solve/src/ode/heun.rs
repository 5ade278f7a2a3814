//! Heun's method, the explicit trapezoidal rule: `y += h/2 (f(y) + f(y + h f(y)))`.
//!
//! Second order; two evaluations in a step.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::Tableau;

const CITE: &str = "K. Heun, Neue Methoden zur approximativen Integration der Differentialgleichungen einer unabhaengigen Veraenderlichen, Zeitschrift fuer Mathematik und Physik 45 (1900) 23-38";

/// The coefficients of [`heun`].
pub const HEUN: Tableau = Tableau {
    facts: Facts {
        name: "heun",
        order: 2,
        evaluations: 2,
        symmetric: false,
        symplectic: false,
        l_stable: false,
        reversible: false,
        cite: CITE,
    },
    a: &[&[], &[1.0]],
    b: &[0.5, 0.5],
};

/// Heun's method for y' = f(y), order 2, two evaluations of f in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Heun 1900 (`HEUN.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let decay = ode::heun(|y: Var| -y).step(0.5);
/// let end = jit(|y: Var| decay.run(y, 2).end()).call(&array(1.0))?;
/// assert_eq!(end, array(0.390625));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn heun<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Tableau, F> {
    FirstOrder::new(HEUN, field)
}
