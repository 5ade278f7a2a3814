//! Initial weights that keep the size of values, or of cotangents, from layer to layer.
//!
//! Of a layer `y = x w` with independent weights of mean 0 and variance v, an output has n_in · v times the mean square of the
//! inputs, and a cotangent of the input n_out · v times that of the outputs. A ReLU after it halves either.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::{Error, Var};
use retrograde_engine::jit;

use super::dense::Mlp;
use super::orthogonal::orthogonal;
use crate::catalogue::{Law, Property, Source, Trick};

/// Variances of initial weights.
pub const INITIAL: Trick = Trick {
    id: "A6",
    name: "initial weights: Xavier, He, LSUV, mu-P",
    formula: "var w = 2/(in + out) (Xavier), 2/in or 2/out (He); unit variance of outputs by data (LSUV); sizes and rates by width (mu-P)",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "X. Glorot and Y. Bengio",
            title: "Understanding the difficulty of training deep feedforward neural networks",
            venue: "International Conference on Artificial Intelligence and Statistics",
            year: 2010,
        },
        Source {
            authors: "K. He and X. Zhang and S. Ren and J. Sun",
            title: "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
            venue: "IEEE International Conference on Computer Vision",
            year: 2015,
        },
        Source {
            authors: "D. Mishkin and J. Matas",
            title: "All you need is a good init",
            venue: "International Conference on Learning Representations",
            year: 2016,
        },
        Source {
            authors: "G. Yang and E. J. Hu and I. Babuschkin and S. Sidor and X. Liu and D. Farhi and N. Ryder and J. Pachocki and W. Chen and J. Gao",
            title: "Tuning large neural networks via zero-shot hyperparameter transfer",
            venue: "Advances in Neural Information Processing Systems 34",
            year: 2021,
        },
    ],
    file: file!(),
    example: "he",
    property: Property {
        claim: "through a ReLU layer |J'u|^2/|u|^2 has mean 1 with variance 2/in, and through 50 of them; mean squares with 2/out",
        test: "he_keeps_the_size_of_cotangents",
        found: "one layer 0.990 +- 0.023, fifty 0.94 +- 0.46, each of fifty 1.002 +- 0.009; bound 3 standard errors",
    },
};

/// Which side of a layer keeps its mean square.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fan {
    /// Inputs: values keep their mean square, and cotangents the square of their length.
    In,
    /// Outputs: cotangents keep their mean square, entry by entry.
    Out,
}

/// Normal weights of variance 2/n_in or 2/n_out: for a ReLU after the layer, which passes half of everything.   → `[n_in, n_out]`.
///
/// # Source
/// [`INITIAL`]: He et al. 2015, eqs. 10 and 14.
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_tricks::primal::initial::{Fan, he};
/// let w = he(Key::from_seed(1), 100, 400, Fan::In, DType::F64);
/// let square = w.to_vec::<f64>().unwrap().iter().map(|w| w * w).sum::<f64>() / 40_000.0;
/// // The standard error is √(2/40000) of it.
/// assert!((square * 50.0 - 1.0).abs() < 3.0 * (2.0_f64 / 40_000.0).sqrt());
/// ```
pub fn he(key: Key, n_in: usize, n_out: usize, fan: Fan, dtype: DType) -> Array {
    let n = if fan == Fan::In { n_in } else { n_out };
    gaussian(key, n_in, n_out, 2.0 / n.max(1) as f64, dtype)
}

/// Normal weights of variance 2/(n_in + n_out): a compromise of both directions for layers without ReLU.   → `[n_in, n_out]`.
///
/// [`Linear::xavier`](super::dense::Linear::xavier) has the uniform weights of this variance.
///
/// # Source
/// [`INITIAL`]: Glorot and Bengio 2010, eq. 12.
///
/// ```
/// use retrograde_array::{DType, rng::Key};
/// use retrograde_tricks::primal::initial::xavier;
/// let w = xavier(Key::from_seed(1), 100, 300, DType::F64);
/// let square = w.to_vec::<f64>().unwrap().iter().map(|w| w * w).sum::<f64>() / 30_000.0;
/// assert!((square * 200.0 - 1.0).abs() < 3.0 * (2.0_f64 / 30_000.0).sqrt());
/// ```
pub fn xavier(key: Key, n_in: usize, n_out: usize, dtype: DType) -> Array {
    gaussian(key, n_in, n_out, 2.0 / (n_in + n_out).max(1) as f64, dtype)
}

/// Where a layer stands, for [`mu_p`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Its inputs do not grow with the width, its outputs do; also biases.
    Input,
    /// Both grow.
    Hidden,
    /// Its inputs grow.
    Output,
}

