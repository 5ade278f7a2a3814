//! Updates that know what a matrix or a layer is.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::linalg::{solve, svd};
use retrograde_engine::jit;
use retrograde_tricks::update::map::chain;
use retrograde_tricks::update::matrix::{
    by_rank, ekfac, fisher_and_approximations, kfac, orthogonalised, shampoo,
};
use retrograde_tricks::update::momentum::sgd;
use retrograde_tricks::update::trust::{lamb, lars, trust_ratio};

use crate::{distance, numbers, shaped};

#[test]
fn kfac_divides_by_the_fisher_matrix_of_independent_factors() {
    let (inputs, adjoints) =
        (numbers(&normal(Key::from_seed(1), [6, 3])), numbers(&normal(Key::from_seed(2), [5, 2])));
    // Every input with every adjoint: independent, exactly.
    let (mut a, mut d) = (vec![], vec![]);
    for x in inputs.chunks(3) {
        for y in adjoints.chunks(2) {
            a.extend(x);
            d.extend(y);
        }
    }
    let (a, d) = (shaped(&[30, 3], a), shaped(&[30, 2], d));
    let g = shaped(&[3, 2], vec![0.5, -1.0, 0.25, 2.0, -0.75, 1.5]);
    let steps = jit(|a: Var, d: Var, g: Var| {
        let [fisher, ..] = fisher_and_approximations(a, d);
        let exact = solve(fisher, g.reshape([6, 1])).reshape([3, 2]);
        (exact, kfac(a, d, g, 0.0), ekfac(a, d, g, 0.0))
    });
    let (exact, by_factors, in_their_basis) = steps.call((&a, &d, &g)).unwrap();
    let scale = numbers(&exact).iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    assert!(distance(&numbers(&exact), &numbers(&by_factors)) < 1e-12 * scale);
    assert!(distance(&numbers(&exact), &numbers(&in_their_basis)) < 1e-12 * scale);

    // The same inputs and adjoints in pairs depend on each other: neither is exact, EKFAC is nearer.
    let (a, d) = (shaped(&[5, 3], inputs[..15].to_vec()), shaped(&[5, 2], adjoints));
    let matrices = jit(|a: Var, d: Var| {
        let [fisher, kfac, ekfac] = fisher_and_approximations(a, d);
        (fisher, kfac, ekfac)
    });
    let (fisher, by_factors, in_their_basis) = matrices.call((&a, &d)).unwrap();
    let off = |m: &Array| {
        let squares = numbers(m).iter().zip(numbers(&fisher)).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        squares.sqrt()
    };
    assert!(
        off(&in_their_basis) < 0.95 * off(&by_factors),
        "{} and {}",
        off(&in_their_basis),
        off(&by_factors)
    );
    assert!(off(&in_their_basis) > 0.1);
    // Damping: both tend to G/μ.
    let damped = jit(|a: Var, d: Var, g: Var| (kfac(a, d, g, 1e12), ekfac(a, d, g, 1e12)));
    let (by_factors, in_their_basis) = damped.call((&a, &d, &g)).unwrap();
    for step in [by_factors, in_their_basis] {
        let back: Vec<f64> = numbers(&step).iter().map(|x| x * 1e12).collect();
        assert!(distance(&back, &numbers(&g)) < 1e-4);
    }
}

#[test]
fn orthogonalised_singular_values_are_near_one() {
    let values = jit(|x: Var| svd(orthogonalised(x)).1);
    let mut range = (f64::INFINITY, 0.0_f64);
    let mut see = |x: &Array| {
        for value in numbers(&values.call(x).unwrap()) {
            range = (range.0.min(value), range.1.max(value));
        }
    };
    // Random matrices, wide and tall, and singular values from 1 to 1/50 of the norm.
    for seed in 0..4 {
        see(&normal(Key::from_seed(seed), [5, 9]));
        see(&normal(Key::from_seed(seed + 10), [8, 4]));
    }
    for ratio in [0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0] {
        see(&array([[1.0, 0.0], [0.0, ratio]]));
    }
    assert!(range.0 > 0.68 && range.1 < 1.21, "{range:?}");
    // Singular vectors stay: XᵀY is symmetric and positive.
    let x = normal(Key::from_seed(3), [4, 4]);
    let product = numbers(&jit(|x: Var| x.t().dot(orthogonalised(x))).call(&x).unwrap());
    for i in 0..4 {
        assert!(product[5 * i] > 0.0);
        (0..4).for_each(|j| assert!((product[4 * i + j] - product[4 * j + i]).abs() < 1e-12));
    }
}

