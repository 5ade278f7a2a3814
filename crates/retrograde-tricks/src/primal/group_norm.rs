//! Normalisations of each example by itself: root mean square of a row, and groups of channels. Law: exact.
//!
//! Row in the catalogue: [`NORMALISATION`](super::batch_norm::NORMALISATION).

use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_derive::Tree;

use super::batch_norm::ones;
use super::layer_norm::normalise;
use super::refuse::{as_wide, refuse};

/// `x / √(mean x² + ε) · scale` along the last axis.   x: `[.., d]` → the same shape.
///
/// # Errors
/// At the front door, where x is not as wide as the scale.
/// # Cost
/// One sum a row; the derivative keeps x and one number a row.
/// # Source
/// Zhang and Sennrich 2019, eq. 4; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::group_norm::RmsNorm;
/// let layer = RmsNorm { epsilon: 0.0, ..RmsNorm::new(2, DType::F64) };
/// let f = jit(|layer: RmsNorm<Var>, x: Var| layer.apply(x));
/// assert_eq!(f.call((&layer, &array([[1.0, 7.0]])))?, array([[0.2, 1.4000000000000001]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct RmsNorm<T> {
    /// `[d]`
    pub scale: T,
    /// Added to the mean square, so that rows of zeros stay finite.
    pub epsilon: f64,
}

impl RmsNorm<Array> {
    /// Scale 1 and ε = 10⁻⁵.
    pub fn new(width: usize, dtype: DType) -> RmsNorm<Array> {
        RmsNorm { scale: ones(width, dtype), epsilon: 1e-5 }
    }
}

impl RmsNorm<Var> {
    /// The scaled rows.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let shape = x.shape();
        let last = shape.rank().saturating_sub(1);
        if !as_wide("rms_norm", x, last, self.scale) {
            return x;
        }
        let rows: Vec<usize> = (0..last).collect();
        let square = (x * x).sum_axes(&[last]) / shape[last] as f64;
        let unit = x * (square + self.epsilon).rsqrt().broadcast(shape.clone(), &rows);
        unit * self.scale.spread(shape)
    }
}

/// Groups of channels shifted and scaled to mean 0 and variance 1, example by example, then by parameters for each channel.
/// x: `[n, channels, lens..]` → the same shape.
///
/// One group is layer normalisation of a whole example, as many groups as channels are instance normalisation.
///
/// # Errors
/// At the front door, where the channels of x are not those of the layer or do not make whole groups.
/// # Cost
/// Two sums a group; the derivative keeps x and two numbers a group.
/// # Source
/// Wu and He 2018, eq. 7; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::{DType, array};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::group_norm::GroupNorm;
/// let layer = GroupNorm { epsilon: 0.0, ..GroupNorm::new(4, 2, DType::F64) };
/// let f = jit(|layer: GroupNorm<Var>, x: Var| layer.apply(x));
/// assert_eq!(f.call((&layer, &array([[1.0, 3.0, -20.0, 20.0]])))?, array([[-1.0, 1.0, -1.0, 1.0]]));
/// let error = f.call((&GroupNorm::new(4, 3, DType::F64), &array([[1.0, 3.0, -20.0, 20.0]]))).unwrap_err();
/// assert!(error.to_string().starts_with("error: group_norm: found 4 channels in 3 groups"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[derive(Tree, Clone, Debug)]
pub struct GroupNorm<T> {
    /// `[channels]`
    pub scale: T,
    /// `[channels]`
    pub shift: T,
    /// How many groups the channels make.
    pub groups: usize,
    /// Added to the variance, so that constant groups stay finite.
    pub epsilon: f64,
}

impl GroupNorm<Array> {
    /// Scale 1, shift 0, and ε = 10⁻⁵.
    pub fn new(channels: usize, groups: usize, dtype: DType) -> GroupNorm<Array> {
        GroupNorm {
            scale: ones(channels, dtype),
            shift: Array::zeros(dtype, [channels]),
            groups,
            epsilon: 1e-5,
        }
    }
}

impl GroupNorm<Var> {
    /// The normalised channels.
    #[track_caller]
    pub fn apply(&self, x: Var) -> Var {
        let shape = x.shape();
        if !as_wide("group_norm", x, 1, self.scale) {
            return x;
        }
        let (n, channels) = (shape[0], shape[1]);
        if self.groups == 0 || channels % self.groups != 0 {
            let found = format!("group_norm: found {channels} channels in {} groups", self.groups);
            refuse(found, "choose a number of groups that divides the channels");
            return x;
        }
        let group = shape[1..].iter().product::<usize>() / self.groups;
        let unit = normalise(x.reshape([n, self.groups, group]), self.epsilon).reshape(shape.clone());
        unit * self.scale.broadcast(shape.clone(), &[1]) + self.shift.broadcast(shape, &[1])
    }
}
