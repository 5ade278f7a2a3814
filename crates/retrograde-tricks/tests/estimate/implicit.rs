//! D4: implicit paths, and the distributions against SciPy and JAX.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, stack};
use retrograde_engine::{grad, jit, jvp};
use retrograde_tricks::estimate::distribution::{Bernoulli, Categorical, Distribution, Normal};
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};
use retrograde_tricks::estimate::gumbel::relaxed_at;
use retrograde_tricks::estimate::implicit::{Beta, Gamma, VonMises};
use retrograde_tricks::estimate::importance::importance_bound;
use retrograde_tricks::estimate::pathwise::pathwise;

use crate::reference::{
    BERNOULLI_LOG_DENSITY, BETA_LOG_DENSITY, CATEGORICAL_LOG_DENSITY, GAMMA_CDF, GAMMA_LOG_DENSITY,
    GAMMA_SLOPE, GUMBEL_SOFTMAX, LOG_MEAN_EXP, NORMAL_LOG_DENSITY, VON_MISES_LOG_DENSITY, VON_MISES_SLOPE,
};
use crate::{close, number, numbers};

fn column<const N: usize>(table: &[[f64; N]], i: usize) -> Array {
    array(table.iter().map(|row| row[i]).collect::<Vec<_>>())
}

/// Compares a function of the first columns of a table, stacked, with another column.
#[track_caller]
fn compare<const N: usize>(
    table: &[[f64; N]],
    n_inputs: usize,
    at: usize,
    tolerance: f64,
    f: impl Fn(Vec<Var>) -> Var,
) {
    let inputs: Vec<Array> = (0..n_inputs).map(|i| column(table, i)).collect();
    let found = numbers(&jit(f).call(&inputs).unwrap());
    found.iter().zip(table).for_each(|(found, row)| close(*found, row[at], tolerance));
}

#[test]
fn densities_and_values_are_those_of_scipy_and_jax() {
    compare(NORMAL_LOG_DENSITY, 3, 3, 1e-14, |x| Normal { mean: x[0], deviation: x[1] }.log_density(x[2]));
    compare(BERNOULLI_LOG_DENSITY, 2, 2, 1e-14, |x| Bernoulli { logits: x[0] }.log_density(x[1]));
    compare(GAMMA_LOG_DENSITY, 2, 2, 1e-13, |x| Gamma { alpha: x[0] }.log_density(x[1]));
    compare(GAMMA_CDF, 2, 2, 1e-14, |x| Gamma { alpha: x[0] }.cdf(x[1]));
    compare(BETA_LOG_DENSITY, 3, 3, 1e-13, |x| Beta { a: x[0], b: x[1] }.log_density(x[2]));
    let angles = |x: Vec<Var>| VonMises { mean: x[0] * 0.0, concentration: x[0] }.log_density(x[1]);
    compare(VON_MISES_LOG_DENSITY, 2, 2, 1e-13, angles);
    let classes = |x: Vec<Var>| {
        let logits = constant(&array([0.3, -1.0, 2.0])).broadcast([3, 3], &[1]);
        Categorical { logits }.log_density(x[0].convert(retrograde_array::DType::I64))
    };
    compare(CATEGORICAL_LOG_DENSITY, 1, 1, 1e-15, classes);
    for row in LOG_MEAN_EXP {
        let found = jit(importance_bound).call(&array([row[0], row[1], row[2]])).unwrap();
        close(number(&found), row[3], 1e-15);
    }
    for row in GUMBEL_SOFTMAX {
        let f = jit(|noise: Var, logits: Var| relaxed_at(noise, logits, row[4]));
        let found = f.call((&array([row[0], row[1]]), &array([row[2], row[3]]))).unwrap();
        close(numbers(&found)[0], row[5], 1e-15);
    }
}

/// The derivative of a draw by its parameter, entry by entry.
fn slopes(parameter: &Array, path: impl Fn(Var) -> Var) -> (Vec<f64>, Vec<f64>) {
    let (z, slope) =
        jvp(path).call(parameter, &jit(|x: Var| x * 0.0 + 1.0).call(parameter).unwrap()).unwrap();
    (numbers(&z), numbers(&slope))
}

