//! Convolution layers, initialised so that a ReLU after each keeps the mean square of values. Law: exact.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::Var;
use retrograde_core::trace::window::{ConvConfig, conv};
use retrograde_derive::Tree;

/// Where the initialisation comes from.
pub const CITE: &str = "K. He, X. Zhang, S. Ren, J. Sun, Delving deep into rectifiers, ICCV 2015, eq. 10";

/// A convolution over one to three axes and a bias for each channel.   x: `[n, in, lens..]` → `[n, out, places..]`.
///
/// # Errors
/// At the front door, where the shapes do not fit.
/// # Cost
/// Two operations a product: n·places·out·in·(size of the kernel) of them, and twice that for the derivative, which keeps x.
/// # Source
/// [`CITE`] for the initial values.
///
/// ```
/// use retrograde_array::{DType, array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit, window::ConvConfig};
/// use retrograde_tricks::primal::conv::Conv;
/// let config = ConvConfig::default().padding(1);
/// let layer = Conv { kernel: array([[[1.0, 1.0, 1.0]]]), bias: array([10.0]), config };
/// let out = jit(|layer: Conv<Var>, x: Var| layer.apply(x)).call((&layer, &array([[[1.0, 2.0, 4.0]]])))?;
/// assert_eq!(out, array([[[13.0, 17.0, 16.0]]]));
/// let layer = Conv::he(Key::from_seed(1), 2, 8, &[3, 3], ConvConfig::default(), DType::F32);
/// assert_eq!(layer.kernel.shape().to_string(), "[8,2,3,3]");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct Conv<T> {
    /// `[out, in / groups, sizes..]`
    pub kernel: T,
    /// `[out]`
    pub bias: T,
    /// How the kernel slides.
    pub config: ConvConfig,
}

impl Conv<Var> {
    /// The convolved channels and their bias.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let y = conv(x, self.kernel, &self.config);
        y + self.bias.broadcast(y.shape(), &[1])
    }
}

impl Conv<Array> {
    /// He initialisation: normal entries of variance 2 over the number of inputs of an output; zero bias.
    pub fn he(
        key: Key,
        n_in: usize,
        n_out: usize,
        size: &[usize],
        config: ConvConfig,
        dtype: DType,
    ) -> Conv<Array> {
        let channels = n_in / config.groups.max(1);
        let fan_in = (channels * size.iter().product::<usize>()).max(1);
        let deviation = (2.0 / fan_in as f64).sqrt();
        let mut kernel = normal(key, [&[n_out, channels], size].concat());
        if let Some(entries) = kernel.make_mut::<f64>() {
            entries.iter_mut().for_each(|w| *w *= deviation);
        }
        Conv { kernel: ops::convert(&kernel, dtype), bias: Array::zeros(dtype, [n_out]), config }
    }
}
