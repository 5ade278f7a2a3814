//! Data as part of the primal: mixtures, moved images, whitened numbers, the easiest first.

use retrograde_array::rng::{Key, permutation};
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, jit};
use retrograde_tricks::primal::augment::{crop, flip, shift};
use retrograde_tricks::primal::curriculum::{easiest, pace};
use retrograde_tricks::primal::mixup::{mixing, mixup};
use retrograde_tricks::primal::orthogonal::identity;
use retrograde_tricks::primal::whitening::Whitening;

use crate::{Check, apart, draw, hold, inner, refused, values};

/// The mean of a batch stays, and so does that of its cotangents, whoever is mixed with whom.
#[test]
fn mixtures_keep_the_mean() {
    let (x, n) = (draw(1, [8, 3]), 8);
    let partners: Vec<i64> = permutation(Key::from_seed(2), n).into_iter().map(|at| at as i64).collect();
    let partners = array(partners);
    let f = |x: Var, partners: Var, share: Var| mixup(x, partners, share);
    let share = array(mixing(Key::from_seed(3), 0.4).unwrap());
    let mixed = jit(f).call((&x, &partners, &share)).unwrap();
    let mean = |x: &Array| jit(|x: Var| x.sum_axes(&[0])).call(x).unwrap();
    assert!(apart(&mean(&mixed), &mean(&x)) < 1e-14 && apart(&mixed, &x) > 0.1);
    let slope = grad(|x: Var, s: (Var, Var)| mixup(x, s.0, s.1).sum())
        .call((&x, &(partners.clone(), share)))
        .unwrap();
    assert!(values(&slope).iter().all(|g| (g - 1.0).abs() < 1e-15));
    // All of one, all of the other.
    assert_eq!(jit(f).call((&x, &partners, &array(1.0))).unwrap(), x);
    let swapped = jit(|x: Var, p: Var| x.gather(0, p)).call((&x, &partners)).unwrap();
    assert_eq!(jit(f).call((&x, &partners, &array(0.0))).unwrap(), swapped);
    refused(
        |x| mixup(x, constant(&array([0_i64])), x.sum()),
        &x,
        "mixup: found f64[8,3] of x, i64[1] of partners and f64[] of the share",
    );
    assert!(mixing(Key::from_seed(1), -1.0).is_err());
}

/// A share has mean ½ and variance 1/(4 (2α + 1)): that of the beta distribution.
fn is_beta(alpha: f64, share: impl Fn(Key) -> f64) -> Check {
    let n = 2000;
    let draws: Vec<f64> = (0..n).map(|i| share(Key::from_seed(11).fold_in(i))).collect();
    let variance = 0.25 / (2.0 * alpha + 1.0);
    let off = draws.iter().map(|s| s - 0.5).sum::<f64>() / n as f64;
    let squares: Vec<f64> = draws.iter().map(|s| (s - 0.5).powi(2)).collect();
    let square = squares.iter().sum::<f64>() / n as f64;
    let spread = squares.iter().map(|s| (s - square).powi(2)).sum::<f64>() / n as f64;
    let [error, of_square] = [variance, spread].map(|v| 3.0 * (v / n as f64).sqrt());
    hold(off.abs() < error && (square - variance).abs() < of_square, || {
        format!("{off} ± {error}, {square} ± {of_square}")
    })
}

#[test]
fn shares_are_beta() {
    for alpha in [0.2, 1.0, 4.0] {
        assert_eq!(is_beta(alpha, |key| mixing(key, alpha).unwrap()), Ok(()), "{alpha}");
    }
    assert!(is_beta(0.2, |key| mixing(key, 1.0).unwrap()).is_err());
    // One key for all.
    assert!(is_beta(1.0, |_| mixing(Key::from_seed(5), 1.0).unwrap()).is_err());
}

/// Images of one bright pixel: where it went in each.
fn places(moved: &Array) -> Vec<Option<(usize, usize)>> {
    let shape = moved.shape().to_vec();
    let (height, width) = (shape[2], shape[3]);
    let place = |image: &[f64]| image.iter().position(|x| *x == 1.0).map(|at| (at / width, at % width));
    values(moved).chunks(height * width).map(place).collect()
}

