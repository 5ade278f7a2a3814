//! Initial weights: sizes of values and cotangents, over draws at fixed seeds.

use retrograde_array::rng::Key;
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_engine::{grad, jacobian, jit};
use retrograde_tricks::primal::dense::{Activation, Mlp};
use retrograde_tricks::primal::initial::{Fan, Role, he, mu_p, unit_variance, xavier};
use retrograde_tricks::primal::orthogonal::{identity, orthogonal};

use crate::{Check, draw, hold, inner, ulp, values};

/// Mean and standard error.
fn mean(draws: &[f64]) -> (f64, f64) {
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let square = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (square / n).sqrt())
}

/// ‖Jᵀu‖²/‖u‖² of a stack of ReLU layers `x ↦ relu(x w)`, for new weights and directions each time. One row of x, so that there is
/// one pattern of what is rectified.
fn shrinkage(widths: &[usize], n_draws: u64, weight: impl Fn(Key, usize, usize) -> Array) -> Vec<f64> {
    let loss = |x: Var, ws: Vec<Var>, u: Var| (ws.iter().fold(x, |x, w| x.dot(*w).max(0.0)) * u).sum();
    let door = grad(loss);
    let one = |seed: u64| {
        let key = Key::from_seed(seed);
        let ws =
            widths.windows(2).zip(0..).map(|(n, i)| weight(key.fold_in(i), n[0], n[1])).collect::<Vec<_>>();
        let x = draw(seed + 1_000_000, [1, widths[0]]);
        let u = draw(seed + 2_000_000, [1, widths[widths.len() - 1]]);
        let x_bar = door.call((&x, &ws, &u)).unwrap();
        inner(&x_bar, &x_bar) / inner(&u, &u)
    };
    (0..n_draws).map(one).collect()
}

fn mean_is(draws: &[f64], expected: f64) -> Check {
    let (mean, error) = mean(draws);
    hold((mean - expected).abs() < 3.0 * error, || format!("{mean} ± {error}, expected {expected}"))
}

/// With 2/in, a layer from n to m keeps ‖Jᵀu‖² = ‖u‖² in the mean: half of the m rows count, each with n entries of 2/n.
#[test]
fn he_keeps_the_size_of_cotangents() {
    let weight = |fan: Fan| move |key, n_in, n_out| he(key, n_in, n_out, fan, DType::F64);
    let (wide, narrow) = ([40, 100], [100, 40]);
    for widths in [wide, narrow] {
        let draws = shrinkage(&widths, 150, weight(Fan::In));
        assert_eq!(mean_is(&draws, 1.0), Ok(()));
        // Power: five standard errors are less than what a factor of 1.2 does.
        assert!(5.0 * mean(&draws).1 < 0.2);
        // With 2/out the mean square of an entry stays: the sum of squares goes with the number of entries.
        let draws = shrinkage(&widths, 150, weight(Fan::Out));
        assert_eq!(mean_is(&draws, widths[0] as f64 / widths[1] as f64), Ok(()));
    }
    // Xavier's half-way variance loses half of it.
    let draws = shrinkage(&[50, 50], 150, |key, n_in, n_out| xavier(key, n_in, n_out, DType::F64));
    assert!(mean_is(&draws, 1.0).is_err());
    assert_eq!(mean_is(&draws, 0.5), Ok(()));
}

