//! Rectified linear unit, with its derivative at 0 said. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::var::{full, select};

use crate::catalogue::{Law, Property, Source, Trick};

/// Rectification.
pub const RELU: Trick = Trick {
    id: "A1",
    name: "ReLU",
    formula: "y = max(x, 0), y' = 1[x > 0], with a declared value at 0",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "V. Nair and G. E. Hinton",
            title: "Rectified linear units improve restricted Boltzmann machines",
            venue: "International Conference on Machine Learning",
            year: 2010,
        },
        Source {
            authors: "X. Glorot and A. Bordes and Y. Bengio",
            title: "Deep sparse rectifier neural networks",
            venue: "International Conference on Artificial Intelligence and Statistics",
            year: 2011,
        },
    ],
    file: file!(),
    example: "relu",
    property: Property {
        claim: "forward and reverse mode have the declared slope at 0, and the tape holds one bit for each entry",
        test: "rectifiers_keep_one_bit_and_have_one_slope_at_zero",
        found: "6,400 bits for 6,400 entries and slopes 0, 1/2, 1 alike in both modes; exact",
    },
};

/// The slope where x is 0: any number from 0 to 1 is a subgradient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtZero {
    /// 0, as PyTorch and TensorFlow have it.
    Zero,
    /// ½, as [`Var::max`] and JAX's `maximum` have it.
    Half,
    /// 1.
    One,
}

/// `max(x, 0)`, entry by entry, with the slope at 0 that is said.   x: `[..]` float → the same shape.
///
/// # Cost
/// One comparison an entry. The derivative keeps one bit for each, and two for [`AtZero::Half`].
/// # Source
/// [`RELU`]: Nair and Hinton 2010, section 2; Glorot, Bordes and Bengio 2011.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jvp}};
/// use retrograde_tricks::primal::relu::{AtZero, relu};
/// let x = array([-1.0, 0.0, 2.0]);
/// for (at_zero, slope) in [(AtZero::Zero, 0.0), (AtZero::Half, 0.5), (AtZero::One, 1.0)] {
///     let f = move |x: Var| relu(x, at_zero);
///     assert_eq!(grad(move |x: Var| f(x).sum()).call(&x)?, array([0.0, slope, 1.0]));
///     let (y, y_dot) = jvp(f).call(&x, &array([1.0, 1.0, 1.0]))?;
///     assert_eq!((y, y_dot), (array([0.0, 0.0, 2.0]), array([0.0, slope, 1.0])));
/// }
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn relu(x: Var, at_zero: AtZero) -> Var {
    let zero = full(x.dtype(), x.shape(), 0.0);
    // What is chosen where the comparison fails is x itself, so that NaN stays NaN.
    match at_zero {
        AtZero::Zero => select(x.le(0.0), zero, x),
        AtZero::Half => x.max(0.0),
        AtZero::One => select(x.lt(0.0), zero, x),
    }
}
