//! Reparameterisation: a draw as a function of its parameters and of noise that has none.
//!
//! `d/dφ E f(z) = E f'(z) dz/dφ`, with z = μ + σ ε for normal draws and the implicit path of [`implicit`](super::implicit) for others.
//! Law: without bias, where f is continuous. Derivatives of every order follow the path.

use retrograde_core::trace::Var;

use super::distribution::Distribution;
use super::{caller, refuse};
use crate::catalogue::{Law, Property, Source, Trick};

/// D3.
pub const PATHWISE: Trick = Trick {
    id: "D3",
    name: "reparameterisation, the pathwise derivative",
    formula: "d/dφ E f(z) = E f'(z) dz/dφ, z = μ + σ ε",
    law: Law::Inexact { what: "an estimate without bias, for continuous draws and costs" },
    cite: &[
        Source {
            authors: "D. P. Kingma and M. Welling",
            title: "Auto-encoding variational Bayes",
            venue: "ICLR, arXiv:1312.6114",
            year: 2014,
        },
        Source {
            authors: "D. J. Rezende and S. Mohamed and D. Wierstra",
            title: "Stochastic backpropagation and approximate inference in deep generative models",
            venue: "ICML",
            year: 2014,
        },
    ],
    file: file!(),
    example: "pathwise",
    property: Property {
        claim: "for f = z² the slopes have means 2μ and 2σ and variances 4σ² and 4μ² + 8σ², the Hessian has mean 2 I",
        test: "pathwise_slopes_of_a_square_have_the_gaussian_moments",
        found: "",
    },
};

/// A draw with its path from the parameters.   → z: the shape of the parameters.
///
/// # Errors
/// At the front door, for a distribution whose draws jump: its pathwise derivative would be zero, which is not that of the mean.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::grad};
/// use retrograde_tricks::estimate::{distribution::{Bernoulli, Normal}, estimator::Estimator, pathwise::pathwise};
/// let loss = |(mu, sigma): (Var, Var), key: Var| {
///     let z = pathwise(key, &Normal { mean: mu, deviation: sigma });
///     z * z
/// };
/// let slope = Estimator::of_loss("square", Key::from_seed(1), (array(3.0), array(0.5)), loss);
/// slope.mean((array(6.0), array(1.0))).check(500)?;
/// let jump = grad(|p: Var, key: Var| pathwise(key, &Bernoulli { logits: p }));
/// let error = jump.call((&array(0.0), &Key::from_seed(1).to_array())).unwrap_err().to_string();
/// assert!(error.starts_with("error: pathwise: found a Bernoulli distribution"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn pathwise(key: Var, distribution: &impl Distribution) -> Var {
    let location = caller();
    distribution.path(key).unwrap_or_else(|| {
        let name = distribution.name();
        let found = format!("pathwise: found a {name} distribution, whose draws jump, expected a continuous one");
        let help = "a gradient without bias is that of `score`, `arm` or `coupled`; with a bias, that of `straight_through`";
        refuse(location, found, help);
        distribution.sample(key)
    })
}
