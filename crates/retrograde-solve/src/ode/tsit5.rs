//! The pair of Tsitouras, orders 5 and 4.
//!
//! Six evaluations in an adaptive step, as the last rate is the first of the next step; smaller errors than Dormand and Prince's at the
//! same cost. Coefficients to the 16 digits of the publication; they meet the order conditions to 1e-14.

use retrograde_core::trace::function::Traceable;

use super::method::Facts;
use super::run::FirstOrder;
use super::tableau::{Dense, Pair, Tableau};

const CITE: &str = "Ch. Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption, Computers and Mathematics with Applications 62 (2011) 770-775";

/// The coefficients of [`tsit5`].
pub const TSIT5: Pair = Pair {
    tableau: Tableau {
        facts: Facts {
            name: "tsit5",
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
            &[0.161],
            &[-0.008480655492356989, 0.335480655492357],
            &[2.8971530571054935, -6.359448489975075, 4.3622954328695815],
            &[5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
            &[
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.028269050394068383,
            ],
            &[
                0.09646076681806523,
                0.01,
                0.4798896504144996,
                1.379008574103742,
                -3.290069515436081,
                2.324710524099774,
            ],
        ],
        b: &[
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
            0.0,
        ],
    },
    error: &[
        -0.001780011052225777,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ],
    dense: Dense {
        order: 4,
        polynomials: &[
            &[1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216],
            &[0.0, 0.13169999999999998, -0.2234, 0.1017],
            &[0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253],
            &[0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902],
            &[0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928],
            &[0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661],
            &[0.0, 1.5, -4.0, 2.5],
        ],
    },
};

/// Tsitouras' pair for y' = f(y): order 5, six evaluations of f in a step, a good first choice where nothing is stiff. Steps of fixed
/// size or adaptive ones; order 4 within a step.
///
/// Errors and cost: [`Run`](super::Run), [`AdaptiveRun`](super::AdaptiveRun). Source: Tsitouras 2011 (`TSIT5.tableau.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let decay = ode::tsit5(|y: Var| -y).adaptive(1e-6, 1e-9);
/// let path = jit(|y: Var| decay.run(y, 2.0).at(&[0.5, 2.0])).call(&array(1.0))?.to_vec::<f64>().unwrap();
/// assert!((path[0] - (-0.5f64).exp()).abs() < 1e-5 && (path[1] - (-2f64).exp()).abs() < 1e-5);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn tsit5<S: Traceable, F: Fn(S) -> S>(field: F) -> FirstOrder<Pair, F> {
    FirstOrder::new(TSIT5, field)
}
