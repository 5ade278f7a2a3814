//! Products are those of dense matrices, of every batch and under every policy.

use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::control::scan;
use retrograde_engine::{hessian, hvp, jacobian, jit, value_and_grad, value_grad_hvp};
use retrograde_solve::curvature::{
    Likelihood, empirical_fisher_vp, fisher_vp, fitted, gauss_newton_vp, per_example_gradients,
};

use super::*;

/// aᵀ b of matrices given as rows.
fn transposed_product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let entry = |i: usize, j: usize| a.iter().zip(b).map(|(a, b)| a[i] * b[j]).sum();
    (0..a[0].len()).map(|i| (0..b[0].len()).map(|j| entry(i, j)).collect()).collect()
}

#[test]
fn one_sweep_gives_value_gradient_and_product_to_the_bit() {
    let (p, v, batch) = (network(1), network(2), examples(3, 7));
    let (value, gradient, product) = value_grad_hvp(loss).call((&p, &batch), &v).unwrap();
    let (alone, slope) = value_and_grad(loss).call((&p, &batch)).unwrap();
    assert!(value.bits_eq(&alone) && gradient.0.bits_eq(&slope.0) && gradient.3.bits_eq(&slope.3));
    let other = hvp(loss).call((&p, &batch), &v).unwrap();
    assert!(product.0.bits_eq(&other.0) && product.2.bits_eq(&other.2));
    // And inside traced code.
    let inside = |p: Network, batch: Batch, v: Network| value_grad_hvp(loss).at((p, batch), &v);
    let (value, _, traced) = jit(inside).call((&p, &batch, &v)).unwrap();
    assert!(value.bits_eq(&alone) && traced.1.bits_eq(&other.1));
}

#[test]
fn gauss_newton_is_the_dense_matrix() {
    let (p, batch) = (network(1), examples(3, 7));
    let door = gauss_newton_vp(logits, cross_entropy);
    let found = matrix(&mut |v| door.call((&p, &batch), v).unwrap());
    let at = Array::vector(flat(&p));
    let (x, labels) = (batch.0.clone(), batch.1.clone());
    let outputs = |x: &Array| {
        let x = x.clone();
        move |p: Var| {
            logits(from_vector(p), (retrograde_core::trace::var::constant(&x), p)).reshape([7 * CLASSES])
        }
    };
    let j = jacobian(outputs(&x)).call(&at).unwrap();
    let of_outputs =
        |o: Var| cross_entropy(o.reshape([7, CLASSES]), (o, retrograde_core::trace::var::constant(&labels)));
    let o = jit(outputs(&x)).call(&at).unwrap();
    let h = rows(&hessian(of_outputs).call(&o).unwrap());
    let hj = transposed_product(&h, &rows(&j));
    assert!(apart(&found, &transposed_product(&rows(&j), &hj)) < 1e-12);
    // For a likelihood of natural parameters it is Fisher's matrix.
    let fisher = fisher_vp(logits, Likelihood::Categorical);
    assert!(apart(&matrix(&mut |v| fisher.call((&p, &batch), v).unwrap()), &found) < 1e-12);
    // It is not the Hessian, but where the model is linear in its parameters.
    let hv = hvp(fitted(logits, cross_entropy));
    assert!(apart(&matrix(&mut |v| hv.call((&p, &batch), v).unwrap()), &found) > 0.01);
    let linear = |w: Var, (x, _): Batch| x.dot(w);
    let (w, v) = (array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, -0.9]]), p.0.to_vec::<f64>().unwrap());
    let v = Array::new([3, 3], v[..9].to_vec()).unwrap();
    let gauss_newton = gauss_newton_vp(linear, cross_entropy).call((&w, &batch), &v).unwrap();
    let hessian = hvp(fitted(linear, cross_entropy)).call((&w, &batch), &v).unwrap();
    assert!(apart(&rows(&gauss_newton), &rows(&hessian)) < 1e-13);
}

/// The mean over labels drawn from the model, by enumeration of all of them.
#[test]
fn fisher_is_the_mean_of_outer_products_over_the_models_labels() {
    let (p, (x, _)) = (network(4), examples(5, 5));
    let door = fisher_vp(logits, Likelihood::Categorical);
    let batch = (x.clone(), Array::vector(vec![0_i64; 5]));
    let found = matrix(&mut |v| door.call((&p, &batch), v).unwrap());
    let softmax = |p: Network, batch: Batch| {
        let o = logits(p, batch);
        (o - o.logsumexp(&[1]).broadcast(o.shape(), &[0])).exp()
    };
    let probabilities = rows(&jit(softmax).call((&p, &batch)).unwrap());
    let mut expected = vec![vec![0.0; SIZE]; SIZE];
    for class in 0..CLASSES {
        let labelled = (x.clone(), Array::vector(vec![class as i64; 5]));
        let g = per_example_gradients(loss).call((&p, &labelled)).unwrap();
        for (row, of_row) in probabilities.iter().enumerate() {
            let one = |leaf: &Array| leaf.row(row).compact();
            let g = flat(&(one(&g.0), one(&g.1), one(&g.2), one(&g.3)));
            for i in 0..SIZE {
                for j in 0..SIZE {
                    expected[i][j] += of_row[class] * g[i] * g[j] / 5.0;
                }
            }
        }
    }
    assert!(apart(&found, &expected) < 1e-12);
    // The empirical one, with the labels at hand, is another matrix.
    let batch = examples(5, 5);
    let empirical = empirical_fisher_vp(loss);
    let empirical = matrix(&mut |v| empirical.call((&p, &batch), v).unwrap());
    let g = per_example_gradients(loss).call((&p, &batch)).unwrap();
    let g: Vec<Vec<f64>> = (0..5)
        .map(|row| {
            let one = |leaf: &Array| leaf.row(row).compact();
            flat(&(one(&g.0), one(&g.1), one(&g.2), one(&g.3)))
        })
        .collect();
    let mut expected = transposed_product(&g, &g);
    expected.iter_mut().flatten().for_each(|x| *x /= 5.0);
    assert!(apart(&empirical, &expected) < 1e-12);
    assert!(apart(&empirical, &found) > 0.1);
}

