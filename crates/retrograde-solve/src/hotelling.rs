//! Hotelling's T²: whether the mean of independent draws of a vector is what it is said to be.
//!
//! Coordinates of an estimate are correlated, so that a test of each misleads. With R draws of mean m and sample covariance S,
//!
//! ```text
//! T² = R (m − μ)ᵀ S⁺ (m − μ),        F = T² (R − k) / (k (R − 1))
//! ```
//!
//! and F has the distribution of that name with k and R − k degrees of freedom if μ is the mean; k is the rank of S. A
//! coordinate that does not vary, or that others determine, is left out of T²; where it misses μ, no chance explains it and p is 0.

use special::{Beta, Gamma};

/// Where it comes from.
pub const CITE: &str =
    "H. Hotelling, The generalization of Student's ratio, Annals of Mathematical Statistics 2 (1931)";

/// Below this part of a coordinate's variance, what the others leave unexplained is rounding: half the bits of an f64.
const RANK_TOLERANCE: f64 = 1.5e-8;

/// Units in the last place of a sum of some thousand terms that rounding may be off by.
const ROUNDINGS: f64 = 1e3;

/// Above this noncentrality, the numerator of F has a standard deviation of at most 2 % of its mean, and is as good as known.
const LARGE: f64 = 1e4;

/// What the test found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hotelling {
    /// T².
    pub t2: f64,
    /// Dimensions in which the draws vary.
    pub rank: usize,
    /// The probability of a T² at least this large if the mean is the stated one.
    pub p: f64,
}

