//! Yoshida's method of sixth order, solution A: leapfrog with steps of w₃, w₂, w₁, w₀, w₁, w₂ and w₃ times h.
//!
//! Symplectic, symmetric; seven evaluations in a step. Weights by `tools/yoshida.py`, which takes the 15 published digits on.

use retrograde_core::trace::Var;

use super::composition::{Composition, Part};
use super::method::Facts;
use super::run::SecondOrder;

const CITE: &str = "H. Yoshida, Construction of higher order symplectic integrators, Physics Letters A 150 (1990) 262-268, table 1";

const W0: f64 = 1.315_186_320_683_911_2;
const W1: f64 = -1.177_679_984_178_871;
const W2: f64 = 0.235_573_213_359_358_13;
const W3: f64 = 0.784_513_610_477_557_3;

/// The updates of [`yoshida6`].
pub const YOSHIDA6: Composition = Composition {
    facts: Facts {
        name: "yoshida6",
        order: 6,
        evaluations: 7,
        symmetric: true,
        symplectic: true,
        l_stable: false,
        reversible: true,
        cite: CITE,
    },
    opening: &[],
    parts: &[
        Part::Drift(0.5 * W3),
        Part::Kick(W3),
        Part::Drift(0.5 * (W3 + W2)),
        Part::Kick(W2),
        Part::Drift(0.5 * (W2 + W1)),
        Part::Kick(W1),
        Part::Drift(0.5 * (W1 + W0)),
        Part::Kick(W0),
        Part::Drift(0.5 * (W0 + W1)),
        Part::Kick(W1),
        Part::Drift(0.5 * (W1 + W2)),
        Part::Kick(W2),
        Part::Drift(0.5 * (W2 + W3)),
        Part::Kick(W3),
        Part::Drift(0.5 * W3),
    ],
    closing: &[],
};

/// Yoshida's method of order 6 (solution A) for q'' = a(q), seven evaluations of a in a step.
///
/// Errors and cost: [`Run`](super::Run). Source: Yoshida 1990 (`YOSHIDA6.facts.cite`).
///
/// ```
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_array::array;
/// use retrograde_solve::ode;
/// let spring = ode::yoshida6(|q: Var| -q).step(0.01);
/// let (q, _) = jit(|q: Var, v: Var| spring.run((q, v), 100).end()).call((&array(1.0), &array(0.0)))?;
/// assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-12);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn yoshida6<A: Fn(Var) -> Var>(acceleration: A) -> SecondOrder<Composition, A> {
    SecondOrder::new(YOSHIDA6, acceleration)
}
