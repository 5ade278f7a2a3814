//! Layer normalisation: each row shifted and scaled to mean 0 and variance 1, then by parameters. Law: exact.

use retrograde_array::{Array, DType, Scalar};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;

/// Where it comes from.
pub const CITE: &str =
    "J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization, arXiv:1607.06450, 2016, eq. 4";

/// `(x − mean) / √(variance + ε)` along the last axis.   x: `[.., d]` float → the same shape.
///
/// The cotangent of x is orthogonal to 1 and, but for ε, to the result: nothing can be learnt about shift and scale of a row.
///
/// # Cost
/// Two sums a row and a few passes; the derivative keeps x and two numbers a row.
/// # Source
/// [`CITE`].
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::layer_norm::normalise;
/// let f = |x: Var| normalise(x, 0.0);
/// assert_eq!(jit(f).call(&array([[1.0, 3.0], [-20.0, 20.0]]))?, array([[-1.0, 1.0], [-1.0, 1.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn normalise(x: Var, epsilon: f64) -> Var {
    let shape = x.shape();
    let last = shape.rank().saturating_sub(1);
    let rows: Vec<usize> = (0..last).collect();
    let width = shape.last().copied().unwrap_or(1) as f64;
    let mean = x.sum_axes(&[last]) / width;
    let centred = x - mean.broadcast(shape.clone(), &rows);
    let variance = (centred * centred).sum_axes(&[last]) / width;
    centred * (variance + epsilon).rsqrt().broadcast(shape, &rows)
}

/// [`normalise`] with a scale and a shift for each feature.   x: `[.., d]` → the same shape.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::layer_norm::LayerNorm;
/// let layer = LayerNorm { epsilon: 0.0, ..LayerNorm::new(2, DType::F64) };
/// let layer = LayerNorm { shift: array([0.0, 5.0]), ..layer };
/// let out = jit(|layer: LayerNorm<Var>, x: Var| layer.apply(x)).call((&layer, &array([[1.0, 3.0]])))?;
/// assert_eq!(out, array([[-1.0, 6.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct LayerNorm<T> {
    /// `[d]`
    pub scale: T,
    /// `[d]`
    pub shift: T,
    /// Added to the variance, so that constant rows stay finite.
    pub epsilon: f64,
}

impl LayerNorm<Var> {
    /// The normalised, scaled and shifted rows.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let shape = x.shape();
        normalise(x, self.epsilon) * self.scale.spread(shape.clone()) + self.shift.spread(shape)
    }
}

impl LayerNorm<Array> {
    /// Scale 1, shift 0, and ε = 10⁻⁵, as PyTorch has it.
    pub fn new(width: usize, dtype: DType) -> LayerNorm<Array> {
        let one =
            Scalar::from_f64(dtype, 1.0).expect("every number type has a one; this is a bug in retrograde");
        LayerNorm {
            scale: Array::full(dtype, [width], one),
            shift: Array::zeros(dtype, [width]),
            epsilon: 1e-5,
        }
    }
}
