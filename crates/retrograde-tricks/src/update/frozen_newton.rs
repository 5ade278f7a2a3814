//! The online Newton step around a frozen centre: one example at a time, at the price of a gradient.
//!
//! ```text
//! w ← w − η [∇L_i(c) + H_i(c)(w − c)],      answer: the mean w̄ of all w
//! ```
//!
//! The bracket is the gradient at w of the quadratic model of example i around c: its mean over examples is ∇L(c) + H(c)(w − c), so w̄ goes to
//! the Newton step from c, and with a constant rate at the rate 1/n whatever the least eigenvalue of H: for a linear model with noise of variance σ² in d
//! dimensions the expected excess of w̄ is about σ² d/(2n) (Bach and Moulines, theorem 1, with the bound that the test asserts). It is one
//! derivative along a direction of the gradient, never a matrix. Law: exact. Cost: at most three times a gradient; one array like each parameter.

use retrograde_core::trace::Var;
use retrograde_core::trace::door::grad;
use retrograde_core::trace::door::jvp;
use retrograde_core::trace::function::Traceable;

use super::map::Leaves;
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of the frozen Newton step.
pub const FROZEN_NEWTON: Trick = Trick {
    id: "E17",
    name: "online Newton step around a frozen centre",
    formula: "w -= eta (g_i(c) + H_i(c) (w - c)), averaged",
    law: Law::Exact,
    cite: &[Source {
        authors: "F. Bach and E. Moulines",
        title: "Non-strongly-convex smooth stochastic approximation with convergence rate O(1/n)",
        venue: "NIPS",
        year: 2013,
    }],
    file: file!(),
    example: "frozen_gradient",
    property: Property {
        claim: "the mean over examples is the gradient of the quadratic model at c; the averaged excess of a linear model is s^2 d/(2n) and within the bound of the theorem, with a smallest eigenvalue of 0",
        test: "the_frozen_newton_step_converges_as_one_over_n",
        found: "",
    },
};

/// ∇L(c) + H(c)(w − c) for the loss of parameters and one example (or a batch), inside a trace.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::update::frozen_newton::frozen_gradient;
/// let loss = |w: Var, x: Var| (w * x).exp();
/// let slope = |w: Var, c: Var| frozen_gradient(loss, c, w, 0.0 * c + 2.0);
/// // 2 e⁰ + 4 e⁰ (w - 0).
/// assert_eq!(jit(slope).call((&array(0.5), &array(0.0)))?, array(4.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn frozen_gradient<P: Traceable, X: Traceable>(
    loss: impl Fn(P, X) -> Var,
    centre: P,
    parameters: P,
    example: X,
) -> P {
    let at = Leaves::of(&centre);
    let mut next = at.0.iter();
    let direction = parameters.map_vars(&mut |w| next.next().map_or(*w, |(_, c)| *w - *c));
    let slope = |w: P| grad(&loss).at((w, example.map_vars(&mut |x| *x)));
    let (gradient, along) = jvp(slope).at(centre, &direction);
    let mut along = along.into_iter();
    gradient.map_vars(&mut |g| along.next().map_or(*g, |hv| *g + hv))
}
