//! Learning where to start: MAML, its first-order form, Reptile.
//!
//! ```text
//! w' = w after n steps of an update on the support set
//! MAML      ∇_w L_query(w'(w)), through the steps                   on a quadratic and one step of rate α: (I − αA) A (I − αA)(w − c)
//! FOMAML    the same with the derivatives of the steps left out      A (I − αA)(w − c)
//! Reptile   w − w'                                                   (I − (I − αA)ⁿ)(w − c)
//! ```
//!
//! [`adapt`] is the inner training as a function of traced values, so MAML is `grad` of a loss after it, in whatever direction. Any
//! [`Update`] may stand inside. Law: exact for MAML; FOMAML and Reptile are other directions on purpose, as stated. Learned optimisers are not
//! built. Cost: MAML keeps every inner step (or reverses or recomputes it: tell the loop's policy to the door), FOMAML none.

use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::door::grad;
use retrograde_core::trace::function::Traceable;

use super::map::{Leaves, State, Update};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of meta-learning.
pub const META_LEARNING: Trick = Trick {
    id: "E15",
    name: "MAML, FOMAML, Reptile",
    formula: "grad_w L(w - alpha grad L'(w)); the same with H dropped; w - w'",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "C. Finn and P. Abbeel and S. Levine",
            title: "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
            venue: "ICML",
            year: 2017,
        },
        Source {
            authors: "A. Nichol and J. Achiam and J. Schulman",
            title: "On First-Order Meta-Learning Algorithms",
            venue: "arXiv:1803.02999",
            year: 2018,
        },
    ],
    file: file!(),
    example: "adapt",
    property: Property {
        claim: "on a quadratic the three directions are their closed forms",
        test: "meta_learning_on_a_quadratic_is_its_closed_form",
        found: "",
    },
};

/// Whether derivatives go through the steps of [`adapt`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The whole derivative: MAML.
    Full,
    /// Gradients of the inner loss count as constants: FOMAML.
    First,
}

/// The parameters after `n_steps` steps of an update on `data`, inside a trace.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::update::{meta_learning::{Order, adapt}, momentum::sgd};
/// // ½ (w - c)² before and after a step of rate ½ towards c: (1 - ½)² (w - c) in full, (1 - ½)(w - c) to first order.
/// let loss = |w: Var, c: Var| 0.5 * (w - c) * (w - c);
/// let after = |order| move |w: Var, c: Var| loss(adapt(&sgd(0.5), loss, w, c, 1, order), c);
/// let at = (&array(4.0), &array(0.0));
/// assert_eq!(grad(after(Order::Full)).call(at)?, array(1.0));
/// assert_eq!(grad(after(Order::First)).call(at)?, array(2.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn adapt<P: Traceable, X: Traceable>(
    update: &Update,
    loss: impl Fn(P, X) -> Var,
    parameters: P,
    data: X,
    n_steps: usize,
    order: Order,
) -> P {
    let state = update.init_at(&parameters);
    let with = |leaves: &Leaves<Var>| {
        let mut next = leaves.0.iter();
        parameters.map_vars(&mut |w| next.next().map_or(*w, |(_, x)| *x))
    };
    let start = Leaves::of(&parameters);
    let (adapted, _) = scan(n_steps).repeat((start, state), |(w, state): (Leaves<Var>, State<Var>)| {
        let gradient = Leaves::of(&grad(&loss).at((with(&w), data.map_vars(&mut |x| *x))));
        let gradient = match order {
            Order::Full => gradient,
            Order::First => gradient.each(Var::stop_gradient),
        };
        update.step_at(&gradient, state, &w)
    });
    with(&adapted)
}

/// Reptile's direction w − w', inside a trace: to be taken as a gradient.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::update::{meta_learning::reptile, momentum::sgd};
/// let loss = |w: Var, c: Var| 0.5 * (w - c) * (w - c);
/// let direction = |w: Var, c: Var| reptile(&sgd(0.5), loss, w, c, 3);
/// assert_eq!(jit(direction).call((&array(4.0), &array(0.0)))?, array(3.5)); // (1 - ½³) 4
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn reptile<P: Traceable, X: Traceable>(
    update: &Update,
    loss: impl Fn(P, X) -> Var,
    parameters: P,
    data: X,
    n_steps: usize,
) -> P {
    let start = Leaves::of(&parameters);
    let adapted = adapt(update, loss, parameters, data, n_steps, Order::First);
    let mut next = start.0.into_iter();
    adapted.map_vars(&mut |w| next.next().map_or(*w, |(_, start)| start - *w))
}
