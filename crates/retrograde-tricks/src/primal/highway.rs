//! Highway layers: a gate decides, unit by unit, between a layer and its input. Law: exact.
//!
//! Row in the catalogue: [`GATES`](super::lstm::GATES).

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;

use super::dense::Linear;
use super::relu::{AtZero, relu};

/// `T relu(x w + b) + (1 − T) x` with `T = σ(x w' + b')`.   x: `[n, width]` → the same shape.
///
/// Where the gates are closed the Jacobian is the identity.
///
/// # Errors
/// At the front door, where the widths do not fit.
/// # Cost
/// 4 n·width² operations; the derivative keeps x, the gates and the layer's values.
/// # Source
/// Srivastava, Greff and Schmidhuber 2015, eq. 3, with negative biases of the gates, section 2.2; the row has it in full.
///
/// ```
/// use retrograde_array::{DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::highway::Highway;
/// let layer = Highway::he(Key::from_seed(1), 3, -1e4, DType::F64);
/// let x = array([[1.0, -2.0, 3.0]]);
/// assert_eq!(jit(|layer: Highway<Var>, x: Var| layer.apply(x)).call((&layer, &x))?, x);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Highway<T> {
    /// The layer: `[width, width]`.
    pub layer: Linear<T>,
    /// The gate: `[width, width]`.
    pub gate: Linear<T>,
}

impl Highway<Var> {
    /// The layer where gates are open, x where they are closed.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let gate = self.gate.apply(x);
        // 1 − σ(z) is σ(−z), which does not cancel.
        gate.logistic() * relu(self.layer.apply(x), AtZero::Zero) + (-gate).logistic() * x
    }
}

impl Highway<Array> {
    /// He's weights for the layer, Xavier's for the gates, whose biases are all `bias`: −1 to −3 for 10 to 30 layers.
    pub fn he(key: Key, width: usize, bias: f64, dtype: DType) -> Highway<Array> {
        let keys = key.split(2);
        let gate = Linear::xavier(keys[1], width, width, dtype);
        let bias = ops::broadcast(&ops::convert(&array(bias), dtype), gate.bias.shape(), &[]);
        Highway { layer: Linear::he(keys[0], width, width, dtype), gate: Linear { bias, ..gate } }
    }
}
