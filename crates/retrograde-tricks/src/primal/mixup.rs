//! Mixup: examples half-way between two, with targets half-way between theirs. Law: exact.
//!
//! Row in the catalogue: [`DATA`](super::label_smoothing::DATA).

use retrograde_array::rng::{Key, ParameterError, gamma, uniform};
use retrograde_core::trace::Var;

use super::refuse::refuse;

/// `λ x + (1 − λ) x[partners]` along the first axis.   x: `[n, ..]`, partners: i64 `[n]`, λ: number `[]` → the shape of x.
///
/// The same for inputs and for targets. Partners are a permutation of the batch, such as
/// [`permutation`](retrograde_array::rng::permutation) draws.
///
/// # Errors
/// At the front door, where partners are not one for each example; when the program runs, for one outside the batch.
/// # Source
/// Zhang et al. 2018, section 2; the row in the catalogue has it in full.
///
/// ```
/// use retrograde_array::{array, rng::Key};
/// use retrograde_core::trace::{Var, door::jit};
/// use retrograde_tricks::primal::mixup::{mixing, mixup};
/// let f = jit(|x: Var, partners: Var, share: Var| mixup(x, partners, share));
/// let y = f.call((&array([[0.0], [8.0]]), &array([1_i64, 0]), &array(0.75)))?;
/// assert_eq!(y, array([[2.0], [6.0]]));
/// let share = mixing(Key::from_seed(1), 0.2).unwrap();
/// assert!((0.0..=1.0).contains(&share));
/// let error = mixing(Key::from_seed(1), 0.0).unwrap_err().to_string();
/// assert_eq!(error, "gamma: found alpha 0, expected a positive finite number");
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn mixup(x: Var, partners: Var, share: Var) -> Var {
    if x.shape().first() != partners.shape().first() || partners.rank() != 1 || share.rank() != 0 {
        refuse(
            format!(
                "mixup: found {} of x, {} of partners and {} of the share",
                x.ty(),
                partners.ty(),
                share.ty()
            ),
            "give one partner for each example along the first axis, and one share for all",
        );
        return x;
    }
    x * share + x.gather(0, partners) * (1.0 - share)
}

/// A share λ from the beta distribution with both parameters α.
///
/// # Errors
/// [`ParameterError`] unless α is positive and finite.
/// # Source
/// Zhang et al. 2018, section 2, with α from 0.1 to 0.4. That a ratio of gamma draws is beta: L. Devroye, Non-uniform random variate
/// generation, Springer 1986, chapter IX, theorem 4.1.
pub fn mixing(key: Key, alpha: f64) -> Result<f64, ParameterError> {
    let draws = gamma(key, alpha, [2])?.to_vec::<f64>().unwrap_or_default();
    let total = draws[0] + draws[1];
    // Both underflow for tiny α, where the distribution is that of a fair coin.
    let coin = || uniform(key.fold_in(0), []).item::<f64>().unwrap_or_default().round();
    Ok(if total > 0.0 { draws[0] / total } else { coin() })
}
