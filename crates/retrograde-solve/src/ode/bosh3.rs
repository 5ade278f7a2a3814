//! The pair of Bogacki and Shampine, orders 3 and 2.
//!
//! Three evaluations in an adaptive step, as the last rate is the first of the next step. Within a step, the cubic with the values and
//! rates at both ends.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::{Dense, Pair, Tableau};

const CITE: &str = "P. Bogacki, L. F. Shampine, A 3(2) pair of Runge-Kutta formulas, Applied Mathematics Letters 2 (1989) 321-325";

/// The coefficients of [`bosh3`].
pub const BOSH3: Pair = Pair {
    tableau: Tableau {
        facts: Facts {
            name: "bosh3",
            order: 3,
            evaluations: 3,
            symmetric: false,
            symplectic: false,
            l_stable: false,
            reversible: false,
            cite: CITE,
        },
        a: &[&[], &[1.0 / 2.0], &[0.0, 3.0 / 4.0], &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0]],
        b: &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0, 0.0],
    },
    error: &[-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0],
    dense: Dense {
        order: 3,
        polynomials: &[
            &[1.0, -4.0 / 3.0, 5.0 / 9.0],
            &[0.0, 1.0, -2.0 / 3.0],
            &[0.0, 4.0 / 3.0, -8.0 / 9.0],
            &[0.0, -1.0, 1.0],
        ],
    },
};

/// Bogacki and Shampine's pair for y' = f(y): order 3, three evaluations of f in a step, for loose tolerances. Steps of fixed size
/// or adaptive ones; order 3 within a step.
///
/// Errors and cost: [`Run`](super::Run), [`AdaptiveRun`](super::AdaptiveRun). Source: Bogacki & Shampine 1989 (`BOSH3.tableau.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let decay = ode::bosh3(|y: Var| -y).adaptive(1e-6, 1e-9);
/// let path = jit(|y: Var| decay.run(y, 2.0).at(&[0.5, 2.0])).call(&array(1.0))?.to_vec::<f64>().unwrap();
/// assert!((path[0] - (-0.5f64).exp()).abs() < 1e-4 && (path[1] - (-2f64).exp()).abs() < 1e-4);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn bosh3<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Pair, F> {
    FirstOrder::new(BOSH3, field)
}
