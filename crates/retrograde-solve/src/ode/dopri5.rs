//! The pair of Dormand and Prince, orders 5 and 4.
//!
//! Six evaluations in an adaptive step, as the last rate is the first of the next step. The interpolant of order 4 is that of DOPRI5 (Hairer,
//! Nørsett & Wanner, Solving Ordinary Differential Equations I, 1993, II.6), multiplied out.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::{Dense, Pair, Tableau};

const CITE: &str = "J. R. Dormand, P. J. Prince, A family of embedded Runge-Kutta formulae, Journal of Computational and Applied Mathematics 6 (1980) 19-26";

/// The coefficients of [`dopri5`].
pub const DOPRI5: Pair = Pair {
    tableau: Tableau {
        facts: Facts {
            name: "dopri5",
            order: 5,
            evaluations: 6,
            symmetric: false,
            symplectic: false,
            l_stable: false,
            reversible: false,
            cite: CITE,
        },
        a: &[
            &[],
            &[1.0 / 5.0],
            &[3.0 / 40.0, 9.0 / 40.0],
            &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
            &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
            &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
            &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
        ],
        b: &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0, 0.0],
    },
    error: &[
        71.0 / 57600.0,
        0.0,
        -71.0 / 16695.0,
        71.0 / 1920.0,
        -17253.0 / 339200.0,
        22.0 / 525.0,
        -1.0 / 40.0,
    ],
    dense: Dense {
        order: 4,
        polynomials: &[
            &[1.0, -8048581381.0 / 2820520608.0, 8663915743.0 / 2820520608.0, -12715105075.0 / 11282082432.0],
            &[0.0, 0.0, 0.0, 0.0],
            &[
                0.0,
                131558114200.0 / 32700410799.0,
                -68118460800.0 / 10900136933.0,
                87487479700.0 / 32700410799.0,
            ],
            &[0.0, -1754552775.0 / 470086768.0, 14199869525.0 / 1410260304.0, -10690763975.0 / 1880347072.0],
            &[
                0.0,
                127303824393.0 / 49829197408.0,
                -318862633887.0 / 49829197408.0,
                701980252875.0 / 199316789632.0,
            ],
            &[0.0, -282668133.0 / 205662961.0, 2019193451.0 / 616988883.0, -1453857185.0 / 822651844.0],
            &[0.0, 40617522.0 / 29380423.0, -110615467.0 / 29380423.0, 69997945.0 / 29380423.0],
        ],
    },
};

/// Dormand and Prince's pair for y' = f(y): order 5, six evaluations of f in a step. Steps of fixed size or adaptive ones;
/// order 4 within a step.
///
/// Errors and cost: [`Run`](super::Run), [`AdaptiveRun`](super::AdaptiveRun). Source: Dormand & Prince 1980 (`DOPRI5.tableau.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let decay = ode::dopri5(|y: Var| -y).adaptive(1e-6, 1e-9);
/// let path = jit(|y: Var| decay.run(y, 2.0).at(&[0.5, 2.0])).call(&array(1.0))?.to_vec::<f64>().unwrap();
/// assert!((path[0] - (-0.5f64).exp()).abs() < 1e-5 && (path[1] - (-2f64).exp()).abs() < 1e-5);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn dopri5<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Pair, F> {
    FirstOrder::new(DOPRI5, field)
}
