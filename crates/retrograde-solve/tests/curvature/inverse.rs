//! Inverses against dense ones: means, invariance, certificates.

use retrograde_core::trace::function::Function;
use retrograde_engine::{grad, hvp};
use retrograde_solve::curvature::{
    Batches, Certificate, Draws, Likelihood, Preconditioner, RightSide, empirical_fisher_vp, fisher_vp,
    fitted, gauss_newton_vp, inverse_hvp,
};
use retrograde_solve::hotelling::hotelling;

use super::*;

/// Fixed before the first run.
const SEED: u64 = 20_261_126;

/// Logistic regression with a penalty: convex.
const FEW: usize = 5;
const PENALTY: f64 = 0.05;

fn logistic(w: Var, (x, y): (Var, Var)) -> Var {
    let margin = y * x.dot(w);
    (-margin).softplus().mean() + 0.5 * PENALTY * (w * w).sum()
}

fn rows_and_signs(n: usize) -> (Array, Array) {
    let x = normal(Key::from_seed(3), [n, FEW]);
    let entries = x.to_vec::<f64>().unwrap();
    let y: Vec<f64> = (0..n)
        .map(|i| if entries[i * FEW] + 0.3 * entries[i * FEW + 1] > 0.1 { 1.0 } else { -1.0 })
        .collect();
    (x, Array::vector(y))
}

fn dense_solve(a: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let a = Array::new([n, n], a.concat()).unwrap();
    let b = Array::new([n, 1], b.to_vec()).unwrap();
    retrograde_array::ops::linalg::solve(&a, &b, false).unwrap().to_vec::<f64>().unwrap()
}

fn numbers(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().unwrap()
}

fn unit(n: usize, i: usize) -> Array {
    Array::vector((0..n).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>())
}

struct Convex {
    data: (Array, Array),
    batches: Batches<(Array, Array)>,
    w: Array,
    g: Array,
    h: Vec<Vec<f64>>,
}

fn convex(size: usize) -> Convex {
    let data = rows_and_signs(40);
    let w = Array::vector(vec![0.3, -0.2, 0.1, 0.4, 0.0]);
    let g = grad(logistic).call((&w, &data)).unwrap();
    let hv = hvp(logistic);
    let h = (0..FEW).map(|i| numbers(&hv.call((&w, &data), &unit(FEW, i)).unwrap())).collect();
    Convex { batches: Batches::of(&data, size).unwrap(), data, w, g, h }
}

fn damped(h: &[Vec<f64>], mu: f64) -> Vec<Vec<f64>> {
    let mut h = h.to_vec();
    (0..h.len()).for_each(|i| h[i][i] += mu);
    h
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let size = b.iter().map(|x| x * x).sum::<f64>().sqrt();
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / size
}

/// The mean of draws that are as many as it takes.
fn accepted(draws: &Draws, expected: &[f64]) -> f64 {
    hotelling(&draws.draws, expected).unwrap().p
}

#[test]
fn exact_ways_give_the_dense_inverse_of_every_curvature() {
    let Convex { batches, w, g, h, .. } = convex(4);
    let expected = dense_solve(&damped(&h, 0.1), &numbers(&g));
    let (x, certificate) =
        inverse_hvp(logistic, &w, &g).data(&batches).damping(0.1).tolerance(1e-13).solve().unwrap();
    assert!(relative(&numbers(&x), &expected) < 1e-12);
    assert_eq!(certificate.question, "(H + 0.1 I)⁻¹ g");
    assert!(certificate.predicted_bias <= 1e-13 && certificate.standard_deviation == 0.0);
    let neumann = inverse_hvp(logistic, &w, &g).data(&batches).damping(0.1).neumann(400).solve().unwrap();
    assert!(relative(&numbers(&neumann.0), &expected) < 1e-9);

    // A network, damped, in each curvature.
    let (p, batch) = (network(1), examples(3, 9));
    let whole = fitted(logits, cross_entropy);
    let g = grad(whole).call((&p, &batch)).unwrap();
    let batches = Batches::of(&batch, 3).unwrap();
    let mu = 0.05;
    let ask = || inverse_hvp(whole, &p, &g).data(&batches).damping(mu).tolerance(1e-13);
    let expect = |product: &mut dyn FnMut(&NetworkArrays) -> NetworkArrays,
                  found: NetworkArrays,
                  what: &str| {
        let expected = dense_solve(&damped(&matrix(product), mu), &flat(&g));
        assert!(relative(&flat(&found), &expected) < 1e-9, "{what}: {}", relative(&flat(&found), &expected));
    };
    let gauss_newton = gauss_newton_vp(logits, cross_entropy);
    expect(
        &mut |v| gauss_newton.call((&p, &batch), v).unwrap(),
        ask().gauss_newton().solve().unwrap().0,
        "G",
    );
    let fisher = fisher_vp(logits, Likelihood::Categorical);
    let found = ask().fisher(Likelihood::Categorical).solve().unwrap().0;
    expect(&mut |v| fisher.call((&p, &batch), v).unwrap(), found, "F");
    let empirical = empirical_fisher_vp(whole);
    let found = ask().empirical_fisher().solve().unwrap().0;
    expect(&mut |v| empirical.call((&p, &batch), v).unwrap(), found, "empirical F");
    let hv = hvp(whole);
    let dense = matrix(&mut |v| hv.call((&p, &batch), v).unwrap());
    let square: Vec<Vec<f64>> = dense
        .iter()
        .map(|row| (0..SIZE).map(|j| (0..SIZE).map(|k| row[k] * dense[k][j]).sum()).collect())
        .collect();
    let right: Vec<f64> =
        dense.iter().map(|row| row.iter().zip(flat(&g)).map(|(a, b)| a * b).sum()).collect();
    let expected = dense_solve(&damped(&square, mu * mu), &right);
    let found = ask().normal_form().solve().unwrap().0;
    assert!(relative(&flat(&found), &expected) < 1e-7);
}

