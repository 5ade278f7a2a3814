//! An estimator: a function of a key whose mean is, or is said to be, what one is after.
//!
//! It carries its key, whether its draws are independent of each other, how its mean deviates from what is wanted, and the mean and the
//! total variance that theory predicts, where theory does. [`Estimator::check`] holds draws to both.

use std::fmt;

use retrograde_array::Array;
use retrograde_array::rng::Key;
use retrograde_core::ir::Location;
use retrograde_core::trace::function::{Function, Traceable};
use retrograde_core::trace::tree::leaves;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{grad, jit, vmap};
use retrograde_solve::hotelling::{Hotelling, hotelling, power};

use super::leafwise::{constants, numbers};

/// A test whose p is below refuses the prediction.
pub const LEVEL: f64 = 0.01;

/// The bias whose chance of being found a check reports, as a part of the mean.
pub const BIAS: f64 = 0.05;

/// How two draws of an estimator are related.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Independence {
    /// Each has its own key, and nothing else is shared.
    Independent,
    /// They have more than the parameters in common, and this says what.
    Dependent(String),
}

/// How the mean of an estimator is related to what is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bias {
    /// It is the same.
    None,
    /// It deviates, and this says how.
    Some(String),
}

/// An estimator of a tree of arrays, a gradient as a rule.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::{draw::normal, estimator::Estimator};
/// // The mean of z² is 1 and its variance 2.
/// let square = |key: Var| { let z = normal(key, []); z * z };
/// let sound = Estimator::new("square", Key::from_seed(1), square).mean(array(1.0)).variance(2.0);
/// let check = sound.check(2000)?;
/// assert!(check.mean.unwrap().p > 0.01 && check.found_variance > 1.0);
/// let broken = Estimator::new("square", Key::from_seed(1), square).mean(array(1.2));
/// assert!(broken.check(2000).unwrap_err().to_string().contains("the mean is another"));
/// // A biased one gives draws and their average, but no gradient.
/// let biased = Estimator::new("square", Key::from_seed(1), square).biased("it is a square");
/// assert!(biased.gradient(10).unwrap_err().to_string().contains("it is a square"));
/// assert_eq!(biased.draws(10)?.shape().to_string(), "[10]");
/// assert_eq!(biased.average(10)?.shape().to_string(), "[]");
/// assert_eq!(format!("{biased:?}").split(',').next(), Some("Estimator { name: \"square\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Estimator<G: Traceable> {
    /// What it is called.
    pub name: &'static str,
    /// What its draws depend on.
    pub key: Key,
    /// How they are related.
    pub independence: Independence,
    /// How its mean is related to what is wanted.
    pub bias: Bias,
    /// The mean of its draws, where theory predicts it.
    pub predicted_mean: Option<G::Arrays>,
    /// The sum of the variances of all entries, where theory predicts it.
    pub predicted_variance: Option<f64>,
    draw: Draw<G>,
    location: Location,
}

/// From a key to one draw, in traced code.
type Draw<G> = Box<dyn Fn(Var) -> G>;

impl<G: Traceable> fmt::Debug for Estimator<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estimator")
            .field("name", &self.name)
            .field("key", &self.key)
            .field("independence", &self.independence)
            .field("bias", &self.bias)
            .field("predicted_mean", &self.predicted_mean.as_ref().map(leaves))
            .field("predicted_variance", &self.predicted_variance)
            .finish_non_exhaustive()
    }
}

/// What a check found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Check {
    /// How many draws were looked at.
    pub n_draws: usize,
    /// The test of the mean.
    pub mean: Option<Hotelling>,
    /// The probability that a bias of [`BIAS`] of the mean would have been found at [`LEVEL`].
    pub power: Option<f64>,
    /// The sum of the variances of all entries, about the predicted mean where there is one.
    pub found_variance: f64,
    /// The test of the variance.
    pub variance: Option<Hotelling>,
}

/// Why a check fails.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum CheckError {
    /// Drawing failed.
    #[error("{0}")]
    Draw(#[from] Error),
    /// The draws have another mean than predicted.
    #[error(
        "{name}: the mean is another than predicted: T² {t2} in {rank} dimensions, p {p}, of {n_draws} draws"
    )]
    Mean {
        /// The estimator.
        name: &'static str,
        /// Hotelling's statistic.
        t2: f64,
        /// Dimensions in which the draws vary.
        rank: usize,
        /// The probability of such a statistic if the prediction were right.
        p: f64,
        /// How many were looked at.
        n_draws: usize,
    },
    /// The draws have another total variance than predicted.
    #[error("{name}: the total variance is {found}, expected {expected}; p {p}, of {n_draws} draws")]
    Variance {
        /// The estimator.
        name: &'static str,
        /// Of the draws.
        found: f64,
        /// Predicted.
        expected: f64,
        /// The probability of such a difference if the prediction were right.
        p: f64,
        /// How many were looked at.
        n_draws: usize,
    },
    /// The draws cannot be tested.
    #[error("{name}: {n_draws} draws cannot be tested: {why}")]
    Untestable {
        /// The estimator.
        name: &'static str,
        /// How many there were.
        n_draws: usize,
        /// What stands in the way, and what to try.
        why: String,
    },
}

