//! Error bars.

use super::*;
use retrograde_solve::curvature::{Likelihood, hutchinson_diagonal};
use retrograde_solve::hotelling::hotelling;
use retrograde_solve::uses::{Posterior, laplace};

fn linear(p: Var, x: Var) -> Var {
    x.dot(p)
}

/// The exact posterior of a linear model with normal noise, by dense algebra.
#[test]
fn a_linear_model_with_normal_noise_has_its_exact_posterior() {
    let (n, d, variance, prior) = (30, 5, 0.3, 2.0);
    let x = normal(Key::from_seed(11), [n, d]);
    let p = normal(Key::from_seed(12), [d]);
    let bars = laplace(linear, Likelihood::Gaussian { variance });
    let posterior = Posterior::dense(&p, |v| bars.curvature_times((&p, &x), v), prior).unwrap();
    let rows = numbers(&x);
    let precision = |i: usize, j: usize| -> f64 {
        (0..n).map(|k| rows[k * d + i] * rows[k * d + j]).sum::<f64>() / variance
            + if i == j { prior } else { 0.0 }
    };
    let precision =
        Array::new([d, d], (0..d * d).map(|k| precision(k / d, k % d)).collect::<Vec<_>>()).unwrap();
    let inverse = ops::linalg::solve(&precision, &dense(d, &mut |v| Ok(v.clone())), false).unwrap();
    let inverse = numbers(&inverse);
    let variances = numbers(&posterior.variances());
    for i in 0..d {
        assert!(close(variances[i], inverse[i * d + i], 1e-12), "{i}");
        let column = numbers(&posterior.covariance_times(&unit(d, i)).unwrap());
        assert!((0..d).all(|j| (column[j] - inverse[j * d + i]).abs() < 1e-14), "{i}");
    }
    // Predictions: xᵀ Λ⁻¹ x.
    let test = normal(Key::from_seed(13), [3, d]);
    let predicted = bars.predict(&posterior, &test).unwrap();
    for (row, sd) in predicted.standard_deviations().into_iter().enumerate() {
        let expected = posterior.variance_along(&test.row(row)).unwrap().sqrt();
        assert!(close(sd, expected, 1e-13));
    }
    assert_eq!(predicted.probabilities(), None);
    let [value] = ops::linalg::cholesky(&precision).map(|l| [l]).unwrap();
    let l = numbers(&value);
    let log_determinant: f64 = (0..d).map(|i| 2.0 * l[i * d + i].ln()).sum();
    assert!(close(posterior.log_determinant(), log_determinant, 1e-13));
}

/// The Gauss–Newton matrix of a logistic model is its Hessian, n times that of the mean.
#[test]
fn a_logistic_model_has_the_inverse_of_its_hessian() {
    let (n, d) = (50, 6);
    let train = sample(21, n, d);
    let p = fit(&array(vec![0.0; d]), &train);
    let bars = laplace(linear, Likelihood::Bernoulli);
    let prior = n as f64 * PENALTY;
    let curvature = hvp(logistic);
    let hessian =
        Posterior::dense(&p, |v| Ok(scaled(&curvature.call((&p, &train), v)?, n as f64)), prior).unwrap();
    let fisher = Posterior::dense(&p, |v| bars.curvature_times((&p, &train.0), v), prior).unwrap();
    let whole = hvp(penalised);
    let matrix = dense(d, &mut |v| Ok(scaled(&whole.call((&p, &train), v)?, n as f64)));
    let inverse = numbers(&ops::linalg::solve(&matrix, &dense(d, &mut |v| Ok(v.clone())), false).unwrap());
    for posterior in [&hessian, &fisher] {
        let variances = numbers(&posterior.variances());
        assert!((0..d).all(|i| close(variances[i], inverse[i * d + i], 1e-11)), "{variances:?} {inverse:?}");
    }
    // The exact diagonal is that of the matrix, and what Hutchinson's estimate is about.
    let diagonal = bars.diagonal((&p, &train.0)).unwrap();
    let matrix = numbers(&matrix);
    for (i, found) in numbers(&diagonal).into_iter().enumerate() {
        assert!(close(found + prior, matrix[i * d + i], 1e-12), "{i}");
    }
    let times = |v: &Array| bars.curvature_times((&p, &train.0), v);
    let estimate = hutchinson_diagonal(times, &p, 50, Key::from_seed(5)).unwrap();
    let (about, error) = (numbers(&estimate.diagonal), numbers(&estimate.standard_error));
    assert!(
        numbers(&diagonal).iter().enumerate().all(|(i, found)| (found - about[i]).abs() < 5.0 * error[i])
    );
}

