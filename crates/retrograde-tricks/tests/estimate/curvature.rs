//! D15 and D20: traces, diagonals and inverses from products.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, hessian, hvp, jit, vmap};
use retrograde_solve::curvature::{
    Batches, hutch_plus_plus, hutchinson_diagonal, hutchinson_trace, inverse_hvp,
};
use retrograde_tricks::estimate::estimator::{CheckError, check_draws};
use retrograde_tricks::estimate::minibatch::{Replacement, minibatch};

use crate::numbers;

const N: usize = 5;

fn bent(x: Var) -> Var {
    (x * x * x).sum() + (x.index(0, 0) * x.index(0, 1)).sin() * 2.0 + x.sum().powi(2) * 0.3
}

#[test]
fn traces_and_diagonals_have_their_mean_and_variance() {
    let x = array([0.5, -0.3, 1.0, 0.2, -0.7]);
    let h = numbers(&hessian(bent).call(&x).unwrap());
    let (mut trace, mut off) = (0.0, 0.0);
    for i in 0..N {
        for j in 0..N {
            if i == j { trace += h[i * N + j] } else { off += h[i * N + j].powi(2) }
        }
    }
    let product = hvp(bent);
    let keys = Key::from_seed(111).split(3000);
    let one = |key: &Key| hutchinson_trace(|v| product.call(&x, v), &x, 1, *key).unwrap().trace;
    let traces: Vec<Vec<f64>> = keys.iter().map(|key| vec![one(key)]).collect();
    let check = check_draws("trace", &traces, Some(&[trace]), Some(2.0 * off)).unwrap();
    assert!(check.power.unwrap() > 0.5, "{check:?}");
    // The mutation: the factor 2 of the variance.
    assert!(matches!(check_draws("trace", &traces, None, Some(off)), Err(CheckError::Variance { .. })));
    let diagonal: Vec<f64> = (0..N).map(|i| h[i * N + i]).collect();
    let one =
        |key: &Key| numbers(&hutchinson_diagonal(|v| product.call(&x, v), &x, 1, *key).unwrap().diagonal);
    let diagonals: Vec<Vec<f64>> = keys.iter().map(one).collect();
    check_draws("diagonal", &diagonals, Some(&diagonal), Some(off)).unwrap();
    // Hutch++ has the same mean.
    let six = |key: &Key| hutch_plus_plus(|v| product.call(&x, v), &x, 6, *key).unwrap().trace;
    let six: Vec<Vec<f64>> = keys[..600].iter().map(|key| vec![six(key)]).collect();
    check_draws("Hutch++", &six, Some(&[trace]), None).unwrap();
}

/// Least squares with a penalty, on rows of two features and a target.
fn loss(w: Var, rows: Var) -> Var {
    let x = rows.slice(1, 0..2);
    let miss = x.dot(w) - rows.index(1, 2);
    (miss * miss).mean() * 0.5 + (w * w).sum() * 0.05
}

#[test]
fn chains_have_the_predicted_mean_and_a_batch_used_again_has_not() {
    const ETA: f64 = 0.2;
    const STEPS: usize = 12;
    let data = normal(Key::from_seed(113), [12, 3]);
    let w = array([0.3, -0.8]);
    let g = grad(loss).call((&w, &data)).unwrap();
    let h = numbers(&hessian(|w: Var| loss(w, constant(&data))).call(&w).unwrap());
    // (I − (I − η H)ᴷ) H⁻¹ g, as the recursion with the mean.
    let g_entries = numbers(&g);
    let mut mean = [0.0; 2];
    for _ in 0..STEPS {
        let hx = [0, 1].map(|i| h[2 * i] * mean[0] + h[2 * i + 1] * mean[1]);
        (0..2).for_each(|i| mean[i] += ETA * (g_entries[i] - hx[i]));
    }
    let batches = Batches::of(&data, 2).unwrap();
    let chains = inverse_hvp(loss, &w, &g)
        .stochastic(&batches)
        .steps(STEPS)
        .eta(ETA)
        .last_iterate()
        .chains(4000)
        .seed(114);
    let draws = chains.draws().unwrap().draws;
    let check = check_draws("inverse", &draws, Some(&mean), None).unwrap();
    assert!(check.power.unwrap() > 0.9, "{check:?}");
    let determinant = h[0] * h[3] - h[1] * h[2];
    let limit = [h[3] * g_entries[0] - h[1] * g_entries[1], h[0] * g_entries[1] - h[2] * g_entries[0]]
        .map(|x| x / determinant);
    assert!(matches!(check_draws("inverse", &draws, Some(&limit), None), Err(CheckError::Mean { .. })));
    // The mutation: one batch in all factors.
    let reused = |key: Var| {
        let rows = constant(&data).gather(0, minibatch(key, 12, 2, Replacement::With));
        let product = |v: Var| hvp(|w: Var| loss(w, rows)).at(constant(&w), &v);
        scan(STEPS).repeat(constant(&array([0.0; 2])), |x: Var| x + (constant(&g) - product(x)) * ETA)
    };
    let keys: Vec<Array> = Key::from_seed(114).split(4000).into_iter().map(|key| key.to_array()).collect();
    let reused = jit(vmap(reused)).call(&Array::stack(&keys).unwrap()).unwrap();
    let reused: Vec<Vec<f64>> = numbers(&reused).chunks(2).map(<[f64]>::to_vec).collect();
    assert!(matches!(check_draws("one batch", &reused, Some(&mean), None), Err(CheckError::Mean { .. })));
}
