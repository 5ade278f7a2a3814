//! The sign alone: `ḡ = sign(g)`, of which the size of the loss is no part. Law: inexact.

use retrograde_core::trace::Var;
use retrograde_core::trace::custom;
use retrograde_core::trace::function::Traceable;

use super::map::{AdjointMap, declared, each_float};
use crate::catalogue::{Law, Property, Source, Trick};

/// The row of [`Sign`].
pub const SIGN: Trick = Trick {
    id: "B11",
    name: "sign of the gradient",
    formula: "ḡ = sign(g)",
    law: Law::Inexact { what: "each entry is −1, 0 or 1" },
    cite: &[
        Source {
            authors: "M. Riedmiller and H. Braun",
            title: "A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
            venue: "IEEE International Conference on Neural Networks",
            year: 1993,
        },
        Source {
            authors: "J. Bernstein and Y.-X. Wang and K. Azizzadenesheli and A. Anandkumar",
            title: "signSGD: Compressed Optimisation for Non-Convex Problems",
            venue: "ICML",
            year: 2018,
        },
    ],
    file: file!(),
    example: "Sign",
    property: Property {
        claim: "a positive multiple of the loss gives the same bits",
        test: "signs_do_not_know_the_size_of_the_loss",
        found: "equal bits for factors from 1e-200 to 1e200",
    },
};

/// −1, 0 or 1 for every entry. NaN stays NaN.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::Var;
/// use retrograde_engine::grad;
/// use retrograde_tricks::adjoint::{map::AdjointMap, sign::Sign};
/// let f = |x: Var| (Sign.at_edge(x) * &array([1e-9, -5.0])).sum();
/// assert_eq!(grad(f).call(&array([1.0, 1.0]))?, array([1.0, -1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sign;

impl AdjointMap for Sign {
    fn law(&self) -> custom::Law {
        declared(&SIGN)
    }
    fn is_linear(&self) -> bool {
        false
    }
    fn cotangents<T: Traceable>(&self, _: &[Var], x_bar: T) -> T {
        each_float(&x_bar, Var::sign)
    }
}