/// Several classes: the diagonal by columns of a root of Fisher's information, and covariances between outputs.
#[test]
fn classes_have_the_diagonal_of_their_fisher_matrix() {
    let (n, d, c) = (40, 3, 4);
    let x = normal(Key::from_seed(31), [n, d]);
    let w = normal(Key::from_seed(32), [d, c]);
    let bars = laplace(linear, Likelihood::Categorical);
    let diagonal = numbers(&bars.diagonal((&w, &x)).unwrap());
    let flat = |v: &Array| v.reshaped([d * c]).unwrap();
    let times = &mut |v: &Array| {
        let v = v.reshaped([d, c]).unwrap();
        Ok(flat(&bars.curvature_times((&w, &x), &v)?))
    };
    let matrix = numbers(&dense(d * c, times));
    for (i, found) in diagonal.into_iter().enumerate() {
        assert!(close(found, matrix[i * d * c + i], 1e-11), "{i}");
    }
    let posterior = Posterior::dense(&w, |v| bars.curvature_times((&w, &x), v), 1.0).unwrap();
    let test = normal(Key::from_seed(33), [2, d]);
    let predicted = bars.predict(&posterior, &test).unwrap();
    assert_eq!(predicted.covariance.shape()[..], [2, c, c]);
    let covariance = numbers(&predicted.covariance);
    for (row, (a, b)) in [(0, (0, 1)), (1, (2, 2))] {
        let j = |class: usize| {
            let x = numbers(&test.row(row));
            let entries = (0..d * c).map(|i| if i % c == class { x[i / c] } else { 0.0 });
            array(entries.collect::<Vec<_>>()).reshaped([d, c]).unwrap()
        };
        let expected: f64 = numbers(&j(a))
            .iter()
            .zip(numbers(&posterior.covariance_times(&j(b)).unwrap()))
            .map(|(j, x)| j * x)
            .sum();
        assert!((covariance[row * c * c + a * c + b] - expected).abs() < 1e-14, "{row}");
    }
    let probabilities = predicted.probabilities().unwrap();
    assert!(probabilities.chunks(c).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-14));
}

/// Nyström's matrix is below the true one: variances fall with the rank to the exact ones and never below.
#[test]
fn variances_of_low_rank_fall_to_the_exact_ones_and_never_below() {
    let (n, d, prior) = (60, 12, 0.5);
    let x = normal(Key::from_seed(41), [n, d]);
    let p = Array::zeros(retrograde_array::DType::F64, [d]);
    let bars = laplace(linear, Likelihood::Bernoulli);
    let times = |v: &Array| bars.curvature_times((&p, &x), v);
    let exact = Posterior::dense(&p, times, prior).unwrap();
    let of_rank = |rank| Posterior::low_rank(&p, times, prior, rank, Key::from_seed(9)).unwrap();
    let directions: Vec<Array> = (0..8).map(|i| normal(Key::from_seed(50 + i), [d])).collect();
    let mut before = vec![f64::INFINITY; directions.len()];
    for rank in 1..=d {
        let posterior = of_rank(rank);
        for (j, before) in directions.iter().zip(&mut before) {
            let (found, least) = (posterior.variance_along(j).unwrap(), exact.variance_along(j).unwrap());
            assert!(found >= least * (1.0 - 1e-12) && found <= *before * (1.0 + 1e-12), "rank {rank}");
            *before = found;
        }
    }
    for (j, last) in directions.iter().zip(before) {
        assert!(close(last, exact.variance_along(j).unwrap(), 1e-10));
    }
    assert!(close(of_rank(d).log_determinant(), exact.log_determinant(), 1e-10));
    let (few, all) = (numbers(&of_rank(4).variances()), numbers(&of_rank(d).variances()));
    let dense = numbers(&exact.variances());
    assert!((0..d).all(|i| close(all[i], dense[i], 1e-10) && few[i] >= dense[i] * (1.0 - 1e-12)));
}