/// What each of 50 layers does to the square of a cotangent's length: `[layers]` for each draw, the last layer first.
fn layer_by_layer(width: usize, n_draws: u64, weight: impl Fn(Key, usize) -> Array) -> Vec<Vec<f64>> {
    // Zeros added between layers: their slopes are the cotangents there.
    let loss = |zeros: Vec<Var>, x: Var, s: (Vec<Var>, Var)| {
        let steps = s.0.iter().zip(&zeros);
        (steps.fold(x, |x, (w, zero)| (x + *zero).dot(*w).max(0.0)) * s.1).sum()
    };
    let door = grad(loss);
    let zeros = vec![Array::zeros(DType::F64, [1, width]); 50];
    let one = |seed: u64| {
        let key = Key::from_seed(seed);
        let ws: Vec<Array> = (0..50).map(|i| weight(key.fold_in(i), width)).collect();
        let (x, u) = (draw(seed + 1_000_000, [1, width]), draw(seed + 2_000_000, [1, width]));
        let bars = door.call((&zeros, &x, &(ws, u.clone()))).unwrap();
        let squares: Vec<f64> = bars.iter().chain([&u]).map(|bar| inner(bar, bar)).collect();
        squares.windows(2).map(|pair| pair[0] / pair[1]).collect()
    };
    (0..n_draws).map(one).collect()
}

/// Through 50 layers the mean stays 1. That of the whole product has a wide spread, e^(250/width) − 1; the factors of single layers,
/// each of mean 1 whatever the others are, tell a few hundredths.
#[test]
fn fifty_layers_keep_the_size_of_cotangents() {
    let draws = layer_by_layer(64, 20, |key, n| he(key, n, n, Fan::In, DType::F64));
    let products: Vec<f64> = draws.iter().map(|factors| factors.iter().product()).collect();
    assert_eq!(mean_is(&products, 1.0), Ok(()));
    let factors = draws.concat();
    assert_eq!(mean_is(&factors, 1.0), Ok(()));
    assert!(mean(&factors).1 < 0.01, "{:?}", mean(&factors));
    // A factor that is off by a twentieth, and one that is missing.
    assert!(mean_is(&factors.iter().map(|f| f * 1.05).collect::<Vec<f64>>(), 1.0).is_err());
    let half = layer_by_layer(64, 2, |key, n| xavier(key, n, n, DType::F64)).concat();
    assert!(mean_is(&half, 1.0).is_err());
    assert_eq!(mean_is(&half, 0.5), Ok(()));
}

/// Singular values σ with |σ² − 1| at most ‖JᵀJ − I‖.
fn is_isometric(f: impl Fn(Var) -> Var + 'static, n: usize) -> Check {
    let j = jacobian(f).call(&draw(5, [n])).unwrap();
    let gram = jit(|j: Var| j.t().dot(j)).call(&j).unwrap();
    let eye = values(&identity(n, DType::F64));
    let off = values(&gram).iter().zip(eye).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    hold(off < 1e-12, || format!("{off}"))
}

#[test]
fn deep_linear_networks_have_singular_values_of_one() {
    let key = Key::from_seed(1);
    let deep = |weight: fn(Key, usize) -> Array| {
        let ws: Vec<Array> = (0..30).map(|i| weight(key.fold_in(i), 16)).collect();
        move |x: Var| ws.iter().fold(x, |x, w| x.dot(retrograde_core::trace::var::constant(w)))
    };
    assert_eq!(is_isometric(deep(|key, n| orthogonal(key, n, n, DType::F64)), 16), Ok(()));
    assert_eq!(is_isometric(deep(|_, n| identity(n, DType::F64)), 16), Ok(()));
    assert!(is_isometric(deep(|key, n| he(key, n, n, Fan::Out, DType::F64)), 16).is_err());
    // Rectangular ones have orthonormal rows or columns.
    for (n_in, n_out) in [(5, 9), (9, 5)] {
        let w = orthogonal(key, n_in, n_out, DType::F64);
        assert_eq!(w.shape()[..], [n_in, n_out]);
        let gram =
            jit(move |w: Var| if n_in < n_out { w.dot(w.t()) } else { w.t().dot(w) }).call(&w).unwrap();
        assert!(crate::apart(&gram, &identity(5, DType::F64)) < 1e-15);
    }
    // An IRNN, rectified, keeps what is above zero over a thousand steps, exactly.
    let run = |h: Var, w: Var| scan(1000).repeat(h, |h| h.dot(w).max(0.0));
    let h = array([[1.5, 2.0, 0.25]]);
    assert!(jit(run).call((&h, &identity(3, DType::F64))).unwrap().bits_eq(&h));
}

