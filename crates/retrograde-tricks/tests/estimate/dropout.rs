//! D2: dropout, DropConnect, stochastic depth, zoneout.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::control::taped;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, hvp, jit, vmap};
use retrograde_tricks::estimate::dropout::{drop_connect, dropout, masked, stochastic_depth, zoneout};
use retrograde_tricks::estimate::estimator::{CheckError, Estimator};

use crate::{all_masks, close, message, number, numbers, probability};

const KEEP: f64 = 0.8;

#[test]
fn dropout_adds_the_ridge_term_and_keeps_its_mask() {
    // A linear net: E (w·(m x / p) − t)² = (w·x − t)² + (1 − p)/p Σ w² x².
    let (x, w, target) = ([1.0, -2.0, 0.5, 3.0], [0.3, 1.0, -2.0, 0.7], 0.4);
    let f = jit(|mask: Var, x: Var, w: Var| {
        let y = masked(mask, KEEP, x);
        let miss = y.dot(w) - 0.4;
        (y, miss * miss)
    });
    let (mut mean, mut loss) = (vec![0.0; 4], 0.0);
    for mask in all_masks(4) {
        let weight = probability(&mask, &[KEEP; 4]);
        let (y, miss) = f.call((&array(mask), &array(x), &array(w))).unwrap();
        mean.iter_mut().zip(numbers(&y)).for_each(|(mean, y)| *mean += weight * y);
        loss += weight * number(&miss);
    }
    let miss = x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>() - target;
    let ridge = x.iter().zip(&w).map(|(x, w)| (x * w).powi(2)).sum::<f64>() * (1.0 - KEEP) / KEEP;
    mean.iter().zip(&x).for_each(|(mean, x)| close(*mean, *x, 1e-14));
    close(loss, miss * miss + ridge, 1e-14);

    // One mask: the network is linear in x, so that slope and value share it, under every policy and at second order.
    let (x, key, v) = (array([1.0; 64]), Key::from_seed(5).to_array(), array([3.0; 64]));
    let scale = jit(|x: Var, key: Var| dropout(key, KEEP, x)).call((&x, &key)).unwrap();
    assert!(numbers(&scale).contains(&0.0) && numbers(&scale).contains(&(1.0 / KEEP)));
    let slope = grad(|x: Var, key: Var| dropout(key, KEEP, x).sum()).call((&x, &key)).unwrap();
    let again = |x: Var, key: Var| taped(Tape::Recompute, move |x: Var| dropout(key, KEEP, x.sin()), x).sum();
    let kept = |x: Var, key: Var| dropout(key, KEEP, x.sin()).sum();
    assert!(slope.bits_eq(&scale));
    let (again, kept) = (grad(again).call((&x, &key)).unwrap(), grad(kept).call((&x, &key)).unwrap());
    assert!(again.bits_eq(&kept));
    let square = |x: Var, key: Var| {
        let y = dropout(key, KEEP, x);
        (y * y).sum() * 0.5
    };
    let second = hvp(square).call((&x, &key), &v).unwrap();
    let expected = jit(|s: Var| s * 3.0 / KEEP).call(&scale).unwrap();
    numbers(&second)
        .iter()
        .zip(numbers(&expected))
        .for_each(|(found, expected)| close(*found, expected, 1e-15));
}

#[test]
fn a_key_that_the_adjoint_does_not_share_is_found() {
    // The mutation: the backward sweep draws its own mask. The mean of the slope of Σ y²/2 is x/p with one mask, x with two.
    let x = [1.0, -2.0, 0.5];
    let mean = array(x.map(|x| x / KEEP));
    let shared = move |key: Var| {
        grad(move |x: Var| {
            let y = dropout(key, KEEP, x);
            (y * y).sum() * 0.5
        })
        .at(constant(&array(x)))
    };
    let apart = move |key: Var| {
        let keys = retrograde_tricks::estimate::draw::split(key, 2);
        dropout(keys[1], KEEP, dropout(keys[0], KEEP, constant(&array(x))))
    };
    let check =
        Estimator::new("one mask", Key::from_seed(11), shared).mean(mean.clone()).check(2000).unwrap();
    assert!(check.power.unwrap() > 0.99, "{check:?}");
    let broken = Estimator::new("two masks", Key::from_seed(11), apart).mean(mean).check(2000);
    assert!(matches!(broken, Err(CheckError::Mean { .. })), "{broken:?}");
}

