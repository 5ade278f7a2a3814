//! D3: reparameterisation.

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_engine::{grad, hessian, jit};
use retrograde_tricks::estimate::distribution::{Bernoulli, Categorical, Normal};
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};
use retrograde_tricks::estimate::pathwise::pathwise;
use retrograde_tricks::estimate::score::score;

use crate::{close, message, numbers};

const MU: f64 = 1.5;
const SIGMA: f64 = 0.7;

/// The square of a draw, of parameters [μ, σ] and given noise.
fn square(parameters: Var, epsilon: Var) -> Var {
    let normal = Normal { mean: parameters.index(0, 0), deviation: parameters.index(0, 1) };
    let z = normal.at(epsilon);
    z * z
}

#[test]
fn pathwise_slopes_of_a_square_have_the_gaussian_moments() {
    // Gauss and Hermite's three points are exact to degree 5, so to the second moment of a slope of degree 2 in the noise.
    let points = [(-3.0_f64.sqrt(), 1.0 / 6.0), (0.0, 2.0 / 3.0), (3.0_f64.sqrt(), 1.0 / 6.0)];
    let x = array([MU, SIGMA]);
    let slope = grad(square);
    let (mut mean, mut second, mut curvature) = ([0.0; 2], [0.0; 2], [0.0; 4]);
    for (epsilon, weight) in points {
        let found = numbers(&slope.call((&x, &array(epsilon))).unwrap());
        mean.iter_mut().zip(&found).for_each(|(mean, x)| *mean += weight * x);
        second.iter_mut().zip(&found).for_each(|(mean, x)| *mean += weight * x * x);
        let found = hessian(|x: Var| square(x, x.index(0, 0) * 0.0 + epsilon)).call(&x).unwrap();
        curvature.iter_mut().zip(numbers(&found)).for_each(|(mean, x)| *mean += weight * x);
    }
    close(mean[0], 2.0 * MU, 1e-14);
    close(mean[1], 2.0 * SIGMA, 1e-14);
    close(second[0] - mean[0].powi(2), 4.0 * SIGMA * SIGMA, 1e-13);
    close(second[1] - mean[1].powi(2), 4.0 * MU * MU + 8.0 * SIGMA * SIGMA, 1e-13);
    [2.0, 0.0, 0.0, 2.0].iter().zip(curvature).for_each(|(expected, found)| close(found, *expected, 1e-14));
}

fn estimator(loss: impl Fn((Var, Var), Var) -> Var + 'static) -> Estimator<(Var, Var)> {
    Estimator::of_loss("square of a normal draw", Key::from_seed(21), (array(MU), array(SIGMA)), loss)
        .mean((array(2.0 * MU), array(2.0 * SIGMA)))
}

#[test]
fn draws_of_keys_have_the_same_moments_and_a_missing_path_is_found() {
    let sound = estimator(|(mean, deviation), key| {
        let z = pathwise(key, &Normal { mean, deviation });
        z * z
    });
    let check = sound.variance(12.0 * SIGMA * SIGMA + 4.0 * MU * MU).check(4000).unwrap();
    // What a bias of a twentieth would have been found with.
    assert!(check.power.unwrap() > 0.99, "{check:?}");
    // The deviation cut off, as where the noise is scaled outside of the trace.
    let cut = estimator(|(mean, deviation), key| {
        let z = pathwise(key, &Normal { mean, deviation: deviation.stop_gradient() });
        z * z
    });
    assert!(matches!(cut.check(4000), Err(CheckError::Mean { .. })));
}

#[test]
fn the_score_of_the_same_node_has_the_same_mean() {
    let scored = estimator(|(mean, deviation), key| {
        let node = score(key, &Normal { mean, deviation });
        let square = node.value * node.value;
        retrograde_tricks::estimate::score::score_function(square, node.log_density, None)
    });
    scored.check(4000).unwrap();
}

#[test]
fn draws_that_jump_have_no_path() {
    let key = Key::from_seed(1).to_array();
    let coin = jit(|logits: Var, key: Var| pathwise(key, &Bernoulli { logits }));
    let error = message(coin.call((&array([0.0]), &key)));
    assert!(
        error.contains(
            "pathwise: found a Bernoulli distribution, whose draws jump, expected a continuous one"
        )
    );
    assert!(error.contains("help: a gradient without bias is that of `score`"), "{error}");
    let class = jit(|logits: Var, key: Var| pathwise(key, &Categorical { logits }));
    assert!(message(class.call((&array([0.0, 1.0]), &key))).contains("found a categorical distribution"));
}
