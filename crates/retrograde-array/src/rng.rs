//! Counter-based, keyed randomness: a draw depends on the key and its index only, never on what was drawn before.
//!
//! A [`Key`] is used for one purpose: one draw, or one [`Key::split`]. The purposes use disjoint counters, so that even a
//! key used for two purposes by mistake gives unrelated numbers.
//!
//! # Source
//! Threefry-2x64 with 20 rounds: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11.

use crate::{Array, ArrayError, DType, Shape, kernel};

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
    pub fn from_array(array: &Array) -> Result<Key, ArrayError> {
        let words = array
            .as_slice::<i64>()
            .ok_or(ArrayError::DType { expected: DType::I64, found: array.dtype() })?;
        match (array.rank(), words) {
            (1, &[w0, w1]) => Ok(Key([w0 as u64, w1 as u64])),
            _ => Err(ArrayError::Shape { expected: Shape::from([2]), found: array.shape().clone() }),
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

/// Standard normal `f64` values. Entry `i` depends on the key and `i` only.
///
/// # Panics
/// When the shape overflows memory: internal misuse.
///
/// # Source
/// Box and Muller (1958), one of each pair, with the functions of [`map`](crate::map). Magnitudes reach 8.5.
pub fn normal(key: Key, shape: impl Into<Shape>) -> Array {
    let shape = shape.into();
    let draws = (0..size(&shape) as u64).map(|i| threefry(key, [i, purpose::NORMAL]));
    // 1 - u lies in (0, 1], where the logarithm is finite.
    let (radii, angles): (Vec<f64>, Vec<f64>) =
        draws.map(|[radius, angle]| (1.0 - unit(radius), std::f64::consts::TAU * unit(angle))).unzip();
    let values =
        kernel::zip(&kernel::log(&radii), &kernel::cos(&angles), |log: f64, cos| (-2.0 * log).sqrt() * cos);
    Array::from_parts(shape, values)
}

/// A uniformly random order of `0..n`.
///
/// # Source
/// Fisher and Yates (1938); unbiased bounded integers by Lemire (2019), Fast random integer generation in an interval.
pub fn permutation(key: Key, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut draws = 0;
    for last in (1..n).rev() {
        let choices = last as u64 + 1;
        let pick = loop {
            let product = u128::from(word(key, draws, purpose::PERMUTATION)) * u128::from(choices);
            draws += 1;
            // Of the 2^64 words, the first 2^64 mod `choices` in each interval's low part are drawn again.
            if product as u64 >= choices.wrapping_neg() % choices {
                break (product >> 64) as usize;
            }
        };
        order.swap(pick, last);
    }
    order
}

#[track_caller]
fn size(shape: &Shape) -> usize {
    shape.checked_size().expect("random array too large; this is a bug in retrograde")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_answers() {
        // kat_vectors of the Random123 distribution (Salmon et al. 2011), threefry2x64, 20 rounds.
        let pi_counter = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
        let pi_key = Key([0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89]);
        assert_eq!(threefry(Key([0, 0]), [0, 0]), [0xc2b6_e3a8_c2c6_9865, 0x6f81_ed42_f350_084d]);
        assert_eq!(
            threefry(Key([u64::MAX; 2]), [u64::MAX; 2]),
            [0xe02c_b7c4_d95d_277a, 0xd066_33d0_893b_8b68]
        );
        assert_eq!(threefry(pi_key, pi_counter), [0x263c_7d30_bb0f_0af1, 0x56be_8361_d331_1526]);
    }

    #[test]
    fn draws_depend_on_key_and_index_only() {
        let key = Key::from_seed(3);
        let long = random_bits(key, 101);
        assert_eq!(random_bits(key, 7), long[..7]);
        assert_eq!(key.split(5)[..2], key.split(2));
        assert_eq!((0..101).map(|i| word(key, i, purpose::BITS)).collect::<Vec<_>>(), long);
        let short = normal(key, [3]);
        assert_eq!(short.as_slice::<f64>().unwrap(), &normal(key, [10]).as_slice::<f64>().unwrap()[..3]);
        assert_ne!(key.fold_in(0), key.fold_in(1));
        assert_ne!(key.fold_in(0), key.split(1)[0]);
    }

    #[test]
    fn keys_travel_in_arrays() {
        let key = Key([u64::MAX, 5]);
        assert_eq!(Key::from_array(&key.to_array()), Ok(key));
        assert!(Key::from_array(&crate::array([1.0, 2.0])).is_err());
        assert!(Key::from_array(&crate::array([1_i64, 2, 3])).is_err());
    }

    #[test]
    fn moments_are_right() {
        // Seed fixed beforehand; n = 200 000, so five standard errors of the mean are 0.0112 (normal), 0.0033 (uniform).
        let n = 200_000;
        let key = Key::from_seed(11);
        let mean = |x: &[f64], p: i32| x.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
        let z = normal(key, [n]).to_vec::<f64>().unwrap();
        assert!(mean(&z, 1).abs() < 0.0112);
        assert!((mean(&z, 2) - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
        assert!(mean(&z, 3).abs() < 5.0 * (15.0 / n as f64).sqrt());
        assert!((mean(&z, 4) - 3.0).abs() < 5.0 * (96.0 / n as f64).sqrt());
        let u = uniform(key, [n]).to_vec::<f64>().unwrap();
        assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((mean(&u, 1) - 0.5).abs() < 0.0033);
        assert!((mean(&u, 2) - 1.0 / 3.0).abs() < 0.0034);
    }

    #[test]
    fn permutations_are_uniform() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(permutation(Key::from_seed(seed), 3)).or_insert(0) += 1;
        }
        // Six orders, 1000 expected each, standard deviation 29.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&count: &i32| (count - 1000).abs() < 150));
        let mut order = permutation(Key::from_seed(1), 1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        assert_eq!(permutation(Key::from_seed(1), 0), Vec::<usize>::new());
    }
}