/// Uniform on the orthogonal group: entries have mean 0 and mean square 1/n, in particular on the diagonal.
#[test]
fn orthogonal_draws_are_uniform() {
    let n = 4;
    let draws: Vec<Vec<f64>> =
        (0..400).map(|seed| values(&orthogonal(Key::from_seed(seed), n, n, DType::F64))).collect();
    for at in [0, 5, 10, 15, 3] {
        let entries: Vec<f64> = draws.iter().map(|w| w[at]).collect();
        let squares: Vec<f64> = entries.iter().map(|x| x * x).collect();
        assert_eq!(mean_is(&entries, 0.0), Ok(()));
        assert_eq!(mean_is(&squares, 1.0 / n as f64), Ok(()));
    }
    // Draws with signs of a kind are not.
    let entries: Vec<f64> = draws.iter().map(|w| w[0].abs()).collect();
    assert!(mean_is(&entries, 0.0).is_err());
}

/// Outputs of variance 1 on the batch, layer by layer.
#[test]
fn data_give_layers_unit_variance() {
    let mlp = Mlp::xavier(Key::from_seed(1), 6, &[20, 30, 10], 3, Activation::Relu, DType::F64);
    let x = draw(2, [50, 6]);
    let mlp = unit_variance(Key::from_seed(3), mlp, &x).unwrap();
    let mut x = x;
    for layer in mlp.hidden.iter().chain([&mlp.head]) {
        let y = jit(|x: Var, w: Var| x.dot(w)).call((&x, &layer.weight)).unwrap();
        let n = y.size() as f64;
        let middle = values(&y).iter().sum::<f64>() / n;
        let variance = values(&y).iter().map(|y| (y - middle).powi(2)).sum::<f64>() / n;
        assert!((variance - 1.0).abs() < 100.0 * ulp(1.0), "{variance}");
        x = jit(|y: Var| y.max(0.0)).call(&y).unwrap();
    }
}

/// After one step by the signs of the gradient, as Adam's first is, outputs have moved by as much at every width.
#[test]
fn maximal_updates_do_not_depend_on_the_width() {
    let f = |x: Var, ws: Vec<Var>| x.dot(ws[0]).tanh().dot(ws[1]).tanh().dot(ws[2]).sum();
    let (slopes, run) = (grad(move |ws: Vec<Var>, x: Var| f(x, ws)), jit(f));
    let moved = |seed: u64, width: usize, by_width: bool| {
        let roles = [(Role::Input, 8, width), (Role::Hidden, width, width), (Role::Output, width, 1)];
        let key = Key::from_seed(seed);
        let weight = |(&(role, n, m), i): (&(Role, usize, usize), u64)| {
            mu_p(role, n, m).draw(key.fold_in(i), n, m, DType::F64)
        };
        let ws: Vec<Array> = roles.iter().zip(0..).map(weight).collect();
        let x = draw(1000 + seed, [1, 8]);
        let slopes = slopes.call((&ws, &x)).unwrap();
        let step = |((w, slope), &(role, n, m)): ((&Array, &Array), &(Role, usize, usize))| {
            let rate = 0.01 * if by_width { mu_p(role, n, m).adam_rate } else { 1.0 };
            jit(move |w: Var, slope: Var| w - slope.sign() * rate).call((w, slope)).unwrap()
        };
        let after: Vec<Array> = ws.iter().zip(&slopes).zip(&roles).map(step).collect();
        let out = |ws: &Vec<Array>| run.call((&x, ws)).unwrap().item::<f64>().unwrap();
        (out(&after) - out(&ws)).abs()
    };
    let ratio = |by_width: bool| {
        let total = |width| (0..12).map(|seed| moved(seed, width, by_width)).sum::<f64>();
        total(256) / total(32)
    };
    let (scaled, plain) = (ratio(true), ratio(false));
    assert!((0.7..1.4).contains(&scaled) && plain > 3.0, "{scaled} {plain}");
}
