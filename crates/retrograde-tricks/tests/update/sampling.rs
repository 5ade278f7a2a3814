//! Averages, Langevin dynamics, and the frozen Newton step: what noise does to them.

use retrograde_array::rng::{Key, normal, uniform};
use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::var::constant;
use retrograde_engine::{grad, jit};
use retrograde_solve::hotelling::hotelling;
use retrograde_tricks::update::averaging::{ema, polyak_ruppert, swa};
use retrograde_tricks::update::frozen_newton::frozen_gradient;
use retrograde_tricks::update::langevin::{langevin, preconditioned_langevin};
use retrograde_tricks::update::map::{State, Update, chain};
use retrograde_tricks::update::momentum::sgd;

use crate::{distance, numbers, shaped};

/// H of the quadratic ½ wᵀHw, and S, the covariance of the noise in its gradient.
const H: [[f64; 2]; 2] = [[2.0, 0.5], [0.5, 1.0]];
const S: [[f64; 2]; 2] = [[1.0, -0.25], [-0.25, 0.5]];

/// n times the covariance of what `read` takes from the last state and iterate. It is linear in the noise, so its derivative J by all noise
/// gives it without a draw: J S Jᵀ.
fn covariance(update: &Update, n: usize, read: fn(&State<Var>, Var) -> Var) -> [[f64; 2]; 2] {
    let rows: Vec<Vec<f64>> = (0..2)
        .map(|i| {
            let end = |noise: Var| {
                let h = constant(&array(H));
                let start = noise.index(0, 0) * 0.0;
                let nothing: Vec<Var> = vec![];
                let init = (start, update.init_at(&start));
                let ((w, state), _) =
                    scan_over().run(init, noise, |(w, state): (Var, State<Var>), xi: Var| {
                        let (w, state) = update.step_at(&(h.dot(w) + xi), state, &w);
                        ((w, state), nothing.clone())
                    });
                read(&state, w).index(0, i)
            };
            numbers(&grad(end).call(&shaped(&[n, 2], vec![0.0; 2 * n])).unwrap())
        })
        .collect();
    let entry = |i: usize, j: usize| {
        let pairs = rows[i].chunks(2).zip(rows[j].chunks(2));
        n as f64
            * pairs
                .map(|(a, b)| (0..2).map(|k| (0..2).map(|l| a[k] * S[k][l] * b[l]).sum::<f64>()).sum::<f64>())
                .sum::<f64>()
    };
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

fn product(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    std::array::from_fn(|i| std::array::from_fn(|j| a[i][0] * b[0][j] + a[i][1] * b[1][j]))
}

#[test]
fn the_average_has_the_least_covariance() {
    let det = H[0][0] * H[1][1] - H[0][1] * H[1][0];
    let inverse = [[H[1][1] / det, -H[0][1] / det], [-H[1][0] / det, H[0][0] / det]];
    let least = product(product(inverse, S), inverse);
    let average = |state: &State<Var>, _: Var| state.get("average").unwrap().0[0].1;
    for eta in [0.2, 0.4] {
        let update = chain((sgd(eta), polyak_ruppert(0)));
        // The mean of n is H⁻¹ Σ (1 − aᵏ) ξ/n with a = 1 − ηH: the covariance is the least one times Σ (1 − aᵏ)²/n, factor by factor.
        let n = 300;
        let mut exact = [[0.0; 2]; 2];
        let mut power = [[1.0, 0.0], [0.0, 1.0]];
        let a = [[1.0 - eta * H[0][0], -eta * H[0][1]], [-eta * H[1][0], 1.0 - eta * H[1][1]]];
        for _ in 0..n {
            power = product(power, a);
            let left =
                product(inverse, [[1.0 - power[0][0], -power[0][1]], [-power[1][0], 1.0 - power[1][1]]]);
            let term = product(product(left, S), left); // `left` is symmetric: a function of H
            (0..2).for_each(|i| (0..2).for_each(|j| exact[i][j] += term[i][j]));
        }
        let found = covariance(&update, n, average);
        for i in 0..2 {
            for j in 0..2 {
                assert!((found[i][j] - exact[i][j] / n as f64).abs() < 1e-12, "rate {eta}: {found:?}");
                // … which is the least but for about 3/(ηhn), at most: 3/(0.2 · 0.79 · 300).
                assert!(
                    (found[i][j] - least[i][j]).abs() < 0.08 * least[0][0].max(least[1][1]),
                    "{found:?} {least:?}"
                );
            }
        }
    }
    // The last iterate's grows with the rate; that of a mean of every second one is still the least; an exponential average's is not.
    let last = |eta| covariance(&chain((sgd(eta), polyak_ruppert(0))), 300, |_, w| w)[0][0];
    assert!(last(0.4) > 1.8 * last(0.2) && last(0.2) > 20.0 * least[0][0]);
    let every_second = covariance(&chain((sgd(0.2), swa(0, 2))), 300, average)[0][0];
    assert!((every_second / least[0][0] - 1.0).abs() < 0.1, "{every_second}");
    let exponential = covariance(&chain((sgd(0.2), ema(0.9))), 300, average)[0][0];
    assert!(exponential > 10.0 * least[0][0]);
}

#[test]
fn langevin_has_the_stationary_variance_with_its_bias() {
    // 4000 chains for each of two curvatures, of one rate: ηh = 0.5 and 1.
    let (n, eta, h) = (4000, 0.5, [1.0, 2.0]);
    // `more` of the gradient is taken away besides.
    let run = |update: &Update, more: f64| {
        let scale = constant_rows(n, &h);
        let step = jit(|w: Var, h: Var, state: State<Var>| {
            let (moved, state) = update.step_at(&(h * w), state, &w);
            (moved - more * (h * w), state)
        });
        let mut w = shaped(&[n, 2], vec![0.0; 2 * n]);
        let mut state = update.init(&w).unwrap();
        for _ in 0..40 {
            (w, state) = step.call((&w, &scale, &state)).unwrap();
        }
        numbers(&w).chunks(2).map(|w| vec![w[0] * w[0], w[1] * w[1]]).collect::<Vec<_>>()
    };
    let draws = run(&langevin(eta, Key::from_seed(11)), 0.0);
    let variance = h.map(|h| 1.0 / (h * (1.0 - eta * h / 4.0)));
    let found = hotelling(&draws, &variance).unwrap();
    assert!(found.p > 0.01, "{found:?}");
    // That of the posterior, without the bias, and one that is a tenth more are both refused.
    assert!(hotelling(&draws, &h.map(|h| 1.0 / h)).unwrap().p < 1e-6);
    assert!(hotelling(&draws, &variance.map(|v| 1.1 * v)).unwrap().p < 0.01);
    // Without the half before the gradient it is another variance.
    let broken = run(&langevin(eta, Key::from_seed(11)), 0.5 * eta);
    assert!(hotelling(&broken, &variance).unwrap().p < 1e-6);

    // Preconditioned: the formula, with the draws of the plain one.
    let (w, g) = (array([0.5, -1.0]), array([2.0, -4.0]));
    let (plain, bent) =
        (langevin(0.25, Key::from_seed(3)), preconditioned_langevin(0.25, 0.0, 1.0, Key::from_seed(3)));
    let step =
        |update: &Update, g: &Array| numbers(&update.update(g, &update.init(&w).unwrap(), &w).unwrap().0);
    let noise = step(&plain, &array([0.0, 0.0]));
    for ((found, noise), g) in step(&bent, &g).iter().zip(noise).zip(numbers(&g)) {
        let metric = 1.0 / (1.0 + g.abs());
        let expected = -0.125 * metric * g + metric.sqrt() * noise;
        assert!((found - expected).abs() < 1e-15);
    }
}

fn constant_rows(n: usize, row: &[f64]) -> Array {
    shaped(&[n, row.len()], (0..n).flat_map(|_| row.to_vec()).collect())
}

/// The mean over all examples of the frozen gradients is the gradient of the quadratic model.
#[test]
fn frozen_gradients_have_the_mean_of_the_quadratic_model() {
    let logistic = |w: Var, (x, y): (Var, Var)| (-(y * x.dot(w))).softplus().mean();
    let x = normal(Key::from_seed(1), [12, 3]);
    let y = shaped(&[12], (0..12).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect());
    let (c, w) = (array([0.2, -0.5, 0.1]), array([1.0, 0.3, -0.7]));
    let away: Vec<f64> = numbers(&w).iter().zip(numbers(&c)).map(|(w, c)| w - c).collect();
    let data = (x.clone(), y.clone());
    let g = numbers(&grad(logistic).call((&c, &data)).unwrap());
    let hv = numbers(
        &retrograde_engine::hvp(logistic).call((&c, &data), &array([away[0], away[1], away[2]])).unwrap(),
    );
    let model: Vec<f64> = g.iter().zip(hv).map(|(g, hv)| g + hv).collect();
    let of = jit(|ends: (Var, Var), data: (Var, Var)| frozen_gradient(logistic, ends.0, ends.1, data));
    let mut mean = vec![0.0; 3];
    for (row, y) in numbers(&x).chunks(3).zip(numbers(&y)) {
        let example = (shaped(&[1, 3], row.to_vec()), shaped(&[1], vec![y]));
        let found = numbers(&of.call((&(c.clone(), w.clone()), &example)).unwrap());
        mean.iter_mut().zip(found).for_each(|(mean, g)| *mean += g / 12.0);
    }
    assert!(distance(&mean, &model) < 1e-15);
    // It is not the gradient at w.
    assert!(distance(&model, &numbers(&grad(logistic).call((&w, &data)).unwrap())) > 1e-2);
}

/// y = x·w* + σε with x = ±R e_j, coordinate j with probability p_j, one of them 0: H = R² diag p. Constant rate γ = 1/(4R²).
#[test]
fn the_frozen_newton_step_converges_as_one_over_n() {
    const P: [f64; 4] = [0.5, 0.3, 0.2, 0.0];
    let (n, n_runs, sigma, scale) = (1000, 400, 0.5, 2.0);
    let gamma = 0.25 / (scale * scale);
    let truth = [1.0, -1.0, 0.5, 3.0];
    let excess = |start_off: f64, n: usize, centre_weight: f64| -> Vec<f64> {
        let picks = numbers(&uniform(Key::from_seed(21), [n, n_runs]));
        let noise = numbers(&normal(Key::from_seed(22), [n, n_runs]));
        let (mut x, mut y) = (vec![], vec![]);
        for (pick, noise) in picks.iter().zip(&noise) {
            let (sign, pick) = if *pick < 0.5 { (1.0, 2.0 * pick) } else { (-1.0, 2.0 * pick - 1.0) };
            let mut rest = pick;
            let j = (0..3)
                .find(|j| {
                    rest -= P[*j];
                    rest < 0.0
                })
                .unwrap_or(2);
            x.extend((0..4).map(|i| if i == j { sign * scale } else { 0.0 }));
            y.push(sign * scale * truth[j] + sigma * noise);
        }
        let (x, y) = (shaped(&[n, n_runs, 4], x), shaped(&[n, n_runs], y));
        // All runs side by side: the loss of each is a term of its own.
        let loss = |w: Var, (x, y): (Var, Var)| {
            let miss = (x * w).sum_axes(&[1]) - y;
            0.5 * (miss * miss).sum()
        };
        let update = chain((sgd(gamma), polyak_ruppert(0)));
        let run = jit(|start: Var, centre: Var, data: (Var, Var)| {
            let nothing: Vec<Var> = vec![];
            let init = (start, update.init_at(&start));
            let ((_, state), _) =
                scan_over().run(init, data, |(w, state): (Var, State<Var>), example: (Var, Var)| {
                    let g = frozen_gradient(loss, centre, w, example);
                    (update.step_at(&g, state, &w), nothing.clone())
                });
            state.get("average").unwrap().0[0].1
        });
        let start = constant_rows(n_runs, &truth.map(|t| t + start_off));
        let centre = constant_rows(n_runs, &truth.map(|t| centre_weight * t));
        let mean = numbers(&run.call((&start, &centre, &(x, y))).unwrap());
        let half_square =
            |w: &[f64]| (0..4).map(|j| 0.5 * scale * scale * P[j] * (w[j] - truth[j]).powi(2)).sum::<f64>();
        mean.chunks(4).map(half_square).collect()
    };
    let mean = |draws: &[f64]| draws.iter().sum::<f64>() / draws.len() as f64;
    // From w*: σ²/(2n) for each of the three dimensions, times 1 + (1 − p) γR²/(2 − γR²) for the noise of x itself.
    let expected: f64 = P[..3].iter().map(|p| sigma * sigma * (1.0 + (1.0 - p) * 0.25 / 1.75)).sum();
    let from_truth = mean(&excess(0.0, n, 0.3));
    let quotient = 2.0 * n as f64 * from_truth / expected;
    assert!((quotient - 1.0).abs() < 0.1, "{quotient}");
    // From elsewhere, whatever the centre: within the bound of theorem 1, (σ√d/(1 − √(γR²)) + R‖w₀ − w*‖/√(γR²))²/(2n), and 1/n.
    let bound = |n: usize| (sigma * 3f64.sqrt() / 0.5 + scale * 3f64.sqrt() / 0.5).powi(2) / (2.0 * n as f64);
    for centre in [0.0, 2.0] {
        let (short, long) = (mean(&excess(1.0, n / 4, centre)), mean(&excess(1.0, n, centre)));
        assert!(short < bound(n / 4) && long < bound(n));
        assert!(long < short / 3.5, "{short} and {long}");
    }
}
