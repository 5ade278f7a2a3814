//! Batch normalisation: each feature shifted and scaled to mean 0 and variance 1 over the batch, then by parameters. Law: exact.
//!
//! The layer has no state and no mode. Training: [`BatchNorm::by_batch`] normalises by the moments of the batch and gives them back;
//! [`Moments::towards`] averages them over steps. Evaluation: [`BatchNorm::by`] normalises by moments that come in.

use retrograde_array::{Array, DType, Scalar, Shape};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;

use super::refuse::{as_wide, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// Normalisations of values and of weights.
pub const NORMALISATION: Trick = Trick {
    id: "A11",
    name: "batch, layer, RMS, group and weight normalisation",
    formula: "y = (x - mean) / sqrt(variance + eps) over a batch, a row or a group; w = g v / |v|",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "S. Ioffe and C. Szegedy",
            title: "Batch normalization: accelerating deep network training by reducing internal covariate shift",
            venue: "International Conference on Machine Learning",
            year: 2015,
        },
        Source {
            authors: "J. L. Ba and J. R. Kiros and G. E. Hinton",
            title: "Layer normalization",
            venue: "arXiv:1607.06450",
            year: 2016,
        },
        Source {
            authors: "T. Salimans and D. P. Kingma",
            title: "Weight normalization: a simple reparameterization to accelerate training of deep neural networks",
            venue: "Advances in Neural Information Processing Systems 29",
            year: 2016,
        },
        Source {
            authors: "Y. Wu and K. He",
            title: "Group normalization",
            venue: "European Conference on Computer Vision",
            year: 2018,
        },
        Source {
            authors: "B. Zhang and R. Sennrich",
            title: "Root mean square layer normalization",
            venue: "Advances in Neural Information Processing Systems 32",
            year: 2019,
        },
    ],
    file: file!(),
    example: "BatchNorm",
    property: Property {
        claim: "the cotangent of x is orthogonal to what the norm removes, and that of a weight before it to the weight",
        test: "cotangents_through_a_norm_are_orthogonal_to_what_it_removes",
        found: "at most 8.9e-15 of the cotangent's length for batch, layer, RMS and group norm; bound 1e-12",
    },
};

/// Mean and variance of each feature.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::batch_norm::{Moments, moments};
/// // A running average: nine tenths of what was, a tenth of what is.
/// let average = jit(|old: Moments<Var>, x: Var| old.towards(&moments(x), 0.1));
/// let new = average.call((&Moments::new(1, DType::F64), &array([[1.0], [5.0]])))?;
/// assert!((new.mean.item::<f64>().unwrap(), new.variance.item::<f64>().unwrap()) == (0.30000000000000004, 1.3));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Moments<T> {
    /// `[features]`
    pub mean: T,
    /// `[features]`, over n and not n − 1.
    pub variance: T,
}

impl Moments<Array> {
    /// Mean 0 and variance 1: what to start a running average from.
    pub fn new(features: usize, dtype: DType) -> Moments<Array> {
        Moments { mean: Array::zeros(dtype, [features]), variance: ones(features, dtype) }
    }
}

impl Moments<Var> {
    /// `self + rate (other − self)`, without derivative: a step of an exponential average.
    #[track_caller]
    pub fn towards(&self, other: &Moments<Var>, rate: f64) -> Moments<Var> {
        let mean = self.mean + (other.mean - self.mean) * rate;
        let variance = self.variance + (other.variance - self.variance) * rate;
        Moments { mean: mean.stop_gradient(), variance: variance.stop_gradient() }
    }
}

/// Ones.
pub(super) fn ones(n: usize, dtype: DType) -> Array {
    let one = Scalar::from_f64(dtype, 1.0).expect("every number type has a one; this is a bug in retrograde");
    Array::full(dtype, [n], one)
}

/// All axes but that of the features, which is the second.
fn others(shape: &Shape) -> Vec<usize> {
    (0..shape.rank()).filter(|&axis| axis != 1).collect()
}

