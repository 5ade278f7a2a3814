//! Norms of values and weights: cotangents are orthogonal to what a norm removes. Statistics go in and come out.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_tricks::primal::batch_norm::{BatchNorm, Moments, moments};
use retrograde_tricks::primal::group_norm::{GroupNorm, RmsNorm};
use retrograde_tricks::primal::layer_norm::LayerNorm;
use retrograde_tricks::primal::spectral_norm::Vectors;
use retrograde_tricks::primal::weight_norm::WeightNorm;

use crate::{Check, difference, draw, hold, inner, refused, values, weighed};

const WIDTH: usize = 6;

/// A norm of `[8, 6]`, the lanes it normalises, and whether it also removes their mean.
type Norm = fn(Var) -> Var;

fn ones() -> Var {
    retrograde_core::trace::var::full(DType::F64, [WIDTH], 1.0)
}

fn batch(x: Var) -> Var {
    let (scale, shift) = (ones(), ones() * 0.0);
    BatchNorm { scale, shift, epsilon: 0.0 }.by_batch(x).0
}

fn layer(x: Var) -> Var {
    LayerNorm { scale: ones(), shift: ones() * 0.0, epsilon: 0.0 }.apply(x)
}

fn rms(x: Var) -> Var {
    RmsNorm { scale: ones(), epsilon: 0.0 }.apply(x)
}

fn groups(x: Var) -> Var {
    GroupNorm { scale: ones(), shift: ones() * 0.0, groups: 2, epsilon: 0.0 }.apply(x)
}

/// Positions of each lane in an array `[8, 6]`.
fn lanes(of: &str) -> Vec<Vec<usize>> {
    match of {
        "columns" => (0..WIDTH).map(|j| (0..8).map(|i| i * WIDTH + j).collect()).collect(),
        "rows" => (0..8).map(|i| (0..WIDTH).map(|j| i * WIDTH + j).collect()).collect(),
        _ => (0..16).map(|i| (0..3).map(|j| i * 3 + j).collect()).collect(),
    }
}

/// x̄ ⟂ x̂, and x̄ ⟂ 1 where the mean is removed, lane by lane; ⟨w, w̄⟩ = 0 for the weight before it.
fn removes(norm: Norm, of: &str, mean: bool) -> Check {
    let x = draw(1, [8, WIDTH]);
    let x_bar = values(&grad(move |x: Var| weighed(norm(x).tanh())).call(&x).unwrap());
    let unit = values(&jit(norm).call(&x).unwrap());
    for lane in lanes(of) {
        let along: f64 = lane.iter().map(|&at| x_bar[at] * unit[at]).sum();
        let total: f64 = lane.iter().map(|&at| x_bar[at]).sum();
        let size = lane.iter().map(|&at| x_bar[at].powi(2)).sum::<f64>().sqrt();
        hold(size > 1e-3, || "nothing comes back".into())?;
        hold(along.abs() < 1e-12 * size, || format!("along x̂: {along} of {size}"))?;
        hold(!mean || total.abs() < 1e-12 * size, || format!("along 1: {total} of {size}"))?;
    }
    let (w, x) = (draw(2, [WIDTH, WIDTH]), draw(3, [8, WIDTH]));
    let w_bar = grad(move |w: Var, x: Var| weighed(norm(x.dot(w)).tanh())).call((&w, &x)).unwrap();
    let along = inner(&w_bar, &w).abs();
    hold(along < 1e-12 * inner(&w_bar, &w_bar).sqrt() * inner(&w, &w).sqrt(), || format!("along w: {along}"))
}

#[test]
fn cotangents_through_a_norm_are_orthogonal_to_what_it_removes() {
    let cases: [(&str, Norm, &str, bool); 4] = [
        ("batch", batch, "columns", true),
        ("layer", layer, "rows", true),
        ("rms", rms, "rows", false),
        ("group", groups, "groups", true),
    ];
    for (name, norm, of, mean) in cases {
        assert_eq!(removes(norm, of, mean), Ok(()), "{name}");
    }
    // By moments that are given, nothing is removed; nor is the mean by a root mean square, nor a column by a row's norm.
    let frozen: Norm = |x| {
        let moments = moments(x);
        let held = Moments { mean: moments.mean.stop_gradient(), variance: moments.variance.stop_gradient() };
        BatchNorm { scale: ones(), shift: ones() * 0.0, epsilon: 0.0 }.by(&held, x)
    };
    assert!(removes(frozen, "columns", true).is_err());
    assert!(removes(rms, "rows", true).is_err());
    assert!(removes(layer, "columns", true).is_err());
    // The direction of a weight: ⟨v, v̄⟩ = 0 for each output.
    let layer = WeightNorm { v: draw(1, [WIDTH, 4]), g: draw(2, [4]), bias: draw(3, [4]) };
    let loss = |layer: WeightNorm<Var>, x: Var| weighed(layer.apply(x).tanh());
    let slope = grad(loss).call((&layer, &draw(4, [8, WIDTH]))).unwrap();
    let (v, v_bar) = (values(&layer.v), values(&slope.v));
    for column in 0..4 {
        let along: f64 = (0..WIDTH).map(|i| v[i * 4 + column] * v_bar[i * 4 + column]).sum();
        assert!(along.abs() < 1e-14, "{along}");
    }
}

