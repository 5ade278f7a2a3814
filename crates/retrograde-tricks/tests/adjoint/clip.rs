//! B1, B2, B4.

use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, scan_over};
use retrograde_engine::{grad, jit, jvp, value_and_grad};
use retrograde_tricks::adjoint::clip::{ClipNorm, ClipValue, clip_each_step};
use retrograde_tricks::adjoint::map::AdjointMap;

use crate::{draw, inner, values};

#[test]
fn clipping_by_value_is_its_formula_and_idempotent() {
    let g = draw(1, [1000]);
    let clip = ClipValue { bound: 0.7 };
    let once = jit(|g: Var| clip.on(g)).call(&g).unwrap();
    let formula: Vec<f64> = values(&g).iter().map(|g| g.min(0.7).max(-0.7)).collect();
    assert!(once.bits_eq(&array(formula)));
    assert!(jit(|g: Var| clip.on(g)).call(&once).unwrap().bits_eq(&once));
    // Inside of the box nothing changes.
    let small = array(values(&g).iter().map(|g| 0.1 * g).filter(|g| g.abs() < 0.7).collect::<Vec<f64>>());
    assert!(small.size() > 990 && jit(|g: Var| clip.on(g)).call(&small).unwrap().bits_eq(&small));
    // The same at an edge, in every float type.
    for dtype in [DType::F64, DType::F32, DType::BF16] {
        let (x, weights) = (ops::convert(&draw(2, [50]), dtype), ops::convert(&draw(3, [50]), dtype));
        let at_edge = grad(|x: Var, w: Var| (clip.at_edge(x) * w).sum()).call((&x, &weights)).unwrap();
        assert!(at_edge.bits_eq(&jit(|g: Var| clip.on(g)).call(&weights).unwrap()), "{dtype}");
    }
}

type Three = (Var, Var, Var);

/// ‖g‖ in more digits than an f64 has: pairs of sum and what the sum lost.
fn norm(leaves: &[&Array]) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for g in leaves.iter().flat_map(|leaf| values(leaf)) {
        let square = g * g;
        lost += g.mul_add(g, -square);
        let next = total + square;
        lost += if total > square { (total - next) + square } else { (square - next) + total };
        total = next;
    }
    (total + lost).sqrt()
}

#[test]
fn clipping_by_norm_keeps_the_direction_and_bounds_the_norm() {
    let mut worst: f64 = 0.0;
    for seed in 0..20 {
        let g = (draw(seed, [7, 5]), draw(100 + seed, [40]), draw(200 + seed, []));
        let size = norm(&[&g.0, &g.1, &g.2]);
        for bound in [0.5, 3.0, 100.0] {
            let clip = jit(|g: Three| ClipNorm { bound }.on(g));
            let found = clip.call(&g).unwrap();
            let clipped = norm(&[&found.0, &found.1, &found.2]);
            let expected = size.min(bound);
            worst = worst.max((clipped - expected).abs() / (expected * f64::EPSILON));
            let product = inner(&g.0, &found.0) + inner(&g.1, &found.1) + inner(&g.2, &found.2);
            assert!((product / (size * clipped) - 1.0).abs() < 1e-15, "{product}");
            if size < bound {
                assert!(found.0.bits_eq(&g.0) && found.1.bits_eq(&g.1) && found.2.bits_eq(&g.2));
            }
        }
    }
    // A few roundings on the way: of the norm, of the quotient, and of each entry.
    assert!(worst <= 4.0, "{worst} ulp");

    // Any order of the leaves.
    let leaves = [draw(1, [30]), draw(2, [30]), draw(3, [30])];
    let clip = jit(|g: Vec<Var>| ClipNorm { bound: 1.0 }.on(g));
    let first = clip.call(&leaves.to_vec()).unwrap();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let found = clip.call(&order.map(|i| leaves[i].clone()).to_vec()).unwrap();
        assert!(order.iter().zip(&found).all(|(&i, found)| found.bits_eq(&first[i])), "{order:?}");
    }

    // Squares that overflow in f32, and leaves of several types.
    let huge = (array([3e30_f32, 0.0]), array([4e30]), array(0.0));
    let found = jit(|g: Three| ClipNorm { bound: 5.0 }.on(g)).call(&huge).unwrap();
    // 3e30 is no f32, but for its first 7 digits.
    assert!((values(&found.1)[0] - 4.0).abs() < 1e-6);
    assert!((found.0.to_vec::<f32>().unwrap()[0] - 3.0).abs() < 1e-6);
    // Zero stays, and what is not finite is seen and not scaled away.
    let clip = jit(|g: Var| ClipNorm { bound: 1.0 }.on(g));
    assert_eq!(clip.call(&array([0.0, 0.0])).unwrap(), array([0.0, 0.0]));
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(values(&clip.call(&array([1.0, bad])).unwrap()).iter().all(|g| g.is_nan()));
    }
}

