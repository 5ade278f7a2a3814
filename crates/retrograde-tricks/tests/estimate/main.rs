//! Estimators have the mean and the variance that is claimed: by enumeration where outcomes can be listed, else by Hotelling's test at
//! seeds that were fixed before the first run.

mod coupled;
mod discrete;
mod dropout;
mod estimator;
mod forward;
mod gumbel;
mod importance;
mod minibatch;
mod pathwise;
mod quasi;
mod roulette;
mod sampled_softmax;
mod score;
mod unroll;
mod variance_reduction;

use retrograde_array::Array;
use retrograde_core::trace::Error;

/// The entries of an array of f64.
fn numbers(array: &Array) -> Vec<f64> {
    array.to_vec::<f64>().expect("an array of f64")
}

/// The one entry of an array of f64.
fn number(array: &Array) -> f64 {
    array.item::<f64>().expect("a number")
}

/// Panics unless the numbers agree to `tolerance`, relative to the larger of 1 and what is expected.
#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "found {found}, expected {expected} to {tolerance}"
    );
}

/// The message of a mistake, which must name a line of this test binary.
#[track_caller]
fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let message = result.expect_err("a mistake").to_string();
    assert!(message.contains("tests/estimate/"), "{message}");
    message
}

/// All vectors of `n` truth values.
fn all_masks(n: usize) -> impl Iterator<Item = Vec<bool>> {
    (0..1_u32 << n).map(move |bits| (0..n).map(|i| bits >> i & 1 == 1).collect())
}

/// The probability of independent outcomes, each true with its own probability.
fn probability(outcomes: &[bool], p: &[f64]) -> f64 {
    outcomes.iter().zip(p).map(|(&outcome, p)| if outcome { *p } else { 1.0 - p }).product()
}
