//! The classical Runge–Kutta method.
//!
//! Fourth order; four evaluations in a step.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::Tableau;

const CITE: &str = "W. Kutta, Beitrag zur naeherungsweisen Integration totaler Differentialgleichungen, Zeitschrift fuer Mathematik und Physik 46 (1901) 435-453";

/// The coefficients of [`rk4`].
pub const RK4: Tableau = Tableau {
    facts: Facts {
        name: "rk4",
        order: 4,
        evaluations: 4,
        symmetric: false,
        symplectic: false,
        l_stable: false,
        reversible: false,
        cite: CITE,
    },
    a: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
};

/// The classical Runge–Kutta method for y' = f(y), order 4, four evaluations of f in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Kutta 1901 (`RK4.facts.cite`).
///
/// The state is any tree of leaves; time, where f depends on it, is a leaf with the rate 1:
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// // y' = -2 t y from y(0) = 1 is exp(-t²).
/// let bell = ode::rk4(|(t, y): (Var, Var)| (0.0 * t + 1.0, -2.0 * t * y)).step(0.1);
/// let (t, y) = jit(|t: Var, y: Var| bell.run((t, y), 10).end()).call((&array(0.0), &array(1.0)))?;
/// assert!((t.item::<f64>().unwrap() - 1.0).abs() < 1e-15);
/// assert!((y.item::<f64>().unwrap() - (-1f64).exp()).abs() < 1e-5);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn rk4<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Tableau, F> {
    FirstOrder::new(RK4, field)
}