/// The moments of each feature over all else.   x: `[n, features, lens..]` → `[features]` each.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::batch_norm::moments;
/// let found = jit(|x: Var| moments(x)).call(&array([[1.0, 0.0], [5.0, 0.0]]))?;
/// assert_eq!((found.mean, found.variance), (array([3.0, 0.0]), array([4.0, 0.0])));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn moments(x: Var) -> Moments<Var> {
    let shape = x.shape();
    if shape.rank() < 2 {
        let found = format!("moments: found {} of x, expected [n, features, lens..]", x.ty());
        refuse(found, "give examples along the first axis and features along the second");
        return Moments { mean: x, variance: x };
    }
    let over = others(&shape);
    let n = over.iter().map(|&axis| shape[axis]).product::<usize>() as f64;
    let mean = x.sum_axes(&over) / n;
    let centred = x - mean.broadcast(shape, &[1]);
    Moments { mean, variance: (centred * centred).sum_axes(&over) / n }
}

/// `(x − mean) / √(variance + ε) · scale + shift`, feature by feature.   x: `[n, features, lens..]` → the same shape.
///
/// # Errors
/// At the front door, where the features of x are not those of the layer.
/// # Cost
/// Two sums a feature and a few passes; the derivative keeps x and two numbers a feature.
/// # Source
/// [`NORMALISATION`]: Ioffe and Szegedy 2015, algorithm 1; running averages instead of a pass over the training set are what libraries do.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::batch_norm::{BatchNorm, Moments};
/// let layer = BatchNorm { epsilon: 0.0, ..BatchNorm::new(1, DType::F64) };
/// let train = jit(|layer: BatchNorm<Var>, x: Var| layer.by_batch(x));
/// let (y, moments) = train.call((&layer, &array([[1.0], [5.0]])))?;
/// assert_eq!((y, &moments.mean, &moments.variance), (array([[-1.0], [1.0]]), &array([3.0]), &array([4.0])));
/// let serve = jit(|layer: BatchNorm<Var>, moments: Moments<Var>, x: Var| layer.by(&moments, x));
/// assert_eq!(serve.call((&layer, &moments, &array([[7.0]])))?, array([[2.0]]));
/// let error = train.call((&layer, &array([[1.0, 2.0]]))).unwrap_err();
/// assert!(error.to_string().starts_with("error: batch_norm: found f64[1,2] of x for parameters of 1 features on axis 1"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct BatchNorm<T> {
    /// `[features]`
    pub scale: T,
    /// `[features]`
    pub shift: T,
    /// Added to the variance, so that constant features stay finite.
    pub epsilon: f64,
}

impl BatchNorm<Array> {
    /// Scale 1, shift 0, and ε = 10⁻⁵, as PyTorch has it.
    pub fn new(features: usize, dtype: DType) -> BatchNorm<Array> {
        BatchNorm { scale: ones(features, dtype), shift: Array::zeros(dtype, [features]), epsilon: 1e-5 }
    }
}

impl BatchNorm<Var> {
    /// Normalised by the moments of this batch, and those moments. The derivative goes through them: examples are coupled.
    #[track_caller]
    pub fn by_batch(&self, x: Var) -> (Var, Moments<Var>) {
        if !as_wide("batch_norm", x, 1, self.scale) {
            return (x, Moments { mean: self.shift, variance: self.scale });
        }
        let moments = moments(x);
        (self.by(&moments, x), moments)
    }
    /// Normalised by given moments.
    #[track_caller]
    pub fn by(&self, moments: &Moments<Var>, x: Var) -> Var {
        if !as_wide("batch_norm", x, 1, self.scale) || !as_wide("batch_norm", x, 1, moments.mean) {
            return x;
        }
        let shape = x.shape();
        let slope = (moments.variance + self.epsilon).rsqrt() * self.scale;
        let centred = x - moments.mean.broadcast(shape.clone(), &[1]);
        centred * slope.broadcast(shape.clone(), &[1]) + self.shift.broadcast(shape, &[1])
    }
}
