//! Evolution strategies over unrolls that are cut in windows, without the bias of the cut: persistent ES and ES-single.
//!
//! A particle is a pair of states, of the parameters θ ± σ ε. A window that forgets the perturbations of those before it estimates the
//! truncated gradient. Persistent ES draws a new ε for each window and weighs its losses with the sum of all so far; ES-single keeps one ε
//! for the whole unroll:
//!
//! ```text
//! persistent   (L⁺ − L⁻) Σ_{s ≤ t} ε_s / 2σ           single   (L⁺ − L⁻) ε / 2σ
//! ```
//!
//! Law: the sum over windows has the mean of the gradient of the smoothed total loss.

use retrograde_core::trace::Var;
use retrograde_core::trace::function::Traceable;

use super::leafwise::{scaled, shifted, zip};
use crate::catalogue::{Law, Property, Source, Trick};

/// D18.
pub const UNROLL: Trick = Trick {
    id: "D18",
    name: "persistent evolution strategies, ES-single",
    formula: "(L⁺ − L⁻) Σ_{s ≤ t} ε_s / 2σ",
    law: Law::Inexact {
        what: "the gradient of the smoothed total loss, without bias; draws of following windows depend on each other",
    },
    cite: &[
        Source {
            authors: "P. Vicol and L. Metz and J. Sohl-Dickstein",
            title: "Unbiased gradient estimation in unrolled computation graphs with persistent evolution strategies",
            venue: "ICML",
            year: 2021,
        },
        Source {
            authors: "P. Vicol and Z. Kolter and K. Swersky",
            title: "Low-variance gradient estimation in unrolled computation graphs with ES-single",
            venue: "ICML",
            year: 2023,
        },
    ],
    file: file!(),
    example: "persistent",
    property: Property {
        claim: "on two windows of s += θ with loss s², both have the mean 10 θ; windows that forget have 6 θ",
        test: "persistent_windows_have_no_bias_and_forgetful_ones_that_of_the_cut",
        found: "",
    },
};

/// Two states, and the sum of the noise of the windows so far.
pub type Particle<S, P> = (S, S, P);

/// A window of persistent ES: the estimate, and the particle for the next.   unroll: (θ, state) → (loss, state).
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::unroll::persistent;
/// let unroll = |theta: &Var, s: Var| { let s = s + *theta; (s * s, s) };
/// let f = jit(|theta: Var, noise: Var| {
///     let start = (theta * 0.0, theta * 0.0, noise * 0.0);
///     let (first, particle) = persistent(unroll, &theta, &noise, 0.5, start);
///     let (second, _) = persistent(unroll, &theta, &noise, 0.5, particle);
///     (first, second)
/// });
/// // L⁺ − L⁻ = 4 σ s ε, with s = θ and 2 θ and the noise of one window and of two.
/// assert_eq!(f.call((&array(3.0), &array(1.0)))?, (array(6.0), array(48.0)));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn persistent<S: Traceable, P: Traceable>(
    unroll: impl Fn(&P, S) -> (Var, S),
    theta: &P,
    noise: &P,
    sigma: f64,
    (plus, minus, total): Particle<S, P>,
) -> (P, Particle<S, P>) {
    let total = zip(&total, noise, |total, noise| total + noise);
    let (above, plus) = unroll(&shifted(theta, sigma, noise), plus);
    let (below, minus) = unroll(&shifted(theta, -sigma, noise), minus);
    (scaled((above - below) / (2.0 * sigma), &total), (plus, minus, total))
}

/// A window of ES-single: as [`persistent`], with one noise for all windows, which is not summed.
///
/// ```
/// use retrograde_array::array;
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::estimate::unroll::single;
/// let unroll = |theta: &Var, s: Var| { let s = s + *theta; (s * s, s) };
/// let f = jit(|theta: Var, noise: Var| single(unroll, &theta, &noise, 0.5, (theta * 0.0, theta * 0.0)).0);
/// assert_eq!(f.call((&array(3.0), &array(1.0)))?, array(6.0));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn single<S: Traceable, P: Traceable>(
    unroll: impl Fn(&P, S) -> (Var, S),
    theta: &P,
    noise: &P,
    sigma: f64,
    (plus, minus): (S, S),
) -> (P, (S, S)) {
    let (above, plus) = unroll(&shifted(theta, sigma, noise), plus);
    let (below, minus) = unroll(&shifted(theta, -sigma, noise), minus);
    (scaled((above - below) / (2.0 * sigma), noise), (plus, minus))
}