/// Over the channels of images too, and with running moments instead of a mode.
#[test]
fn statistics_of_a_batch_go_in_and_come_out() {
    let x = jit(|x: Var| 3.0 * x + 2.0).call(&draw(1, [5, 3, 4, 4])).unwrap();
    let layer = BatchNorm { epsilon: 0.0, ..BatchNorm::new(3, DType::F64) };
    let train = jit(|layer: BatchNorm<Var>, x: Var| layer.by_batch(x));
    let (y, found) = train.call((&layer, &x)).unwrap();
    let of = |a: &Array, channel: usize| -> Vec<f64> {
        let all = values(a);
        (0..240).filter(|at| at / 16 % 3 == channel).map(|at| all[at]).collect()
    };
    for channel in 0..3 {
        let (x, y) = (of(&x, channel), of(&y, channel));
        let mean = x.iter().sum::<f64>() / 80.0;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 80.0;
        assert!((values(&found.mean)[channel] - mean).abs() < 1e-14);
        assert!((values(&found.variance)[channel] - variance).abs() < 1e-13);
        assert!(y.iter().sum::<f64>().abs() < 1e-12);
        assert!((y.iter().map(|y| y * y).sum::<f64>() / 80.0 - 1.0).abs() < 1e-13);
    }
    // By its own moments, given, values are the same to the bit; a running average of them converges.
    let serve = jit(|layer: BatchNorm<Var>, m: Moments<Var>, x: Var| layer.by(&m, x));
    assert!(serve.call((&layer, &found, &x)).unwrap().bits_eq(&y));
    let follow = jit(|old: Moments<Var>, new: Moments<Var>| old.towards(&new, 0.5));
    let mut running = Moments::new(3, DType::F64);
    for _ in 0..60 {
        running = follow.call((&running, &found)).unwrap();
    }
    assert!(
        crate::apart(&running.mean, &found.mean) < 1e-15
            && crate::apart(&running.variance, &found.variance) < 1e-14
    );
    refused(
        batch,
        &draw(1, [2, 3]),
        "batch_norm: found f64[2,3] of x for parameters of 6 features on axis 1",
    );
    refused(rms, &draw(1, [2, 3]), "rms_norm: found f64[2,3] of x for parameters of 6 features on axis 1");
    refused(
        groups,
        &draw(1, [2, 3]),
        "group_norm: found f64[2,3] of x for parameters of 6 features on axis 1",
    );
}

/// The largest singular value after many steps, and its slope along a direction by differences.
fn largest(w: &Array) -> f64 {
    let start = Vectors::new(Key::from_seed(3), 5, 4, DType::F64);
    jit(|w: Var, v: Vectors<Var>| v.follow(w, 300).value(w)).call((w, &start)).unwrap().item().unwrap()
}

#[test]
fn the_slope_of_a_singular_value_is_that_with_its_vectors_fixed() {
    let (w, direction) = (draw(1, [5, 4]), draw(2, [5, 4]));
    let start = Vectors::new(Key::from_seed(3), 5, 4, DType::F64);
    let expected = difference(largest, &w, &direction);
    let off = |n_steps: usize| {
        let value = move |w: Var, start: Vectors<Var>| {
            let vectors = start.follow(w, n_steps);
            vectors.value(w)
        };
        let slope = grad(value).call((&w, &start)).unwrap();
        // The formula: u vᵀ, to the bit.
        let vectors =
            jit(move |w: Var, start: Vectors<Var>| start.follow(w, n_steps)).call((&w, &start)).unwrap();
        let (left, right) = (values(&vectors.left), values(&vectors.right));
        let outer: Vec<f64> = left.iter().flat_map(|u| right.iter().map(move |v| u * v)).collect();
        assert_eq!(values(&slope), outer);
        (inner(&slope, &direction) - expected).abs()
    };
    // What is missing goes down as the vectors converge: inexact before, the derivative after.
    let errors: Vec<f64> = [1, 4, 16].into_iter().map(off).collect();
    assert!(errors[0] > 1e-2 && errors[1] < 0.5 * errors[0] && errors[2] < 0.1 * errors[1], "{errors:?}");
    assert!(off(300) < 1e-8, "{}", off(300));
    // The value itself is second order in the vectors: its error shrinks as the square of the slope's.
    let value = |n: usize| {
        let f = move |w: Var, v: Vectors<Var>| v.follow(w, n).value(w);
        (jit(f).call((&w, &start)).unwrap().item::<f64>().unwrap() - largest(&w)).abs()
    };
    let rate = (value(16) / value(32)).ln() / (off(16) / off(32)).ln();
    assert!((rate - 2.0).abs() < 0.1, "{rate}");
    // The normalised weight has a largest singular value of 1.
    let unit = jit(|w: Var, v: Vectors<Var>| v.follow(w, 300).normalise(w)).call((&w, &start)).unwrap();
    assert!((largest(&unit) - 1.0).abs() < 1e-14);
}
