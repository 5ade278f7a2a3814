//! Batches that are changed on the way into the network: images shifted, rows mixed in pairs. Each draw has its key.

use retrograde_array::Array;
use retrograde_array::rng::{self, Key};

/// Shifts each image of a batch by up to `most` pixels along both axes, each shift as likely as any; what comes in is 0.
///
/// images: `[n, height·width]`, row-major.
pub(crate) fn shift(key: Key, most: u32, (height, width): (usize, usize), images: &mut [f32]) {
    let most = most as usize;
    let n_pixels = (height * width).max(1);
    let draws = rng::uniform(key, [images.len() / n_pixels, 2]).to_vec::<f64>().unwrap_or_default();
    let n_places = (2 * most + 1) as f64;
    for (image, draw) in images.chunks_mut(n_pixels).zip(draws.chunks(2)) {
        let [down, right] = [draw[0], draw[1]].map(|draw| (draw * n_places) as usize);
        let before = image.to_vec();
        for (row, pixels) in image.chunks_mut(width).enumerate() {
            for (column, pixel) in pixels.iter_mut().enumerate() {
                // A shift of `most` down and right of places that are `most` further up and left.
                let from = ((row + most).checked_sub(down), (column + most).checked_sub(right));
                *pixel = match from {
                    (Some(row), Some(column)) if row < height && column < width => {
                        before[row * width + column]
                    }
                    _ => 0.0,
                };
            }
        }
    }
}

/// For a batch of `n` rows, the share of each that stays, Beta(α, α), and the row that the rest comes from.
///
/// # Source
/// H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, mixup: beyond empirical risk minimization, ICLR 2018, eq. 1 and section 2: one share
/// for a batch, the partners by a permutation.
pub(crate) fn partners(key: Key, alpha: f64, n: usize) -> (f32, Array) {
    let keys = key.split(3);
    let gamma = |key| {
        let drawn = rng::gamma(key, alpha, [1]).ok().and_then(|drawn| drawn.to_vec::<f64>());
        drawn.map_or(0.0, |drawn| drawn[0])
    };
    let (a, b) = (gamma(keys[0]), gamma(keys[1]));
    let share = if a + b > 0.0 { a / (a + b) } else { 1.0 };
    let order = rng::permutation(keys[2], n).into_iter().map(|row| row as i64).collect();
    (share as f32, Array::vector(order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_keep_what_stays_inside_and_are_equally_likely() {
        // One bright pixel in the middle of 3 × 3: where it goes tells the shift.
        let n = 900;
        let mut images: Vec<f32> = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0].repeat(n);
        shift(Key::from_seed(1), 1, (3, 3), &mut images);
        let mut counts = [0; 9];
        for image in images.chunks(9) {
            let bright: Vec<usize> = (0..9).filter(|&at| image[at] == 1.0).collect();
            assert_eq!(bright.len(), 1);
            counts[bright[0]] += 1;
        }
        // χ² with 8 degrees of freedom: below 20.1 with probability 0.99.
        let chi_2: f64 = counts.iter().map(|&c| (f64::from(c) - 100.0).powi(2) / 100.0).sum();
        assert!(chi_2 < 20.1, "{counts:?}");
        // A pixel in the corner is lost where it leaves.
        let mut images: Vec<f32> = [1.0, 0.0, 0.0, 0.0].repeat(n);
        shift(Key::from_seed(2), 1, (2, 2), &mut images);
        let n_left = images.iter().filter(|&&pixel| pixel == 1.0).count();
        // 4 of 9 shifts keep it: 400 ± 3 standard deviations of √(900 · 4/9 · 5/9).
        assert!((n_left as f64 - 400.0).abs() < 45.0, "{n_left}");
    }

    #[test]
    fn shares_have_the_moments_of_their_distribution() {
        let shares: Vec<f64> =
            (0..2000).map(|i| f64::from(partners(Key::from_seed(3).fold_in(i), 0.4, 4).0)).collect();
        let mean = shares.iter().sum::<f64>() / 2000.0;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / 2000.0;
        // Mean ½ and variance 1/(4 (2α + 1)), each within three standard errors.
        assert!((mean - 0.5).abs() < 3.0 * (0.1389_f64 / 2000.0).sqrt(), "{mean}");
        assert!((variance - 1.0 / 7.2).abs() < 0.01, "{variance}");
    }
}
