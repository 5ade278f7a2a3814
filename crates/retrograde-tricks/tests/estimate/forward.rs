//! D10 to D12: smoothing, SPSA, forward gradients.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::estimate::estimator::CheckError;
use retrograde_tricks::estimate::forward_gradient::{
    Directions, forward_gradient, forward_gradient_estimator,
};
use retrograde_tricks::estimate::smoothing::{Sides, smoothed, smoothing_gradient};
use retrograde_tricks::estimate::spsa::{perturbed_slope, spsa, step_along};

use crate::{all_masks, close, message, number, numbers};

const X: [f64; 3] = [1.0, -0.5, 2.0];

/// ½ xᵀ A x + b·x with A of all signs.
fn quadratic(x: Var) -> Var {
    let a =
        retrograde_core::trace::var::constant(&array([[2.0, 0.5, -1.0], [0.5, -1.0, 0.3], [-1.0, 0.3, 0.7]]));
    x.dot(a).dot(x) * 0.5 + (x * &array([0.1, 0.2, -0.3])).sum()
}

fn gradient(f: fn(Var) -> Var) -> Vec<f64> {
    numbers(&grad(f).call(&array(X)).unwrap())
}

fn square(g: &[f64]) -> f64 {
    g.iter().map(|g| g * g).sum()
}

fn signs() -> Vec<Array> {
    all_masks(3)
        .map(|mask| array(mask.iter().map(|&up| if up { 1.0 } else { -1.0 }).collect::<Vec<f64>>()))
        .collect()
}

/// Mean and total variance of an estimate over all signs.
fn over_signs(estimate: impl Fn(Var, Var) -> Var) -> (Vec<f64>, f64) {
    let f = jit(|x: Var, v: Var| estimate(x, v));
    let (mut mean, mut second) = (vec![0.0; 3], 0.0);
    for v in signs() {
        for (mean, g) in mean.iter_mut().zip(numbers(&f.call((&array(X), &v)).unwrap())) {
            *mean += g / 8.0;
            second += g * g / 8.0;
        }
    }
    let variance = second - square(&mean);
    (mean, variance)
}

#[test]
fn forward_gradients_have_their_mean_and_variance() {
    let f = |x: Var| quadratic(x).sin() + (x * x * x).sum();
    let g = numbers(&grad(f).call(&array(X)).unwrap());
    let (mean, variance) = over_signs(|x, v| forward_gradient(f, &x, &v));
    mean.iter().zip(&g).for_each(|(found, g)| close(*found, *g, 1e-13));
    close(variance, 2.0 * square(&g), 1e-13);
    for directions in [Directions::Rademacher, Directions::Normal] {
        let estimator = || forward_gradient_estimator(Key::from_seed(61), directions, f, array(X)).unwrap();
        let check = estimator().check(8000).unwrap();
        assert!(check.power.unwrap() > 0.5, "{check:?}");
        // The mutation: the variance of the other directions.
        let other = if directions == Directions::Normal { 2.0 } else { 4.0 } * square(&g);
        assert!(matches!(estimator().variance(other).check(8000), Err(CheckError::Variance { .. })));
    }
    // And directions of another variance: a factor that is missing.
    let scaled = move |key: Var| {
        let x = retrograde_core::trace::var::constant(&array(X));
        forward_gradient(f, &x, &(Directions::Normal.draw(key, &x) * 0.9))
    };
    let scaled = retrograde_tricks::estimate::estimator::Estimator::new("scaled", Key::from_seed(61), scaled);
    assert!(matches!(scaled.mean(array(g)).check(8000), Err(CheckError::Mean { .. })));
}