/// How a layer's initial weights and step sizes depend on its size, so that what is right for one width is right for all.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MuP {
    /// Of the initial weights.
    pub variance: f64,
    /// Factor for the rate of plain gradient steps.
    pub sgd_rate: f64,
    /// Factor for the rate of Adam and other updates that do not depend on the size of gradients.
    pub adam_rate: f64,
}

/// The maximal update parameterisation of a layer.
///
/// # Source
/// [`INITIAL`]: Yang et al. 2021, table 3.
///
/// ```
/// use retrograde_tricks::primal::initial::{MuP, Role, mu_p};
/// assert_eq!(mu_p(Role::Hidden, 64, 64), MuP { variance: 1.0 / 64.0, sgd_rate: 1.0, adam_rate: 1.0 / 64.0 });
/// assert_eq!(mu_p(Role::Output, 64, 10).variance, 1.0 / 4096.0);
/// ```
pub fn mu_p(role: Role, n_in: usize, n_out: usize) -> MuP {
    let [one_in, all_out] = [1.0 / n_in.max(1) as f64, n_out as f64];
    match role {
        Role::Input => MuP { variance: one_in, sgd_rate: all_out, adam_rate: 1.0 },
        Role::Hidden => MuP { variance: one_in, sgd_rate: 1.0, adam_rate: one_in },
        Role::Output => MuP { variance: one_in * one_in, sgd_rate: one_in, adam_rate: one_in },
    }
}

impl MuP {
    /// Normal weights of this variance.   → `[n_in, n_out]`.
    ///
    /// ```
    /// use retrograde_array::{DType, rng::Key};
    /// use retrograde_tricks::primal::initial::{Role, mu_p};
    /// let w = mu_p(Role::Input, 2, 8).draw(Key::from_seed(1), 2, 8, DType::F32);
    /// assert_eq!(w.shape().to_string(), "[2,8]");
    /// ```
    pub fn draw(self, key: Key, n_in: usize, n_out: usize, dtype: DType) -> Array {
        gaussian(key, n_in, n_out, self.variance, dtype)
    }
}

/// A network whose layers have outputs of variance 1 on the batch `x`, before the activation: orthogonal weights, scaled layer by
/// layer.   x: `[n, in]`.
///
/// # Errors
/// Where x does not fit; a layer without variance on this batch gets weights that are not finite.
/// # Cost
/// One evaluation of the network for each layer.
/// # Source
/// [`INITIAL`]: Mishkin and Matas 2016, algorithm 1; weights are scaled once, as the variance is that of a linear function of them.
///
/// ```
/// use retrograde_array::{DType, rng::{Key, normal}};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::{dense::{Activation, Mlp}, initial::unit_variance};
/// let mlp = Mlp::xavier(Key::from_seed(1), 6, &[20, 20], 3, Activation::Relu, DType::F64);
/// let x = normal(Key::from_seed(2), [50, 6]);
/// let mlp = unit_variance(Key::from_seed(3), mlp, &x)?;
/// let variance = jit(|mlp: Mlp<Var>, x: Var| {
///     let y = mlp.apply(x);
///     let centred = y - y.mean();
///     (centred * centred).mean()
/// });
/// assert!((variance.call((&mlp, &x))?.item::<f64>().unwrap() - 1.0).abs() < 1e-12);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub fn unit_variance(key: Key, mlp: Mlp<Array>, x: &Array) -> Result<Mlp<Array>, Error> {
    let keys = key.split(mlp.hidden.len() + 1);
    let mut mlp = mlp;
    let activation = mlp.activation;
    let one_layer = jit(move |weight: Var, x: Var| {
        let y = x.dot(weight);
        let centred = y - y.mean();
        let slope = (centred * centred).mean().rsqrt();
        (weight * slope, activation.apply(y * slope))
    });
    let mut x = x.clone();
    for (key, layer) in keys.into_iter().zip(mlp.hidden.iter_mut().chain([&mut mlp.head])) {
        let (n_in, n_out) = (layer.weight.shape()[0], layer.weight.shape()[1]);
        let dtype = layer.weight.dtype();
        let start = orthogonal(key, n_in, n_out, dtype);
        (layer.weight, x) = one_layer.call((&start, &x))?;
        layer.bias = Array::zeros(dtype, [n_out]);
    }
    Ok(mlp)
}

/// Normal entries of a variance.
fn gaussian(key: Key, n_in: usize, n_out: usize, variance: f64, dtype: DType) -> Array {
    ops::convert(&scaled(&normal(key, [n_in, n_out]), variance.sqrt()), dtype)
}

/// The array times a number.
pub(super) fn scaled(a: &Array, factor: f64) -> Array {
    let factor = ops::convert(&array(factor), a.dtype());
    let factor = ops::broadcast(&factor, a.shape(), &[]);
    ops::binary(ops::Binary::Mul, a, &factor).expect("one type and one shape; this is a bug in retrograde")
}
