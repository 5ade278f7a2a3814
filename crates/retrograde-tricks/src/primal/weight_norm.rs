//! Weight normalisation: length and direction of each output's weights as parameters of their own. Law: exact.
//!
//! Row in the catalogue: [`NORMALISATION`](super::batch_norm::NORMALISATION).

use retrograde_array::Array;
use retrograde_core::trace::{Error, Var};
use retrograde_derive::Tree;
use retrograde_engine::jit;

use super::dense::Linear;

/// `y = x w + b` with `w = g v / ‖v‖` for each output.   v: `[in, out]`, g, b: `[out]`.
///
/// The loss does not depend on the length of v, so ⟨v, v̄⟩ = 0 for each output.
///
/// # Errors
/// At the front door, where the shapes do not fit. A column of zeros has no direction: its weights are NaN.
/// # Cost
/// 2 n·in·out operations and a pass over v.
/// # Source
/// Salimans and Kingma 2016, eqs. 2-3; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::{DType, array, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::{dense::Linear, weight_norm::WeightNorm};
/// let layer = WeightNorm { v: array([[3.0], [4.0]]), g: array([10.0]), bias: array([1.0]) };
/// let f = jit(|layer: WeightNorm<Var>, x: Var| layer.apply(x));
/// assert_eq!(f.call((&layer, &array([[1.0, 1.0]])))?, array([[15.0]]));
/// // From a plain layer, with the same outputs.
/// let plain = Linear::xavier(Key::from_seed(1), 3, 2, DType::F64);
/// let same = WeightNorm::of(&plain)?;
/// let x = normal(Key::from_seed(2), [1, 3]);
/// let (a, b) = (jit(|l: Linear<Var>, x: Var| l.apply(x)).call((&plain, &x))?, f.call((&same, &x))?);
/// assert!(a.to_vec::<f64>().unwrap().iter().zip(b.to_vec::<f64>().unwrap()).all(|(a, b)| (a - b).abs() < 1e-15));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct WeightNorm<T> {
    /// Directions, of any length: `[in, out]`.
    pub v: T,
    /// Lengths: `[out]`.
    pub g: T,
    /// `[out]`
    pub bias: T,
}

impl WeightNorm<Var> {
    /// The layer's output.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let slope = self.g * (self.v * self.v).sum_axes(&[0]).rsqrt();
        Linear { weight: self.v * slope.spread(self.v.shape()), bias: self.bias }.apply(x)
    }
}

impl WeightNorm<Array> {
    /// The layer that computes what `plain` does.
    ///
    /// # Errors
    /// Where the weights are not `[in, out]`.
    pub fn of(plain: &Linear<Array>) -> Result<WeightNorm<Array>, Error> {
        let g = jit(|weight: Var| weight.norm_axes(&[0])).call(&plain.weight)?;
        Ok(WeightNorm { v: plain.weight.clone(), g, bias: plain.bias.clone() })
    }
}