#[test]
fn antithetic_pairs_on_a_quadratic_have_no_bias() {
    let g = gradient(quadratic);
    for sigma in [0.01, 1.0, 30.0] {
        // Any noise of unit variance: the even part cancels.
        let (mean, variance) = over_signs(|x, v| smoothed(quadratic, &x, &v, sigma, Sides::Two));
        mean.iter().zip(&g).for_each(|(found, g)| close(*found, *g, 1e-10));
        close(variance, 2.0 * square(&g), 1e-10);
        let pairs = smoothing_gradient(Key::from_seed(62), quadratic, array(X), sigma, Sides::Two);
        let check = pairs.mean(array(g.clone())).variance(4.0 * square(&g)).check(20_000).unwrap();
        assert!(check.power.unwrap() > 0.5, "{check:?}");
    }
    // One side has the same mean, and at a small σ a variance that f(x) makes large.
    let value = number(&jit(quadratic).call(&array(X)).unwrap());
    let one = |sigma| {
        smoothing_gradient(Key::from_seed(63), quadratic, array(X), sigma, Sides::One).mean(array(g.clone()))
    };
    let found = one(0.05).check(6000).unwrap().found_variance;
    // E |f ε/σ|² is about d f(x)²/σ², and as much more as f varies: within a tenth for this σ.
    assert!((found / (3.0 * value * value / 0.0025) - 1.0).abs() < 0.3, "{found}");
    // Of a cubic, the slope of the smoothed function: E (x + σ ε)³ = x³ + 3 x σ².
    let cubic = |x: Var| (x * x * x).sum();
    let smooth = X.map(|x| 3.0 * x * x + 3.0 * 0.25);
    let pairs = || smoothing_gradient(Key::from_seed(64), cubic, array(X), 0.5, Sides::Two);
    pairs().mean(array(smooth)).check(6000).unwrap();
    let unsmoothed = X.map(|x| 3.0 * x * x);
    assert!(matches!(pairs().mean(array(unsmoothed)).check(6000), Err(CheckError::Mean { .. })));
    let error = message(pairs().gradient(100));
    assert!(
        error.contains("its mean is the gradient of f smoothed by a normal distribution of deviation 0.5")
    );
}

#[test]
fn the_bias_of_spsa_is_the_third_order_and_runs_are_replayed() {
    // f = quadratic + Σ a x³: third differences along signs are a alone.
    let a = [0.5, -1.0, 2.0];
    let f = move |x: Var| quadratic(x) + (x * x * x * &array(a)).sum();
    let g = numbers(&grad(f).call(&array(X)).unwrap());
    for c in [0.1, 1.0] {
        let (mean, _) = over_signs(|x, v| v * perturbed_slope(f, &x, &v, c).spread([3]));
        for i in 0..3 {
            close(mean[i], g[i] + c * c * a[i], 1e-12);
        }
        let (one_sided, _) = over_signs(|x, v| v * ((f(x + v * c) - f(x)) / c).spread([3]));
        // From one side, even terms stay in each draw, and leave the mean over all signs as it is.
        (0..3).for_each(|i| close(one_sided[i], g[i] + c * c * a[i], 1e-12));
    }
    // The mutation: a chord of 2c divided by c.
    let (doubled, _) = over_signs(|x, v| v * ((f(x + v * 0.1) - f(x - v * 0.1)) / 0.1).spread([3]));
    assert!((0..3).any(|i| (doubled[i] - g[i] - 0.01 * a[i]).abs() > 0.1));
    // A run, and its replay from keys and numbers.
    let draw = |key: Var, x: &Var| Directions::Normal.draw(key, x);
    let step = jit(|x: Var, key: Var| {
        let slope = perturbed_slope(quadratic, &x, &draw(key, &x), 1e-3);
        (step_along(&x, 0.01, slope, &draw(key, &x)), slope)
    });
    let again = jit(|x: Var, key: Var, slope: Var| step_along(&x, 0.01, slope, &draw(key, &x)));
    let (mut x, mut log) = (array(X), vec![]);
    for key in Key::from_seed(65).split(20) {
        let (next, slope) = step.call((&x, &key.to_array())).unwrap();
        log.push((key, slope));
        x = next;
    }
    let mut replayed = array(X);
    for (key, slope) in &log {
        replayed = again.call((&replayed, &key.to_array(), slope)).unwrap();
    }
    assert!(replayed.bits_eq(&x) && !x.bits_eq(&array(X)));
    // A key off by one replays another run.
    let other = again.call((&array(X), &log[1].0.to_array(), &log[0].1)).unwrap();
    assert!(!other.bits_eq(&step.call((&array(X), &log[0].0.to_array())).unwrap().0));
}

#[test]
fn perturbations_that_are_not_positive_are_refused() {
    let (x, key) = (array(X), Key::from_seed(1).to_array());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error =
            message(jit(|x: Var, v: Var| smoothed(quadratic, &x, &v, bad, Sides::Two)).call((&x, &x)));
        assert!(
            error.contains(&format!("smoothed: found a deviation of {bad}, expected a positive one")),
            "{error}"
        );
        let error = message(jit(|x: Var, v: Var| perturbed_slope(quadratic, &x, &v, bad)).call((&x, &x)));
        assert!(error.contains(&format!("perturbed_slope: found a perturbation of {bad}")), "{error}");
        assert!(
            message(jit(|x: Var, key: Var| spsa(key, quadratic, &x, bad)).call((&x, &key)))
                .contains("expected a positive one")
        );
    }
}
