//! B12.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, ops};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit, value_and_grad};
use retrograde_tricks::adjoint::feedback_alignment::{
    direct_feedback_alignment, feedback_alignment, product_with_feedback, random_direct_feedback,
    random_feedback,
};
use retrograde_tricks::primal::dense::{Activation, Mlp};

use crate::{bits, draw, inner};

fn network(n_hidden: &[usize]) -> Mlp<Array> {
    Mlp::xavier(Key::from_seed(1), 5, n_hidden, 3, Activation::Tanh, DType::F64)
}

fn layers(mlp: &Mlp<Array>) -> Vec<&Array> {
    mlp.hidden.iter().chain([&mlp.head]).flat_map(|layer| [&layer.weight, &layer.bias]).collect()
}

#[test]
fn feedback_through_the_transposed_weights_is_backpropagation() {
    let mlp = network(&[7, 6, 4]);
    let (x, weights) = (draw(2, [9, 5]), draw(3, [9, 3]));
    let loss = |mlp: Mlp<Var>, x: Var, w: Var| (mlp.apply(x).tanh() * w).sum();
    let (value, slope) = value_and_grad(loss).call((&mlp, &x, &weights)).unwrap();
    let aligned =
        |mlp: (Mlp<Var>, Vec<Var>), x: Var, w: Var| (feedback_alignment(&mlp.0, &mlp.1, x).tanh() * w).sum();
    let turned: Vec<Array> = mlp.hidden[1..]
        .iter()
        .chain([&mlp.head])
        .map(|layer| ops::transpose(&layer.weight, &[1, 0]))
        .collect();
    let (same, through) =
        value_and_grad(aligned).call((&(mlp.clone(), turned.clone()), &x, &weights)).unwrap();
    assert!(same.bits_eq(&value) && bits(&layers(&through.0), &layers(&slope)));
    // Feedback has no gradient of its own.
    assert!(through.1.iter().all(|b| inner(b, b) == 0.0));
    // Another matrix, another gradient: below it, not above.
    let other = random_feedback(Key::from_seed(4), &mlp);
    let (_, through) = value_and_grad(aligned).call((&(mlp.clone(), other), &x, &weights)).unwrap();
    assert!(through.0.head.weight.bits_eq(&slope.head.weight));
    assert!(!through.0.hidden[2].weight.bits_eq(&slope.hidden[2].weight));
    // One hidden layer: to send the error straight and back through one matrix is the same.
    let mlp = network(&[7]);
    let feedback = random_direct_feedback(Key::from_seed(5), &mlp);
    let direct = |mlp: (Mlp<Var>, Vec<Var>), x: Var, w: Var| {
        (direct_feedback_alignment(&mlp.0, &mlp.1, x).tanh() * w).sum()
    };
    let a = grad(direct).call((&(mlp.clone(), feedback.clone()), &x, &weights)).unwrap();
    let b = grad(aligned).call((&(mlp, feedback), &x, &weights)).unwrap();
    assert!(bits(&layers(&a.0), &layers(&b.0)));
}

/// Deep linear regression: what goes back through fixed matrices comes to lie within 90 degrees of the gradient, also where it started
/// beyond, because the weights align with the matrices.
#[test]
fn the_angle_to_the_gradient_falls_below_a_right_one() {
    type Net = (Var, Var, Var);
    let small = |seed: u64, shape: [usize; 2]| jit(|w: Var| 0.05 * w).call(&draw(seed, shape)).unwrap();
    let loss = |net: Net, feedback: (Var, Var), data: (Var, Var)| {
        let h = product_with_feedback(data.0.dot(net.0), net.1, feedback.0);
        let error = product_with_feedback(h, net.2, feedback.1) - data.1;
        0.5 * (error * error).sum() / 40.0
    };
    let exact = |net: Net, data: (Var, Var)| {
        let error = data.0.dot(net.0).dot(net.1).dot(net.2) - data.1;
        0.5 * (error * error).sum() / 40.0
    };
    let step = jit(move |net: Net, feedback: (Var, Var), data: (Var, Var)| {
        let a = grad(loss).at((net, feedback, data));
        let b = grad(exact).at((net, data));
        let cosine = (a.0 * b.0).sum() / (a.0.norm() * b.0.norm());
        ((net.0 - 0.02 * a.0, net.1 - 0.02 * a.1, net.2 - 0.02 * a.2), cosine)
    });
    let mut started_beyond = 0;
    for seed in 0..4 {
        let from = 100 + 10 * seed;
        let mut net = (small(from, [10, 20]), small(from + 1, [20, 20]), small(from + 2, [20, 4]));
        let x = draw(200 + seed, [40, 10]);
        let y = jit(|x: Var, w: Var| x.dot(w)).call((&x, &draw(300 + seed, [10, 4]))).unwrap();
        let half = |seed: u64, shape: [usize; 2]| jit(|b: Var| 0.3 * b).call(&draw(seed, shape)).unwrap();
        let feedback = (half(400 + seed, [20, 20]), half(500 + seed, [4, 20]));
        let mut cosines = vec![];
        for _ in 0..300 {
            let (next, cosine) = step.call((&net, &feedback, &(x.clone(), y.clone()))).unwrap();
            cosines.push(cosine.item::<f64>().unwrap());
            net = next;
        }
        started_beyond += i32::from(cosines[0] < 0.1);
        assert!(cosines[299] > 0.3, "seed {seed}: cosine {} to {}", cosines[0], cosines[299]);
    }
    assert!(started_beyond > 0);
}
