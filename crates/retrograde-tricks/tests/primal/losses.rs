//! Losses, guarded functions and caps: finite far out, with the slopes of their formulas.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::{constant, select};
use retrograde_engine::{grad, jit, jvp, value_and_grad};
use retrograde_tricks::primal::attention::Mask;
use retrograde_tricks::primal::guarded::{binary_cross_entropy, divide_or_zero, sqrt_or_zero};
use retrograde_tricks::primal::label_smoothing::{smoothed_cross_entropy, uniform_cross_entropy};
use retrograde_tricks::primal::loss::cross_entropy;
use retrograde_tricks::primal::soft_cap::{normalised_attention, soft_cap, z_loss};
use retrograde_tricks::primal::softmax::softmax;

use crate::true_values::SOFTMAX;
use crate::{Check, apart, draw, hold, refused, ulp, values};

/// p − y for a label of each row in turn, within 2 units of the larger of p and y, and sums of zero.
fn is_the_difference_of_probabilities(loss: fn(Var, Var) -> Var) -> Check {
    for (logits, p) in SOFTMAX {
        for label in 0..4 {
            let x = array([logits]);
            let (value, slope) = value_and_grad(loss).call((&x, &array([label as i64]))).unwrap();
            hold(value.item::<f64>().unwrap().is_finite(), || format!("{value}"))?;
            let slope = values(&slope);
            hold(slope.iter().sum::<f64>().abs() <= 2.0 * f64::EPSILON, || format!("sum of {slope:?}"))?;
            for (at, found) in slope.iter().enumerate() {
                let y = f64::from(u8::from(at == label));
                let off = ((found + y) - p[at].0) - p[at].1;
                hold(off.abs() <= 2.0 * ulp(p[at].0.max(y)), || {
                    format!("{logits:?}: {found} for {:?}", p[at])
                })?;
            }
        }
    }
    Ok(())
}

#[test]
fn the_slope_of_cross_entropy_is_the_difference_of_probabilities() {
    assert_eq!(is_the_difference_of_probabilities(|x, l| cross_entropy(x, l)), Ok(()));
    // Without the shift logits of 10⁴ overflow; with a wrong sign, or half of it, the slope is another.
    let plain: fn(Var, Var) -> Var = |x, l| {
        let chosen = x.take_along(1, l.reshape([1, 1])).sum();
        x.exp().sum().log() - chosen
    };
    assert!(is_the_difference_of_probabilities(plain).is_err());
    assert!(is_the_difference_of_probabilities(|x, l| cross_entropy(-x, l)).is_err());
    assert!(is_the_difference_of_probabilities(|x, l| cross_entropy(x, l) * 0.5).is_err());
}

/// The trap: a root, a logarithm or a quotient in the side that is not taken.
fn has_no_nan(f: fn(Var) -> Var) -> Check {
    let x = array([-1.0, 0.0, 4.0]);
    let reverse = values(&grad(move |x: Var| f(x).sum()).call(&x).unwrap());
    let forward = values(&jvp(f).call(&x, &array([1.0; 3])).unwrap().1);
    let curve = values(&jvp(grad(move |x: Var| f(x).sum())).call(&x, &array([1.0; 3])).unwrap().1);
    let expected = |slopes: &[f64]| slopes[0] == 0.0 && slopes[1] == 0.0 && slopes[2].is_finite();
    hold([&reverse, &forward, &curve].into_iter().all(|s| expected(s)), || {
        format!("{reverse:?} {forward:?} {curve:?}")
    })
}

#[test]
fn guarded_functions_have_no_nan() {
    assert_eq!(has_no_nan(sqrt_or_zero), Ok(()));
    assert_eq!(has_no_nan(|x| select(x.gt(0.0), x.sqrt(), x * 0.0)), Ok(()));
    assert_eq!(has_no_nan(|x| select(x.gt(0.0), x.log(), x * 0.0)), Ok(()));
    assert_eq!(has_no_nan(|x| divide_or_zero(x.max(0.0), x.max(0.0).sqrt())), Ok(()));
    assert!(has_no_nan(Var::sqrt).is_err());
    // A norm at zero.
    assert_eq!(grad(|x: Var| x.norm()).call(&array([0.0, 0.0])).unwrap(), array([0.0, 0.0]));
    // A binary loss keeps its digits at both ends: σ(−40) is e^−40, not 0.
    let z = array([1e4, -1e4, 40.0, -40.0]);
    for (t, expected) in [(1.0, [0.0, -1.0, -(-40f64).exp(), -1.0]), (0.0, [1.0, 0.0, 1.0, (-40f64).exp()])] {
        let t = array([t; 4]);
        let (value, slope) =
            value_and_grad(|z: Var, t: Var| binary_cross_entropy(z, t)).call((&z, &t)).unwrap();
        assert!((value.item::<f64>().unwrap() - 2510.0).abs() < 1e-9);
        let close = |(a, b): (f64, f64)| (4.0 * a - b).abs() <= 1e-15 * b.abs();
        assert!(values(&slope).into_iter().zip(expected).all(close), "{slope}");
    }
    // ln(1 + x) and eˣ − 1 for x below a unit in the last place of 1.
    let tiny = array(1e-20);
    assert_eq!(jit(|x: Var| (x.log1p(), x.expm1())).call(&tiny).unwrap(), (tiny.clone(), tiny));
}