/// (1/n) E over counts, truncated far beyond the last that matters; yes and no; and the slope of a normal density.
#[test]
fn the_information_of_each_likelihood_is_the_mean_of_squared_scores() {
    let outputs = [0.3, -1.2, 2.0];
    let sum = |terms: &mut dyn Iterator<Item = f64>| terms.sum::<f64>();
    let bernoulli = |o: f64| {
        let p = 1.0 / (1.0 + (-o).exp());
        p * (1.0 - p).powi(2) + (1.0 - p) * p * p
    };
    let poisson = |o: f64| {
        let rate = o.exp();
        let mut weight = (-rate).exp();
        sum(&mut (0..100).map(|k| {
            let term = weight * (f64::from(k) - rate).powi(2);
            weight *= rate / f64::from(k + 1);
            term
        }))
    };
    for (likelihood, expected) in [
        (Likelihood::Bernoulli, outputs.map(bernoulli)),
        (Likelihood::Poisson, outputs.map(poisson)),
        (Likelihood::Gaussian { variance: 2.0 }, [0.5; 3]),
    ] {
        let model = |o: Var, x: Var| o + x * 0.0;
        let (o, zeros) = (array(outputs), array([0.0; 3]));
        let found = fisher_vp(model, likelihood).call((&o, &zeros), &array([1.0; 3])).unwrap();
        for (found, expected) in found.to_vec::<f64>().unwrap().iter().zip(expected) {
            assert!((found * 3.0 / expected - 1.0).abs() < 1e-13, "{likelihood:?}: {found} {expected}");
        }
    }
}

#[test]
fn no_policy_changes_a_bit_of_a_product() {
    let deep = |p: Var, x: Var| {
        let p = p.spread(x.shape());
        scan(30).repeat(x, |y| y + 0.1 * (p * y).sin())
    };
    let squares = |y: Var, x: Var| ((y - x) * (y - x) * (y - x)).mean();
    let (p, x, v) = (array(0.7), array([1.0, -2.0, 0.5]), array(1.0));
    let whole = || fitted(deep, squares);
    let sweep = value_grad_hvp(whole()).call((&p, &x), &v).unwrap();
    let curved = gauss_newton_vp(deep, squares).call((&p, &x), &v).unwrap();
    let empirical = empirical_fisher_vp(whole()).call((&p, &x), &v).unwrap();
    for policy in [Tape::Store, Tape::Recompute, Tape::from(Checkpoint::Sqrt), Tape::Reverse] {
        let found = value_grad_hvp(whole()).tape(policy).call((&p, &x), &v).unwrap();
        assert!(found.1.bits_eq(&sweep.1) && found.2.bits_eq(&sweep.2), "{policy:?}");
        assert!(gauss_newton_vp(deep, squares).tape(policy).call((&p, &x), &v).unwrap().bits_eq(&curved));
        assert!(empirical_fisher_vp(whole()).tape(policy).call((&p, &x), &v).unwrap().bits_eq(&empirical));
    }
    let checkpoints = value_grad_hvp(whole()).tape(Checkpoint::Sqrt);
    checkpoints.call((&p, &x), &v).unwrap();
    assert!(checkpoints.last_tape().recomputed_steps > 0);
}

#[test]
fn mistakes_have_a_line_and_a_remedy() {
    let (p, batch) = (network(1), examples(3, 2));
    let door = gauss_newton_vp(logits, cross_entropy);
    let v = (p.0.clone(), p.1.clone(), p.2.clone(), array([1.0]));
    let error = door.call((&p, &batch), &v).unwrap_err().to_string();
    assert!(error.contains("direction: leaf `3` is f64[1], expected f64[3]"), "{error}");
    let empty = (Array::zeros(DType::F64, [0, FEATURES]), Array::zeros(DType::I64, [0]));
    let error = door.call((&p, &empty), &p).unwrap_err().to_string();
    assert!(error.contains("found a batch of no rows, expected at least one"), "{error}");
    let number = |w: Var, x: Var| (x.sum() * w.sum()).sum();
    let error =
        fisher_vp(number, Likelihood::Categorical).call((&p.1, &array(1.0)), &p.1).unwrap_err().to_string();
    assert!(
        error.contains("fisher: found outputs of type f64[], expected a row of numbers for each example")
    );
    assert!(error.contains("products.rs:"), "{error}");
}
