//! Softmax along an axis: numbers to weights that are positive and sum to one. Law: exact.

use retrograde_core::trace::Var;

/// Where the shift comes from.
pub const CITE: &str = "P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41 (2021)";

/// `yᵢ = exp(xᵢ − m) / Σ exp(x − m)` along `axis`, m the largest entry.   x: `[..]` float → y: the same shape.
///
/// Entries of ±10⁴ are fine, and entries of −∞ get exactly zero where another entry of their lane is finite. The largest entry is
/// subtracted without derivative, as the quotient does not depend on it.
///
/// # Errors
/// At the front door, for an axis outside the shape.
/// # Cost
/// One exponential an entry and a few passes; the derivative keeps the exponentials and one sum a lane.
/// # Source
/// [`CITE`], eq. 1.4.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{jit, jvp}};
/// use retrograde_tricks::primal::softmax::softmax;
/// let f = |x: Var| softmax(x, 1);
/// let x = array([[0.0, 0.0], [1e4, -1e4]]);
/// assert_eq!(jit(f).call(&x)?, array([[0.5, 0.5], [1.0, 0.0]]));
/// // ẏ = y (ẋ − Σ y ẋ)
/// let (_, y_dot) = jvp(f).call(&x, &array([[1.0, 0.0], [1.0, 0.0]]))?;
/// assert_eq!(y_dot, array([[0.25, -0.25], [0.0, 0.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn softmax(x: Var, axis: usize) -> Var {
    let shape = x.shape();
    let others: Vec<usize> = (0..shape.rank()).filter(|&i| i != axis).collect();
    let largest = x.reduce_max(&[axis]).stop_gradient();
    let parts = (x - largest.broadcast(shape.clone(), &others)).exp();
    let total = parts.sum_axes(&[axis]);
    parts / total.broadcast(shape, &others)
}
