//! Counter-based, keyed randomness: a draw depends on the key and its index only, never on what was drawn before.
//!
//! | draw | method |
//! |---|---|
//! | [`random_bits`] | words of Threefry-2x64-20 |
//! | [`uniform`] | 53 bits of a word |
//! | [`normal`] | Box and Muller 1958 |
//! | [`truncated_normal`] | rejection, Robert 1995 |
//! | [`exponential`] | inversion |
//! | [`gamma`] | rejection, Marsaglia and Tsang 2000 |
//! | [`bernoulli`] | a uniform draw below the probability |
//! | [`categorical`] | the largest of logits plus Gumbel draws |
//! | [`permutation`] | Fisher and Yates 1938 |
//!
//! Values are `f64` made with the functions of [`map`](crate::map): the same bits on every machine. [`ops::convert`] makes other
//! floats of them. A method that rejects proposals draws those of each entry from a stream of its own.
//!
//! [`ops::convert`]: crate::ops::convert
//!
//! A [`Key`] is used for one purpose: one draw, or one [`Key::split`]. The purposes use disjoint counters, so that even a
//! key used for two purposes by mistake gives unrelated numbers.
//!
//! # Source
//! Threefry-2x64 with 20 rounds: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11.

mod discrete;
mod gamma;
mod normal;

#[cfg(test)]
mod tests;

pub use discrete::{bernoulli, categorical, permutation};
pub use gamma::{exponential, gamma};
pub use normal::{normal, truncated_normal};

use crate::{Array, ArrayError, DType, Shape};

/// The key of a stream of random numbers.
///
/// ```
/// use retrograde_array::rng::{Key, uniform};
/// let keys = Key::from_seed(7).split(2);
/// assert_eq!(uniform(keys[0], [3]), uniform(keys[0], [3]));
/// assert_ne!(uniform(keys[0], [3]), uniform(keys[1], [3]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u64; 2]);

/// What a counter is for: its second word.
mod purpose {
    pub(super) const BITS: u64 = 0;
    pub(super) const SPLIT: u64 = 1;
    pub(super) const FOLD: u64 = 2;
    pub(super) const NORMAL: u64 = 3;
    pub(super) const PERMUTATION: u64 = 4;
    pub(super) const TRUNCATED: u64 = 5;
    pub(super) const EXPONENTIAL: u64 = 6;
    pub(super) const GAMMA: u64 = 7;
    pub(super) const BERNOULLI: u64 = 8;
    pub(super) const CATEGORICAL: u64 = 9;
}

impl Key {
    /// The key of a user's seed.
    pub fn from_seed(seed: u64) -> Key {
        Key([seed, 0])
    }

    /// `n` new keys, unrelated to each other and to draws from this one. Key `i` does not depend on `n`.
    pub fn split(self, n: usize) -> Vec<Key> {
        (0..n as u64).map(|i| Key(threefry(self, [i, purpose::SPLIT]))).collect()
    }

    /// The new key that belongs to `data`, a step number for instance.
    ///
    /// ```
    /// use retrograde_array::rng::{Key, random_bits};
    /// let key = Key::from_seed(7);
    /// assert_ne!(random_bits(key.fold_in(0), 2), random_bits(key.fold_in(1), 2));
    /// assert_eq!(random_bits(key, 5)[..3], random_bits(key, 3));
    /// ```
    pub fn fold_in(self, data: u64) -> Key {
        Key(threefry(self, [data, purpose::FOLD]))
    }

    /// The key as an `i64[2]` array, for programs.
    pub fn to_array(self) -> Array {
        Array::vector(self.0.map(|word| word as i64).to_vec())
    }

