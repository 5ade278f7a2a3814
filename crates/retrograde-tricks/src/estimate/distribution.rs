//! Distributions of stochastic nodes: how they are drawn, their log-density, and the path from parameters to a draw where there is one.
//!
//! | distribution | entries of a draw | path |
//! |---|---|---|
//! | [`Normal`] | numbers | μ + σ ε |
//! | [`Bernoulli`] | 0 and 1 | none |
//! | [`Categorical`] | class numbers, i64 | none |
//! | [`Gamma`](super::implicit::Gamma), [`Beta`](super::implicit::Beta), [`VonMises`](super::implicit::VonMises) | numbers | implicit |
//!
//! Parameters are traced values of one shape, one for each entry of a draw. Log-densities are compared with SciPy.

use retrograde_array::DType;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{full, select};

use super::draw::{bernoulli, gumbel, normal};

/// What a stochastic node is drawn from.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::distribution::{Bernoulli, Distribution, Normal};
/// let f = |x: Var, key: Var| {
///     let (normal, coin) = (Normal { mean: x, deviation: x }, Bernoulli { logits: x });
///     assert!(normal.path(key).is_some() && coin.path(key).is_none());
///     assert_eq!(coin.name(), "Bernoulli");
///     (normal.log_density(x), coin.log_density(coin.sample(key)).exp())
/// };
/// let (at_mean, half) = jit(f).call((&array([1.0]), &Key::from_seed(1).to_array()))?;
/// let expected = -0.5 * std::f64::consts::TAU.ln();
/// assert!((at_mean.to_vec::<f64>().unwrap()[0] - expected).abs() < 1e-15);
/// let half = half.to_vec::<f64>().unwrap()[0];
/// let p = 1.0 / (1.0 + (-1.0_f64).exp());
/// assert!((half - p).abs().min((half - (1.0 - p)).abs()) < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
pub trait Distribution {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// A draw, without derivative.
    fn sample(&self, key: Var) -> Var;
    /// ln p(z), entry by entry, with its derivatives by the parameters and, where z is continuous, by z.
    fn log_density(&self, z: Var) -> Var;
    /// The same draw with its derivative by the parameters at a fixed probability; None where draws jump.
    fn path(&self, key: Var) -> Option<Var>;
}

/// The normal distribution.
#[derive(Clone, Copy, Debug)]
pub struct Normal {
    /// μ
    pub mean: Var,
    /// σ > 0
    pub deviation: Var,
}

impl Distribution for Normal {
    fn name(&self) -> &'static str {
        "normal"
    }
    fn sample(&self, key: Var) -> Var {
        self.at(normal(key, self.mean.shape()).convert(self.mean.dtype())).stop_gradient()
    }
    fn log_density(&self, z: Var) -> Var {
        let standard = (z - self.mean) / self.deviation;
        standard * standard * -0.5 - self.deviation.log() - 0.5 * std::f64::consts::TAU.ln()
    }
    fn path(&self, key: Var) -> Option<Var> {
        Some(self.at(normal(key, self.mean.shape()).convert(self.mean.dtype())))
    }
}

impl Normal {
    /// μ + σ ε.
    ///
    /// ```
    /// use retrograde_array::array;
    /// use retrograde_core::trace::{Var, door::grad};
    /// use retrograde_tricks::estimate::distribution::Normal;
    /// let z = |sigma: Var| Normal { mean: sigma * 0.0, deviation: sigma }.at(sigma * 0.0 + 3.0);
    /// assert_eq!(grad(z).call(&array(2.0))?, array(3.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn at(&self, epsilon: Var) -> Var {
        self.mean + self.deviation * epsilon
    }
}

/// 1 with probability 1/(1 + e^−logit), else 0.
#[derive(Clone, Copy, Debug)]
pub struct Bernoulli {
    /// ln p/(1 − p)
    pub logits: Var,
}

impl Distribution for Bernoulli {
    fn name(&self) -> &'static str {
        "Bernoulli"
    }
    fn sample(&self, key: Var) -> Var {
        bernoulli(key, self.logits.logistic()).convert(self.logits.dtype())
    }
    fn log_density(&self, z: Var) -> Var {
        z * self.logits - self.logits.softplus()
    }
    fn path(&self, _: Var) -> Option<Var> {
        None
    }
}

/// A class, with probabilities softmax(logits) along the last axis.   logits: `[.., classes]` → draws: i64 `[..]`.
#[derive(Clone, Copy, Debug)]
pub struct Categorical {
    /// ln p + any number
    pub logits: Var,
}

impl Distribution for Categorical {
    fn name(&self) -> &'static str {
        "categorical"
    }
    fn sample(&self, key: Var) -> Var {
        let logits = self.logits.stop_gradient().convert(DType::F64);
        (logits + gumbel(key, logits.shape())).argmax(logits.rank() - 1)
    }
    fn log_density(&self, z: Var) -> Var {
        let (axis, shape) = (self.logits.rank() - 1, self.logits.shape());
        let chosen = z.one_hot(shape[axis], DType::Bool);
        let zeros = full(self.logits.dtype(), shape, 0.0);
        select(chosen, self.logits, zeros).sum_axes(&[axis]) - self.logits.logsumexp(&[axis])
    }
    fn path(&self, _: Var) -> Option<Var> {
        None
    }
}
