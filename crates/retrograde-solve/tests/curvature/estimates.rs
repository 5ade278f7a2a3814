//! Traces, diagonals and spectra: their means and their variances are those of the formulas.

use retrograde_array::ops;
use retrograde_core::trace::Error;
use retrograde_solve::curvature::{
    hutch_plus_plus, hutchinson_diagonal, hutchinson_trace, lanczos, spectral_density,
};
use retrograde_solve::hotelling::hotelling;

use super::*;

/// Fixed before the first run.
const SEED: u64 = 20_261_126;
const N: usize = 8;

/// A symmetric matrix of no structure, plus `decay` on part of its diagonal.
fn dense(n: usize, decay: impl Fn(usize) -> f64) -> Array {
    let z = normal(Key::from_seed(11), [n, n]).to_vec::<f64>().unwrap();
    let entry =
        |i: usize, j: usize| 0.5 * (z[i * n + j] + z[j * n + i]) + if i == j { decay(i) } else { 0.0 };
    Array::new([n, n], (0..n * n).map(|k| entry(k / n, k % n)).collect::<Vec<f64>>()).unwrap()
}

fn times(a: &Array, v: &Array) -> Result<Array, Error> {
    Ok(ops::dot_general(a, v, &ops::DotDims::matmul()))
}

/// 2 Σ_{i≠j} A_ij², and the sums of the rows without their diagonal.
fn variances(a: &[Vec<f64>]) -> (f64, Vec<f64>) {
    let beside = |i: usize| (0..a.len()).filter(|&j| j != i).map(|j| a[i][j].powi(2)).sum::<f64>();
    (2.0 * (0..a.len()).map(beside).sum::<f64>(), (0..a.len()).map(beside).collect())
}

/// A sample variance of n draws is off by about √(kurtosis/n) of itself; the draws here are sums of many terms, near normal.
fn within_five_deviations(found: f64, expected: f64, n: usize) {
    let deviations = (found / expected - 1.0) / (2.0 / n as f64).sqrt();
    assert!(deviations.abs() < 5.0, "variance {found}, expected {expected}: {deviations} deviations");
}

fn variance(draws: &[f64]) -> f64 {
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (draws.len() - 1) as f64
}

#[test]
fn hutchinson_has_the_mean_and_the_variance_of_its_formula() {
    let a = dense(N, |_| 1.0);
    let entries = rows(&a);
    let trace: f64 = (0..N).map(|i| entries[i][i]).sum();
    let (of_trace, of_diagonal) = variances(&entries);
    let like = Array::zeros(DType::F64, [N]);
    let n = 2000;
    let key = |i: usize| Key::from_seed(SEED).fold_in(i as u64);
    let traces: Vec<f64> =
        (0..n).map(|i| hutchinson_trace(|v| times(&a, v), &like, 1, key(i)).unwrap().trace).collect();
    let as_rows: Vec<Vec<f64>> = traces.iter().map(|x| vec![*x]).collect();
    assert!(hotelling(&as_rows, &[trace]).unwrap().p > 0.01);
    // The power: a mean that is off by a tenth of a standard deviation is found.
    assert!(hotelling(&as_rows, &[trace + 0.1 * of_trace.sqrt()]).unwrap().p < 1e-3);
    within_five_deviations(variance(&traces), of_trace, n);
    // Without the factor of two the variance is another.
    assert!((variance(&traces) / (of_trace / 2.0) - 1.0).abs() > 0.5);
    let diagonals: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let found = hutchinson_diagonal(|v| times(&a, v), &like, 1, key(n + i)).unwrap();
            found.diagonal.to_vec::<f64>().unwrap()
        })
        .collect();
    let diagonal: Vec<f64> = (0..N).map(|i| entries[i][i]).collect();
    assert!(hotelling(&diagonals, &diagonal).unwrap().p > 0.01);
    for (i, expected) in of_diagonal.iter().enumerate() {
        within_five_deviations(variance(&diagonals.iter().map(|d| d[i]).collect::<Vec<_>>()), *expected, n);
    }
    // And the standard error that an estimate states is the formula's.
    let stated = hutchinson_trace(|v| times(&a, v), &like, n, Key::from_seed(SEED)).unwrap().standard_error;
    within_five_deviations(stated.powi(2) * n as f64, of_trace, n);
}