    /// The key in an `i64[2]` array.
    ///
    /// # Errors
    /// [`ArrayError::DType`] or [`ArrayError::Shape`] for another type.
    ///
    /// ```
    /// use retrograde_array::{array, rng::Key};
    /// assert_eq!(Key::from_array(&Key::from_seed(7).to_array())?, Key::from_seed(7));
    /// let error = Key::from_array(&array([7_i64])).unwrap_err();
    /// assert_eq!(error.to_string(), "shape [1] found where [2] was expected");
    /// # Ok::<(), retrograde_array::ArrayError>(())
    /// ```
    pub fn from_array(array: &Array) -> Result<Key, ArrayError> {
        let words = array
            .as_slice::<i64>()
            .ok_or(ArrayError::DType { expected: DType::I64, found: array.dtype() })?;
        match (array.rank(), words) {
            (1, &[w0, w1]) => Ok(Key([w0 as u64, w1 as u64])),
            _ => Err(ArrayError::Shape {
                expected: Shape::from([2]).into(),
                found: array.shape().clone().into(),
            }),
        }
    }
}

/// The Threefry-2x64-20 block function.
#[inline]
fn threefry(key: Key, counter: [u64; 2]) -> [u64; 2] {
    // Salmon et al. 2011, table 2 and section 3.3: rotations, and the constant of the key schedule.
    const ROTATIONS: [u32; 8] = [16, 42, 12, 31, 16, 32, 24, 21];
    const PARITY: u64 = 0x1bd1_1bda_a9fc_1a22;
    let [k0, k1] = key.0;
    let schedule = [k0, k1, PARITY ^ k0 ^ k1];
    let mut x0 = counter[0].wrapping_add(k0);
    let mut x1 = counter[1].wrapping_add(k1);
    for group in 0..5 {
        for round in 0..4 {
            x0 = x0.wrapping_add(x1);
            x1 = x1.rotate_left(ROTATIONS[(4 * group + round) % 8]) ^ x0;
        }
        let injection = group + 1;
        x0 = x0.wrapping_add(schedule[injection % 3]);
        x1 = x1.wrapping_add(schedule[(injection + 1) % 3]).wrapping_add(injection as u64);
    }
    [x0, x1]
}

/// Word `i` of the stream of uniformly distributed words.
#[inline]
fn word(key: Key, i: u64, purpose: u64) -> u64 {
    threefry(key, [i / 2, purpose])[(i % 2) as usize]
}

/// A word as a number in `[0, 1)`: its leading 53 bits.
#[inline]
fn unit(word: u64) -> f64 {
    const SCALE: f64 = 1.0 / 9_007_199_254_740_992.0;
    (word >> 11) as f64 * SCALE
}

/// `n` independent uniform words. Word `i` depends on the key and `i` only.
pub fn random_bits(key: Key, n: usize) -> Vec<u64> {
    let mut words = Vec::with_capacity(n + 1);
    for block in 0..n.div_ceil(2) {
        words.extend(threefry(key, [block as u64, purpose::BITS]));
    }
    words.truncate(n);
    words
}

/// Uniform `f64` values in `[0, 1)`, multiples of 2^-53.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
pub fn uniform(key: Key, shape: impl Into<Shape>) -> Array {
    let shape = shape.into();
    let values = random_bits(key, size(&shape)).into_iter().map(unit).collect();
    Array::from_parts(shape, values)
}

/// A word as a number in `(0, 1)`, never an end: its leading 52 bits, and a half.
#[inline]
fn open_unit(word: u64) -> f64 {
    const SCALE: f64 = 1.0 / 4_503_599_627_370_496.0;
    ((word >> 12) as f64 + 0.5) * SCALE
}

/// The stream of one entry of a draw, for a method that needs words until it accepts.
struct Stream {
    key: Key,
    purpose: u64,
    n_drawn: u64,
}

impl Stream {
    fn of_entry(key: Key, entry: usize, purpose: u64) -> Stream {
        Stream { key: Key(threefry(key, [entry as u64, purpose])), purpose, n_drawn: 0 }
    }

    fn words(&mut self) -> [u64; 2] {
        self.n_drawn += 1;
        threefry(self.key, [self.n_drawn - 1, self.purpose])
    }
}

/// A parameter for which a distribution does not exist.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{distribution}: found {found}, expected {expected}")]
pub struct ParameterError {
    /// The distribution.
    pub distribution: &'static str,
    /// The parameter and its value.
    pub found: String,
    /// What it may be.
    pub expected: &'static str,
}

#[track_caller]
fn size(shape: &Shape) -> usize {
    shape.checked_size().expect("random array too large; this is a bug in retrograde")
}
