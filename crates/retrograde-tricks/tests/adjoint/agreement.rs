//! B3, B11, B18, B22.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit, jvp};
use retrograde_tricks::adjoint::adaptive_clip::{AdaptiveClip, AutoClip};
use retrograde_tricks::adjoint::centralise::{Centralise, project_conflicts};
use retrograde_tricks::adjoint::guided::{guided_relu, relevance_product};
use retrograde_tricks::adjoint::map::AdjointMap;
use retrograde_tricks::adjoint::sign::Sign;

use crate::{draw, inner, values};

fn scaled(a: &Array, by: f64) -> Array {
    Array::new(a.shape().clone(), values(a).iter().map(|x| by * x).collect::<Vec<f64>>()).unwrap()
}

fn size(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn adaptive_clipping_is_its_formula_and_scales() {
    let (w, g) = (draw(1, [7, 5]), draw(2, [7, 5]));
    let clip = jit(|g: Var, w: Var| AdaptiveClip::of(&w, 0.8).on(g));
    let found = values(&clip.call((&g, &w)).unwrap());
    let column = |a: &[f64], j: usize| (0..7).map(|i| a[5 * i + j]).collect::<Vec<f64>>();
    let mut n_clipped = 0;
    for j in 0..5 {
        let (w, g) = (column(&values(&w), j), column(&values(&g), j));
        let factor = (0.8 * size(&w).max(1e-3) / size(&g)).min(1.0);
        n_clipped += i32::from(factor < 1.0);
        let off = column(&found, j).iter().zip(&g).map(|(f, g)| (f - g * factor).abs()).fold(0.0, f64::max);
        assert!(off < 1e-15, "unit {j}: {off}");
    }
    assert!((1..5).contains(&n_clipped));
    // (w, g) → (c w, c g), with a power of two: to the bit.
    let twice = clip.call((&scaled(&g, 4.0), &scaled(&w, 4.0))).unwrap();
    assert!(values(&twice).iter().zip(&found).all(|(a, b)| *a == 4.0 * b));
    // Kernels [out, in, ..] by their first axis, vectors as a whole; zero weights count as the floor.
    let kernel = (draw(3, [2, 3, 2, 2]), draw(4, [2, 3, 2, 2]));
    let found = values(&clip.call((&kernel.1, &kernel.0)).unwrap());
    for (found, (w, g)) in
        found.chunks(12).zip(values(&kernel.0).chunks(12).zip(values(&kernel.1).chunks(12)))
    {
        assert!((size(found) - size(g).min(0.8 * size(w))).abs() < 1e-14);
    }
    let zero = values(&clip.call((&array([3.0, 4.0]), &array([0.0, 0.0]))).unwrap());
    assert!((size(&zero) - 0.8e-3).abs() < 1e-18);
    // At the edge the weights are those that stand there.
    let at_edge =
        grad(|w: Var, g: Var| (AdaptiveClip::of(&w, 0.8).at_edge(w) * g).sum()).call((&w, &g)).unwrap();
    assert!(at_edge.bits_eq(&clip.call((&g, &w)).unwrap()));
}

/// Against `numpy.percentile` of NumPy 2.3: linear interpolation.
#[test]
fn autoclip_is_a_percentile_of_what_was_seen() {
    let norms = [5.0, 1.0, 4.0, 2.0, 3.0];
    let bounds = |percentile: f64| {
        let mut clip = AutoClip::new(percentile).unwrap();
        norms.map(|norm| clip.bound(norm))
    };
    assert_eq!(bounds(0.0), [5.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(bounds(50.0), [5.0, 3.0, 4.0, 3.0, 3.0]);
    assert_eq!(bounds(100.0), [5.0; 5]);
    let expected = [5.0, 2.0, 2.5, 1.75, 2.0];
    assert!(bounds(25.0).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{:?}", bounds(25.0));
    assert_eq!(AutoClip::new(10.0).unwrap().bound(f64::NAN), f64::INFINITY);
}

#[test]
fn signs_do_not_know_the_size_of_the_loss() {
    let x = draw(1, [100]);
    let slope = |size: f64| {
        grad(move |x: Var| size * (Sign.at_edge(x).sin() * &draw(2, [100])).sum()).call(&x).unwrap()
    };
    let expected = slope(1.0);
    assert!(values(&expected).iter().all(|g| g.abs() == 1.0));
    for size in [1e-200, 0.3, 7.0, 1e200] {
        assert!(slope(size).bits_eq(&expected), "{size}");
    }
    assert!(slope(-1.0).bits_eq(&scaled(&expected, -1.0)));
}

#[test]
fn projected_gradients_do_not_oppose_each_other() {
    let mut n_opposed = 0;
    let project = jit(|a: Var, b: Var| project_conflicts(&[a, b]));
    for seed in 0..100 {
        let (a, b) = (draw(2 * seed, [6]), draw(2 * seed + 1, [6]));
        let opposed = inner(&a, &b) < 0.0;
        n_opposed += i32::from(opposed);
        // Each projected one by the formula, and the sum.
        let without = |g: &Array, other: &Array| {
            let factor = (inner(g, other) / inner(other, other)).min(0.0);
            values(g).iter().zip(values(other)).map(|(g, o)| g - factor * o).collect::<Vec<f64>>()
        };
        let (pa, pb) = (array(without(&a, &b)), array(without(&b, &a)));
        let (size_a, size_b) = (size(&values(&a)), size(&values(&b)));
        assert!(inner(&pa, &b) >= -1e-15 * size_a * size_b && inner(&pb, &a) >= -1e-15 * size_a * size_b);
        let sum = project.call((&a, &b)).unwrap();
        let off: f64 = values(&sum)
            .iter()
            .zip(values(&pa).iter().zip(values(&pb)))
            .map(|(s, (a, b))| (s - a - b).abs())
            .sum();
        assert!(off < 1e-13 * (size_a + size_b), "{off}");
        // So the sum opposes neither.
        assert!(inner(&sum, &a) > -1e-14 * size_a * size_a && inner(&sum, &b) > -1e-14 * size_b * size_b);
        if !opposed {
            let plain: Vec<f64> = values(&a).iter().zip(values(&b)).map(|(a, b)| a + b).collect();
            assert!(sum.bits_eq(&array(plain)));
        }
    }
    assert_eq!(n_opposed, 45);
    // Centralised: no mean is left, a second time changes nothing, and it is a projection in both modes.
    let g = draw(1, [7, 5]);
    let central = jit(|g: Var| Centralise.on(g));
    let once = central.call(&g).unwrap();
    for j in 0..5 {
        let column: f64 = (0..7).map(|i| values(&once)[5 * i + j]).sum();
        assert!(column.abs() < 1e-14);
    }
    let again = central.call(&once).unwrap();
    assert!(values(&again).iter().zip(values(&once)).all(|(a, b)| (a - b).abs() < 1e-15));
    let (_, tangent) = jvp(|x: Var| Centralise.at_edge(x)).call(&draw(2, [7, 5]), &g).unwrap();
    assert!(values(&tangent).iter().zip(values(&once)).all(|(a, b)| (a - b).abs() < 1e-15));
}

#[test]
fn guided_cotangents_are_their_formula_and_relevance_is_conserved() {
    let (x, y_bar) = (draw(1, [200]), draw(2, [200]));
    let found = grad(|x: Var, y_bar: Var| (guided_relu(x) * y_bar).sum()).call((&x, &y_bar)).unwrap();
    let formula =
        values(&x).into_iter().zip(values(&y_bar)).map(|(x, g)| if x > 0.0 { g.max(0.0) } else { 0.0 });
    assert!(found.bits_eq(&array(formula.collect::<Vec<f64>>())));
    // Relevance through two layers with a rectifier between: the sum stays. Something speaks for every output.
    let positive = |a: Array| jit(|a: Var| a.abs()).call(&a).unwrap();
    let (x, w, mut v) = (positive(draw(3, [4, 8])), positive(draw(4, [8, 6])), draw(5, [6, 3]));
    v.make_mut::<f64>().unwrap()[..3].iter_mut().for_each(|v| *v = v.abs());
    let network = |x: Var, (w, v): (Var, Var), y_bar: Var| {
        let h = relevance_product(x, w).max(0.0);
        (relevance_product(h, v) * y_bar).sum()
    };
    let relevance = jit(|h: Var| h.abs()).call(&draw(6, [4, 3])).unwrap();
    let found = values(&grad(network).call((&x, &(w, v), &relevance)).unwrap());
    for (row, given) in found.chunks(8).zip(values(&relevance).chunks(3)) {
        let (total, expected) = (row.iter().sum::<f64>(), given.iter().sum::<f64>());
        assert!(
            row.iter().all(|r| *r >= 0.0) && (total / expected - 1.0).abs() < 1e-14,
            "{total} {expected}"
        );
    }
}
