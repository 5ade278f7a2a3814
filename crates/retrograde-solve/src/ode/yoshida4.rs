//! Yoshida's method of fourth order: leapfrog with steps of w₁, w₀ and w₁ times h, w₁ = 1/(2 - 2^(1/3)), w₀ = 1 - 2 w₁.
//!
//! Symplectic, symmetric; three evaluations in a step. Weights by `tools/yoshida.py`.

use retrograde_core::trace::Var;

use super::composition::{Composition, Part};
use super::method::Facts;
use super::run::SecondOrder;

const CITE: &str = "H. Yoshida, Construction of higher order symplectic integrators, Physics Letters A 150 (1990) 262-268, equation (2.11)";

const W1: f64 = 1.351_207_191_959_657_6;
const W0: f64 = -1.702_414_383_919_315_3;

/// The updates of [`yoshida4`].
pub const YOSHIDA4: Composition = Composition {
    facts: Facts {
        name: "yoshida4",
        order: 4,
        evaluations: 3,
        symmetric: true,
        symplectic: true,
        l_stable: false,
        reversible: true,
        cite: CITE,
    },
    opening: &[],
    parts: &[
        Part::Drift(0.5 * W1),
        Part::Kick(W1),
        Part::Drift(0.5 * (W1 + W0)),
        Part::Kick(W0),
        Part::Drift(0.5 * (W0 + W1)),
        Part::Kick(W1),
        Part::Drift(0.5 * W1),
    ],
    closing: &[],
};

/// Yoshida's method of order 4 for q'' = a(q), three evaluations of a in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Yoshida 1990 (`YOSHIDA4.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::yoshida4(|q: Var| -q).step(0.01);
/// let (q, _) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-8);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn yoshida4<A: Fn(Var) -> Var>(acceleration: A) -> SecondOrder<Composition, A> {
    SecondOrder::new(YOSHIDA4, acceleration)
}
