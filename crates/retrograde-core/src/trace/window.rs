//! Convolution and pooling: functions of [`Var`] made of windows that slide over the last axes.

use super::frame;
use super::var::{Var, caller, full};
use crate::prim::conv::{Conv, Form};
use crate::prim::gather::Gather;
use crate::prim::window_argmax::WindowArgmax;
use retrograde_array::ops::Window;

/// A number for every axis: one for all, or one each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PerAxis {
    /// The same along every axis.
    All(usize),
    /// One for each axis.
    Each(Vec<usize>),
}

impl PerAxis {
    fn list(&self, n_axes: usize) -> Vec<usize> {
        match self {
            PerAxis::All(n) => vec![*n; n_axes],
            PerAxis::Each(list) => list.clone(),
        }
    }
}

impl From<usize> for PerAxis {
    fn from(n: usize) -> PerAxis {
        PerAxis::All(n)
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis {
    fn from(list: [usize; N]) -> PerAxis {
        PerAxis::Each(list.to_vec())
    }
}

impl From<Vec<usize>> for PerAxis {
    fn from(list: Vec<usize>) -> PerAxis {
        PerAxis::Each(list)
    }
}

/// How a kernel slides over the input of [`conv`]. Without changes: step by step, no padding, dense, one group.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, window::{ConvConfig, conv}};
/// use retrograde_array::array;
/// let config = ConvConfig::default().strides(2).dilation([1]).groups(2);
/// let x = array([[[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]]]);
/// let sums = array([[[1.0, 1.0]], [[1.0, 1.0]]]);
/// let found = jit(|x: Var, kernel: Var| conv(x, kernel, &config)).call((&x, &sums))?;
/// assert_eq!(found, array([[[3.0, 7.0], [2.0, 2.0]]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConvConfig {
    /// From one place of the kernel to the next.
    pub strides: PerAxis,
    /// Zeros added before the first entry.
    pub low: PerAxis,
    /// Zeros added after the last entry.
    pub high: PerAxis,
    /// From one entry of the kernel to the next, in entries of the input.
    pub dilation: PerAxis,
    /// In how many groups, convolved separately, the channels are; as many as channels for a depthwise convolution.
    pub groups: usize,
}

impl Default for ConvConfig {
    fn default() -> ConvConfig {
        let [one, zero] = [PerAxis::All(1), PerAxis::All(0)];
        ConvConfig { strides: one.clone(), low: zero.clone(), high: zero, dilation: one, groups: 1 }
    }
}

impl ConvConfig {
    /// With another stride.
    pub fn strides(self, strides: impl Into<PerAxis>) -> ConvConfig {
        ConvConfig { strides: strides.into(), ..self }
    }
    /// With as many zeros on either side.
    pub fn padding(self, padding: impl Into<PerAxis>) -> ConvConfig {
        let low = padding.into();
        ConvConfig { high: low.clone(), low, ..self }
    }
    /// With a dilated kernel.
    pub fn dilation(self, dilation: impl Into<PerAxis>) -> ConvConfig {
        ConvConfig { dilation: dilation.into(), ..self }
    }
    /// In several groups of channels.
    pub fn groups(self, groups: usize) -> ConvConfig {
        ConvConfig { groups, ..self }
    }
}

/// Convolution over one to three axes (cross-correlation, as in deep learning).
///
/// Shapes: `x [examples, channels, lens..]`, `kernel [outputs, channels / groups, sizes..]` →
/// `[examples, outputs, places..]`, with (len + padding - dilation·(size - 1) - 1) / stride + 1 places along an axis.
/// Two operations per product; see [`crate::prim::conv`] for the derivative.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit, window::{ConvConfig, conv}};
/// let smooth = |x: Var, kernel: Var| conv(x, kernel, &ConvConfig::default().padding(1));
/// let (x, kernel) = (array([[[1.0, 2.0, 4.0]]]), array([[[0.5, 1.0, 0.5]]]));
/// assert_eq!(jit(smooth).call((&x, &kernel)).unwrap(), array([[[2.0, 4.5, 5.0]]]));
/// ```
#[track_caller]
pub fn conv(x: Var, kernel: Var, config: &ConvConfig) -> Var {
    let tail = |v: Var| v.shape().get(2..).unwrap_or_default().to_vec();
    let (lens, size) = (tail(x), tail(kernel));
    let n = size.len();
    let window = Window {
        strides: config.strides.list(n),
        low: config.low.list(n),
        high: config.high.list(n),
        dilation: config.dilation.list(n),
        size,
    };
    frame::record1(Conv { form: Form::Output, window, groups: config.groups, lens }, &[x, kernel], caller())
}

/// How a window slides over the last axes of the input of [`max_pool`] and [`avg_pool`].
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, window::{PoolConfig, max_pool}};
/// use retrograde_array::array;
/// let config = PoolConfig::new([2]).strides(1).padding(1);
/// let found = jit(|x: Var| max_pool(x, &config)).call(&array([1.0, 3.0, 2.0]))?;
/// assert_eq!(found, array([1.0, 3.0, 3.0, 2.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolConfig {
    /// Entries of the window along each pooled axis: as many as there are numbers here.
    pub size: Vec<usize>,
    /// From one place of the window to the next.
    pub strides: PerAxis,
    /// Entries added on either side.
    pub padding: PerAxis,
}