impl<G: Traceable> Estimator<G> {
    /// An estimator with independent draws, without bias and without predictions: `draw` makes one from a key.
    #[track_caller]
    pub fn new(name: &'static str, key: Key, draw: impl Fn(Var) -> G + 'static) -> Self {
        Estimator {
            name,
            key,
            independence: Independence::Independent,
            bias: Bias::None,
            predicted_mean: None,
            predicted_variance: None,
            draw: Box::new(draw),
            location: Location(std::panic::Location::caller()),
        }
    }

    /// The gradient of a loss that draws, at these parameters: one draw is the derivative of `loss(parameters, key)`.
    ///
    /// It has no bias where the derivative may pass the expectation: where all that is drawn depends on the parameters in no way, by a
    /// path ([`pathwise`](super::pathwise)) or by a density in the loss ([`score`](super::score)).
    ///
    /// ```
    /// use retrograde_array::{array, rng::Key};
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::estimate::{draw::normal, estimator::Estimator};
    /// // E (μ + z)² has the slope 2μ; that of one draw varies with variance 4.
    /// let loss = |mu: Var, key: Var| { let z = mu + normal(key, []); z * z };
    /// let slope = Estimator::of_loss("square", Key::from_seed(1), array(3.0), loss);
    /// slope.mean(array(6.0)).variance(4.0).check(1000)?;
    /// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
    /// ```
    #[track_caller]
    pub fn of_loss(
        name: &'static str,
        key: Key,
        parameters: G::Arrays,
        loss: impl Fn(G, Var) -> Var + 'static,
    ) -> Self {
        let draw = move |key: Var| grad(|parameters: G| loss(parameters, key)).at(constants(&parameters));
        Estimator::new(name, key, draw)
    }

    /// With this mean.
    pub fn mean(self, mean: G::Arrays) -> Self {
        Estimator { predicted_mean: Some(mean), ..self }
    }

    /// With this sum of the variances of all entries.
    pub fn variance(self, total: f64) -> Self {
        Estimator { predicted_variance: Some(total), ..self }
    }

    /// With draws that have something in common.
    ///
    /// ```
    /// use retrograde_array::{array, rng::Key};
    /// use retrograde_core::trace::{Var, var::full};
    /// use retrograde_tricks::estimate::{draw::normal, estimator::Estimator};
    /// let chain = Estimator::new("chain", Key::from_seed(1), |key: Var| normal(key, [])).mean(array(0.0));
    /// let error = chain.dependent("each continues from the last").check(100).unwrap_err();
    /// assert!(error.to_string().contains("each continues from the last"));
    /// ```
    pub fn dependent(self, how: impl Into<String>) -> Self {
        Estimator { independence: Independence::Dependent(how.into()), ..self }
    }

    /// With a mean that is not what is wanted.
    pub fn biased(self, how: impl Into<String>) -> Self {
        Estimator { bias: Bias::Some(how.into()), ..self }
    }

    /// `n` draws, along a new leading axis. Draw `i` does not depend on `n`.
    ///
    /// # Errors
    /// Mistakes in the traced function; errors while running.
    /// # Cost
    /// One program of all draws.
    pub fn draws(&self, n: usize) -> Result<G::Arrays, Error> {
        jit(vmap(|key: Var| (self.draw)(key))).call(&self.keys(n)?)
    }

    /// The average of `n` draws, whatever it estimates.
    ///
    /// # Errors
    /// As [`Estimator::draws`]; for n = 0.
    pub fn average(&self, n: usize) -> Result<G::Arrays, Error> {
        if n == 0 {
            return Err(self.input("found 0 draws, expected at least one".into(), "draw more"));
        }
        let average = |keys: Var| {
            let draws = vmap(|key: Var| (self.draw)(key)).apply((keys,));
            draws.map_vars(&mut |draws| draws.sum_axes(&[0]) / n as f64)
        };
        jit(average).call(&self.keys(n)?)
    }

    /// The average of `n` draws as an estimate of what is wanted.
    ///
    /// # Errors
    /// As [`Estimator::average`]; if the mean of the draws is something else.
    pub fn gradient(&self, n: usize) -> Result<G::Arrays, Error> {
        match &self.bias {
            Bias::None => self.average(n),
            Bias::Some(how) => {
                let found = format!("found an estimator with a bias, expected one without: {how}");
                Err(self.input(found, "take `average` if the bias is meant, or another estimator"))
            }
        }
    }

