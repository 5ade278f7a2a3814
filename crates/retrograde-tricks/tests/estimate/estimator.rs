//! The type of all estimators: what it carries, and what its check refuses.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array, ops};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_tricks::estimate::draw::normal;
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};

use crate::{close, message, numbers};

/// Two correlated coordinates of variances 1 and 2, of mean [3, −1].
fn pair(key: Key) -> Estimator<Var> {
    Estimator::new("pair", key, |key: Var| {
        let z = normal(key, [2]);
        let swapped = z.reverse(&[0]);
        z + swapped * &array([0.0, 1.0]) + &array([3.0, -1.0])
    })
}

#[test]
fn draws_do_not_depend_on_how_many_there_are_and_average_to_their_mean() {
    let pair = pair(Key::from_seed(3));
    let (few, many) = (pair.draws(5).unwrap(), pair.draws(8).unwrap());
    assert!(few.bits_eq(&ops::slice(&many, &[0, 0], &[5, 2], &[1, 1])));
    let rows = pair.vectors(8).unwrap();
    assert_eq!(rows.concat(), numbers(&many));
    let average = numbers(&pair.gradient(8).unwrap());
    for (j, average) in average.iter().enumerate() {
        close(*average, rows.iter().map(|row| row[j]).sum::<f64>() / 8.0, 1e-15);
    }
}

#[test]
fn means_and_variances_that_are_off_are_found() {
    let check =
        |mean: [f64; 2], variance| pair(Key::from_seed(4)).mean(array(mean)).variance(variance).check(6000);
    let sound = check([3.0, -1.0], 3.0).unwrap();
    assert!(sound.power.unwrap() > 0.99, "{sound:?}");
    assert!((sound.found_variance - 3.0).abs() < 0.3);
    assert!(matches!(check([3.15, -1.0], 3.0), Err(CheckError::Mean { rank: 2, .. })));
    assert!(matches!(check([3.0, -1.0], 3.3), Err(CheckError::Variance { .. })));
    // Without a predicted mean, the variance is about the average.
    pair(Key::from_seed(4)).variance(3.0).check(6000).unwrap();
    assert!(pair(Key::from_seed(4)).variance(3.3).check(6000).is_err());
}

#[test]
fn keys_that_are_used_again_are_found() {
    // The mutation: an estimator that folds the key to one of four. Each draw alone has the right law; together they say nothing new.
    let reused = Estimator::new("reused key", Key::from_seed(5), |key: Var| {
        let one = key.slice(0, 0..1) & 3_i64;
        normal(one.reshape([]).broadcast([2], &[]), [3])
    });
    assert!(matches!(reused.mean(array([0.0; 3])).check(2000), Err(CheckError::Mean { .. })));
    let sound = Estimator::new("own keys", Key::from_seed(5), |key: Var| normal(key, [3]));
    sound.mean(array([0.0; 3])).variance(3.0).check(2000).unwrap();
}

#[test]
fn what_cannot_be_tested_or_given_says_so() {
    let one =
        || Estimator::new("one", Key::from_seed(6), |key: Var| normal(key, []) * 0.0 + constant(&array(1.0)));
    let says = |result: Result<_, CheckError>, text: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(error, CheckError::Untestable { .. }) && error.to_string().contains(text),
            "{error}"
        );
    };
    says(one().check(10), "neither their mean nor their variance is predicted");
    says(one().mean(array(1.0)).check(1), "draw more");
    says(one().mean(array(1.0)).dependent("points of one sequence").check(10), "points of one sequence");
    // A constant is what it is: right without doubt, or wrong without.
    one().mean(array(1.0)).variance(0.0).check(10).unwrap();
    assert!(matches!(one().mean(array(1.1)).check(10), Err(CheckError::Mean { p: 0.0, .. })));
    let biased = one().biased("it is shrunk by a half");
    let error = message(biased.gradient(10));
    assert!(
        error.contains("one: found an estimator with a bias, expected one without: it is shrunk by a half")
    );
    assert!(error.contains("help: take `average` if the bias is meant"), "{error}");
    assert_eq!(biased.average(10).unwrap(), array(1.0));
    assert!(message(one().gradient(0)).contains("one: found 0 draws"));
    assert!(format!("{biased:?}").contains("it is shrunk by a half"));
    let of_two =
        Estimator::new("two leaves", Key::from_seed(7), |key: Var| (normal(key, [2]), normal(key, [])));
    assert_eq!(of_two.vectors(3).unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
    let _: (Array, Array) = of_two.average(3).unwrap();
}