/// The mean is that of a truncated series for every right-hand side, averaged or not, and not that of the full inverse.
#[test]
fn means_of_chains_are_predicted() {
    let Convex { batches, w, g, h, .. } = convex(2);
    let limit = dense_solve(&h, &numbers(&g));
    for (right_side, averaged) in [
        (RightSide::Given, false),
        (RightSide::Fresh, false),
        (RightSide::Fresh, true),
        (RightSide::Once, true),
    ] {
        let ask = inverse_hvp(logistic, &w, &g).stochastic(&batches).steps(12).eta(0.5).chains(3000);
        let ask = ask.right_side(right_side).seed(SEED);
        let found = if averaged { ask.draws() } else { ask.last_iterate().draws() }.unwrap();
        let p = accepted(&found, &found.predicted);
        assert!(p > 0.01, "{right_side:?} {averaged}: {p}");
        // The power: the limit itself, which is off by what is predicted, is refused where draws scatter little.
        let bias = relative(&found.predicted, &limit);
        assert!((found.certificate.predicted_bias / bias - 1.0).abs() < 1e-6, "{bias}");
        if right_side == RightSide::Given {
            assert!(accepted(&found, &limit) < 1e-6);
            let off: Vec<f64> = found.predicted.iter().map(|x| 1.05 * x).collect();
            assert!(accepted(&found, &off) < 1e-6, "a bias of 5 % is found");
        }
    }
}

/// The series that is predicted, from dense powers.
#[test]
fn predictions_are_truncated_series() {
    let Convex { batches, w, g, h, .. } = convex(2);
    let (eta, n) = (0.5, 12);
    let found =
        inverse_hvp(logistic, &w, &g).stochastic(&batches).steps(n).eta(eta).last_iterate().draws().unwrap();
    let mut x = vec![0.0; FEW];
    let g = numbers(&g);
    for _ in 0..n {
        let product: Vec<f64> = h.iter().map(|row| row.iter().zip(&x).map(|(a, b)| a * b).sum()).collect();
        (0..FEW).for_each(|i| x[i] += eta * (g[i] - product[i]));
    }
    assert!(relative(&found.predicted, &x) < 1e-11);
}

#[test]
fn roulette_is_unbiased_for_every_q_it_accepts() {
    let Convex { batches, w, g, h, .. } = convex(2);
    let limit = dense_solve(&h, &numbers(&g));
    for (q, always) in [(None, 0), (Some(0.995), 0), (None, 10)] {
        let ask = inverse_hvp(logistic, &w, &g).stochastic(&batches).roulette(q).at_least(always);
        let found = ask.eta(0.5).chains(3000).seed(SEED).draws().unwrap();
        assert!(accepted(&found, &limit) > 0.01, "{q:?} {always}: {}", accepted(&found, &limit));
        let off: Vec<f64> = limit.iter().map(|x| 1.1 * x).collect();
        assert!(accepted(&found, &off) < 1e-3, "{q:?} {always}");
        assert_eq!(found.certificate.predicted_bias, 0.0);
    }
    let once = inverse_hvp(logistic, &w, &g).stochastic(&batches).roulette(None).right_side(RightSide::Once);
    let found = once.eta(0.5).chains(3000).seed(SEED).draws().unwrap();
    assert!(accepted(&found, &limit) > 0.01);
}

