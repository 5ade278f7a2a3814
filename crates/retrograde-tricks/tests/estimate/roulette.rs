//! D14: Russian roulette.

use retrograde_array::array;
use retrograde_array::rng::Key;
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::jit;
use retrograde_tricks::estimate::estimator::CheckError;
use retrograde_tricks::estimate::roulette::{roulette, roulette_at, roulette_estimator, second_moment};

use crate::{close, message, number, numbers};

/// The terms (I − η H)ᵏ g of the Neumann series of H⁻¹ g, in two dimensions, with the largest rate ρ = 0.8.
const RATES: [f64; 2] = [0.8, 0.3];
const START: [f64; 2] = [1.0, -2.0];

fn term(x: Var) -> (Var, Var) {
    (x, x * &array(RATES))
}

fn terms(n: usize) -> Vec<Vec<f64>> {
    (0..n).map(|k| START.iter().zip(RATES).map(|(x, rate)| x * rate.powi(k as i32)).collect()).collect()
}

#[test]
fn roulette_has_the_predicted_mean_and_deviation() {
    let mean = [0, 1].map(|i| START[i] / (1.0 - RATES[i]));
    let (q, growth) = (0.82_f64, 0.64);
    // By enumeration of the stop: P(N = n) = qⁿ (1 − q).
    let at = jit(|stop: Var, x: Var| roulette_at(stop, 0.82, x, term));
    let (mut found, mut second) = ([0.0; 2], 0.0);
    for stop in 0..300_i64 {
        let p = q.powi(stop as i32) * (1.0 - q);
        for (found, x) in found.iter_mut().zip(numbers(&at.call((&array(stop), &array(START))).unwrap())) {
            *found += p * x;
            second += p * x * x;
        }
    }
    found.iter().zip(mean).for_each(|(found, mean)| close(*found, mean, 1e-12));
    let moment = second_moment(&terms(2000), q);
    // The tail of the enumeration falls as (ρ²/q)ⁿ.
    close(second, moment, 1e-10);
    let variance = moment - mean.iter().map(|x| x * x).sum::<f64>();
    let estimator = || roulette_estimator(Key::from_seed(81), q, growth, array(START), term).unwrap();
    let check = estimator().mean(array(mean)).variance(variance).check(20_000).unwrap();
    // The deviation within 2 % of the predicted one.
    close((check.found_variance / variance).sqrt(), 1.0, 0.02);
    assert!(check.power.unwrap() > 0.9, "{check:?}");
    // The mutation: terms that are not divided by their chance.
    let bare = |key: Var| {
        let stop = (retrograde_tricks::estimate::draw::open_uniform(key, []).log() / 0.82_f64.ln()).floor();
        roulette_at(stop.convert(retrograde_array::DType::I64), 1.0, constant(&array(START)), term)
    };
    let bare = retrograde_tricks::estimate::estimator::Estimator::new("bare", Key::from_seed(81), bare);
    assert!(matches!(bare.mean(array(mean)).check(20_000), Err(CheckError::Mean { .. })));

    // Finite if and only if q > ρ²: partial sums settle above and grow by a factor below.
    let sums = |q: f64| [50, 100, 200, 400].map(|n| second_moment(&terms(n), q));
    let above = sums(0.66);
    assert!((above[3] / above[2] - 1.0).abs() < 0.01, "{above:?}");
    let below = sums(0.62);
    assert!(below.windows(2).all(|pair| pair[1] > 2.0 * pair[0]), "{below:?}");
}

#[test]
fn a_logarithm_of_a_determinant_has_no_bias() {
    // ln det (I + A) = Σ (−1)ᵏ⁺¹ tr Aᵏ / k, with A diagonal.
    let a = [0.5_f64, -0.3, 0.2];
    let term = move |(power, k): (Var, Var)| {
        let sign = 1.0 - (k % 2.0) * 2.0;
        let next = power * &array(a);
        (power.sum() * sign / (k + 1.0), (next, k + 1.0))
    };
    let estimator = roulette_estimator(Key::from_seed(82), 0.6, 0.25, (array(a), array(0.0)), term).unwrap();
    let exact: f64 = a.iter().map(|a| (1.0 + a).ln()).sum();
    estimator.mean(array(exact)).check(5000).unwrap();
}

#[test]
fn infinite_variance_is_refused_at_the_line() {
    for q in [0.64, 0.5, 0.0, 1.0, f64::NAN] {
        let error = message(roulette_estimator(Key::from_seed(1), q, 0.64, array(START), term));
        let text =
            format!("roulette: found a chance of going on of {q}, expected one above 0.64 and below 1");
        assert!(error.contains(&text), "{error}");
    }
    let key = Key::from_seed(1).to_array();
    for q in [0.0, 1.0, -0.5, f64::NAN] {
        let error = message(jit(|key: Var| roulette(key, q, constant(&array(START)), term)).call(&key));
        assert!(
            error.contains(&format!("found a chance of going on of {q}, expected one in (0, 1)")),
            "{error}"
        );
    }
    // One that is allowed makes at least the first term.
    let found =
        jit(|key: Var| roulette(key, 1e-9, constant(&array(2.0)), |x: Var| (x, x * 0.5))).call(&key).unwrap();
    assert_eq!(number(&found), 2.0);
}
