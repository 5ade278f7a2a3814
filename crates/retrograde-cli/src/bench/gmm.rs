//! The log posterior of a mixture of Gaussians and its gradient, in the form of ADBench, f64.
//!
//! Component k has the weight αₖ, the mean μₖ and a triangular factor Qₖ of its inverse covariance, of which the logarithms of the
//! diagonal and the entries below are given. With y = Qₖ (x − μₖ) all is products of matrices: the points, and a 1, times the factors
//! and −Qₖ μₖ side by side.
//!
//! Source: see [`super::instance`].

use std::path::Path;

use retrograde::DotDims;
use retrograde::arrays::map::lgamma_f64;
use retrograde::prelude::*;

use super::instance::Words;
use super::workload::{TimedCase, Workload};
use crate::failure::Failure;

pub(super) const CASE: TimedCase = TimedCase {
    name: "gmm",
    about: "a mixture of Gaussians (ADBench): log posterior and gradient",
    path: Some("a mixture in the form of ADBench, such as gmm_d10_K25.txt"),
    workload: |path, policy| Ok(workload(&read(path)?, policy)),
};

/// A mixture and its points.
#[derive(Clone, Debug)]
pub(super) struct Mixture {
    /// `[k]`
    alpha: Array,
    /// `[k, d]`
    means: Array,
    /// `[k, d (d + 1) / 2]`: logarithms of the diagonal, then what is below it, column by column.
    factors: Array,
    /// `[n, d]`
    points: Array,
    /// Of the Wishart prior.
    gamma: f64,
    m: f64,
}

fn read(path: &Path) -> Result<Mixture, Failure> {
    let mut words = Words::read(path, &[])?;
    let d: usize = words.next("the number of dimensions")?;
    let k: usize = words.next("the number of components")?;
    let n: usize = words.next("the number of points")?;
    let below = d.saturating_mul(d.saturating_add(1)) / 2;
    let mixture = Mixture {
        alpha: words.array(&[k], "the weight of a component")?,
        means: words.array(&[k, d], "an entry of a mean")?,
        factors: words.array(&[k, below], "an entry of a factor")?,
        points: words.array(&[n, d], "an entry of a point")?,
        gamma: words.next("gamma of the prior")?,
        m: words.next("m of the prior")?,
    };
    words.end()?;
    Ok(mixture)
}

/// What does not depend on the parameters.
fn constant_part(d: usize, k: usize, n: usize, gamma: f64, m: f64) -> f64 {
    let (d, k, n) = (d as f64, k as f64, n as f64);
    let degrees = d + m + 1.0;
    // ln Γ_d of the Wishart density.
    let of_dimensions: f64 =
        (1..=d as usize).map(|j| lgamma_f64(0.5 * degrees + 0.5 * (1.0 - j as f64))).sum();
    let log_gamma = 0.25 * d * (d - 1.0) * std::f64::consts::PI.ln() + of_dimensions;
    let per_component = degrees * d * (gamma.ln() - 0.5 * 2.0_f64.ln()) - log_gamma;
    -0.5 * n * d * (2.0 * std::f64::consts::PI).ln() - k * per_component
}

/// For each place of a `[d, d]` factor, where its entry is in (below the diagonal, diagonal, 0).
fn places(d: usize) -> Vec<i64> {
    let n_below = d * d.saturating_sub(1) / 2;
    let mut places = vec![(n_below + d) as i64; d * d];
    let mut next = 0;
    for column in 0..d {
        places[column * d + column] = (n_below + column) as i64;
        for row in column + 1..d {
            places[row * d + column] = next;
            next += 1;
        }
    }
    places
}