/// Step size, batch, q, steps and preconditioner change the way, not the end; damping changes the end and says so.
#[test]
fn no_knob_changes_the_limit() {
    let Convex { data, batches, w, g, h } = convex(4);
    let n = 4000;
    let limit = dense_solve(&h, &numbers(&g));
    let preconditioners = || {
        [
            Preconditioner::None,
            Preconditioner::Diagonal(array([0.3, 0.2, 0.4, 0.3, 0.2])),
            Preconditioner::EstimatedDiagonal { n_probes: 8 },
            Preconditioner::Nystrom { rank: 2, n_rows: 20 },
            Preconditioner::Subsampled { n_rows: 20 },
            Preconditioner::KroneckerFactored { n_rows: 20 },
        ]
    };
    for preconditioner in preconditioners() {
        let what = format!("{preconditioner:?}");
        let neumann = |eta: Option<f64>| {
            let ask = inverse_hvp(logistic, &w, &g)
                .data(&batches)
                .preconditioner(preconditioner.clone())
                .neumann(n);
            let ask = if let Some(eta) = eta { ask.eta(eta) } else { ask };
            numbers(&ask.solve().unwrap().0)
        };
        let chosen =
            inverse_hvp(logistic, &w, &g).data(&batches).preconditioner(preconditioner.clone()).neumann(1);
        let eta = chosen.solve().unwrap().1.eta;
        for found in [neumann(None), neumann(Some(0.3 * eta)), neumann(Some(1.5 * eta))] {
            assert!(relative(&found, &limit) < 1e-9, "{what}: {}", relative(&found, &limit));
        }
        let cg = inverse_hvp(logistic, &w, &g).data(&batches).preconditioner(preconditioner.clone());
        let found = cg.tolerance(1e-12).solve().unwrap();
        assert!(relative(&numbers(&found.0), &limit) < 1e-10, "{what}");
        // And of chains the mean, which is the limit up to the predicted bias.
        let batches = Batches::of(&data, if what == "None" { 8 } else { 4 }).unwrap();
        let ask =
            inverse_hvp(logistic, &w, &g).stochastic(&batches).preconditioner(preconditioner).chains(1500);
        let found = ask.steps(400).seed(SEED).draws().unwrap();
        let bias = found.certificate.predicted_bias;
        assert!(bias < 1e-2 && accepted(&found, &found.predicted) > 0.01, "{what}: {bias}");
        assert!(relative(&found.predicted, &limit) < 1.01 * bias + 1e-9, "{what}");
    }
    let (x, certificate) = inverse_hvp(logistic, &w, &g).data(&batches).damping(0.2).solve().unwrap();
    assert!(relative(&numbers(&x), &limit) > 0.1);
    assert_eq!(certificate.question, "(H + 0.2 I)⁻¹ g");
}

/// Preconditioners do what they are for: fewer steps.
#[test]
fn preconditioners_save_steps() {
    let n = 60;
    let x = normal(Key::from_seed(8), [n, 12]).to_vec::<f64>().unwrap();
    // Two features a hundred times the others.
    let scale = |j: usize| if j < 2 { 10.0 } else { 0.3 };
    let x = Array::new([n, 12], x.iter().enumerate().map(|(i, x)| x * scale(i % 12)).collect::<Vec<_>>())
        .unwrap();
    let loss = |w: Var, x: Var| {
        let y = x.dot(w);
        0.5 * (y * y).mean() + 0.05 * (w * w).sum()
    };
    let (w, g) = (Array::vector(vec![0.1; 12]), Array::vector(vec![1.0; 12]));
    let batches = Batches::of(&x, 10).unwrap();
    let bias = |preconditioner: Preconditioner<Array>| {
        let ask = inverse_hvp(loss, &w, &g).data(&batches).preconditioner(preconditioner).neumann(40);
        ask.solve().unwrap().1.predicted_bias
    };
    let plain = bias(Preconditioner::None);
    assert!(plain > 0.3, "{plain}");
    for better in [
        Preconditioner::EstimatedDiagonal { n_probes: 20 },
        Preconditioner::Nystrom { rank: 4, n_rows: 60 },
        Preconditioner::Subsampled { n_rows: 60 },
    ] {
        let what = format!("{better:?}");
        let found = bias(better);
        assert!(found < 0.01 * plain, "{what}: {found} {plain}");
    }
    // Kronecker factors of a linear layer whose misses know nothing of its inputs are its curvature, but for chance and for their
    // damping, √γ times the root of the ratio of the factors: five times the smallest curvature here.
    let layer = |w: Var, (x, y): (Var, Var)| {
        let miss = x.dot(w) - y;
        0.5 * (miss * miss).sum() / x.shape()[0] as f64
    };
    let batches = Batches::of(&(x, normal(Key::from_seed(9), [n, 3])), 10).unwrap();
    let (w, g) = (Array::zeros(DType::F64, [12, 3]), normal(Key::from_seed(10), [12, 3]));
    let bias = |preconditioner: Preconditioner<Array>| {
        let ask = inverse_hvp(layer, &w, &g)
            .data(&batches)
            .preconditioner(preconditioner)
            .damping(0.01)
            .neumann(40);
        ask.solve().unwrap().1.predicted_bias
    };
    let (plain, better) =
        (bias(Preconditioner::None), bias(Preconditioner::KroneckerFactored { n_rows: 60 }));
    assert!(plain > 0.3 && better < 0.1 * plain, "{better} {plain}");
}

