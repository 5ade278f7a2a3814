//! Russian roulette: the sum of a series from a random number of its terms.
//!
//! With P(N ≥ k) = qᵏ, `Y = Σ_{k ≤ N} D_k / qᵏ` has the mean `Σ D_k`, exactly, and the second moment
//!
//! ```text
//! E |Y|² = Σ_j D_j·(2 T_j − D_j) / qʲ,     T_j = Σ_{k ≥ j} D_k
//! ```
//!
//! It is finite if and only if q exceeds ρ², the limit of |D_{k+1}|²/|D_k|²; the mean cost is 1/(1 − q) terms. Law: without bias.

use retrograde_array::DType;
use retrograde_array::rng::Key;
use retrograde_core::trace::control::while_loop;
use retrograde_core::trace::function::Traceable;
use retrograde_core::trace::tree::leaves;
use retrograde_core::trace::var::full;
use retrograde_core::trace::{Error, Var};

use super::draw::open_uniform;
use super::estimator::Estimator;
use super::leafwise::{constants, flat, rebuilt, scaled, zip};
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D14.
pub const ROULETTE: Trick = Trick {
    id: "D14",
    name: "Russian roulette, randomized telescopes",
    formula: "Σ_{k ≤ N} D_k / P(N ≥ k)",
    law: Law::Inexact { what: "an estimate without bias; of finite variance if and only if q > ρ²" },
    cite: &[
        Source {
            authors: "H. Kahn",
            title: "Use of different Monte Carlo sampling techniques",
            venue: "Symposium on Monte Carlo methods, Wiley",
            year: 1956,
        },
        Source {
            authors: "A. Beatson and R. P. Adams",
            title: "Efficient optimization of loops and limits with randomized telescoping sums",
            venue: "ICML",
            year: 2019,
        },
        Source {
            authors: "R. T. Q. Chen and J. Behrmann and D. Duvenaud and J.-H. Jacobsen",
            title: "Residual flows for invertible generative modeling",
            venue: "NeurIPS",
            year: 2019,
        },
        Source {
            authors: "Y. Luo and A. Beatson and M. Norouzi and J. Zhu and D. Duvenaud and R. P. Adams and R. T. Q. Chen",
            title: "SUMO: unbiased estimation of log marginal probability for latent variable models",
            venue: "ICLR",
            year: 2020,
        },
    ],
    file: file!(),
    example: "roulette_estimator",
    property: Property {
        claim: "mean and standard deviation as predicted; the second moment converges for q above ρ² and diverges below",
        test: "roulette_has_the_predicted_mean_and_deviation",
        found: "",
    },
};

/// The weighed sum for a stop that is given: terms 0 to N.   stop: i64 number.
///
/// `term` makes of a state the term that belongs to it and the next state.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::roulette::roulette_at;
/// // 1 + ½ + ¼ …: with q = ½ every term weighs 1.
/// let f = jit(|stop: Var, one: Var| roulette_at(stop, 0.5, one, |x: Var| (x, x * 0.5)));
/// assert_eq!(f.call((&array(3_i64), &array(1.0)))?, array(4.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn roulette_at<S: Traceable, T: Traceable>(stop: Var, q: f64, state: S, term: impl Fn(S) -> (T, S)) -> T {
    let (first, state) = term(state);
    let (count, weight) = (full(DType::I64, [], 0.0), full(DType::F64, [], 1.0));
    let step = |list: Vec<Var>| {
        let mut rest = list[2..].iter().copied();
        let (state, total) = (rebuilt(&state, &mut rest), rebuilt(&first, &mut rest));
        let (next, state) = term(state);
        let weight = list[1] / q;
        let total = zip(&total, &scaled(weight, &next), |total, next| total + next);
        [vec![list[0] + 1_i64, weight], flat(&state), flat(&total)].concat()
    };
    let start = [vec![count, weight], flat(&state), flat(&first)].concat();
    let list = while_loop(start, |list| list[0].lt(stop), step);
    rebuilt(&first, &mut list[2 + leaves(&state).len()..].iter().copied())
}