impl PoolConfig {
    /// Windows side by side, without padding.
    pub fn new(size: impl Into<Vec<usize>>) -> PoolConfig {
        let size = size.into();
        PoolConfig { strides: PerAxis::Each(size.clone()), padding: PerAxis::All(0), size }
    }
    /// With another stride.
    pub fn strides(self, strides: impl Into<PerAxis>) -> PoolConfig {
        PoolConfig { strides: strides.into(), ..self }
    }
    /// With padding on either side.
    pub fn padding(self, padding: impl Into<PerAxis>) -> PoolConfig {
        PoolConfig { padding: padding.into(), ..self }
    }
    fn window(&self) -> Window {
        let n = self.size.len();
        let padding = self.padding.list(n);
        Window {
            size: self.size.clone(),
            strides: self.strides.list(n),
            low: padding.clone(),
            high: padding,
            dilation: vec![1; n],
        }
    }
}

/// The product of lengths.
fn count(lens: &[usize]) -> usize {
    lens.iter().product()
}

/// The largest entry under each place of a window; padding does not count.
///
/// Shape: `[.., lens..]` → `[.., places..]`. The derivative goes to the first of equal entries; NaN counts as the largest.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::grad, window::{PoolConfig, max_pool}};
/// let loss = |x: Var| max_pool(x, &PoolConfig::new([2])).sum();
/// assert_eq!(grad(loss).call(&array([1.0, 3.0, 2.0, 2.0])).unwrap(), array([0.0, 1.0, 1.0, 0.0]));
/// ```
#[track_caller]
pub fn max_pool(x: Var, config: &PoolConfig) -> Var {
    let location = caller();
    let at = frame::record1_as("max_pool", WindowArgmax { window: config.window() }, &[x], location);
    let shape = x.shape();
    let lead = shape.rank().saturating_sub(config.size.len());
    let flat = |v: Var| {
        let shape = v.shape();
        let (lead, tail) = shape.split_at(lead.min(shape.rank()));
        v.reshape([count(lead), count(tail)])
    };
    let largest = frame::record1(Gather { axis: 1, batch_dims: 1 }, &[flat(x), flat(at)], location);
    largest.reshape(at.shape())
}

/// The mean of the entries under each place of a window, padding counted as zeros.
///
/// Shape: `[.., lens..]` → `[.., places..]`.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit, window::{PoolConfig, avg_pool}};
/// let pooled = jit(|x: Var| avg_pool(x, &PoolConfig::new([2]))).call(&array([1.0, 3.0, 2.0, 2.0])).unwrap();
/// assert_eq!(pooled, array([2.0, 2.0]));
/// ```
#[track_caller]
pub fn avg_pool(x: Var, config: &PoolConfig) -> Var {
    let shape = x.shape();
    let (lead, lens) = shape.split_at(shape.rank().saturating_sub(config.size.len()));
    let one = [&[count(lead), 1], lens].concat();
    let kernel = full(x.dtype(), [&[1, 1], &config.size[..]].concat(), 1.0);
    let Window { strides, low, high, .. } = config.window();
    let [strides, low, high] = [strides, low, high].map(PerAxis::Each);
    let sums = conv(x.reshape(one), kernel, &ConvConfig { strides, low, high, ..ConvConfig::default() });
    let places = sums.shape().get(2..).unwrap_or_default().to_vec();
    sums.reshape([lead, &places].concat()) / count(&config.size) as f64
}
