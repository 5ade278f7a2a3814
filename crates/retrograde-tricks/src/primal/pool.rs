//! Pooling: what stands for a window, a channel or a row, and how its cotangent comes back. Law: exact.

use retrograde_core::trace::Var;
use retrograde_core::trace::place::iota;
use retrograde_core::trace::var::constant;
use retrograde_core::trace::window::{ConvConfig, PoolConfig, avg_pool, conv, max_pool};

use super::orthogonal::identity;
use super::refuse::{positive, refuse};
use super::softmax::softmax;
use crate::catalogue::{Law, Property, Source, Trick};

/// Pooling and its smooth relatives.
pub const POOLING: Trick = Trick {
    id: "A15",
    name: "max, average and log-sum-exp pooling, smooth max, soft argmax",
    formula: "max x; mean x; log(mean exp(b x))/b; sum x softmax(b x); sum i softmax(b x)_i",
    law: Law::Exact,
    cite: &[
        Source {
            authors: "Y. LeCun and L. Bottou and Y. Bengio and P. Haffner",
            title: "Gradient-based learning applied to document recognition",
            venue: "Proceedings of the IEEE 86",
            year: 1998,
        },
        Source {
            authors: "Y.-L. Boureau and J. Ponce and Y. LeCun",
            title: "A theoretical analysis of feature pooling in visual recognition",
            venue: "International Conference on Machine Learning",
            year: 2010,
        },
        Source {
            authors: "M. Lin and Q. Chen and S. Yan",
            title: "Network in network",
            venue: "International Conference on Learning Representations",
            year: 2014,
        },
    ],
    file: file!(),
    example: "Pool",
    property: Property {
        claim: "the cotangent of a maximum goes to one entry, and what comes back sums to what went in",
        test: "pooling_routes_cotangents_and_keeps_their_sum",
        found: "one entry of each window, sums within 4.5e-15; bound 1e-13",
    },
};

/// What stands for a window.
///
/// # Errors
/// At the front door: a temperature that is not above 0, windows that do not fit.
/// # Cost
/// Max: one pass, the derivative keeps positions. Average: one pass, nothing kept. Log-sum-exp: as many exponentials as windows have
/// entries.
/// # Source
/// [`POOLING`]: LeCun et al. 1998, section II.B, for averages; Boureau, Ponce and LeCun 2010 for maxima and for what lies between.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit, window::PoolConfig};
/// use retrograde_tricks::primal::pool::Pool;
/// let x = array([[[1.0, 3.0, 2.0, 2.0]]]);
/// let pooled = |pool: Pool| jit(move |x: Var| pool.apply(x, &PoolConfig::new([2]))).call(&x);
/// assert_eq!(pooled(Pool::Max)?, array([[[3.0, 2.0]]]));
/// assert_eq!(pooled(Pool::Average)?, array([[[2.0, 2.0]]]));
/// // Between both; as hot as this, nearly the average.
/// let between = pooled(Pool::LogSumExp { temperature: 1e6 })?.to_vec::<f64>().unwrap();
/// assert!((between[0] - 2.0).abs() < 1e-6 && (between[1] - 2.0).abs() < 1e-6);
/// let error = pooled(Pool::LogSumExp { temperature: 0.0 }).unwrap_err().to_string();
/// assert!(error.starts_with("error: log-sum-exp pooling: found a temperature of 0, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pool {
    /// The largest entry; its cotangent goes to the first of equals.
    Max,
    /// The mean; each entry gets an equal part of the cotangent.
    Average,
    /// `T log mean exp(x/T)`: the mean where T is large, the maximum where it is small.
    LogSumExp {
        /// T, above 0, in the units of x.
        temperature: f64,
    },
}

impl Pool {
    /// x: `[n, channels, lens..]` → `[n, channels, places..]`. For log-sum-exp x is finite and nothing is padded.
    #[track_caller]
    pub fn apply(self, x: Var, config: &PoolConfig) -> Var {
        match self {
            Pool::Max => max_pool(x, config),
            Pool::Average => avg_pool(x, config),
            Pool::LogSumExp { temperature } => log_sum_exp(x, config, temperature),
        }
    }
}

