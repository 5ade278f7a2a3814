//! Curriculum: the easiest examples first, more of them as training goes on. Law: exact.
//!
//! Row in the catalogue: [`DATA`](super::label_smoothing::DATA).

use retrograde_array::rng::ParameterError;

/// The positions of the easiest part of the examples, the easiest first; at least one.
///
/// # Errors
/// [`ParameterError`] for a part outside 0 to 1.
/// # Source
/// Bengio et al. 2009, section 5; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_tricks::primal::curriculum::{easiest, pace};
/// let loss = [3.0, 1.0, 2.0, 9.0];
/// assert_eq!(easiest(&loss, 0.5)?, [1, 2]);
/// assert_eq!(easiest(&loss, 1.0)?, [1, 2, 0, 3]);
/// // From a quarter of them to all, half-way through.
/// assert_eq!([0, 25, 50, 99].map(|step| pace(step, 50, 0.25)), [0.25, 0.625, 1.0, 1.0]);
/// assert_eq!(easiest(&loss, 1.5).unwrap_err().to_string(), "curriculum: found a part of 1.5, expected 0 to 1");
/// # Ok::<(), retrograde_array::rng::ParameterError>(())
/// ```
pub fn easiest(difficulty: &[f64], part: f64) -> Result<Vec<usize>, ParameterError> {
    if !(0.0..=1.0).contains(&part) {
        return Err(ParameterError {
            distribution: "curriculum",
            found: format!("a part of {part}"),
            expected: "0 to 1",
        });
    }
    let mut order: Vec<usize> = (0..difficulty.len()).collect();
    order.sort_by(|&a, &b| difficulty[a].total_cmp(&difficulty[b]));
    let n = (part * difficulty.len() as f64).round() as usize;
    order.truncate(n.max(1));
    Ok(order)
}

/// The part of the examples at a step: `start` at step 0, all from step `n_steps` on, in equal steps between.
pub fn pace(step: usize, n_steps: usize, start: f64) -> f64 {
    if step >= n_steps { 1.0 } else { start + (1.0 - start) * (step as f64 / n_steps as f64) }
}
