//! B10.

use retrograde_array::rng::Key;
use retrograde_array::{DType, array, ops};
use retrograde_core::trace::{Var, tree};
use retrograde_engine::{grad, jit};
use retrograde_tricks::adjoint::loss_scaling::{LossScale, flushed_part};
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::primal::loss::cross_entropy;

use crate::draw;

#[test]
fn a_power_of_two_changes_no_bit_and_flushes_less() {
    let mlp = Mlp::xavier(Key::from_seed(1), 6, &[9, 7], 4, Activation::Tanh, DType::F32);
    let x = ops::convert(&draw(2, [10, 6]), DType::F32);
    let labels = array((0..10).map(|i| i % 4).collect::<Vec<i64>>());
    let plain = grad(|mlp: Mlp<Var>, x: Var, labels: Var| cross_entropy(mlp.apply(x), labels));
    let expected = tree::leaves(&plain.call((&mlp, &x, &labels)).unwrap());
    let times = |factor: f64| {
        jit(move |(mlp, state): (Mlp<Var>, LossScale<Var>), x: Var, labels: Var| {
            let loss = |mlp: Mlp<Var>, (state, x): (LossScale<Var>, Var), labels: Var| {
                state.scaled(factor * cross_entropy(mlp.apply(x), labels))
            };
            state.unscaled(grad(loss).at((mlp, (state.clone(), x), labels)))
        })
    };
    let scaled = times(1.0);
    for log2 in [-20, 0, 1, 16, 60] {
        let (found, is_good, _) =
            scaled.call((&(mlp.clone(), LossScale::new(log2, 100)), &x, &labels)).unwrap();
        assert_eq!(is_good, array(true));
        let same = tree::leaves(&found).iter().zip(&expected).all(|(a, b)| a.1.bits_eq(&b.1));
        assert!(same, "2^{log2}");
    }
    // Overflow is noticed, and nothing of it gets through.
    let (found, is_good, next) =
        times(1e4).call((&(mlp.clone(), LossScale::new(127, 100)), &x, &labels)).unwrap();
    assert_eq!((is_good, next.scale), (array(false), array(2f32.powi(126))));
    assert!(tree::leaves(&found).iter().all(|(_, g)| g.to_vec::<f32>().unwrap().iter().all(|g| *g == 0.0)));
    // A factor that is no power of two changes bits: the check can see it.
    let other = LossScale { scale: array(3.0_f32), ..LossScale::new(0, 100) };
    let (found, ..) = scaled.call((&(mlp, other), &x, &labels)).unwrap();
    assert!(tree::leaves(&found).iter().zip(&expected).any(|(a, b)| !a.1.bits_eq(&b.1)));

    // bf16 has 8 exponent bits and 7 of fraction: its least number is 2^-133.
    let (n, deviation, least) = (20_000, 2f64.powi(-133), 2f64.powi(-133));
    let small = jit(move |z: Var| z * deviation).call(&draw(3, [n])).unwrap();
    let mut parts = vec![];
    for log2 in [0, 2, 4] {
        let scale = 2f64.powi(log2);
        let narrow = jit(move |g: Var| (g * scale).convert(DType::BF16).convert(DType::F64).eq(0.0))
            .call(&small)
            .unwrap();
        let found = narrow.to_vec::<bool>().unwrap().iter().filter(|zero| **zero).count() as f64 / n as f64;
        let expected = flushed_part(deviation, least, scale);
        let error = (expected * (1.0 - expected) / n as f64).sqrt();
        assert!((found - expected).abs() < 3.0 * error, "2^{log2}: {found}, expected {expected} ± {error}");
        parts.push(found);
    }
    assert!(parts[0] > 0.35 && parts[1] < 0.12 && parts[2] < 0.03);
}