/// The covariance of draws, one number for each pair of parameters, in all three forms.
#[test]
fn draws_have_the_covariance_of_their_form() {
    let (n, d, prior, n_draws) = (25, 3, 0.7, 4000);
    let x = normal(Key::from_seed(61), [n, d]);
    let p = normal(Key::from_seed(62), [d]);
    let bars = laplace(linear, Likelihood::Gaussian { variance: 4.0 });
    let times = |v: &Array| bars.curvature_times((&p, &x), v);
    let dense = Posterior::dense(&p, times, prior).unwrap();
    let low_rank = Posterior::low_rank(&p, times, prior, 2, Key::from_seed(1)).unwrap();
    let diagonal = Posterior::diagonal(&p, &bars.diagonal((&p, &x)).unwrap(), prior).unwrap();
    let pairs: Vec<(usize, usize)> = (0..d).flat_map(|i| (i..d).map(move |j| (i, j))).collect();
    let moments = |posterior: &Posterior<Array>, factor: f64| {
        let mean = numbers(posterior.mean());
        let draw = |k: u64| {
            let w = numbers(&posterior.sample(Key::from_seed(77).fold_in(k)));
            let away: Vec<f64> = w.iter().zip(&mean).map(|(w, m)| factor * (w - m)).collect();
            let squares = pairs.iter().map(|&(i, j)| away[i] * away[j]);
            away.iter().copied().chain(squares).collect::<Vec<f64>>()
        };
        let draws: Vec<Vec<f64>> = (0..n_draws).map(draw).collect();
        let column = |j: usize| numbers(&posterior.covariance_times(&unit(d, j)).unwrap());
        let expected: Vec<f64> =
            vec![0.0; d].into_iter().chain(pairs.iter().map(|&(i, j)| column(j)[i])).collect();
        hotelling(&draws, &expected).unwrap().p
    };
    for (name, posterior) in [("dense", &dense), ("low rank", &low_rank), ("diagonal", &diagonal)] {
        let p = moments(posterior, 1.0);
        assert!(p > 0.01, "{name}: {p}");
        // A tenth more deviation, a fifth more variance, is seen.
        let p = moments(posterior, 1.1);
        assert!(p < 1e-4, "{name}, broken: {p}");
    }
}

/// Error bars of the last layer: the batch is what comes into it.
#[test]
fn the_last_layer_alone_has_the_block_of_the_whole_precision() {
    let (n, d, h) = (30, 3, 4);
    let x = normal(Key::from_seed(71), [n, d]);
    let body = normal(Key::from_seed(72), [d, h]);
    let head = normal(Key::from_seed(73), [h]);
    let features = retrograde_engine::jit(|w: Var, x: Var| x.dot(w).tanh()).call((&body, &x)).unwrap();
    let last = laplace(linear, Likelihood::Bernoulli);
    let whole = laplace(|(w, u): (Var, Var), x: Var| x.dot(w).tanh().dot(u), Likelihood::Bernoulli);
    let both = (body.clone(), head.clone());
    for i in 0..h {
        let found = last.curvature_times((&head, &features), &unit(h, i)).unwrap();
        let v = (Array::zeros(retrograde_array::DType::F64, [d, h]), unit(h, i));
        let of_whole = whole.curvature_times((&both, &x), &v).unwrap().1;
        let apart = ops::binary(Binary::Sub, &found, &of_whole).unwrap();
        assert!(length(&apart) < 1e-13 * length(&found), "{i}");
    }
}