#[track_caller]
fn log_sum_exp(x: Var, config: &PoolConfig, temperature: f64) -> Var {
    if !positive("log-sum-exp pooling", "temperature", temperature, "use Pool::Max for the limit of zero") {
        return max_pool(x, config);
    }
    let shape = x.shape();
    let n_axes = config.size.len();
    let (lead, lens) = shape.split_at(shape.rank().saturating_sub(n_axes));
    // A kernel for each entry of a window: the windows, entry by entry, along a new axis.
    let count: usize = config.size.iter().product();
    let picks = identity(count, x.dtype()).reshaped([&[count, 1], &config.size[..]].concat());
    let picks = constant(&picks.expect("as many entries; this is a bug in retrograde"));
    let strides =
        ConvConfig { strides: config.strides.clone(), low: config.padding.clone(), ..ConvConfig::default() };
    let slide = ConvConfig { high: config.padding.clone(), ..strides };
    let one = [&[lead.iter().product(), 1], lens].concat();
    let windows = conv(x.reshape(one) * (1.0 / temperature), picks, &slide);
    let pooled = (windows.logsumexp(&[1]) - (count as f64).ln()) * temperature;
    let places = pooled.shape().get(1..).unwrap_or_default().to_vec();
    pooled.reshape([lead, &places].concat())
}

/// The mean of each channel.   x: `[n, channels, lens..]` → `[n, channels]`.
///
/// # Source
/// [`POOLING`]: Lin, Chen and Yan 2014, section 3.2.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::pool::global_average;
/// assert_eq!(jit(|x: Var| global_average(x)).call(&array([[[1.0, 3.0], [4.0, 4.0]]]))?, array([[2.0, 4.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn global_average(x: Var) -> Var {
    let shape = x.shape();
    if shape.rank() < 3 {
        refuse(
            format!("global_average: found {} of x, expected [n, channels, lens..]", x.ty()),
            "pool before the channels are flattened",
        );
        return x;
    }
    let axes: Vec<usize> = (2..shape.rank()).collect();
    x.sum_axes(&axes) / shape[2..].iter().product::<usize>() as f64
}

/// `Σ x softmax(x/T)` along an axis: a mean that the large entries dominate.   x: `[..]` → without that axis.
///
/// # Errors
/// At the front door, for a temperature that is not above 0.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::pool::{soft_argmax, smooth_max};
/// let x = array([1.0, 5.0, 2.0]);
/// // Cold: the largest entry, and where it stands.
/// assert_eq!(jit(|x: Var| (smooth_max(x, 0, 1e-3), soft_argmax(x, 0, 1e-3))).call(&x)?, (array(5.0), array(1.0)));
/// let error = jit(|x: Var| soft_argmax(x, 0, -1.0)).call(&x).unwrap_err().to_string();
/// assert!(error.starts_with("error: soft_argmax: found a temperature of -1, expected a finite number above 0"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn smooth_max(x: Var, axis: usize, temperature: f64) -> Var {
    if !positive("smooth_max", "temperature", temperature, "use reduce_max for the limit of zero") {
        return x.reduce_max(&[axis]);
    }
    (x * softmax(x * (1.0 / temperature), axis)).sum_axes(&[axis])
}

/// `Σ i softmax(x/T)ᵢ` along an axis: the position of the largest entry, made smooth.   x: `[..]` → without that axis.
///
/// # Errors
/// At the front door, for a temperature that is not above 0.
#[track_caller]
pub fn soft_argmax(x: Var, axis: usize, temperature: f64) -> Var {
    if !positive("soft_argmax", "temperature", temperature, "use argmax for the limit of zero") {
        return x.reduce_max(&[axis]);
    }
    let weights = softmax(x * (1.0 / temperature), axis);
    (weights * iota(x.dtype(), x.shape(), axis)).sum_axes(&[axis])
}
