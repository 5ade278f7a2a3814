//! Simultaneous perturbation (SPSA) and its memory-free form (MeZO): two values, one number, and a direction that a key makes again.
//!
//! `(f(x + c Δ) − f(x − c Δ)) / 2c · Δ⁻¹` with random signs Δ, whose inverse is Δ. The mean is `g + O(c²)`. A run is determined by its
//! start and one key and one number a step: a direction is never stored. Law: the bias is c² times third derivatives.

use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;

use super::forward_gradient::Directions;
use super::leafwise::{copy, scaled, shifted, zip};
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D11.
pub const SPSA: Trick = Trick {
    id: "D11",
    name: "SPSA, MeZO",
    formula: "(f(x + c Δ) − f(x − c Δ)) / 2c · Δ⁻¹",
    law: Law::Inexact { what: "a bias of c² times third derivatives, else zero on average" },
    cite: &[
        Source {
            authors: "J. C. Spall",
            title: "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation",
            venue: "IEEE Transactions on Automatic Control 37",
            year: 1992,
        },
        Source {
            authors: "S. Malladi and T. Gao and E. Nichani and A. Damian and J. D. Lee and D. Chen and S. Arora",
            title: "Fine-tuning language models with just forward passes",
            venue: "NeurIPS",
            year: 2023,
        },
    ],
    file: file!(),
    example: "perturbed_slope",
    property: Property {
        claim: "over all signs the mean is g + c² a for a cubic with coefficients a; a run is replayed to the bit from keys and numbers",
        test: "the_bias_of_spsa_is_the_third_order_and_runs_are_replayed",
        found: "",
    },
};

/// `(f(x + c Δ) − f(x − c Δ)) / 2c` for a direction that is given.   f: tree → number, x and direction: of one structure → number.
///
/// # Errors
/// At the front door, unless `c` is positive and finite.
/// # Cost
/// Two evaluations.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::{forward_gradient::Directions, spsa::{perturbed_slope, step_along}};
/// let f = |x: Var| (x * x).sum();
/// let step = jit(|x: Var, key: Var| {
///     let slope = perturbed_slope(f, &x, &Directions::Rademacher.draw(key, &x), 0.5);
///     (step_along(&x, 0.1, slope, &Directions::Rademacher.draw(key, &x)), slope)
/// });
/// let (next, slope) = step.call((&array([1.0, 3.0]), &Key::from_seed(1).to_array()))?;
/// // Later, from the key and one number:
/// let again = jit(|x: Var, key: Var, slope: Var| step_along(&x, 0.1, slope, &Directions::Rademacher.draw(key, &x)));
/// assert!(again.call((&array([1.0, 3.0]), &Key::from_seed(1).to_array(), &slope))?.bits_eq(&next));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn perturbed_slope<P: Traceable>(f: impl Fn(P) -> Var, x: &P, direction: &P, c: f64) -> Var {
    let location = caller();
    if !(c > 0.0 && c.is_finite()) {
        let found = format!("perturbed_slope: found a perturbation of {c}, expected a positive one");
        refuse(location, found, "take about the fourth root of the rounding of f, times the scale of x");
        return f(copy(x));
    }
    (f(shifted(x, c, direction)) - f(shifted(x, -c, direction))) / (2.0 * c)
}

/// `slope · Δ⁻¹`, the estimate of the gradient, for random signs.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::spsa::along;
/// assert_eq!(jit(|slope: Var, signs: Var| along(slope, &signs)).call((&array(2.0), &array([1.0, -1.0])))?, array([2.0, -2.0]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn along<P: Traceable>(slope: Var, signs: &P) -> P {
    scaled(slope, signs)
}

/// `x − rate · slope · direction`: a step, or its replay.
#[track_caller]
pub fn step_along<P: Traceable>(x: &P, rate: f64, slope: Var, direction: &P) -> P {
    zip(x, &along(slope * rate, direction), |x, step| x - step)
}

/// The estimate of the gradient for signs that a key makes.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::spsa::spsa;
/// // In one dimension every sign gives the slope of the chord.
/// let f = jit(|x: Var, key: Var| spsa(key, |x: Var| x * x, &x, 0.5));
/// assert_eq!(f.call((&array(3.0), &Key::from_seed(1).to_array()))?, array(6.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn spsa<P: Traceable>(key: Var, f: impl Fn(P) -> Var, x: &P, c: f64) -> P {
    let signs = Directions::Rademacher.draw(key, x);
    along(perturbed_slope(f, x, &signs, c), &signs)
}
