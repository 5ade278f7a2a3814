//! Draws against published answers, theory and themselves.

use super::*;
use crate::{array, ops};

#[test]
fn published_answers() {
    // kat_vectors of the Random123 distribution (Salmon et al. 2011), threefry2x64, 20 rounds.
    let pi_counter = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
    let pi_key = Key([0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89]);
    assert_eq!(threefry(Key([0, 0]), [0, 0]), [0xc2b6_e3a8_c2c6_9865, 0x6f81_ed42_f350_084d]);
    assert_eq!(threefry(Key([u64::MAX; 2]), [u64::MAX; 2]), [0xe02c_b7c4_d95d_277a, 0xd066_33d0_893b_8b68]);
    assert_eq!(threefry(pi_key, pi_counter), [0x263c_7d30_bb0f_0af1, 0x56be_8361_d331_1526]);
}

#[test]
fn draws_depend_on_key_and_index_only() {
    let key = Key::from_seed(3);
    let long = random_bits(key, 101);
    assert_eq!(random_bits(key, 7), long[..7]);
    assert_eq!(key.split(5)[..2], key.split(2));
    assert_eq!((0..101).map(|i| word(key, i, purpose::BITS)).collect::<Vec<_>>(), long);
    let short = normal(key, [3]);
    assert_eq!(short.as_slice::<f64>().unwrap(), &normal(key, [10]).as_slice::<f64>().unwrap()[..3]);
    assert_ne!(key.fold_in(0), key.fold_in(1));
    assert_ne!(key.fold_in(0), key.split(1)[0]);
}

#[test]
fn keys_travel_in_arrays() {
    let key = Key([u64::MAX, 5]);
    assert_eq!(Key::from_array(&key.to_array()), Ok(key));
    assert!(Key::from_array(&array([1.0, 2.0])).is_err());
    assert!(Key::from_array(&array([1_i64, 2, 3])).is_err());
}

#[test]
fn moments_are_right() {
    // Seed fixed beforehand; n = 200 000, so five standard errors of the mean are 0.0112 (normal), 0.0033 (uniform).
    let n = 200_000;
    let key = Key::from_seed(11);
    let mean = |x: &[f64], p: i32| x.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
    let z = normal(key, [n]).to_vec::<f64>().unwrap();
    assert!(mean(&z, 1).abs() < 0.0112);
    assert!((mean(&z, 2) - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
    assert!(mean(&z, 3).abs() < 5.0 * (15.0 / n as f64).sqrt());
    assert!((mean(&z, 4) - 3.0).abs() < 5.0 * (96.0 / n as f64).sqrt());
    let u = uniform(key, [n]).to_vec::<f64>().unwrap();
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    assert!((mean(&u, 1) - 0.5).abs() < 0.0033);
    assert!((mean(&u, 2) - 1.0 / 3.0).abs() < 0.0034);
}

#[test]
fn permutations_are_uniform() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..6000 {
        *counts.entry(permutation(Key::from_seed(seed), 3)).or_insert(0) += 1;
    }
    // Six orders, 1000 expected each, standard deviation 29.
    assert_eq!(counts.len(), 6);
    assert!(counts.values().all(|&count: &i32| (count - 1000).abs() < 150));
    let mut order = permutation(Key::from_seed(1), 1000);
    assert_ne!(order, (0..1000).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..1000).collect::<Vec<_>>());
    assert_eq!(permutation(Key::from_seed(1), 0), Vec::<usize>::new());
}

/// The sample mean of `values` and of their squares lie within five standard errors of theory.
#[track_caller]
fn moments(what: &str, values: &Array, [first, second, fourth]: [f64; 3]) {
    let values = values.as_slice::<f64>().unwrap();
    let n = values.len() as f64;
    let mean = |power: i32| values.iter().map(|x| x.powi(power)).sum::<f64>() / n;
    for (power, expected, variance) in
        [(1, first, second - first * first), (2, second, fourth - second * second)]
    {
        let (found, error) = (mean(power), (variance / n).sqrt());
        // Rounding of the sum itself, for distributions narrower than that.
        let allowed = 5.0 * error + 1e-13 * expected.abs();
        assert!(
            (found - expected).abs() < allowed,
            "{what}, moment {power}: {found}, expected {expected} +- {error}"
        );
    }
}

