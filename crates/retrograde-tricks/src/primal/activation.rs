//! Smooth activations. Law: exact.

use retrograde_core::trace::Var;

/// Where the function and its approximation by tanh come from.
pub const CITE: &str =
    "D. Hendrycks, K. Gimpel, Gaussian error linear units (GELUs), arXiv:1606.08415, 2016, section 2";

/// `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`, entry by entry: GELU, x Φ(x) with Φ the normal distribution, but for 5·10⁻⁴.
///
/// # Cost
/// One tanh an entry. The derivative keeps x and the tanh; under `taped(Tape::Recompute, ..)` x alone, for a tanh more.
/// # Source
/// [`CITE`], which fitted the coefficient of x³.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::prim::Tape;
/// use retrograde_core::trace::{Var, control::taped, door::{grad, jit}};
/// use retrograde_tricks::primal::activation::gelu_tanh;
/// let x = array([-100.0, 0.0, 100.0]);
/// assert_eq!(jit(gelu_tanh).call(&x)?, array([-0.0, 0.0, 100.0]));
/// let (kept, again) = (
///     grad(|x: Var| gelu_tanh(x).sum()),
///     grad(|x: Var| taped(Tape::Recompute, gelu_tanh, x).sum()),
/// );
/// assert_eq!(kept.call(&x)?, array([0.0, 0.5, 1.0]));
/// assert_eq!(again.call(&x)?, array([0.0, 0.5, 1.0]));
/// // The argument is an input: of the second nothing at all is kept, of the first the tanh.
/// assert_eq!((kept.last_tape().tape_bytes(), again.last_tape().tape_bytes()), (3 * 8, 0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn gelu_tanh(x: Var) -> Var {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * (x * x * x));
    0.5 * x * (1.0 + inner.tanh())
}