/// The weighed sum for a stop that a key makes: P(N ≥ k) = qᵏ.
///
/// # Errors
/// At the front door, unless `q` lies in (0, 1).
/// # Cost
/// 1/(1 − q) terms on average.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::roulette::roulette;
/// let f = jit(|key: Var, one: Var| roulette(key, 0.5, one, |x: Var| (x, x * 0.5)));
/// // A whole number of ones.
/// assert_eq!(f.call((&Key::from_seed(1).to_array(), &array(1.0)))?.item::<f64>().unwrap().fract(), 0.0);
/// let f = jit(|key: Var, one: Var| roulette(key, 1.5, one, |x: Var| (x, x * 0.5)));
/// let error = f.call((&Key::from_seed(1).to_array(), &array(1.0))).unwrap_err().to_string();
/// assert!(error.starts_with("error: roulette: found a chance of going on of 1.5, expected one in (0, 1)"));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn roulette<S: Traceable, T: Traceable>(key: Var, q: f64, state: S, term: impl Fn(S) -> (T, S)) -> T {
    let location = caller();
    if !(q > 0.0 && q < 1.0) {
        let found = format!("roulette: found a chance of going on of {q}, expected one in (0, 1)");
        refuse(location, found, "take one between ρ² and 1, where ρ is the rate of the terms");
        return term(state).0;
    }
    // P(u < qᵏ) = qᵏ.
    let stop = (open_uniform(key, []).log() / q.ln()).floor().convert(DType::I64);
    roulette_at(stop, q, state, term)
}

/// The second moment of the sum, for terms until they are negligible.
///
/// ```
/// use retrograde_tricks::estimate::roulette::second_moment;
/// // Terms 2⁻ᵏ, and E N + 1 = 2 ones: E (N + 1)² = 6 for q = ½.
/// let terms: Vec<Vec<f64>> = (0..200).map(|k| vec![0.5_f64.powi(k)]).collect();
/// assert!((second_moment(&terms, 0.5) - 6.0).abs() < 1e-12);
/// ```
pub fn second_moment(terms: &[Vec<f64>], q: f64) -> f64 {
    let mut rest = vec![0.0; terms.first().map_or(0, Vec::len)];
    let mut total = 0.0;
    for (j, term) in terms.iter().enumerate().rev() {
        rest.iter_mut().zip(term).for_each(|(rest, d)| *rest += d);
        let product: f64 = term.iter().zip(&rest).map(|(d, rest)| d * (2.0 * rest - d)).sum();
        total += product / q.powf(j as f64);
    }
    total
}

/// The estimator of the sum of a series whose terms satisfy |D_{k+1}|² → `growth` |D_k|².
///
/// # Errors
/// With the caller's line, unless `growth < q < 1`: else its variance is infinite, and no average of draws says anything.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::Var;
/// use retrograde_tricks::estimate::roulette::roulette_estimator;
/// let halves = |x: Var| (x, x * 0.5);
/// let sum = roulette_estimator(Key::from_seed(1), 0.5, 0.25, array(1.0), halves)?;
/// sum.mean(array(2.0)).variance(2.0).check(500)?;
/// let error = roulette_estimator(Key::from_seed(1), 0.2, 0.25, array(1.0), halves).unwrap_err().to_string();
/// assert!(error.contains("roulette: found a chance of going on of 0.2, expected one above 0.25 and below 1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn roulette_estimator<S: Traceable, T: Traceable>(
    key: Key,
    q: f64,
    growth: f64,
    start: S::Arrays,
    term: impl Fn(S) -> (T, S) + 'static,
) -> Result<Estimator<T>, Error> {
    if !(q > growth && q > 0.0 && q < 1.0) {
        let message =
            format!("roulette: found a chance of going on of {q}, expected one above {growth} and below 1");
        let help = "the variance is infinite otherwise; (1 + growth)/2 is a good choice".into();
        return Err(Error::Input { message, location: caller(), help });
    }
    Ok(Estimator::new("roulette", key, move |key: Var| roulette(key, q, constants::<S>(&start), &term)))
}
