//! Dense layers, initialised so that the variance of values and cotangents is kept.
//!
//! Weights are uniform in ±√(6/(n_in + n_out)), so their variance is 2/(n_in + n_out). Law: exact.

use retrograde_array::rng::{Key, uniform};
use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;

use super::activation::{gelu, mish, silu, softplus};
use super::elu::elu;
use super::initial::{Fan, he};
use super::leaky::leaky_relu;
use super::selu::selu;

/// Where the initialisation comes from.
pub const CITE: &str = "X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010, eq. 16";

/// `y = x w + b`.   x: `[n, in]`, w: `[in, out]`, b: `[out]` → y: `[n, out]`.
///
/// ```
/// use retrograde_array::{DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::dense::Linear;
/// let layer = Linear { weight: array([[1.0, 2.0], [3.0, 4.0]]), bias: array([0.5, 0.0]) };
/// let out = jit(|layer: Linear<Var>, x: Var| layer.apply(x)).call((&layer, &array([[1.0, 10.0]])))?;
/// assert_eq!(out, array([[31.5, 42.0]]));
/// let layer = Linear::xavier(Key::from_seed(1), 3, 5, DType::F32);
/// assert_eq!((layer.weight.shape().to_string(), layer.bias), ("[3,5]".into(), array([0.0_f32; 5])));
/// assert_eq!(Linear::he(Key::from_seed(1), 3, 5, DType::F32).weight.shape().to_string(), "[3,5]");
/// assert!(layer.weight.to_vec::<f32>().unwrap().iter().all(|w| w.abs() <= (6.0_f32 / 8.0).sqrt()));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Linear<T> {
    /// `[in, out]`
    pub weight: T,
    /// `[out]`
    pub bias: T,
}

impl Linear<Var> {
    /// The layer's output. Costs 2 n·in·out operations.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let product = x.dot(self.weight);
        product + self.bias.spread(product.shape())
    }
}

impl Linear<Array> {
    /// Xavier (Glorot) initialisation, zero bias.
    pub fn xavier(key: Key, n_in: usize, n_out: usize, dtype: DType) -> Linear<Array> {
        let bound = (6.0 / (n_in + n_out) as f64).sqrt();
        let mut weight = uniform(key, [n_in, n_out]);
        if let Some(entries) = weight.make_mut::<f64>() {
            entries.iter_mut().for_each(|w| *w = (2.0 * *w - 1.0) * bound);
        }
        Linear { weight: ops::convert(&weight, dtype), bias: Array::zeros(dtype, [n_out]) }
    }
    /// [He](super::initial::he) initialisation by the inputs, zero bias: for a ReLU after the layer.
    pub fn he(key: Key, n_in: usize, n_out: usize, dtype: DType) -> Linear<Array> {
        Linear { weight: he(key, n_in, n_out, Fan::In, dtype), bias: Array::zeros(dtype, [n_out]) }
    }
}

/// What stands between layers.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::{grad, jit}};
/// use retrograde_tricks::primal::dense::Activation;
/// let x = array([-1.0, 0.0, 2.0]);
/// assert_eq!(jit(|x: Var| Activation::Relu.apply(x)).call(&x)?, array([0.0, 0.0, 2.0]));
/// assert_eq!(grad(|x: Var| Activation::Relu.apply(x).sum()).call(&x)?, array([0.0, 0.5, 1.0]));
/// assert_eq!(grad(|x: Var| Activation::Gelu.apply(x)).call(&array(0.0))?, array(0.5));
/// assert_eq!(jit(|x: Var| Activation::Sigmoid.apply(x)).call(&array([0.0, 1e4]))?, array([0.5, 1.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0); derivative ½ at 0, the same in forward and reverse mode.
    Relu,
    /// 1 / (1 + e⁻ˣ), computed as (1 + tanh(x/2)) / 2, which cannot overflow.
    Sigmoid,
    /// [`leaky_relu`] with a slope of 0.01 below 0.
    LeakyRelu,
    /// [`elu`] with a scale of 1.
    Elu,
    /// [`selu`].
    Selu,
    /// [`softplus`].
    Softplus,
    /// [`gelu`].
    Gelu,
    /// [`silu`].
    Silu,
    /// [`mish`].
    Mish,
}

impl Activation {
    /// Entry by entry.
    #[track_caller]
    pub fn apply(self, x: Var) -> Var {
        match self {
            Activation::Tanh => x.tanh(),
            Activation::Relu => x.max(0.0),
            Activation::Sigmoid => 0.5 * (x * 0.5).tanh() + 0.5,
            Activation::LeakyRelu => leaky_relu(x, 0.01),
            Activation::Elu => elu(x, 1.0),
            Activation::Selu => selu(x),
            Activation::Softplus => softplus(x),
            Activation::Gelu => gelu(x),
            Activation::Silu => silu(x),
            Activation::Mish => mish(x),
        }
    }
}

/// Dense layers with an activation between them.
///
/// ```
/// use retrograde_array::{Array, DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::primal::dense::{Activation, Mlp};
/// let mlp = Mlp::xavier(Key::from_seed(1), 2, &[8, 8], 1, Activation::Tanh, DType::F64);
/// let loss = |mlp: Mlp<Var>, x: Var| mlp.apply(x).sum();
/// let slope = grad(loss).call((&mlp, &Array::zeros(DType::F64, [5, 2])))?;
/// assert_eq!((slope.hidden.len(), slope.head.bias), (2, array([5.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Mlp<T> {
    /// Layers with activation.
    pub hidden: Vec<Linear<T>>,
    /// The last layer, without.
    pub head: Linear<T>,
    /// What stands between layers.
    pub activation: Activation,
}

impl Mlp<Var> {
    /// The output: `[n, in]` → `[n, out]`.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        // A loop rather than a fold: a closure would hide the caller's line from errors.
        let mut last = x;
        for layer in &self.hidden {
            last = self.activation.apply(layer.apply(last));
        }
        self.head.apply(last)
    }
}

impl Mlp<Array> {
    /// Xavier initialisation of all layers, one key each.
    pub fn xavier(
        key: Key,
        n_in: usize,
        hidden: &[usize],
        n_out: usize,
        activation: Activation,
        dtype: DType,
    ) -> Mlp<Array> {
        let keys = key.split(hidden.len() + 1);
        let widths: Vec<usize> = std::iter::once(n_in).chain(hidden.iter().copied()).collect();
        let layers =
            hidden.iter().enumerate().map(|(i, &n)| Linear::xavier(keys[i], widths[i], n, dtype)).collect();
        let head = Linear::xavier(keys[hidden.len()], widths[hidden.len()], n_out, dtype);
        Mlp { hidden: layers, head, activation }
    }
}