pub(super) fn workload(mixture: &Mixture, policy: Tape) -> Workload {
    let Mixture { alpha, means, factors, points, gamma, m } = mixture.clone();
    let (k, d, n) = (means.shape()[0], means.shape()[1], points.shape()[0]);
    let constant_part = constant_part(d, k, n, gamma, m);
    let places = array(places(d));
    let loss = move |wrt: &[Var], data: &[Var]| {
        let (alpha, means, factors, points) = (wrt[0], wrt[1], wrt[2], data[0]);
        let log_diagonal = factors.slice(1, 0..d);
        let below = factors.slice(1, d..factors.shape()[1]);
        let diagonal = log_diagonal.exp();
        let zero = full(DType::F64, [k, 1], 0.0);
        let factor = concat(&[below, diagonal, zero], 1).gather(1, constant(&places)).reshape([k, d, d]);
        let by_component =
            DotDims { lhs_contract: vec![2], rhs_contract: vec![1], lhs_batch: vec![0], rhs_batch: vec![0] };
        let shift = -factor.dot_general(means, by_component);
        // [k d, d + 1] times [d + 1, n]
        let factor = concat(&[factor, shift.reshape([k, d, 1])], 2).reshape([k * d, d + 1]);
        let points = concat(&[points.t(), full(DType::F64, [1, n], 1.0)], 0);
        let y = factor.dot(points).reshape([k, d, n]);
        let weight = alpha + log_diagonal.sum_axes(&[1]);
        let log_density = weight.broadcast([k, n], &[0]) - 0.5 * (y * y).sum_axes(&[1]);
        let log_likelihood = log_density.logsumexp(&[0]).sum() - n as f64 * alpha.logsumexp(&[0]);
        let squares = (diagonal * diagonal).sum() + (below * below).sum();
        let prior = 0.5 * gamma * gamma * squares - m * log_diagonal.sum();
        log_likelihood + prior + constant_part
    };
    let task = format!("gmm_d{d}_K{k}_n{n}");
    Workload::objective(task, vec![alpha, means, factors], vec![points], policy, loss)
}

/// A random mixture.
#[cfg(test)]
pub(super) fn random(d: usize, k: usize, n: usize) -> Mixture {
    let draw = |seed, shape: &[usize]| retrograde::rng::normal(Key::from_seed(seed), shape);
    Mixture {
        alpha: draw(1, &[k]),
        means: draw(2, &[k, d]),
        factors: draw(3, &[k, d * (d + 1) / 2]),
        points: draw(4, &[n, d]),
        gamma: 1.5,
        m: 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The densities one by one, as the definition has them.
    #[test]
    fn the_posterior_is_that_of_the_definition() {
        let (d, k, n) = (3, 4, 20);
        let mixture = random(d, k, n);
        let values = |a: &Array| a.to_vec::<f64>().unwrap();
        let (alpha, means, factors, points) = (
            values(&mixture.alpha),
            values(&mixture.means),
            values(&mixture.factors),
            values(&mixture.points),
        );
        let below = d * (d + 1) / 2;
        let total_weight: f64 = alpha.iter().map(|a| a.exp()).sum();
        let mut expected = constant_part(d, k, n, 1.5, 2.0);
        for x in points.chunks(d) {
            let density = (0..k).map(|j| {
                let factor = &factors[j * below..][..below];
                let miss: Vec<f64> = x.iter().zip(&means[j * d..]).map(|(x, mean)| x - mean).collect();
                let mut square = 0.0;
                for row in 0..d {
                    let mut y = factor[row].exp() * miss[row];
                    // Column by column: those of column 0, of column 1, ...
                    for column in 0..row {
                        let before: usize = (0..column).map(|c| d - 1 - c).sum();
                        y += factor[d + before + row - column - 1] * miss[column];
                    }
                    square += y * y;
                }
                (alpha[j] + factor[..d].iter().sum::<f64>() - 0.5 * square).exp()
            });
            expected += (density.sum::<f64>() / total_weight).ln();
        }
        for factor in factors.chunks(below) {
            let squares: f64 =
                factor.iter().enumerate().map(|(at, q)| if at < d { (2.0 * q).exp() } else { q * q }).sum();
            expected += 0.5 * 1.5 * 1.5 * squares - 2.0 * factor[..d].iter().sum::<f64>();
        }
        let workload = workload(&mixture, Tape::Store);
        let loss = workload.loss.unwrap();
        let found = jit(move |wrt: Vec<Var>, data: Vec<Var>| loss(&wrt, &data))
            .call((&workload.wrt, &workload.data))
            .unwrap();
        let found = found.item::<f64>().unwrap();
        assert!((found - expected).abs() < 1e-12 * expected.abs(), "{found} {expected}");
    }

    #[test]
    fn a_file_is_read_and_a_short_one_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("mixture.txt");
        std::fs::write(&path, "1 2 1\n0.5 0.25\n1 2\n3 4\n5\n1.5 0\n").unwrap();
        let mixture = read(&path).unwrap();
        assert_eq!(
            (mixture.means, mixture.points, mixture.gamma),
            (array([[1.0], [2.0]]), array([[5.0]]), 1.5)
        );
        std::fs::write(&path, "1 2 1\n0.5").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("mixture.txt:2: found the end of the file, expected the weight of a component"),
            "{error}"
        );
    }
}