#[test]
fn every_kind_of_dropout_has_its_mean_and_variance() {
    let w = [1.0, -2.0, 0.5];
    let variance = |p: f64| w.iter().map(|w| w * w).sum::<f64>() * (1.0 - p) / p;
    let connected = move |key: Var| drop_connect(key, KEEP, &(constant(&array(w)), constant(&array(2.0))));
    let connected = Estimator::new("drop_connect", Key::from_seed(1), connected);
    connected
        .mean((array(w), array(2.0)))
        .variance(variance(KEEP) + 4.0 * (1.0 - KEEP) / KEEP)
        .check(2000)
        .unwrap();
    // x + m f/p with f = x²: variance f² (1 − p)/p.
    let deep = |key: Var| stochastic_depth(key, 0.5, constant(&array(3.0)), |x| x * x);
    let deep = Estimator::new("stochastic_depth", Key::from_seed(2), deep);
    deep.mean(array(12.0)).variance(81.0).check(2000).unwrap();
    // stay·old + (1 − stay)·new; variance stay (1 − stay) (old − new)².
    let zoned = |key: Var| zoneout(key, 0.25, constant(&array([1.0, 2.0])), constant(&array([5.0, 4.0])));
    let zoned = Estimator::new("zoneout", Key::from_seed(3), zoned);
    zoned.mean(array([4.0, 3.5])).variance(0.25 * 0.75 * 20.0).check(2000).unwrap();
}

#[test]
fn a_branch_that_is_not_there_is_not_computed_and_lanes_have_their_own_masks() {
    let keys = Key::from_seed(4).split(64).into_iter().map(|key| key.to_array()).collect::<Vec<_>>();
    let keys = Array::stack(&keys).unwrap();
    let one = |key: Var| dropout(key, 0.5, constant(&array([1.0; 16])));
    let rows = jit(vmap(one)).call(&keys).unwrap();
    let rows = numbers(&rows);
    assert!(rows.chunks(16).skip(1).all(|row| row != &rows[..16]));
    // Where the branch would divide by zero, a step without it is finite.
    let f = jit(|key: Var, x: Var| stochastic_depth(key, 0.5, x, |x| x / 0.0));
    let found: Vec<f64> = Key::from_seed(4)
        .split(16)
        .iter()
        .map(|key| number(&f.call((&key.to_array(), &array(1.0))).unwrap()))
        .collect();
    assert!(found.contains(&1.0) && found.contains(&f64::INFINITY), "{found:?}");
}

#[test]
fn probabilities_outside_the_unit_interval_are_refused_at_their_line() {
    let (key, x) = (Key::from_seed(1).to_array(), array([1.0, 2.0]));
    for keep in [0.0, -0.1, 1.0 + 1e-9, f64::NAN] {
        let one = message(jit(|x: Var, key: Var| dropout(key, keep, x)).call((&x, &key)));
        assert!(
            one.contains(&format!("dropout: found a probability of {keep}, expected one in (0, 1]")),
            "{one}"
        );
        let one = message(jit(|x: Var, key: Var| drop_connect(key, keep, &x)).call((&x, &key)));
        assert!(one.contains("drop_connect: found a probability"), "{one}");
        let one = message(jit(|x: Var, key: Var| stochastic_depth(key, keep, x, |x| x)).call((&x, &key)));
        assert!(one.contains("stochastic_depth: found a probability"), "{one}");
    }
    for stay in [-0.1, 1.1, f64::NAN] {
        let one = message(jit(|x: Var, key: Var| zoneout(key, stay, x, x)).call((&x, &key)));
        assert!(
            one.contains("zoneout: found a probability of") && one.contains("expected one in [0, 1]"),
            "{one}"
        );
    }
}