#[test]
fn truncated_normals_have_the_moments_of_theory() {
    // Means of x, x^2 and x^4 by numerical integration with 30 digits. Every proposal of the method occurs.
    let inf = f64::INFINITY;
    for (seed, (low, high, theory)) in [
        (-1.0, 2.0, [0.229_637_179_091_328_97, 0.572_495_773_232_557, 0.894_248_997_578_000_1]),
        (-0.5, 0.75, [0.109_561_204_897_636_09, 0.135_423_013_868_818_6, 0.038_287_973_133_217_34]),
        (3.0, inf, [3.283_098_654_930_436_4, 10.849_295_964_791_31, 121.191_551_577_495_72]),
        (3.0, 3.1, [3.047_463_108_650_694_3, 9.287_860_596_064_485, 86.295_188_870_599_35]),
        (0.5, 1.0, [0.734_540_458_841_298_5, 0.560_067_680_931_161_5, 0.359_416_140_292_043_7]),
        (-inf, -4.0, [-4.225_607_144_489_471, 17.902_428_577_957_885, 324.146_142_981_199_8]),
        (-inf, inf, [0.0, 1.0, 3.0]),
        (20.0, 21.0, [20.049_750_962_909_254, 401.994_977_495_895_3, 161_603.943_204_377_72]),
        (-1.5, inf, [0.138_789_750_458_850_75, 0.791_815_374_311_723_9, 1.907_030_715_136_550_2]),
    ]
    .into_iter()
    .enumerate()
    {
        let x = truncated_normal(Key::from_seed(seed as u64), low, high, [50_000]).unwrap();
        assert!(x.as_slice::<f64>().unwrap().iter().all(|x| (low..=high).contains(x)));
        moments(&format!("normal in {low}..{high}"), &x, theory);
    }
}

#[test]
fn truncation_far_out_ends() {
    for (low, high) in [
        (1e8, f64::INFINITY),
        (1e100, 1.1e100),
        (1e300, f64::INFINITY),
        (1.7e308, f64::INFINITY),
        (-f64::MAX, -1e200),
        (1.0, 1.0 + f64::EPSILON),
    ] {
        let x = truncated_normal(Key::from_seed(1), low, high, [100]).unwrap();
        assert!(x.as_slice::<f64>().unwrap().iter().all(|x| (low..=high).contains(x)), "{low} {high}");
    }
}

#[test]
fn gammas_have_the_moments_of_theory() {
    for (seed, a) in [0.05, 0.5, 1.0, 3.7, 1e6].into_iter().enumerate() {
        let x = gamma(Key::from_seed(seed as u64), a, [50_000]).unwrap();
        assert!(x.as_slice::<f64>().unwrap().iter().all(|x| (0.0..f64::INFINITY).contains(x)));
        moments(&format!("gamma {a}"), &x, [a, a * (a + 1.0), a * (a + 1.0) * (a + 2.0) * (a + 3.0)]);
    }
    for a in [1e-300, 1e20, 1e40, f64::MAX] {
        let x = gamma(Key::from_seed(1), a, [100]).unwrap();
        assert!(x.as_slice::<f64>().unwrap().iter().all(|x| x.is_finite() && *x >= 0.0), "{a}");
    }
    moments("exponential", &exponential(Key::from_seed(3), [50_000]), [1.0, 2.0, 24.0]);
}

#[test]
fn truth_values_and_categories_have_their_frequencies() {
    let n = 50_000;
    let close = |count: usize, p: f64| {
        let (expected, deviation) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
        assert!(
            (count as f64 - expected).abs() <= 5.0 * deviation,
            "{count} of {n}, expected {expected} +- {deviation}"
        );
    };
    for p in [0.0, 0.1, 0.5, 1.0] {
        let x = bernoulli(Key::from_seed(4), p, [n]).unwrap();
        close(x.as_slice::<bool>().unwrap().iter().filter(|x| **x).count(), p);
    }
    let weights = [0.1, 0.0, 0.6, 0.3];
    // Weights need no normalisation: the sum is 40.
    let logits =
        array(weights.map(|p: f64| if p == 0.0 { f64::NEG_INFINITY } else { crate::map::log_f64(40.0 * p) }));
    let logits = ops::broadcast(&logits, &Shape::from([n, 4]), &[1]);
    let drawn = categorical(Key::from_seed(5), &logits).unwrap();
    for (category, p) in weights.into_iter().enumerate() {
        close(drawn.as_slice::<i64>().unwrap().iter().filter(|x| **x == category as i64).count(), p);
    }
}