#[test]
fn hutch_plus_plus_has_the_mean_and_varies_less_where_eigenvalues_fall() {
    // Eigenvalues that fall quickly, along no axis.
    let [q, _] = ops::linalg::qr(&normal(Key::from_seed(12), [N, N])).unwrap();
    let q = rows(&q);
    let entry =
        |i: usize, j: usize| -> f64 { (0..N).map(|k| 0.2_f64.powi(k as i32) * q[i][k] * q[j][k]).sum() };
    let a = Array::new([N, N], (0..N * N).map(|k| entry(k / N, k % N)).collect::<Vec<f64>>()).unwrap();
    let trace: f64 = (0..N).map(|i| rows(&a)[i][i]).sum();
    let like = Array::zeros(DType::F64, [N]);
    let n = 1000;
    let key = |i: usize| Key::from_seed(SEED).fold_in((1 << 20) + i as u64);
    let found: Vec<f64> =
        (0..n).map(|i| hutch_plus_plus(|v| times(&a, v), &like, 9, key(i)).unwrap().trace).collect();
    let as_rows: Vec<Vec<f64>> = found.iter().map(|x| vec![*x]).collect();
    assert!(hotelling(&as_rows, &[trace]).unwrap().p > 0.01);
    let plain: Vec<f64> =
        (0..n).map(|i| hutchinson_trace(|v| times(&a, v), &like, 9, key(n + i)).unwrap().trace).collect();
    assert!(variance(&found) < 0.01 * variance(&plain), "{} {}", variance(&found), variance(&plain));
    // As many vectors as dimensions leave nothing to estimate.
    let all = hutch_plus_plus(|v| times(&a, v), &like, 3 * N, Key::from_seed(1)).unwrap();
    assert!((all.trace - trace).abs() < 1e-10 * trace.abs());
}

#[test]
fn ritz_values_are_eigenvalues_and_weights_those_of_gauss() {
    let a = dense(N, |i| i as f64);
    let [values, _] = ops::linalg::eigh(&a).unwrap();
    let values = values.to_vec::<f64>().unwrap();
    let start = normal(Key::from_seed(2), [N]);
    let whole = lanczos(|v| times(&a, v), &start, N).unwrap();
    assert!(whole.values.iter().zip(&values).all(|(found, expected)| (found - expected).abs() < 1e-11));
    assert!((whole.weights.iter().sum::<f64>() - 1.0).abs() < 1e-13);
    // k steps are exact for polynomials up to degree 2k - 1, and not beyond.
    let part = lanczos(|v| times(&a, v), &start, 3).unwrap();
    for degree in 0..=6 {
        let (found, expected) = (part.mean(|x| x.powi(degree)), whole.mean(|x| x.powi(degree)));
        let miss = (found - expected).abs() / whole.mean(|x| x.abs().powi(degree));
        assert_eq!(miss < 1e-12, degree < 6, "degree {degree}: {miss}");
    }
    assert!(part.smallest() > values[0] && part.largest() < values[N - 1]);
}

#[test]
fn the_density_has_the_moments_of_the_spectrum() {
    let a = dense(N, |i| i as f64);
    let [values, _] = ops::linalg::eigh(&a).unwrap();
    let values = values.to_vec::<f64>().unwrap();
    let like = Array::zeros(DType::F64, [N]);
    let key = |i: usize| Key::from_seed(SEED).fold_in((2 << 20) + i as u64);
    let moment = |k: i32| values.iter().map(|x| x.powi(k)).sum::<f64>() / N as f64;
    let found: Vec<Vec<f64>> = (0..500)
        .map(|i| {
            let density = spectral_density(|v| times(&a, v), &like, 3, 1, key(i)).unwrap();
            (1..=4).map(|k| density.mean(|x| x.powi(k))).collect()
        })
        .collect();
    let expected: Vec<f64> = (1..=4).map(moment).collect();
    assert!(hotelling(&found, &expected).unwrap().p > 0.01);
    let off: Vec<f64> = expected.iter().map(|x| 1.05 * x).collect();
    assert!(hotelling(&found, &off).unwrap().p < 1e-3);
}

#[test]
fn estimates_without_draws_are_refused() {
    let a = dense(N, |_| 0.0);
    let like = Array::zeros(DType::F64, [N]);
    let key = Key::from_seed(1);
    let error = hutchinson_trace(|v| times(&a, v), &like, 0, key).unwrap_err().to_string();
    assert_eq!(error, "hutchinson_trace: found a number of probes of 0, expected at least one");
    let error = hutch_plus_plus(|v| times(&a, v), &like, 2, key).unwrap_err().to_string();
    assert!(error.ends_with("expected at least three, one for each part"), "{error}");
    let error = lanczos(|v| times(&a, v), &like, 3).unwrap_err().to_string();
    assert!(error.starts_with("lanczos: found a norm of the start of 0, expected a vector"), "{error}");
}