/// The test.   draws: R vectors of d numbers each; mean: d numbers.
///
/// None where there is nothing to test with: rows of several lengths, numbers that are not finite, or no more draws than dimensions in
/// which they vary.
///
/// # Cost
/// R d² for the covariance, d³ for its factor.
/// # Source
/// [`CITE`].
///
/// ```
/// use retrograde_solve::hotelling::hotelling;
/// let draws: Vec<Vec<f64>> = (0..60).map(|i| vec![(f64::from(i) * 0.7).sin(), (f64::from(i) * 1.1).cos(), 2.0]).collect();
/// let right = hotelling(&draws, &[0.0, 0.0, 2.0]).unwrap();
/// assert_eq!(right.rank, 2); // the third never varies
/// assert!(right.p > 0.5);
/// assert!(hotelling(&draws, &[0.5, 0.0, 2.0]).unwrap().p < 1e-3);
/// assert_eq!(hotelling(&draws, &[0.0, 0.0, 2.1]).unwrap().p, 0.0);
/// ```
pub fn hotelling(draws: &[Vec<f64>], mean: &[f64]) -> Option<Hotelling> {
    let (n, d) = (draws.len(), mean.len());
    let finite = |row: &[f64]| row.len() == d && row.iter().all(|x| x.is_finite());
    if n < 2 || !finite(mean) || !draws.iter().all(|row| finite(row)) {
        return None;
    }
    let found: Vec<f64> = (0..d).map(|j| draws.iter().map(|row| row[j]).sum::<f64>() / n as f64).collect();
    let spread =
        |j: usize| (draws.iter().map(|row| (row[j] - found[j]).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt();
    let sure = Hotelling { t2: f64::INFINITY, rank: 0, p: 0.0 };
    // Coordinates that vary by more than rounding, in units of their standard deviation.
    let (mut varying, mut deviations) = (vec![], vec![]);
    for j in 0..d {
        let rounding = ROUNDINGS * f64::EPSILON * (found[j].abs() + mean[j].abs());
        match spread(j) {
            deviation if deviation > rounding => {
                varying.push(j);
                deviations.push(deviation);
            }
            _ if (found[j] - mean[j]).abs() > rounding => return Some(sure),
            _ => {}
        }
    }
    let standard = |row: &[f64], about: &[f64]| -> Vec<f64> {
        varying.iter().zip(&deviations).map(|(&j, deviation)| (row[j] - about[j]) / deviation).collect()
    };
    let k = varying.len();
    let mut correlation = vec![vec![0.0; k]; k];
    for row in draws {
        let row = standard(row, &found);
        for i in 0..k {
            for j in 0..k {
                correlation[i][j] += row[i] * row[j] / (n - 1) as f64;
            }
        }
    }
    let (square, rank, all) = explained(correlation, standard(&found, mean));
    if rank == 0 || n <= rank + 1 {
        // Draws span one dimension less than there are of them: what else there is, they cannot say.
        return None;
    }
    if !all {
        return Some(Hotelling { rank, ..sure });
    }
    let t2 = n as f64 * square;
    let (k, rest) = (rank as f64, (n - rank) as f64);
    Some(Hotelling { t2, rank, p: exceeds(t2 * rest / (k * (n - 1) as f64), k, rest) })
}

/// P(F > f) = I_x(rest/2, k/2) with x = rest/(rest + k f), for k and rest degrees of freedom.
fn exceeds(f: f64, k: f64, rest: f64) -> f64 {
    (rest / (rest + k * f)).inc_beta(rest / 2.0, k / 2.0, (rest / 2.0).ln_beta(k / 2.0))
}

/// The probability that the test refuses a mean at `level` which is off by a vector δ, with `noncentrality` R δᵀ Σ⁻¹ δ of the draws'
/// covariance Σ: what a p above the level is worth.   rank: k, n_draws: R.
///
/// An estimate of the noncentrality is the T² that [`hotelling`] finds for a mean that is δ away from the average of the draws.
///
/// # Cost
/// Some √noncentrality incomplete beta functions.
/// # Source
/// The noncentral distribution of F as a Poisson mixture: T. W. Anderson, An introduction to multivariate statistical analysis, 3rd
/// edition, Wiley (2003), section 5.2.
///
/// ```
/// use retrograde_solve::hotelling::power;
/// // Without a bias, the test refuses as often as the level says.
/// assert!((power(0.0, 3, 40, 0.01) - 0.01).abs() < 1e-12);
/// assert!(power(30.0, 3, 40, 0.01) > 0.9);
/// ```
pub fn power(noncentrality: f64, rank: usize, n_draws: usize, level: f64) -> f64 {
    let (k, rest) = (rank as f64, n_draws.saturating_sub(rank) as f64);
    if rank == 0 || rest == 0.0 {
        return 0.0;
    }
    // The critical value, by bisection: it is exceeded with probability `level`.
    let (mut low, mut high) = (0.0, 1.0);
    while exceeds(high, k, rest) > level && high < f64::MAX / 2.0 {
        high *= 2.0;
    }
    for _ in 0..f64::MANTISSA_DIGITS + 10 {
        let middle = 0.5 * (low + high);
        if exceeds(middle, k, rest) > level {
            low = middle;
        } else {
            high = middle;
        }
    }
    let half = 0.5 * noncentrality;
    if half == 0.0 {
        return exceeds(high, k, rest);
    }
    if noncentrality > LARGE {
        // The numerator is k + noncentrality, and F as large as the denominator is small.
        let most = (k + noncentrality) * rest / (k * high);
        return if most.is_finite() { (most / 2.0).inc_gamma(rest / 2.0) } else { 1.0 };
    }
    // Terms further from the mean of the Poisson weights than this weigh less than 1e-16.
    let reach = 10.0 * half.sqrt() + 40.0;
    let (first, last) = ((half - reach).max(0.0) as u64, (half + reach) as u64);
    let x = rest / (rest + k * high);
    let terms = (first..=last).map(|j| {
        let j = j as f64;
        let weight = (j * half.ln() - half - Gamma::ln_gamma(j + 1.0).0).exp();
        let (a, b) = (rest / 2.0, k / 2.0 + j);
        weight * x.inc_beta(a, b, a.ln_beta(b))
    });
    terms.sum::<f64>().min(1.0)
}

/// missᵀ S⁺ miss and the rank of S, by a Cholesky factor that takes the largest remaining variance first; and
/// whether what remains of the miss is no larger than what remains of the variance allows. Else no combination of draws explains it.
fn explained(mut s: Vec<Vec<f64>>, mut miss: Vec<f64>) -> (f64, usize, bool) {
    let mut left: Vec<usize> = (0..miss.len()).collect();
    let (mut square, mut rank) = (0.0_f64, 0);
    while let Some(at) = (0..left.len()).max_by(|&a, &b| s[left[a]][left[a]].total_cmp(&s[left[b]][left[b]]))
    {
        let pivot = left[at];
        let variance = s[pivot][pivot];
        if variance <= RANK_TOLERANCE {
            let allowed = RANK_TOLERANCE.sqrt() * (1.0 + square.sqrt());
            return (square, rank, left.iter().all(|&i| miss[i].abs() <= allowed));
        }
        left.swap_remove(at);
        let off = miss[pivot];
        square += off * off / variance;
        rank += 1;
        let row = s[pivot].clone();
        for &i in &left {
            let factor = row[i] / variance;
            for &j in &left {
                s[i][j] -= factor * row[j];
            }
            miss[i] -= factor * off;
        }
    }
    (square, rank, true)
}

#[cfg(test)]
mod tests {
    use retrograde_array::rng::{Key, normal};

    use super::*;

    fn draws(seed: u64, n: usize) -> Vec<Vec<f64>> {
        let z = normal(Key::from_seed(seed), vec![n, 3]).to_vec::<f64>().unwrap();
        // Correlated, of three sizes, and with a fourth that the others determine.
        z.chunks(3).map(|z| vec![z[0], 1e3 * (z[0] + 0.1 * z[1]), 1e-3 * z[2], z[0] + 2.0 * z[2]]).collect()
    }

    #[test]
    fn p_is_uniform_if_the_mean_is_right() {
        let found: Vec<Hotelling> =
            (0..400).map(|seed| hotelling(&draws(seed, 40), &[0.0; 4]).unwrap()).collect();
        assert!(found.iter().all(|found| found.rank == 3));
        // Kolmogorov's statistic at a level of 0.1 %: 1.95/√n.
        let mut sorted: Vec<f64> = found.iter().map(|found| found.p).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        let distance = sorted
            .iter()
            .enumerate()
            .map(|(i, p)| (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs()));
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{distance}");
    }

    /// Values of SciPy 1.17.1, `scipy.stats.f.sf`.
    #[test]
    fn the_distribution_is_that_of_fisher_and_snedecor() {
        for (f, k, rest, expected) in [
            (2.5, 3.0, 17.0, 0.09428280507894789),
            (0.3, 1.0, 40.0, 0.58692601458693),
            (6.0, 31.0, 15969.0, 7.378767842124728e-24),
            (1.02, 65.0, 7935.0, 0.43230967447622487),
        ] {
            assert!((exceeds(f, k, rest) / expected - 1.0).abs() < 1e-10, "{f} {k} {rest}");
        }
    }

    /// Values of SciPy 1.17.1: `scipy.stats.ncf.sf(scipy.stats.f.isf(level, k, rest), k, rest, noncentrality)`.
    #[test]
    fn power_is_that_of_the_noncentral_distribution() {
        for (noncentrality, rank, n, level, expected) in [
            (5.0, 1, 50, 0.05, 0.5918005716451951),
            (30.0, 3, 40, 0.01, 0.9735732515261996),
            (12.0, 4, 2000, 0.01, 0.5958434527026213),
            (300.0, 10, 4000, 0.01, 1.0),
        ] {
            let found = power(noncentrality, rank, n, level);
            assert!((found - expected).abs() < 1e-9, "{noncentrality} {rank} {n}: {found}");
        }
        // Where it is large, what is left to chance is the denominator: one degree of freedom.
        let (below, above) = (power(LARGE * 0.999_999, 2, 3, 0.01), power(LARGE * 1.000_001, 2, 3, 0.01));
        assert!(below > 0.5 && below < 0.9 && (below - above).abs() < 1e-3, "{below} {above}");
        assert_eq!(power(f64::INFINITY, 2, 40, 0.01), 1.0);
    }

    #[test]
    fn a_mean_that_is_off_in_a_small_coordinate_is_found() {
        assert!(hotelling(&draws(1, 400), &[0.0, 0.0, 5e-4, 1.0]).unwrap().p < 1e-6);
    }

    #[test]
    fn what_cannot_be_tested_is_none() {
        assert_eq!(hotelling(&[], &[0.0]), None);
        assert_eq!(hotelling(&[vec![1.0], vec![f64::NAN]], &[0.0]), None);
        assert_eq!(hotelling(&draws(1, 3), &[0.0; 4]), None);
        assert_eq!(hotelling(&[vec![1.0], vec![1.0]], &[1.0]), None);
        assert_eq!(hotelling(&[vec![1.0], vec![1.0]], &[2.0]).unwrap().p, 0.0);
    }
}
