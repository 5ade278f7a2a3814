//! B5, B17: right on average, at seeds that were fixed before the first run.

use retrograde_array::rng::Key;
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::{constant, full, select, uniform};
use retrograde_engine::{grad, jit, jvp, vmap};
use retrograde_solve::hotelling::{hotelling, power};
use retrograde_tricks::adjoint::map::AdjointMap;
use retrograde_tricks::adjoint::noise::{GradientNoise, annealed_variance};
use retrograde_tricks::adjoint::sparsify::Sparsify;

use crate::{draw, inner, values};

const N_DRAWS: usize = 4000;

const GRADIENT: [f64; 6] = [1.0, -2.0, 0.5, 3.0, -0.1, 10.0];

fn keys(seed: u64) -> Array {
    Array::stack(&Key::from_seed(seed).split(N_DRAWS).into_iter().map(Key::to_array).collect::<Vec<_>>())
        .unwrap()
}

/// `f` of many keys.
fn draws(keys: &Array, f: impl Fn(Var, Var) -> Var) -> Vec<Vec<f64>> {
    let all = jit(|keys: Var| vmap(|key: Var| f(constant(&array(GRADIENT)), key)).apply((keys,)))
        .call(keys)
        .unwrap();
    values(&all).chunks(GRADIENT.len()).map(<[f64]>::to_vec).collect()
}

/// Whether draws have this mean and, of every entry, this variance with this standard error.
fn has_moments(
    draws: &[Vec<f64>],
    variance: impl Fn(f64) -> f64,
    error: impl Fn(f64) -> f64,
) -> Result<f64, String> {
    let found = hotelling(draws, &GRADIENT).ok_or("nothing to test with")?;
    // A bias of 5 % of an entry's deviation, in all entries, is refused almost surely.
    let strength = power(N_DRAWS as f64 * 6.0 * 0.05 * 0.05, found.rank, N_DRAWS, 0.01);
    if found.p < 0.01 || strength < 0.99 {
        return Err(format!("p = {:.1e}, power {strength}", found.p));
    }
    for (k, g) in GRADIENT.into_iter().enumerate() {
        let square = draws.iter().map(|row| (row[k] - g).powi(2)).sum::<f64>() / draws.len() as f64;
        if (square - variance(g)).abs() > 4.0 * error(g) {
            return Err(format!("entry {k}: variance {square}, expected {} ± {}", variance(g), error(g)));
        }
    }
    Ok(found.p)
}

#[test]
fn noise_has_the_mean_and_the_variance_of_its_formula() {
    let variance = annealed_variance(0.3, 7);
    assert!((variance - 0.3 / 8f64.powf(0.55)).abs() < 1e-16);
    let noisy = |g: Var, key: Var| GradientNoise { key, variance: full(g.dtype(), [], variance) }.on(g);
    // The variance of a square of a normal number is twice its square.
    let error = |_: f64| variance * (2.0 / N_DRAWS as f64).sqrt();
    let p = has_moments(&draws(&keys(1), noisy), |_| variance, error).unwrap();
    assert!(p > 0.01, "{p}");
    // Broken ones: a bias, a deviation in the place of a variance, and one key for all draws.
    let refused = |draws: Vec<Vec<f64>>| has_moments(&draws, |_| variance, error).is_err();
    assert!(refused(draws(&keys(1), |g, key| noisy(g, key) + 0.05 * variance.sqrt())));
    assert!(refused(draws(&keys(1), |g, key| {
        GradientNoise { key, variance: full(g.dtype(), [], variance.sqrt()) }.on(g)
    })));
    let one = Array::stack(&vec![Key::from_seed(1).to_array(); N_DRAWS]).unwrap();
    assert!(refused(draws(&one, noisy)));
    // Entries of one draw, and leaves, have numbers of their own.
    let two =
        jit(|g: (Var, Var), key: Var| GradientNoise { key, variance: full(g.0.dtype(), [], 1.0) }.on(g));
    let zeros = (array([0.0; 3]), array([0.0; 3]));
    let found = two.call((&zeros, &Key::from_seed(3).to_array())).unwrap();
    let all = [values(&found.0), values(&found.1)].concat();
    assert!((0..6).all(|i| (0..i).all(|j| all[i] != all[j])));
}

#[test]
fn what_is_dropped_at_random_is_right_on_average() {
    let keep = 0.25;
    let sparse = |g: Var, key: Var| Sparsify { key, keep }.on(g);
    let variance = |g: f64| g * g * (1.0 / keep - 1.0);
    // The fourth moment about the mean is g⁴ (p (1/p − 1)⁴ + 1 − p) = 21 g⁴.
    let error = |g: f64| g * g * ((21.0 - 9.0) / N_DRAWS as f64).sqrt();
    let p = has_moments(&draws(&keys(2), sparse), variance, error).unwrap();
    assert!(p > 0.01, "{p}");
    let refused = |draws: Vec<Vec<f64>>| has_moments(&draws, variance, error).is_err();
    // Without the division; with one mask for all entries, which has the mean but another covariance, it is right; with one key, not.
    assert!(refused(draws(&keys(2), |g, key| sparse(g, key) * keep)));
    let one = Array::stack(&vec![Key::from_seed(2).to_array(); N_DRAWS]).unwrap();
    assert!(refused(draws(&one, sparse)));
    // A threshold that is off by 5 %.
    let biased = |g: Var, key: Var| {
        let stays = uniform(key, g.shape()).lt(1.05 * keep);
        select(stays, g / keep, full(g.dtype(), g.shape(), 0.0))
    };
    assert!(refused(draws(&keys(2), biased)));
}

/// One key is one mask: forward and reverse mode, and both orders of the second derivative, see the same.
#[test]
fn both_modes_have_the_same_mask() {
    let (x, v) = (draw(1, [40]), draw(2, [40]));
    let key = Key::from_seed(3).to_array();
    let f = |x: Var| Sparsify { key: constant(&key), keep: 0.5 }.at_edge(x).sin();
    let (_, y_dot) = jvp(f).call(&x, &v).unwrap();
    let y_bar = draw(4, [40]);
    let x_bar = grad(|x: Var| (f(x) * &y_bar).sum()).call(&x).unwrap();
    let (left, right) = (inner(&y_bar, &y_dot), inner(&x_bar, &v));
    assert!((left - right).abs() < 1e-13, "{left} {right}");
    let dropped = values(&x_bar).iter().filter(|g| **g == 0.0).count();
    assert!((5..35).contains(&dropped));
    // A step of a loop with a key of its own drops other entries.
    let steps =
        Array::stack(&Key::from_seed(5).split(2).into_iter().map(Key::to_array).collect::<Vec<_>>()).unwrap();
    let looped = |x: Var, keys: Var| {
        let step = |x: Var, key: Var| (Sparsify { key, keep: 0.5 }.at_edge(x), Vec::<Var>::new());
        retrograde_core::trace::control::scan_over().run(x, keys, step).0.sum()
    };
    let slope = values(&grad(looped).call((&x, &steps)).unwrap());
    let kept = slope.iter().filter(|g| **g == 4.0).count();
    assert!(slope.iter().all(|g| *g == 0.0 || *g == 4.0) && (2..20).contains(&kept), "{kept}");
}