#[test]
fn every_draw_depends_on_key_and_index_only() {
    let key = Key::from_seed(6);
    type Draw = fn(Key, usize) -> Array;
    let draws: [(&str, Draw); 7] = [
        ("uniform", |key, n| uniform(key, [n])),
        ("normal", |key, n| normal(key, [n])),
        ("truncated", |key, n| truncated_normal(key, 1.0, 4.0, [n]).unwrap()),
        ("exponential", |key, n| exponential(key, [n])),
        ("gamma", |key, n| gamma(key, 0.3, [n]).unwrap()),
        ("bernoulli", |key, n| bernoulli(key, 0.5, [n]).unwrap()),
        ("categorical", |key, n| categorical(key, &Array::zeros(DType::F64, [n, 3])).unwrap()),
    ];
    for (what, draw) in draws {
        assert_eq!(draw(key, 40), ops::slice(&draw(key, 400), &[0], &[40], &[1]), "{what}");
        assert_ne!(draw(key, 40), draw(key.fold_in(0), 40), "{what}");
    }
    // Purposes do not share words: the words of exponential draws are not those of uniform ones.
    let exponentials = exponential(key, [40]).to_vec::<f64>().unwrap();
    let uniforms = uniform(key, [40]).to_vec::<f64>().unwrap();
    let near = |(x, u): (&f64, &f64)| (crate::map::exp_f64(-x) - u).abs() < 1e-9;
    assert!(!exponentials.iter().zip(&uniforms).any(near));
}

#[test]
fn parameters_without_a_distribution_are_errors() {
    let key = Key::from_seed(7);
    let nan = f64::NAN;
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (nan, 1.0), (0.0, nan)] {
        assert!(truncated_normal(key, low, high, [1]).is_err());
    }
    let error = truncated_normal(key, 2.0, 1.0, [1]).unwrap_err();
    assert_eq!(error.to_string(), "truncated_normal: found low 2 and high 1, expected low below high");
    assert!([0.0, -1.0, nan, f64::INFINITY].iter().all(|&a| gamma(key, a, [1]).is_err()));
    assert!([-0.1, 1.1, nan].iter().all(|&p| bernoulli(key, p, [1]).is_err()));
    let minus = f64::NEG_INFINITY;
    for wrong in [
        array([0.0, nan]),
        array([0.0, f64::INFINITY]),
        array([[0.0, 1.0], [minus, minus]]),
        array(1.0),
        array([1_i64]),
    ] {
        assert!(categorical(key, &wrong).is_err(), "{wrong:?}");
    }
    assert!(categorical(key, &Array::zeros(DType::F64, [3, 0])).is_err());
    assert_eq!(categorical(key, &Array::zeros(DType::F64, [0, 3])), Ok(Array::zeros(DType::I64, [0])));
    assert_eq!(categorical(key, &array([minus, 0.0])), Ok(array(1_i64)));
}

#[test]
fn the_bits_of_one_key() {
    let key = Key::from_seed(2026);
    let bits = |x: &Array| x.as_slice::<f64>().unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(random_bits(key, 2), [0xa603_0636_4616_5cf3, 0x5429_5e5b_8757_87c4]);
    assert_eq!(bits(&uniform(key, [2])), [0x3fe4_c060_c6c8_c2cb, 0x3fd5_0a57_96e1_d5e0]);
    assert_eq!(bits(&normal(key, [2])), [0x3ff3_a87e_0395_f88d, 0xbfbb_02fa_99b9_2152]);
    let truncated = |low, high| bits(&truncated_normal(key, low, high, [2]).unwrap());
    assert_eq!(truncated(-0.5, 0.5), [0xbfd7_02ee_97b5_3fa8, 0xbfd7_d464_f6e7_04e0]);
    assert_eq!(truncated(2.0, f64::INFINITY), [0x4006_812c_6c0a_f388, 0x4006_d223_278a_b808]);
    assert_eq!(bits(&exponential(key, [2])), [0x3ff3_56bd_f828_fe62, 0x3fea_b375_6c45_5655]);
    assert_eq!(bits(&gamma(key, 0.5, [2]).unwrap()), [0x3fd0_c19d_cbd9_809b, 0x3ff0_b18d_0465_632d]);
    assert_eq!(bits(&gamma(key, 2.5, [2]).unwrap()), [0x400b_2f1a_99d9_683b, 0x4006_f46b_74d4_24e9]);
    assert_eq!(bernoulli(key, 0.5, [6]), Ok(array([false, false, false, false, true, true])));
    assert_eq!(categorical(key, &Array::zeros(DType::F64, [6, 9])), Ok(array([2_i64, 3, 3, 6, 4, 4])));
    assert_eq!(permutation(key, 8), [5, 6, 0, 1, 2, 7, 4, 3]);
}