#[test]
fn images_move_by_keys() {
    let n = 900;
    let mut dot = Array::zeros(DType::F64, [n, 1, 5, 5]);
    dot.make_mut::<f64>().unwrap().chunks_mut(25).for_each(|image| image[12] = 1.0);
    let key = Key::from_seed(4).to_array();
    let moved = jit(|x: Var, key: Var| shift(x, key, 1)).call((&dot, &key)).unwrap();
    // All nine moves, each as often as any: chi-squared with 8 degrees of freedom is below 26.1 in 999 of 1000 cases.
    let mut counts = [0.0; 9];
    for place in places(&moved) {
        let (row, column) = place.expect("it stays within the image");
        counts[3 * (row - 1) + column - 1] += 1.0;
    }
    let expected = n as f64 / 9.0;
    let chi: f64 = counts.iter().map(|c: &f64| (c - expected).powi(2) / expected).sum();
    assert!(chi < 26.1, "{counts:?}");
    // The same key, the same moves; another key, others.
    let again = jit(|x: Var, key: Var| shift(x, key, 1)).call((&dot, &key)).unwrap();
    assert!(again.bits_eq(&moved));
    let other = jit(|x: Var, key: Var| shift(x, key, 1)).call((&dot, &Key::from_seed(5).to_array())).unwrap();
    assert!(!other.bits_eq(&moved));
    // Flips: a fair coin, within three standard errors, and exactly the mirror image.
    let x = draw(1, [n, 1, 1, 2]);
    let flipped = jit(|x: Var, key: Var| flip(x, key)).call((&x, &key)).unwrap();
    let (before, after) = (values(&x), values(&flipped));
    let mut n_flipped = 0.0;
    for (a, b) in before.chunks(2).zip(after.chunks(2)) {
        assert!(a == b || [a[1], a[0]] == *b);
        n_flipped += f64::from(u8::from(a != b));
    }
    assert!((n_flipped - n as f64 / 2.0).abs() < 3.0 * (n as f64 / 4.0).sqrt(), "{n_flipped}");
    // Crops take every part, and the cotangent of a part goes back to where it was.
    let x = jit(|x: Var| x.broadcast([900, 1, 1, 3], &[3])).call(&array([1.0, 2.0, 3.0])).unwrap();
    let parts = jit(|x: Var, key: Var| crop(x, key, [1, 2])).call((&x, &key)).unwrap();
    let firsts: Vec<f64> = values(&parts).chunks(2).map(|p| p[0]).collect();
    assert!(values(&parts).chunks(2).all(|p| p[1] == p[0] + 1.0));
    assert!((firsts.iter().sum::<f64>() / n as f64 - 1.5).abs() < 3.0 * 0.5 / (n as f64).sqrt());
    let slope = grad(|x: Var, key: Var| (crop(x, key, [1, 2]) * 1.0).sum()).call((&x, &key)).unwrap();
    for (slope, first) in values(&slope).chunks(3).zip(firsts) {
        assert_eq!(slope, if first == 1.0 { [1.0, 1.0, 0.0] } else { [0.0, 1.0, 1.0] });
    }
    refused(
        |x| crop(x, constant(&Key::from_seed(1).to_array()), [2, 2]),
        &x,
        "crop: found parts of 2 by 2 of images f64[900,1,1,3]",
    );
    refused(
        |x| flip(x, constant(&Key::from_seed(1).to_array())),
        &draw(1, [2, 3]),
        "flip: found f64[2,3] of x, expected [n, channels, height, width]",
    );
}

/// Covariance I and mean 0 of what it was made from; the root is symmetric, and its slope is orthogonal to nothing.
#[test]
fn whitened_data_have_the_identity_as_covariance() {
    let mix =
        array([[3.0, 1.0, 0.0, 0.2], [0.0, 0.5, 0.1, 0.0], [0.3, 0.0, 1.0, 0.0], [0.0, 0.0, 0.7, 0.05]]);
    let x = jit(|x: Var, m: Var| x.dot(m) + 5.0).call((&draw(1, [400, 4]), &mix)).unwrap();
    let made = Whitening::of(&x, 0.0).unwrap();
    let f = |made: Whitening<Var>, x: Var| {
        let y = made.apply(x);
        (y.t().dot(y) / 400.0, y.sum_axes(&[0]) / 400.0)
    };
    let (covariance, mean) = jit(f).call((&made, &x)).unwrap();
    let eye = identity(4, DType::F64);
    assert!(apart(&covariance, &eye) < 1e-9, "{covariance}");
    assert!(values(&mean).iter().all(|m| m.abs() < 1e-12));
    let turned = jit(|r: Var| r.t()).call(&made.root).unwrap();
    assert!(apart(&turned, &made.root) < 1e-9 * inner(&made.root, &made.root).sqrt());
    assert!(
        Whitening::of(&draw(1, [3]), 0.0)
            .unwrap_err()
            .to_string()
            .contains("whitening: found data f64[3], expected [n, d]")
    );
}

#[test]
fn a_curriculum_begins_with_the_easiest() {
    let losses: Vec<f64> = values(&draw(1, [40]));
    for (step, n) in [(0, 8), (50, 24), (100, 40), (500, 40)] {
        let chosen = easiest(&losses, pace(step, 100, 0.2)).unwrap();
        assert_eq!(chosen.len(), n);
        let hardest = chosen.iter().map(|&at| losses[at]).fold(f64::NEG_INFINITY, f64::max);
        assert!((0..40).filter(|at| !chosen.contains(at)).all(|at| losses[at] >= hardest));
    }
    assert!(easiest(&losses, f64::NAN).is_err() && easiest(&losses, -0.1).is_err());
    assert_eq!(easiest(&losses, 0.0).unwrap().len(), 1);
}