#[test]
fn given_batches_are_each_used_once() {
    let Convex { data, w, g, h, .. } = convex(4);
    // Forty batches of one row each: the mean of their curvatures is that of the data.
    let one = |leaf: &Array, i: usize| {
        let row = leaf.row(i).compact();
        row.reshaped([&[1][..], &row.shape()[..]].concat()).unwrap()
    };
    let list: Vec<(Array, Array)> = (0..40).map(|i| (one(&data.0, i), one(&data.1, i))).collect();
    let given = Batches::given(list).unwrap();
    let exact = inverse_hvp(logistic, &w, &g).data(&given).tolerance(1e-12).solve().unwrap();
    assert!(relative(&numbers(&exact.0), &dense_solve(&h, &numbers(&g))) < 1e-10);
    // Two chains of twenty steps use them all, in order.
    let found =
        inverse_hvp(logistic, &w, &g).stochastic(&given).chains(2).eta(0.5).last_iterate().draws().unwrap();
    assert_eq!(found.certificate.n_steps, 20.0);
    let hv = hvp(logistic);
    let mut x = Array::zeros(DType::F64, [FEW]);
    for i in 20..40 {
        let product = numbers(&hv.call((&w, &(one(&data.0, i), one(&data.1, i))), &x).unwrap());
        let step = |(j, x): (usize, f64)| x + 0.5 * (numbers(&g)[j] - product[j]);
        x = Array::vector(numbers(&x).into_iter().enumerate().map(step).collect::<Vec<f64>>());
    }
    assert!(relative(&found.draws[1], &numbers(&x)) < 1e-13);
}

#[test]
fn a_certificate_says_what_it_cost_and_how_it_scatters() {
    let Convex { batches, w, g, .. } = convex(4);
    let ask = || inverse_hvp(logistic, &w, &g).stochastic(&batches).steps(50).seed(SEED);
    let certificate = |n: usize| ask().chains(n).solve().unwrap().1;
    let (few, many): (Certificate, Certificate) = (certificate(50), certificate(800));
    assert_eq!(few.cost.products, 50.0 * 50.0 * 4.0 / 40.0);
    assert!((few.standard_deviation / many.standard_deviation / 4.0 - 1.0).abs() < 0.3, "{few} {many}");
    // The stated deviation of the mean of 8 chains is what repeated answers show.
    let answers: Vec<Vec<f64>> =
        (0..100).map(|i| numbers(&ask().chains(8).seed(i).solve().unwrap().0)).collect();
    let mean: Vec<f64> = (0..FEW).map(|j| answers.iter().map(|x| x[j]).sum::<f64>() / 100.0).collect();
    let spread = answers.iter().map(|x| relative(x, &mean).powi(2)).sum::<f64>() / 99.0;
    let stated = many.standard_deviation_of_a_chain / 8f64.sqrt();
    assert!((spread.sqrt() / stated - 1.0).abs() < 0.2, "{} {stated}", spread.sqrt());
    assert!(many.to_string().contains("predicted bias"));
    // The same seed gives the same bits, another other ones.
    let bits = |seed: u64| ask().chains(4).seed(seed).solve().unwrap().0;
    assert!(bits(1).bits_eq(&bits(1)) && !bits(1).bits_eq(&bits(2)));
}

/// A generic use: nothing here knows the loss.
fn newton<F: Function<(Var,), Output = Var>>(loss: F, x: &Array, g: &Array) -> Array {
    inverse_hvp(loss, x, g).solve().unwrap().0
}

#[test]
fn a_loss_without_batches_needs_none() {
    let loss = |x: Var| (x * x * x * x).sum() + x.sum() * x.sum();
    let x = array([1.0, 2.0]);
    let g = grad(loss).call(&x).unwrap();
    let expected = dense_solve(&[vec![14.0, 2.0], vec![2.0, 50.0]], &numbers(&g));
    assert!(relative(&numbers(&newton(loss, &x, &g)), &expected) < 1e-8);
}
