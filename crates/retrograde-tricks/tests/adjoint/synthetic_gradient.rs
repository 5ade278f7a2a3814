//! B14.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, value_and_grad, vjp};
use retrograde_tricks::adjoint::synthetic_gradient::{decoupled, synthetic_gradient};
use retrograde_tricks::primal::dense::Linear;

use crate::{bits, draw, values};

fn below(layer: Linear<Var>, x: Var) -> Var {
    layer.apply(x).tanh()
}

fn above(layer: Linear<Var>, h: Var) -> Var {
    (layer.apply(h).tanh() * 0.5).sum()
}

#[test]
fn a_true_prediction_is_backpropagation_and_a_cut_is_a_cut() {
    let linear =
        |seed: u64, n_in: usize, n_out: usize| Linear::xavier(Key::from_seed(seed), n_in, n_out, DType::F64);
    let net = (linear(1, 4, 6), linear(2, 6, 3));
    let x = draw(3, [5, 4]);
    let plain = |net: (Linear<Var>, Linear<Var>), x: Var| above(net.1, below(net.0, x));
    let (value, slope) = value_and_grad(plain).call((&net, &x)).unwrap();
    // The true cotangent of h, from outside.
    let h = retrograde_engine::jit(below).call((&net.0, &x)).unwrap();
    let h_bar = grad(above).wrt::<1>().call((&net.1, &h)).unwrap();
    let cut = |net: (Linear<Var>, Linear<Var>), x: Var, predicted: Var| {
        above(net.1, synthetic_gradient(below(net.0, x), predicted))
    };
    let (same, by_prediction) = value_and_grad(cut).call((&net, &x, &h_bar)).unwrap();
    assert!(same.bits_eq(&value));
    let all = |net: &(Linear<Array>, Linear<Array>)| {
        [net.0.weight.clone(), net.0.bias.clone(), net.1.weight.clone(), net.1.bias.clone()]
    };
    let (a, b) = (all(&slope), all(&by_prediction));
    assert!(bits(&a.iter().collect::<Vec<_>>(), &b.iter().collect::<Vec<_>>()));
    // Another prediction is another gradient: linear in it.
    let doubled =
        array(values(&h_bar).iter().map(|g| 2.0 * g).collect::<Vec<f64>>()).reshaped([5, 6]).unwrap();
    let (_, twice) = value_and_grad(cut).call((&net, &x, &doubled)).unwrap();
    assert!(values(&twice.0.weight).iter().zip(values(&slope.0.weight)).all(|(a, b)| *a == 2.0 * b));
    assert!(twice.1.weight.bits_eq(&slope.1.weight));
    // What is above may be anything, and the gradient below stays.
    let mut broken = net.clone();
    broken.1.weight.make_mut::<f64>().unwrap().fill(f64::NAN);
    let through = grad(cut).call((&broken, &x, &h_bar)).unwrap();
    assert!(through.0.weight.bits_eq(&slope.0.weight) && through.0.bias.bits_eq(&slope.0.bias));
    assert!(values(&grad(plain).call((&broken, &x)).unwrap().0.weight).iter().all(|g| g.is_nan()));
}

/// The three gradients of a decoupled pair, each on its own.
#[test]
fn a_decoupled_pair_has_the_gradients_of_its_parts() {
    let linear =
        |seed: u64, n_in: usize, n_out: usize| Linear::xavier(Key::from_seed(seed), n_in, n_out, DType::F64);
    type Net = (Linear<Var>, Linear<Var>, Linear<Var>);
    let net = (linear(1, 4, 6), linear(2, 6, 3), linear(3, 6, 6));
    let x = draw(4, [5, 4]);
    let loss = |net: Net, x: Var| {
        let h = below(net.0, x);
        let (loss, of_prediction) = decoupled(h, net.2.apply(h.stop_gradient()), net.1, above);
        loss + of_prediction
    };
    let slope = grad(loss).call((&net, &x)).unwrap();
    let h = retrograde_engine::jit(below).call((&net.0, &x)).unwrap();
    let predicted =
        retrograde_engine::jit(|layer: Linear<Var>, h: Var| layer.apply(h)).call((&net.2, &h)).unwrap();
    let close = |a: &Array, b: &Array| values(a).iter().zip(values(b)).all(|(a, b)| (a - b).abs() < 1e-14);
    // Below: the prediction pulled back. Above: its own.
    let pull = vjp(|layer: Linear<Var>, x: Var| below(layer, x));
    let lower = pull.call((&net.0, &x)).unwrap().1.call(&predicted).unwrap();
    assert!(close(&slope.0.weight, &lower.weight) && close(&slope.0.bias, &lower.bias));
    let upper = grad(above).call((&net.1, &h)).unwrap();
    assert!(close(&slope.1.weight, &upper.weight) && close(&slope.1.bias, &upper.bias));
    // The prediction: half the mean squared error, over 5 rows.
    let target = grad(above).wrt::<1>().call((&net.1, &h)).unwrap();
    let bias: Vec<f64> = (0..6)
        .map(|k| {
            (0..5).map(|i| values(&predicted)[6 * i + k] - values(&target)[6 * i + k]).sum::<f64>() / 5.0
        })
        .collect();
    assert!(close(&slope.2.bias, &array(bias)));
}