#[test]
fn a_smoothed_gradient_is_the_mean_of_two() {
    let (x, labels) = (draw(1, [5, 4]), array([3_i64, 0, 1, 2, 0]));
    let slope = |loss: fn(Var, Var) -> Var| grad(loss).call((&x, &labels)).unwrap();
    let mean = |e: f64| {
        let (plain, uniform) = (slope(|x, l| cross_entropy(x, l)), slope(|x, _| uniform_cross_entropy(x)));
        jit(move |a: Var, b: Var| a * (1.0 - e) + b * e).call((&plain, &uniform)).unwrap()
    };
    // Numbers of about 0.1: within four units in the last place.
    let bound = 4.0 * ulp(0.1);
    assert!(apart(&slope(|x, l| smoothed_cross_entropy(x, l, 0.1)), &mean(0.1)) <= bound);
    assert!(apart(&slope(|x, l| smoothed_cross_entropy(x, l, 0.1)), &mean(0.11)) > 1e-4);
    // No smoothing: the same bits. All of it: uniform.
    assert_eq!(slope(|x, l| smoothed_cross_entropy(x, l, 0.0)), mean(0.0));
    assert!(apart(&slope(|x, l| smoothed_cross_entropy(x, l, 1.0)), &mean(1.0)) <= bound);
    // Uniform targets: softmax − 1/classes, over n.
    let expected = jit(|x: Var| (softmax(x, 1) - 0.25) / 5.0).call(&x).unwrap();
    assert!(apart(&slope(|x, _| uniform_cross_entropy(x)), &expected) <= bound);
    let refuse = |e: f64| move |x: Var| smoothed_cross_entropy(x, constant(&array([0_i64])), e);
    refused(
        refuse(-0.1),
        &array([[1.0]]),
        "smoothed_cross_entropy: found a smoothing of -0.1, expected 0 to 1",
    );
}

#[test]
fn capped_logits_stay_below_their_cap() {
    let x = array([-1e300, -500.0, -30.0, 0.0, 1.0, 200.0, 500.0, 1e300]);
    let check = |f: fn(Var) -> Var| -> Check {
        let (y, slope) = (jit(f).call(&x).unwrap(), grad(move |x: Var| f(x).sum()).call(&x).unwrap());
        hold(values(&y).iter().all(|y| y.abs() <= 30.0), || format!("{y}"))?;
        let off = values(&x)
            .into_iter()
            .zip(values(&slope))
            .map(|(x, s)| (s - (1.0 - (x / 30.0).tanh().powi(2))).abs());
        let most = off.fold(0.0, f64::max);
        hold(most <= 2.0 * f64::EPSILON, || format!("{slope}"))
    };
    assert_eq!(check(|x| soft_cap(x, 30.0)), Ok(()));
    assert!(check(|x| x.clamp(-30.0, 30.0)).is_err());
    assert!(check(|x| soft_cap(x, 31.0)).is_err());
    // Below the cap, and not at it, as long as 1 − tanh is above a unit in the last place.
    let near = jit(|x: Var| soft_cap(x, 30.0)).call(&array([500.0])).unwrap();
    assert!(values(&near)[0] < 30.0);
    // d/dx w mean z² = 2 w z p / n.
    let logits = draw(1, [4, 3]);
    let slope = grad(|x: Var| z_loss(x, 0.25)).call(&logits).unwrap();
    let formula = |x: Var| softmax(x, 1) * x.logsumexp(&[1]).broadcast([4, 3], &[0]) * (2.0 * 0.25 / 4.0);
    assert!(apart(&slope, &jit(formula).call(&logits).unwrap()) < 1e-15);
    // Whatever the lengths of queries and keys, the logits are within ±g: of two keys one has at most e^2g times the weight.
    let stretch = |a: &Array| jit(|a: Var| a * 1e6).call(a).unwrap();
    let (q, k) = (draw(2, [1, 1, 5, 3]), draw(3, [1, 1, 2, 3]));
    let weights = |q: &Array, k: &Array| {
        let v = array([[[[1.0, 0.0], [0.0, 1.0]]]]);
        let f = |[q, k, v, g]: [Var; 4]| normalised_attention(q, k, v, g, Mask::Full);
        jit(f).call(&[q.clone(), k.clone(), v, array(0.7)]).unwrap()
    };
    let (found, stretched) = (weights(&q, &k), weights(&stretch(&q), &stretch(&k)));
    assert!(apart(&found, &stretched) < 1e-14);
    assert!(values(&found).chunks(2).all(|w| (w[0] / w[1]).ln().abs() <= 1.4 && w[0] != w[1]));
}
