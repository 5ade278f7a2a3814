//! The forward gradient: `(g·v) v` for a random direction v, from one forward sweep and no backward one.
//!
//! Its mean is g, as E v vᵀ = I. Its total variance is `(d + 1) |g|²` for normal directions in d dimensions and `(d − 1) |g|²` for random
//! signs. Law: without bias.

use retrograde_array::rng::Key;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::{Error, Var};
use retrograde_engine::{grad, jvp};

use super::draw::{normal, rademacher};
use super::estimator::Estimator;
use super::leafwise::{constants, copy, noise, numbers, scaled};
use crate::catalogue::{Law, Property, Source, Trick};

/// D12.
pub const FORWARD_GRADIENT: Trick = Trick {
    id: "D12",
    name: "forward gradient",
    formula: "(g·v) v, total variance (d + 1) |g|² for normal v, (d − 1) |g|² for random signs",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "D. Silver and A. Goyal and I. Danihelka and M. Hessel and H. van Hasselt",
            title: "Learning by directional gradient descent",
            venue: "ICLR",
            year: 2022,
        },
        Source {
            authors: "A. G. Baydin and B. A. Pearlmutter and D. Syme and F. Wood and P. Torr",
            title: "Gradients without backpropagation",
            venue: "arXiv:2202.08587",
            year: 2022,
        },
    ],
    file: file!(),
    example: "forward_gradient_estimator",
    property: Property {
        claim: "mean and total variance by enumeration of all signs, and by T² for normal directions",
        test: "forward_gradients_have_their_mean_and_variance",
        found: "",
    },
};

/// How directions are drawn: entries of mean 0 and variance 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Directions {
    /// Standard normal.
    Normal,
    /// −1 and 1.
    Rademacher,
}

impl Directions {
    /// A direction like a tree.
    ///
    /// ```
    /// use retrograde_array::{array, rng::Key};
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_tricks::estimate::forward_gradient::Directions;
    /// let signs = jit(|x: (Var, Var), key: Var| Directions::Rademacher.draw(key, &x));
    /// let (first, second) = signs.call((&(array([1.0, 2.0]), array(3.0)), &Key::from_seed(1).to_array()))?;
    /// assert!(first.to_vec::<f64>().unwrap().iter().chain(&second.to_vec().unwrap()).all(|x| x.abs() == 1.0));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn draw<P: Traceable>(self, key: Var, like: &P) -> P {
        match self {
            Directions::Normal => noise(key, like, |key, shape| normal(key, shape)),
            Directions::Rademacher => noise(key, like, |key, shape| rademacher(key, shape)),
        }
    }

    /// The total variance of the forward gradient in `d` dimensions, for |g|².
    ///
    /// ```
    /// use retrograde_tricks::estimate::forward_gradient::Directions;
    /// assert_eq!((Directions::Normal.variance(3, 2.0), Directions::Rademacher.variance(3, 2.0)), (8.0, 4.0));
    /// ```
    pub fn variance(self, d: usize, square: f64) -> f64 {
        match self {
            Directions::Normal => (d as f64 + 1.0) * square,
            Directions::Rademacher => (d as f64 - 1.0) * square,
        }
    }
}

/// `(g·v) v` for a direction that is given.   f: tree → number, x and v: trees of floats of one structure.
///
/// # Cost
/// One evaluation in forward mode; nothing is kept.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::forward_gradient::forward_gradient;
/// let f = jit(|x: Var, v: Var| forward_gradient(|x: Var| (x * x).sum(), &x, &v));
/// assert_eq!(f.call((&array([1.0, 3.0]), &array([1.0, -1.0])))?, array([-4.0, 4.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn forward_gradient<P: Traceable>(f: impl Fn(P) -> Var, x: &P, v: &P) -> P {
    let (_, slope) = jvp(f).at(copy(x), v);
    scaled(slope[0], v)
}

/// The estimator at a point, with its mean and variance.
///
/// # Errors
/// Mistakes in f.
/// # Cost
/// The predictions take one gradient, once.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::forward_gradient::{Directions, forward_gradient_estimator};
/// let f = |x: Var| (x * x).sum();
/// let g = forward_gradient_estimator(Key::from_seed(1), Directions::Rademacher, f, array([1.0, 3.0]))?;
/// assert_eq!((g.predicted_mean.clone(), g.predicted_variance), (Some(array([2.0, 6.0])), Some(40.0)));
/// g.check(500)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn forward_gradient_estimator<P: Traceable>(
    key: Key,
    directions: Directions,
    f: impl Fn(P) -> Var + 'static,
    x: P::Arrays,
) -> Result<Estimator<P>, Error> {
    let mean = grad(|x: P| f(x)).call(&x)?;
    let entries = numbers(&mean);
    let variance = directions.variance(entries.len(), entries.iter().map(|g| g * g).sum());
    let draw = move |key: Var| {
        let x: P = constants(&x);
        let v = directions.draw(key, &x);
        forward_gradient(&f, &x, &v)
    };
    Ok(Estimator::new("forward_gradient", key, draw).mean(mean).variance(variance))
}
