//! B20.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::{Var, tree};
use retrograde_engine::{grad, jit};
use retrograde_solve::hotelling::hotelling;
use retrograde_tricks::adjoint::per_example::{Private, dense_gradient_norms, per_example_gradients};
use retrograde_tricks::primal::dense::{Activation, Linear, Mlp};

use crate::{draw, values};

/// One example: a row, and what it should give.
type Example = (Var, Var);

fn loss(mlp: Mlp<Var>, (x, y): Example) -> Var {
    let off = mlp.apply(x.reshape([1, 4])).reshape([3]) - y;
    (off * off).sum()
}

fn setting(dtype: DType) -> (Mlp<Array>, (Array, Array)) {
    let mlp = Mlp::xavier(Key::from_seed(1), 4, &[6], 3, Activation::Tanh, dtype);
    (mlp, (ops::convert(&draw(2, [200, 4]), dtype), ops::convert(&draw(3, [200, 3]), dtype)))
}

/// Row i of every leaf, in f64.
fn row(stacked: &Mlp<Array>, i: usize) -> Vec<f64> {
    tree::leaves(stacked)
        .iter()
        .flat_map(|(_, leaf)| values(&ops::convert(&leaf.row(i), DType::F64)))
        .collect()
}

/// Whether ‖g‖² ≤ c², with the sum of squares in twice the digits of an f64: each square apart from its error, both summed.
fn is_within(g: &[f64], c: f64) -> bool {
    let (mut total, mut lost) = (-(c * c), -c.mul_add(c, -(c * c)));
    for g in g {
        let square = g * g;
        lost += g.mul_add(*g, -square);
        let next = total + square;
        let part = next - total;
        lost += (total - (next - part)) + (square - part);
        total = next;
    }
    total + lost <= 0.0
}

#[test]
fn no_example_adds_more_than_its_bound() {
    let (mlp, data) = setting(DType::F64);
    let all = jit(|mlp: Mlp<Var>, data: Example| per_example_gradients(loss, mlp, data))
        .call((&mlp, &data))
        .unwrap();
    let one = grad(loss);
    for i in 0..20 {
        let alone = one.call((&mlp, &(data.0.row(i), data.1.row(i)))).unwrap();
        let alone: Vec<f64> = tree::leaves(&alone).iter().flat_map(|(_, leaf)| values(leaf)).collect();
        let size = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!((size(&row(&all, i)) / size(&alone) - 1.0).abs() < 1e-15);
    }
    for dtype in [DType::F64, DType::F32] {
        let (mlp, data) = setting(dtype);
        let bound = 0.7;
        let private = Private { bound, noise: 0.0 };
        let clipped = jit(move |mlp: Mlp<Var>, data: Example| private.clipped(loss, mlp, data))
            .call((&mlp, &data))
            .unwrap();
        let mut n_close = 0;
        for i in 0..200 {
            let g = row(&clipped, i);
            assert!(is_within(&g, bound), "example {i}");
            n_close += i32::from(!is_within(&g, bound * (1.0 - 1e-5)));
        }
        assert!(n_close > 100, "{n_close}");
    }
    // Plain clipping by C/‖g‖ exceeds the bound by rounding: the check can see it.
    let exceeds = jit(|mlp: Mlp<Var>, data: Example| {
        let g = per_example_gradients(loss, mlp, data);
        let flat = g.head.bias;
        flat * (0.7 / flat.norm_axes(&[1])).broadcast(flat.shape(), &[0])
    });
    let over = exceeds.call((&mlp, &data)).unwrap();
    assert!((0..200).any(|i| !is_within(&values(&over.row(i)), 0.7)));
    // The sum is that of the clipped ones.
    let private = Private { bound: 0.7, noise: 0.0 };
    let key = Key::from_seed(4).to_array();
    let sum = jit(move |mlp: Mlp<Var>, data: Example, key: Var| private.gradient(loss, mlp, data, key));
    let clipped = jit(move |mlp: Mlp<Var>, data: Example| private.clipped(loss, mlp, data))
        .call((&mlp, &data))
        .unwrap();
    let found: Vec<f64> =
        tree::leaves(&sum.call((&mlp, &data, &key)).unwrap()).iter().flat_map(|(_, g)| values(g)).collect();
    let rows: Vec<Vec<f64>> = (0..200).map(|i| row(&clipped, i)).collect();
    let expected: Vec<f64> = (0..found.len()).map(|k| rows.iter().map(|row| row[k]).sum()).collect();
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
}

/// The norms of a dense layer come without its gradients.
#[test]
fn norms_of_a_dense_layer_are_those_of_its_gradients() {
    let layer = Linear::xavier(Key::from_seed(1), 5, 4, DType::F64);
    let (x, y_bar) = (draw(2, [30, 5]), draw(3, [30, 4]));
    let ghost = values(&jit(dense_gradient_norms).call((&x, &y_bar)).unwrap());
    let of_one =
        |layer: Linear<Var>, (x, y_bar): Example| (layer.apply(x.reshape([1, 5])).reshape([4]) * y_bar).sum();
    let all = jit(|layer: Linear<Var>, data: Example| per_example_gradients(of_one, layer, data));
    let all = all.call((&layer, &(x, y_bar))).unwrap();
    for (i, ghost) in ghost.iter().enumerate() {
        let g = [values(&all.weight.row(i)), values(&all.bias.row(i))].concat();
        let size = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!((ghost / size - 1.0).abs() < 1e-14, "example {i}: {ghost} {size}");
    }
}

#[test]
fn the_noise_is_that_of_its_multiple() {
    const N: usize = 2000;
    let (w, x) = (array([0.0; 4]), draw(1, [6, 4]));
    let linear = |w: Var, x: Var| (w * x).sum();
    let (bound, noise) = (0.5, 3.0);
    let private = Private { bound, noise };
    let clipped = values(
        &jit(move |w: Var, x: Var| Private { noise: 0.0, ..private }.clipped(linear, w, x).sum_axes(&[0]))
            .call((&w, &x))
            .unwrap(),
    );
    let step = jit(move |w: Var, x: Var, key: Var| private.gradient(linear, w, x, key));
    let draws: Vec<Vec<f64>> = Key::from_seed(2)
        .split(N)
        .into_iter()
        .map(|key| values(&step.call((&w, &x, &key.to_array())).unwrap()))
        .collect();
    let found = hotelling(&draws, &clipped).unwrap();
    assert!(found.p > 0.01 && found.rank == 4, "{found:?}");
    for k in 0..4 {
        let variance = draws.iter().map(|row| (row[k] - clipped[k]).powi(2)).sum::<f64>() / N as f64;
        let expected = (noise * bound) * (noise * bound);
        assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / N as f64).sqrt(), "{variance} {expected}");
    }
    // A sum that is off by a twentieth of the deviation is refused, and so is a key that is used twice.
    let off: Vec<f64> = clipped.iter().map(|g| g + 0.1 * noise * bound).collect();
    assert!(hotelling(&draws, &off).unwrap().p < 1e-6);
    let same = values(&step.call((&w, &x, &Key::from_seed(3).to_array())).unwrap());
    assert!(hotelling(&vec![same; 100], &clipped).unwrap().p < 1e-6);
}
