//! D17: common random numbers, antithetic pairs, quasi-Monte Carlo.

use std::f64::consts::E;

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::{constant, uniform};
use retrograde_engine::vmap;
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};
use retrograde_tricks::estimate::quasi::{antithetic, common, halton, rotated_mean};

use crate::numbers;

/// Points 0 to 5 of `scipy.stats.qmc.Halton(d=3, scramble=False)`, SciPy 1.17.1.
const HALTON: [[f64; 3]; 6] = [
    [0.0, 0.0, 0.0],
    [0.5, 0.3333333333333333, 0.2],
    [0.25, 0.6666666666666666, 0.4],
    [0.75, 0.1111111111111111, 0.6000000000000001],
    [0.125, 0.4444444444444444, 0.8],
    [0.625, 0.7777777777777777, 0.04],
];

#[test]
fn points_are_those_of_scipy() {
    let found = numbers(&halton(6, 3));
    let expected = HALTON.as_flattened();
    assert!(
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15),
        "{found:?}"
    );
}

fn exponential(u: Var) -> Var {
    u.exp().sum()
}

#[test]
fn coupled_draws_have_the_variance_of_the_formula_and_points_the_slope_of_one() {
    // e^u: V = (e² − 1)/2 − (e − 1)², C(e^u, e^(1−u)) = e − (e − 1)².
    let mean = E - 1.0;
    let (variance, covariance) = ((E * E - 1.0) / 2.0 - mean * mean, E - mean * mean);
    let pair = Estimator::new("antithetic", Key::from_seed(91), |key: Var| {
        antithetic(exponential, uniform(key, [1]))
    });
    pair.mean(array(mean)).variance((variance + covariance) / 2.0).check(4000).unwrap();
    let two = |key: Var| {
        let u = uniform(key, [2]);
        (exponential(u.slice(0, 0..1)) + exponential(u.slice(0, 1..2))) * 0.5
    };
    let two = || Estimator::new("two draws", Key::from_seed(92), two).mean(array(mean));
    two().variance(variance / 2.0).check(4000).unwrap();
    assert!(matches!(
        two().variance((variance + covariance) / 2.0).check(4000),
        Err(CheckError::Variance { .. })
    ));
    // e^u − e^(u/2) on the same u: V_a + V_b − 2 C, with E e^(3u/2) = (e^1.5 − 1)/1.5.
    let half = 2.0 * (0.5_f64.exp() - 1.0);
    let cross = (1.5_f64.exp() - 1.0) / 1.5 - mean * half;
    let variance_of_half = mean - half * half;
    let at = |scale: Var, key: Var| (uniform(key, []) * scale).exp();
    let together = move |key: Var| common(at, constant(&array(1.0)), constant(&array(0.5)), key);
    let together = Estimator::new("common", Key::from_seed(93), together).mean(array(mean - half));
    let predicted = variance + variance_of_half - 2.0 * cross;
    assert!(predicted < 0.5 * (variance + variance_of_half));
    together.variance(predicted).check(4000).unwrap();

    // A smooth function of two numbers whose mean is 1.
    let smooth = |u: Var| {
        let (x, y) = (u.index(0, 0), u.index(0, 1));
        (x.exp() / (E - 1.0)) * (1.0 + (y - 0.5) * 0.8)
    };
    let deviation = |n: usize, is_rotated: bool| {
        let points = halton(n, 2);
        let draw = move |key: Var| {
            if is_rotated {
                rotated_mean(key, constant(&points), smooth)
            } else {
                vmap(smooth).apply((uniform(key, [n, 2]),)).mean()
            }
        };
        Estimator::new("mean of n points", Key::from_seed(94), draw)
            .mean(array(1.0))
            .check(64)
            .unwrap()
            .found_variance
            .sqrt()
    };
    let slope = |is_rotated: bool| {
        let at: Vec<(f64, f64)> =
            (4..=10).map(|log| (f64::from(log), deviation(1 << log, is_rotated).log2())).collect();
        let n = at.len() as f64;
        let (x, y) = (at.iter().map(|p| p.0).sum::<f64>() / n, at.iter().map(|p| p.1).sum::<f64>() / n);
        at.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
            / at.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
    };
    let (points, draws) = (slope(true), slope(false));
    assert!((points + 1.0).abs() < 0.15, "{points}");
    assert!((draws + 0.5).abs() < 0.1, "{draws}");
}
