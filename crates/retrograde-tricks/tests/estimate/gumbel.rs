//! D7: Gumbel-softmax and its straight-through form.

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_engine::jit;
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};
use retrograde_tricks::estimate::gumbel::{relaxed, straight_through};

use crate::{message, numbers};

const LOGITS: [f64; 2] = [0.8, 0.0];

/// A cost of a class, one-hot or relaxed.
fn cost(y: Var) -> Var {
    let first = y.index(0, 0) * 1.5 + 0.2;
    first * first * first
}

/// ∫ g(L) dL over a logistic variable L, by the midpoint rule in its probability.
fn over_logistic(g: impl Fn(f64) -> f64) -> f64 {
    const POINTS: usize = 200_000;
    let point = |i: usize| (i as f64 + 0.5) / POINTS as f64;
    (0..POINTS).map(|i| g((point(i) / (1.0 - point(i))).ln())).sum::<f64>() / POINTS as f64
}

#[test]
fn straight_through_has_the_bias_of_the_integral() {
    // The difference of two Gumbel variables is logistic, so that y₁ = σ((φ₁ − φ₂ + L)/t).
    const T: f64 = 0.7;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let slope = |y: f64| 4.5 * (1.5 * y + 0.2).powi(2);
    let gap = LOGITS[0] - LOGITS[1];
    let at = |l: f64, hard: bool| {
        let y = sigmoid((gap + l) / T);
        let where_taken = if hard { f64::from(u8::from(y > 0.5)) } else { y };
        slope(where_taken) * y * (1.0 - y) / T
    };
    let (soft, hard) = (over_logistic(|l| at(l, false)), over_logistic(|l| at(l, true)));
    let p = sigmoid(gap);
    let truth = (1.7_f64.powi(3) - 0.2_f64.powi(3)) * p * (1.0 - p);
    assert!((hard - truth).abs() > 0.1 && (soft - truth).abs() > 0.03, "{hard} {soft} {truth}");
    let estimator = |hard: bool| {
        let loss = move |logits: Var, key: Var| {
            cost(if hard { straight_through(key, logits, T) } else { relaxed(key, logits, T) })
        };
        Estimator::of_loss("a choice of two", Key::from_seed(31), array(LOGITS), loss)
    };
    // The gradient is ±, as only the difference counts.
    for (is_hard, mean) in [(false, soft), (true, hard)] {
        let check = estimator(is_hard).mean(array([mean, -mean])).check(4000).unwrap();
        assert!(check.power.unwrap() > 0.5, "{check:?}");
    }
    let wrong = estimator(true).mean(array([truth, -truth])).check(4000);
    assert!(matches!(wrong, Err(CheckError::Mean { .. })));
    let biased = estimator(true).biased("straight-through: the slope of the relaxed draw at a hard one");
    assert!(message(biased.gradient(10)).contains("expected one without: straight-through"));
}

#[test]
fn a_low_temperature_gives_classes_with_their_probabilities() {
    let logits = [0.5, -0.3, 1.2];
    let total: f64 = logits.iter().map(|x: &f64| x.exp()).sum();
    let p = logits.map(|x| x.exp() / total);
    let hard =
        move |key: Var| straight_through(key, retrograde_core::trace::var::constant(&array(logits)), 1.0);
    let variance = p.iter().map(|p| p * (1.0 - p)).sum();
    Estimator::new("classes", Key::from_seed(32), hard)
        .mean(array(p))
        .variance(variance)
        .check(4000)
        .unwrap();
    // One draw as the temperature falls: the largest entry tends to 1.
    let rest = |t: f64| {
        let y = jit(move |logits: Var, key: Var| relaxed(key, logits, t));
        let y = numbers(&y.call((&array(logits), &Key::from_seed(33).to_array())).unwrap());
        1.0 - y.iter().copied().fold(0.0, f64::max)
    };
    assert!(rest(1.0) > rest(0.3) && rest(0.3) > rest(0.1) && rest(0.01) < 1e-12);
}

#[test]
fn temperatures_that_are_not_positive_are_refused() {
    let (key, logits) = (Key::from_seed(1).to_array(), array(LOGITS));
    for t in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let one = message(jit(move |x: Var, key: Var| relaxed(key, x, t)).call((&logits, &key)));
        assert!(
            one.contains(&format!("relaxed: found a temperature of {t}, expected a positive one")),
            "{one}"
        );
        let one = message(jit(move |x: Var, key: Var| straight_through(key, x, t)).call((&logits, &key)));
        assert!(one.contains("straight_through: found a temperature"), "{one}");
    }
}
