//! Random directions with identity covariance: what traces and diagonals are estimated with.

use retrograde_array::rng::{Key, normal, random_bits};

/// Signs, each +1 or −1 with probability ½.
pub(super) fn signs(key: Key, n: usize) -> Vec<f64> {
    let words = random_bits(key, n.div_ceil(64));
    (0..n).map(|i| if words[i / 64] >> (i % 64) & 1 == 0 { 1.0 } else { -1.0 }).collect()
}

/// Standard normal numbers.
pub(super) fn normals(key: Key, n: usize) -> Vec<f64> {
    normal(key, [n]).to_vec::<f64>().expect("normal draws are f64")
}

/// Mean and standard error of independent draws; the error is NaN for a single one.
pub(super) fn mean_and_error(draws: &[f64]) -> (f64, f64) {
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let square = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (square / n).sqrt())
}