#[test]
fn implicit_slopes_are_those_of_the_distribution_function() {
    let z = column(GAMMA_SLOPE, 1);
    let (same, found) = slopes(&column(GAMMA_SLOPE, 0), |alpha: Var| Gamma { alpha }.through(constant(&z)));
    assert_eq!(same, numbers(&z));
    for (found, row) in found.iter().zip(GAMMA_SLOPE) {
        assert!((found / row[3] - 1.0).abs() < 1e-9, "{found} {row:?}");
        // JAX itself is off by up to 10⁻⁸ there.
        assert!((found / row[2] - 1.0).abs() < 1e-7, "{found} {row:?}");
    }
    let z = column(VON_MISES_SLOPE, 1);
    let angle = |kappa: Var| VonMises { mean: kappa * 0.0, concentration: kappa }.through(constant(&z));
    let (same, found) = slopes(&column(VON_MISES_SLOPE, 0), angle);
    assert_eq!(same, numbers(&z));
    for (found, row) in found.iter().zip(VON_MISES_SLOPE) {
        assert!((found / row[2] - 1.0).abs() < 1e-9, "{found} {row:?}");
    }
    // Second order, over the distribution: E z² = α² + α has slope 2α + 1 and curvature 2. By the midpoint rule in t = ln z.
    let alpha = 2.5;
    let loss = |alpha: Var, z: Var| {
        let z = Gamma { alpha }.through(z);
        (z * z).sum()
    };
    let (low, high, n) = (-9.0, 4.2, 600);
    let step = (high - low) / f64::from(n);
    let points: Vec<f64> = (0..n).map(|i| (low + (f64::from(i) + 0.5) * step).exp()).collect();
    let z = array(points.clone());
    let both = |alpha: Var, z: Var| {
        let lanes = |alpha: Var| alpha.spread([600]);
        let first = |alpha: Var| grad(loss).at((alpha, z));
        jvp(first).at(lanes(alpha), &(lanes(alpha) * 0.0 + 1.0))
    };
    let (first, second) = jit(|alpha: Var, z: Var| {
        let (first, second) = both(alpha, z);
        (first, second[0])
    })
    .call((&array(alpha), &z))
    .unwrap();
    let density = jit(|alpha: Var, z: Var| Gamma { alpha: alpha.spread([600]) }.log_density(z).exp());
    let density = numbers(&density.call((&array(alpha), &z)).unwrap());
    let mean = |values: &Array| {
        numbers(values).iter().zip(&density).zip(&points).map(|((x, p), z)| x * p * z * step).sum::<f64>()
    };
    close(mean(&first), 2.0 * alpha + 1.0, 1e-8);
    close(mean(&second), 2.0, 1e-7);
}

/// I₁(2)/I₀(2).
const BESSEL_RATIO: f64 = 0.697774657964008;

#[test]
fn draws_have_the_moments_of_their_law() {
    // Moments of the draws themselves.
    let gamma = |alpha: f64| {
        let draw = move |key: Var| Gamma { alpha: constant(&array(alpha)) }.sample(key);
        Estimator::new("gamma", Key::from_seed(101), draw).mean(array(alpha)).variance(alpha)
    };
    for alpha in [0.2, 1.0, 6.5] {
        gamma(alpha).check(4000).unwrap();
    }
    let beta = |key: Var| Beta { a: constant(&array(2.0)), b: constant(&array(0.7)) }.sample(key);
    let (a, b) = (2.0, 0.7);
    let variance = a * b / ((a + b) * (a + b) * (a + b + 1.0));
    Estimator::new("beta", Key::from_seed(102), beta)
        .mean(array(a / (a + b)))
        .variance(variance)
        .check(4000)
        .unwrap();
    // I₁/I₀ and the second moments (1 ± I₂/I₀)/2: at κ = 2, I₁/I₀ = 0.697774657964008 and I₂/I₀ = 1 − I₁/I₀.
    let ratio = BESSEL_RATIO;
    for (kappa, first) in [(2.0, ratio), (1e-6, 0.5e-6)] {
        let angle = move |key: Var| {
            let kappa = constant(&array(kappa));
            let z = VonMises { mean: kappa * 0.0, concentration: kappa }.sample(key);
            stack(&[z.cos(), z.sin()])
        };
        let angle = Estimator::new("von Mises", Key::from_seed(103), angle);
        angle.mean(array([first, 0.0])).variance(1.0 - first * first).check(4000).unwrap();
    }
}

#[test]
fn slopes_through_keys_have_their_mean() {
    // E ln z = ψ(α), with the slope ψ'(α); ψ'(1.5) = π²/2 − 4.
    let log = |alpha: Var, key: Var| pathwise(key, &Gamma { alpha }).log();
    let trigamma = std::f64::consts::PI.powi(2) / 2.0 - 4.0;
    let slope = |mean| Estimator::of_loss("ln gamma", Key::from_seed(104), array(1.5), log).mean(array(mean));
    // The first 2000 draws of this seed are 3.7 standard errors off, which happens once in 5000 times; 20 000 of each of twelve seeds,
    // looked at for that reason, are off by 0.6 together. The seed stays, and there are more draws.
    let check = slope(trigamma).check(20_000).unwrap();
    assert!(check.power.unwrap() > 0.8, "{check:?}");
    // The mutation: the density left out of the path.
    let bare = |alpha: Var, key: Var| {
        let gamma = Gamma { alpha };
        let z = gamma.sample(key);
        (z - (gamma.cdf(z) - gamma.cdf(z).stop_gradient())).log()
    };
    let bare =
        Estimator::of_loss("without density", Key::from_seed(104), array(1.5), bare).mean(array(trigamma));
    assert!(matches!(bare.check(4000), Err(CheckError::Mean { .. })));
    // E cos z = I₁/I₀, with the slope 1 − A/κ − A².
    let cosine =
        |kappa: Var, key: Var| pathwise(key, &VonMises { mean: kappa * 0.0, concentration: kappa }).cos();
    let cosine = Estimator::of_loss("cos", Key::from_seed(105), array(2.0), cosine);
    cosine.mean(array(1.0 - BESSEL_RATIO / 2.0 - BESSEL_RATIO * BESSEL_RATIO)).check(2000).unwrap();
}
