//! Self-normalising activation: mean 0 and variance 1 go in, mean 0 and variance 1 come out. Law: exact.

use retrograde_core::trace::Var;

use super::elu::elu;
use crate::catalogue::{Law, Property, Source, Trick};

/// Scaled exponential linear units.
pub const SELU: Trick = Trick {
    id: "A4",
    name: "SELU",
    formula: "y = s (x if x > 0 else a (exp(x) - 1)), s = 1.0507.., a = 1.6733..",
    law: Law::Exact,
    cite: &[Source {
        authors: "G. Klambauer and T. Unterthiner and A. Mayr and S. Hochreiter",
        title: "Self-normalizing neural networks",
        venue: "Advances in Neural Information Processing Systems 30",
        year: 2017,
    }],
    file: file!(),
    example: "selu",
    property: Property {
        claim: "for a normal z, E f(z) = 0 and E f(z)^2 = 1",
        test: "selu_keeps_mean_and_variance",
        found: "mean -1.0e-12, mean square 1 + 5.3e-11 by quadrature; bound 1e-6",
    },
};

/// a for the fixed point (0, 1), [`SELU`]: Klambauer et al. 2017, section 2; evaluated from its closed form by `tools/activations.py`.
const ALPHA: f64 = 1.6732632423543772;
/// s, as [`ALPHA`].
const SCALE: f64 = 1.0507009873554805;

/// `s · elu(x, a)` with the numbers for which mean 0 and variance 1 are a fixed point.   x: `[..]` float → the same shape.
///
/// Weights before it are normal of variance 1/n_in, such as [`mu_p`](super::initial::mu_p) has them for hidden layers.
///
/// # Cost
/// As [`elu`].
/// # Source
/// [`SELU`]: Klambauer et al. 2017, eq. 2 and section 2.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::selu::selu;
/// let y = jit(|x: Var| selu(x)).call(&array([-1e3, 0.0, 1.0]))?;
/// assert_eq!(y, array([-1.7580993408473766, 0.0, 1.0507009873554805]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn selu(x: Var) -> Var {
    elu(x, ALPHA) * SCALE
}
