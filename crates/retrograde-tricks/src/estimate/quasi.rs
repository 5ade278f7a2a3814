//! Fewer draws for the same error: common random numbers, antithetic pairs, quasi-Monte Carlo.
//!
//! ```text
//! common       f(a, u) − f(b, u)              variance V_a + V_b − 2 C, in the place of V_a + V_b
//! antithetic   (f(u) + f(1 − u))/2            variance (V + C)/2, in the place of V/2 for two draws
//! rotated      (1/n) Σ f({x_i + Δ})           x the points of Halton, Δ uniform: without bias, error of about 1/n for smooth f
//! ```
//!
//! C is the covariance of the two values. Law: without bias.

use retrograde_array::Array;
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::uniform;
use retrograde_engine::vmap;

use crate::catalogue::{Law, Property, Source, Trick};

/// D17.
pub const QUASI: Trick = Trick {
    id: "D17",
    name: "common random numbers, antithetic pairs, quasi-Monte Carlo",
    formula: "(f(u) + f(1 − u))/2; (1/n) Σ f({x_i + Δ})",
    law: Law::Inexact { what: "an estimate without bias" },
    cite: &[
        Source {
            authors: "J. M. Hammersley and K. W. Morton",
            title: "A new Monte Carlo technique: antithetic variates",
            venue: "Mathematical Proceedings of the Cambridge Philosophical Society 52",
            year: 1956,
        },
        Source {
            authors: "J. H. Halton",
            title: "On the efficiency of certain quasi-random sequences of points in evaluating multi-dimensional integrals",
            venue: "Numerische Mathematik 2",
            year: 1960,
        },
        Source {
            authors: "R. Cranley and T. N. L. Patterson",
            title: "Randomization of number theoretic methods for multiple integration",
            venue: "SIAM Journal on Numerical Analysis 13",
            year: 1976,
        },
        Source {
            authors: "P. Glasserman and D. D. Yao",
            title: "Some guidelines and guarantees for common random numbers",
            venue: "Management Science 38",
            year: 1992,
        },
    ],
    file: file!(),
    example: "rotated_mean",
    property: Property {
        claim: "variances by the formulas for an exponential; the error of rotated Halton points has the slope −1 in n, that of independent ones −½",
        test: "coupled_draws_have_the_variance_of_the_formula_and_points_the_slope_of_one",
        found: "",
    },
};

/// Points 0 to n − 1 of Halton in the unit cube of `d` dimensions: digits of i in the d first primes, reversed.   → f64 `[n, d]`.
///
/// Good up to about ten dimensions, where neighbouring bases begin to follow each other.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_tricks::estimate::quasi::halton;
/// assert_eq!(halton(4, 2), array([[0.0, 0.0], [0.5, 1.0 / 3.0], [0.25, 2.0 / 3.0], [0.75, 1.0 / 9.0]]));
/// ```
pub fn halton(n: usize, d: usize) -> Array {
    let mut primes: Vec<usize> = vec![];
    for candidate in 2.. {
        if primes.len() == d {
            break;
        }
        if primes.iter().all(|prime| candidate % prime != 0) {
            primes.push(candidate);
        }
    }
    let mut points = Array::zeros(retrograde_array::DType::F64, [n, d]);
    let entries = points.make_mut::<f64>().into_iter().flatten();
    for (at, entry) in entries.enumerate() {
        let (mut rest, base) = (at / d, primes[at % d]);
        let (mut reversed, mut scale) = (0_usize, 1_usize);
        while rest > 0 {
            reversed = reversed * base + rest % base;
            scale *= base;
            rest /= base;
        }
        *entry = reversed as f64 / scale as f64;
    }
    points
}

/// The mean of f over points that a key rotates, all alike.   points: `[n, d]`, f: `[d]` → number.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, var::constant};
/// use retrograde_tricks::estimate::{estimator::Estimator, quasi::{halton, rotated_mean}};
/// let points = halton(64, 1);
/// let mean = move |key: Var| rotated_mean(key, constant(&points), |u: Var| u.exp().sum());
/// let mean = Estimator::new("rotated", Key::from_seed(1), mean).mean(array(1.0_f64.exp_m1()));
/// // 64 independent points would have a variance of 0.0038.
/// assert!(mean.check(200)?.found_variance < 1e-4);
/// # Ok::<(), retrograde_tricks::estimate::estimator::CheckError>(())
/// ```
#[track_caller]
pub fn rotated_mean(key: Var, points: Var, f: impl Fn(Var) -> Var) -> Var {
    let shift = uniform(key, [points.shape()[1]]);
    let rotated = points + shift.spread(points.shape());
    vmap(|u: Var| f(u)).apply((rotated - rotated.floor(),)).mean()
}

/// `(f(u) + f(1 − u))/2`.   u: uniform numbers `[d]`, f: `[d]` → number.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::quasi::antithetic;
/// // Of what is linear, nothing is left to chance.
/// assert_eq!(jit(|u: Var| antithetic(|u: Var| u.sum() * 3.0, u)).call(&array([0.25]))?, array(1.5));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn antithetic(f: impl Fn(Var) -> Var, u: Var) -> Var {
    (f(u) + f(1.0 - u)) * 0.5
}

/// `f(a, u) − f(b, u)`: two settings compared on the same draws.   u: whatever both draw from, a key for instance.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::{draw::normal, quasi::common};
/// let f = jit(|a: Var, key: Var| common(|x, key| x + normal(key, []), a, a * 0.0, key));
/// let found = f.call((&array(1.0), &Key::from_seed(1).to_array()))?.item::<f64>().unwrap();
/// assert!((found - 1.0).abs() < 1e-15);
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn common(f: impl Fn(Var, Var) -> Var, a: Var, b: Var, u: Var) -> Var {
    f(a, u) - f(b, u)
}