#[test]
fn shampoo_of_rank_one_is_full_adagrad() {
    // A vector: M^(−1/2) g with M = ε + Σ g gᵀ, whose root is (M + √det M)/√(tr M + 2 √det M) in two dimensions.
    let (w, update, epsilon) = (array([0.0, 0.0]), shampoo(1.0, 0.5), 0.5);
    let mut state = update.init(&w).unwrap();
    let mut m: [[f64; 2]; 2] = [[epsilon, 0.0], [0.0, epsilon]];
    for g in [[1.0, 2.0], [-0.5, 1.0], [3.0, 0.25]] {
        (0..2).for_each(|i| (0..2).for_each(|j| m[i][j] += g[i] * g[j]));
        let root_det = (m[0][0] * m[1][1] - m[0][1] * m[1][0]).sqrt();
        let scale = (m[0][0] + m[1][1] + 2.0 * root_det).sqrt();
        let root = [
            [(m[0][0] + root_det) / scale, m[0][1] / scale],
            [m[1][0] / scale, (m[1][1] + root_det) / scale],
        ];
        let det = root[0][0] * root[1][1] - root[0][1] * root[1][0];
        let expected =
            [-(root[1][1] * g[0] - root[0][1] * g[1]) / det, -(root[0][0] * g[1] - root[1][0] * g[0]) / det];
        let (step, next) = update.update(&array(g), &state, &w).unwrap();
        assert!(distance(&numbers(&step), &expected) < 1e-14);
        // Adagrad by coordinates is another.
        assert!((numbers(&step)[0] + g[0] / m[0][0].sqrt()).abs() > 1e-2);
        state = next;
    }
    // A matrix whose gradients are multiples c of u vᵀ: full Adagrad gives c/√(Σ c²) of the unit matrix along it.
    let (u, v) = ([1.0, -2.0, 2.0], [3.0, 4.0]);
    let (w, update) = (shaped(&[3, 2], vec![0.0; 6]), shampoo(1.0, 1e-13));
    let mut state = update.init(&w).unwrap();
    let mut sum = 0.0;
    for c in [1.0, -2.0, 0.5] {
        let g = shaped(&[3, 2], u.iter().flat_map(|u| v.map(|v| c * u * v)).collect());
        let (step, next) = update.update(&g, &state, &w).unwrap();
        sum += c * c;
        let expected: Vec<f64> =
            u.iter().flat_map(|u| v.map(|v| -c / f64::sqrt(sum) * u * v / 15.0)).collect();
        assert!(distance(&numbers(&step), &expected) < 1e-9, "{:e}", distance(&numbers(&step), &expected));
        state = next;
    }
}

#[test]
fn leaves_go_to_the_update_of_their_rank() {
    let p = (array([[1.0, 2.0]]), array([3.0]), array([[4.0], [5.0]]));
    let update = chain((by_rank(2, sgd(0.5), sgd(0.25)),));
    let state = update.init(&p).unwrap();
    let (step, _) = update.update(&p, &state, &p).unwrap();
    assert_eq!(step, (array([[-0.5, -1.0]]), array([-0.75]), array([[-2.0], [-2.5]])));
}

#[test]
fn trust_does_not_see_the_scale_of_a_gradient() {
    let w = (normal(Key::from_seed(1), [4, 3]), array(0.7));
    let g = (normal(Key::from_seed(2), [4, 3]), array(-0.1));
    let times = |g: &(Array, Array), by: f64| {
        let scaled = |a: &Array| shaped(a.shape(), numbers(a).iter().map(|x| x * by).collect());
        (scaled(&g.0), scaled(&g.1))
    };
    let norm = |a: &Array| numbers(a).iter().map(|x| x * x).sum::<f64>().sqrt();
    let update = trust_ratio(0.25);
    let state = update.init(&w).unwrap();
    let (step, _) = update.update(&g, &state, &w).unwrap();
    for (step, w) in [(&step.0, &w.0), (&step.1, &w.1)] {
        assert!((norm(step) / norm(w) - 0.25).abs() < 1e-15);
    }
    for scale in [2f64.powi(20), 2f64.powi(-20)] {
        let (scaled, _) = update.update(&times(&g, scale), &state, &w).unwrap();
        assert!(scaled.0.bits_eq(&step.0) && scaled.1.bits_eq(&step.1));
    }
    // LARS without decay, after some steps: the same bits; with decay not. LAMB where ε is nothing beside the gradient.
    let run = |update: &retrograde_tricks::update::map::Update, scale: f64| {
        let (mut p, mut state) = (w.clone(), update.init(&w).unwrap());
        for _ in 0..5 {
            (p, state) = update.step(&times(&g, scale), state, p).unwrap();
        }
        p.0
    };
    assert!(run(&lars(0.5, 0.0), 1.0).bits_eq(&run(&lars(0.5, 0.0), 1024.0)));
    assert!(!run(&lars(0.5, 0.01), 1.0).bits_eq(&run(&lars(0.5, 0.01), 1024.0)));
    let large = |by: f64| numbers(&run(&lamb(0.1, 0.0), by * 2f64.powi(30)));
    let off = distance(&large(1.0), &large(1024.0));
    assert!(off < 1e-12, "{off:e}");
}