/// The loop h ← tanh(w h) + x, by hand.
#[test]
fn clipping_each_step_is_a_clamp_at_each_step() {
    let (xs, h0, w, bound) = (draw(1, [20, 3]), draw(2, [3]), 1.3, 0.05);
    let run = move |h: Var, xs: Var, clipped: bool| {
        let step = move |h: Var, x: Var| {
            let h = if clipped { clip_each_step(bound, h) } else { h };
            ((w * h).tanh() + x, Vec::<Var>::new())
        };
        scan_over().run(h, xs, step).0.sum()
    };
    let (value, slope) = value_and_grad(move |h: Var, xs: Var| run(h, xs, true)).call((&h0, &xs)).unwrap();
    let (plain, plain_slope) =
        value_and_grad(move |h: Var, xs: Var| run(h, xs, false)).call((&h0, &xs)).unwrap();
    assert!(value.bits_eq(&plain));

    // Forward, keeping tanh(w h) of every step; backward with a clamp after each.
    let xs = values(&xs);
    let (mut h, mut kept) = (values(&h0), vec![]);
    for x in xs.chunks(3) {
        let t = values(&jit(move |h: Var| (w * h).tanh()).call(&array(h)).unwrap());
        h = t.iter().zip(x).map(|(t, x)| t + x).collect();
        kept.push(t);
    }
    let mut h_bar = vec![1.0; 3];
    for t in kept.iter().rev() {
        let of_step = |(h, t): (&f64, &f64)| (w * ((1.0 - t * t) * h)).clamp(-bound, bound);
        h_bar = h_bar.iter().zip(t).map(of_step).collect();
    }
    let apart = |a: &Array| {
        let off = values(a).iter().zip(&h_bar).map(|(a, b)| (a / b - 1.0).abs()).collect::<Vec<f64>>();
        off.into_iter().fold(0.0, f64::max)
    };
    // Three roundings a step, in either program.
    assert!(apart(&slope) <= 60.0 * f64::EPSILON, "{}", apart(&slope));
    // Clipping the final gradient is another map.
    let at_end = jit(move |g: Var| ClipValue { bound }.on(g)).call(&plain_slope).unwrap();
    assert!(apart(&at_end) > 1.0, "{}", apart(&at_end));
}

/// Second order is that of the clipped gradient; forward mode is that of the primal.
#[test]
fn derivatives_of_clipped_ones_are_those_of_what_is_computed() {
    let clip = ClipValue { bound: 1.0 };
    let f = |x: Var| clip.at_edge(x).powi(3).sum();
    let x = array([0.1, 0.3, 2.0]);
    // 3x² is clipped at the third.
    let slope = |x: Var| grad(f).at(x);
    let (g, of_slope) = jvp(slope).call(&x, &array([1.0; 3])).unwrap();
    let close = |a: &Array, b: [f64; 3]| values(a).iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15);
    assert!(close(&g, [0.03, 0.27, 1.0]) && close(&of_slope, [0.6, 1.8, 0.0]), "{g} {of_slope}");
    let reverse = grad(move |x: Var| slope(x).sum()).call(&x).unwrap();
    assert!(close(&reverse, [0.6, 1.8, 0.0]), "{reverse}");
    let (_, tangent) = jvp(|x: Var| clip.at_edge(x).powi(3)).call(&x, &array([1.0; 3])).unwrap();
    assert!(values(&tangent).iter().zip([0.03, 0.27, 12.0]).all(|(a, b)| (a - b).abs() < 1e-14), "{tangent}");
    // Two uses are two clamps: equal ones are not merged.
    let twice = |x: Var| (3.0 * clip.at_edge(x) + 3.0 * clip.at_edge(x)).sum();
    assert_eq!(grad(twice).call(&x).unwrap(), array([2.0; 3]));
    let in_loop = |x: Var| scan(3).repeat(x, |x| 3.0 * clip.at_edge(x));
    assert_eq!(jvp(in_loop).call(&x, &array([1.0; 3])).unwrap().1, array([27.0; 3]));
}