    /// One key for each of `n` draws: `i64[n,2]`.
    fn keys(&self, n: usize) -> Result<Array, Error> {
        let words = self.key.split(n).into_iter().flat_map(|key| key.0.map(|word| word as i64)).collect();
        Array::new([n, 2], words).map_err(|error| self.input(error.to_string(), "draw fewer at once"))
    }

    fn input(&self, message: String, help: &str) -> Error {
        Error::Input {
            message: format!("{}: {message}", self.name),
            location: self.location,
            help: help.into(),
        }
    }

    /// `n` draws, each as one vector of f64.
    ///
    /// ```
    /// use retrograde_array::rng::Key;
    /// use retrograde_core::trace::Var;
    /// use retrograde_tricks::estimate::{draw::rademacher, estimator::Estimator};
    /// let signs = Estimator::new("signs", Key::from_seed(1), |key: Var| rademacher(key, [3]));
    /// assert_eq!(signs.vectors(7)?.iter().map(Vec::len).collect::<Vec<_>>(), [3; 7]);
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Estimator::draws`].
    pub fn vectors(&self, n: usize) -> Result<Vec<Vec<f64>>, Error> {
        let draws = self.draws(n)?;
        let mut vectors = vec![vec![]; n];
        for (_, leaf) in leaves(&draws) {
            let entries = numbers(&leaf);
            let width = entries.len() / n.max(1);
            vectors.iter_mut().enumerate().for_each(|(i, v)| v.extend(&entries[i * width..(i + 1) * width]));
        }
        Ok(vectors)
    }

    /// Holds `n` draws to the predicted mean, by Hotelling's T², and to the predicted total variance, by the same test of the squared
    /// distances from the mean.
    ///
    /// # Errors
    /// [`CheckError`], where a prediction is refused at [`LEVEL`], or there is none, or nothing to test it with.
    pub fn check(&self, n: usize) -> Result<Check, CheckError> {
        let (name, n_draws) = (self.name, n);
        let untestable = |why: &str| CheckError::Untestable { name, n_draws, why: why.into() };
        if let Independence::Dependent(how) = &self.independence {
            return Err(untestable(&format!("they are not independent: {how}")));
        }
        if self.predicted_mean.is_none() && self.predicted_variance.is_none() {
            return Err(untestable("neither their mean nor their variance is predicted"));
        }
        let draws = self.vectors(n)?;
        let average = mean_of(&draws);
        let predicted = self.predicted_mean.as_ref().map(numbers);
        let too_few = "draw more of them than they have entries, and finite ones";
        let mut check = Check { n_draws, mean: None, power: None, found_variance: 0.0, variance: None };
        if let Some(predicted) = &predicted {
            let found = test_of_mean(&draws, predicted).ok_or_else(|| untestable(too_few))?;
            // T² of a mean that is off by this much would be larger by the noncentrality.
            let off: Vec<f64> =
                average.iter().zip(predicted).map(|(average, mean)| average + BIAS * mean).collect();
            check.power = hotelling(&draws, &off).map(|off| power(off.t2, found.rank, n, LEVEL));
            check.mean = Some(found);
            if found.p < LEVEL {
                return Err(CheckError::Mean { name, t2: found.t2, rank: found.rank, p: found.p, n_draws });
            }
        }
        let about = predicted.as_ref().unwrap_or(&average);
        // About their own average, draws vary a little less: n − 1 of n.
        let correction = if predicted.is_some() { 1.0 } else { n as f64 / (n as f64 - 1.0) };
        let squares = draws.iter().map(|draw| {
            vec![correction * draw.iter().zip(about).map(|(x, mean)| (x - mean).powi(2)).sum::<f64>()]
        });
        let squares: Vec<Vec<f64>> = squares.collect();
        check.found_variance = mean_of(&squares)[0];
        if let Some(expected) = self.predicted_variance {
            let found = test_of_mean(&squares, &[expected]).ok_or_else(|| untestable(too_few))?;
            check.variance = Some(found);
            if found.p < LEVEL {
                let (found, p) = (check.found_variance, found.p);
                return Err(CheckError::Variance { name, found, expected, p, n_draws });
            }
        }
        Ok(check)
    }
}

/// Hotelling's test; draws that do not vary at all and are what they should be pass it.
fn test_of_mean(draws: &[Vec<f64>], mean: &[f64]) -> Option<Hotelling> {
    // As far as sums of some thousand terms may be off by rounding.
    const ROUNDING: f64 = 1e-12;
    let same = |(x, mean): (&f64, &f64)| (x - mean).abs() <= ROUNDING * mean.abs();
    let certain = draws.len() > 1
        && draws.iter().all(|draw| draw.len() == mean.len() && draw.iter().zip(mean).all(same));
    if certain { Some(Hotelling { t2: 0.0, rank: 0, p: 1.0 }) } else { hotelling(draws, mean) }
}

fn mean_of(rows: &[Vec<f64>]) -> Vec<f64> {
    let width = rows.first().map_or(0, Vec::len);
    (0..width).map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / rows.len() as f64).collect()
}
