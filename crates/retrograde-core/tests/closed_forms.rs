//! Gradients and Hessians against closed forms, in f64 to 1e-12 of their largest entry.

#![allow(clippy::needless_range_loop, reason = "the formulas have indices")]

use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, array, ops};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan_over;
use retrograde_core::trace::door::{grad, hessian, hvp, jacobian, value_and_grad};
use retrograde_core::trace::var::{constant, stack};

const TOLERANCE: f64 = 1e-12;

fn uniform(seed: u64, n: usize, low: f64, high: f64) -> Vec<f64> {
    let unit = rng::uniform(Key::from_seed(seed), [n]).to_vec::<f64>().unwrap();
    unit.iter().map(|u| low + (high - low) * u).collect()
}

fn reals(array: &Array) -> Vec<f64> {
    array.to_vec::<f64>().unwrap()
}

fn expect_close(what: &str, found: &Array, expected: &[f64]) {
    let found = reals(found);
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    assert!(scale > 0.0, "{what}: the closed form is zero, which tests nothing");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= TOLERANCE * scale,
            "{what}, entry {i}: {f:e}, expected {e:e}, largest {scale:e}"
        );
    }
}

/// Every door's first and second derivatives of `f` at `x` against value, gradient and Hessian (rows after each other).
fn check(what: &str, f: impl Fn(Var) -> Var + Copy, x: &Array, value: f64, gradient: &[f64], hess: &[f64]) {
    let n = x.size();
    let (v, g) = value_and_grad(f).call(x).unwrap();
    expect_close(&format!("value of {what}"), &v, &[value]);
    expect_close(&format!("gradient of {what}"), &g, gradient);
    assert!(g.bits_eq(&grad(f).call(x).unwrap()), "{what}: grad and value_and_grad differ");

    let whole = hessian(f).call(x).unwrap();
    assert_eq!(whole.shape().to_vec(), [x.shape().to_vec(), x.shape().to_vec()].concat());
    expect_close(&format!("hessian of {what}"), &whole, hess);
    expect_close(&format!("jacobian of grad of {what}"), &jacobian(grad(f)).call(x).unwrap(), hess);

    let direction = uniform(99, n, -1.0, 1.0);
    let expected: Vec<f64> = (0..n).map(|i| (0..n).map(|j| hess[i * n + j] * direction[j]).sum()).collect();
    let direction = array(direction).reshaped(x.shape().clone()).unwrap();
    expect_close(&format!("hvp of {what}"), &hvp(f).call(x, &direction).unwrap(), &expected);
    let other = hvp(f).reverse_over_forward().call(x, &direction).unwrap();
    expect_close(&format!("reverse-over-forward hvp of {what}"), &other, &expected);
}

/// Sums of contributions to a Hessian.
struct Hessian {
    n: usize,
    entries: Vec<f64>,
}

impl Hessian {
    fn new(n: usize) -> Hessian {
        Hessian { n, entries: vec![0.0; n * n] }
    }
    fn add(&mut self, i: usize, j: usize, value: f64) {
        self.entries[i * self.n + j] += value;
        if i != j {
            self.entries[j * self.n + i] += value;
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn rosenbrock() {
    // Σ 100 (x_{i+1} - x_i²)² + (1 - x_i)². Source: Rosenbrock 1960, chained.
    let n = 100;
    let f = move |x: Var| {
        let (a, b) = (x.slice(0, 0..n - 1), x.slice(0, 1..n));
        let curved = b - a * a;
        (100.0 * curved * curved + (1.0 - a) * (1.0 - a)).sum()
    };
    let x = uniform(1, n, -1.5, 1.5);
    let (mut value, mut g, mut h) = (0.0, vec![0.0; n], Hessian::new(n));
    for i in 0..n - 1 {
        let c = x[i + 1] - x[i] * x[i];
        value += 100.0 * c * c + (1.0 - x[i]).powi(2);
        g[i] += -400.0 * x[i] * c - 2.0 * (1.0 - x[i]);
        g[i + 1] += 200.0 * c;
        h.add(i, i, -400.0 * c + 800.0 * x[i] * x[i] + 2.0);
        h.add(i, i + 1, -400.0 * x[i]);
        h.add(i + 1, i + 1, 200.0);
    }
    check("rosenbrock", f, &array(x), value, &g, &h.entries);
}

#[test]
fn log_sum_exp() {
    // log Σ exp x, with the largest entry taken out; gradient p, Hessian diag p - p p^T.
    let n = 12;
    let f = |x: Var| {
        let largest = x.gather(0, x.argmax(0)).stop_gradient();
        (x - largest).exp().sum().log() + largest
    };
    let x = uniform(2, n, -5.0, 5.0);
    let total: f64 = x.iter().map(|x| x.exp()).sum();
    let p: Vec<f64> = x.iter().map(|x| x.exp() / total).collect();
    let mut h = Hessian::new(n);
    for i in 0..n {
        h.add(i, i, p[i]);
        for j in 0..=i {
            h.add(i, j, -p[i] * p[j]);
        }
    }
    check("log-sum-exp", f, &array(x), total.ln(), &p, &h.entries);
}

#[test]
fn two_layer_network() {
    // ½ Σ_s (v·tanh(W x_s + b) - t_s)² in all weights, by hand: H = Σ ∇y ∇y^T + e ∇²y.
    let (inputs, hidden, samples) = (3, 4, 5);
    let n = hidden * inputs + 2 * hidden;
    let (xs, ts) = (uniform(3, samples * inputs, -1.0, 1.0), uniform(4, samples, -1.0, 1.0));
    let data = (Array::new([samples, inputs], xs.clone()).unwrap(), array(ts.clone()));
    let f = |theta: Var| {
        let w = theta.slice(0, 0..hidden * inputs).reshape([hidden, inputs]);
        let b = theta.slice(0, hidden * inputs..hidden * inputs + hidden);
        let v = theta.slice(0, hidden * inputs + hidden..n);
        let y = (constant(&data.0).dot(w.t()) + b.spread([samples, hidden])).tanh().dot(v);
        let e = y - &data.1;
        0.5 * (e * e).sum()
    };
    let theta = uniform(5, n, -1.2, 1.2);
    let (b, v) = theta[hidden * inputs..].split_at(hidden);
    let (mut value, mut g, mut h) = (0.0, vec![0.0; n], Hessian::new(n));
    for s in 0..samples {
        let x = &xs[s * inputs..(s + 1) * inputs];
        let tanh: Vec<f64> =
            (0..hidden).map(|j| (dot(&theta[j * inputs..(j + 1) * inputs], x) + b[j]).tanh()).collect();
        let e = dot(v, &tanh) - ts[s];
        value += 0.5 * e * e;
        // Slots of unit j: its inputs, then its bias (an input of one).
        let slot = |j: usize, k: usize| if k < inputs { j * inputs + k } else { hidden * inputs + j };
        let input = |k: usize| if k < inputs { x[k] } else { 1.0 };
        let mut y_grad = vec![0.0; n];
        for j in 0..hidden {
            let slope = 1.0 - tanh[j] * tanh[j];
            let v_slot = hidden * inputs + hidden + j;
            y_grad[v_slot] = tanh[j];
            for k in 0..=inputs {
                y_grad[slot(j, k)] = v[j] * slope * input(k);
                h.add(v_slot, slot(j, k), e * slope * input(k));
                for l in 0..=k {
                    h.add(slot(j, k), slot(j, l), -2.0 * e * v[j] * tanh[j] * slope * input(k) * input(l));
                }
            }
        }
        for i in 0..n {
            g[i] += e * y_grad[i];
            for j in 0..=i {
                h.add(i, j, y_grad[i] * y_grad[j]);
            }
        }
    }
    check("two-layer network", f, &array(theta.clone()), value, &g, &h.entries);
}

#[test]
fn quadratic_form() {
    // ½ x^T A x + b·x with A not symmetric: gradient ½ (A + A^T) x + b, Hessian ½ (A + A^T).
    let n = 20;
    let (a, b) = (uniform(6, n * n, -1.0, 1.0), uniform(7, n, -1.0, 1.0));
    let data = (Array::new([n, n], a.clone()).unwrap(), array(b.clone()));
    let f = |x: Var| 0.5 * x.dot(constant(&data.0).dot(x)) + (x * &data.1).sum();
    let x = uniform(8, n, -2.0, 2.0);
    let h: Vec<f64> = (0..n * n).map(|k| 0.5 * (a[k] + a[k % n * n + k / n])).collect();
    let g: Vec<f64> = (0..n).map(|i| dot(&h[i * n..(i + 1) * n], &x) + b[i]).collect();
    let value = (0..n).map(|i| x[i] * (0.5 * dot(&a[i * n..(i + 1) * n], &x) + b[i])).sum();
    check("quadratic form", f, &array(x), value, &g, &h);
}

#[test]
fn himmelblau() {
    // Σ over pairs (x² + y - 11)² + (x + y² - 7)². Source: Himmelblau 1972.
    let pairs = 5;
    let f = move |z: Var| {
        let z = z.reshape([pairs, 2]);
        let (x, y) = (z.index(1, 0), z.index(1, 1));
        let (p, q) = (x.fma(x, y) - 11.0, y.fma(y, x) - 7.0);
        (p * p + q * q).sum()
    };
    let z = uniform(9, 2 * pairs, -4.0, 4.0);
    let (mut value, mut g, mut h) = (0.0, vec![0.0; 2 * pairs], Hessian::new(2 * pairs));
    for k in 0..pairs {
        let (x, y) = (z[2 * k], z[2 * k + 1]);
        let (p, q) = (x * x + y - 11.0, x + y * y - 7.0);
        value += p * p + q * q;
        g[2 * k] = 4.0 * x * p + 2.0 * q;
        g[2 * k + 1] = 2.0 * p + 4.0 * y * q;
        h.add(2 * k, 2 * k, 4.0 * p + 8.0 * x * x + 2.0);
        h.add(2 * k, 2 * k + 1, 4.0 * x + 4.0 * y);
        h.add(2 * k + 1, 2 * k + 1, 2.0 + 4.0 * q + 8.0 * y * y);
    }
    check("himmelblau", f, &array(z), value, &g, &h.entries);
}

#[test]
fn product_of_sines() {
    // Π sin x_i as a loop: gradient f cot x_i, Hessian f cot x_i cot x_j, on the diagonal -f.
    let n = 7;
    let f = |x: Var| {
        scan_over().run(constant(&array(1.0)), x, |product, x| (product * x.sin(), Vec::<Var>::new())).0
    };
    let x = uniform(10, n, 0.4, 2.7);
    let value: f64 = x.iter().map(|x| x.sin()).product();
    let cot: Vec<f64> = x.iter().map(|x| x.cos() / x.sin()).collect();
    let g: Vec<f64> = cot.iter().map(|c| value * c).collect();
    let h: Vec<f64> =
        (0..n * n).map(|k| if k / n == k % n { -value } else { value * cot[k / n] * cot[k % n] }).collect();
    check("product of sines", f, &array(x), value, &g, &h);
}

#[test]
fn softmax_cross_entropy() {
    // Mean over rows of log Σ exp z - z_label: gradient (p - y) / m, Hessian (diag p - p p^T) / m per row.
    let (m, c) = (4, 5);
    let labels = [2i64, 0, 4, 2];
    let f = move |z: Var| {
        let rows: Vec<Var> = (0..m)
            .map(|i| {
                let row = z.index(0, i);
                row.exp().sum().log() - row.gather(0, constant(&array(labels[i])))
            })
            .collect();
        stack(&rows).mean()
    };
    let z = uniform(11, m * c, -2.0, 2.0);
    let (mut value, mut g, mut h) = (0.0, vec![0.0; m * c], Hessian::new(m * c));
    for i in 0..m {
        let row = &z[i * c..(i + 1) * c];
        let total: f64 = row.iter().map(|z| z.exp()).sum();
        let label = labels[i] as usize;
        value += (total.ln() - row[label]) / m as f64;
        for j in 0..c {
            let p = row[j].exp() / total;
            g[i * c + j] = (p - if j == label { 1.0 } else { 0.0 }) / m as f64;
            h.add(i * c + j, i * c + j, p / m as f64);
            for k in 0..=j {
                h.add(i * c + j, i * c + k, -p * row[k].exp() / total / m as f64);
            }
        }
    }
    check("softmax cross-entropy", f, &Array::new([m, c], z).unwrap(), value, &g, &h.entries);
}

#[test]
fn pairwise_energy() {
    // Σ_{i<j} q_i q_j / |x_i - x_j|: gradient -q q d / r³, Hessian blocks ± q q (3 d d^T / r⁵ - 1 / r³).
    let n = 5;
    let q = uniform(12, n, 0.5, 2.0);
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
    let left = array(pairs.iter().map(|p| p.0 as i64).collect::<Vec<_>>());
    let right = array(pairs.iter().map(|p| p.1 as i64).collect::<Vec<_>>());
    let products = array(pairs.iter().map(|&(i, j)| q[i] * q[j]).collect::<Vec<_>>());
    let f = |x: Var| {
        let d = x.gather(0, constant(&left)) - x.gather(0, constant(&right));
        (constant(&products) / (d * d).sum_axes(&[1]).sqrt()).sum()
    };
    let x = uniform(13, 3 * n, -1.0, 1.0);
    let (mut value, mut g, mut h) = (0.0, vec![0.0; 3 * n], Hessian::new(3 * n));
    for (i, j) in pairs.iter().copied() {
        let d: Vec<f64> = (0..3).map(|k| x[3 * i + k] - x[3 * j + k]).collect();
        let (qq, r) = (q[i] * q[j], dot(&d, &d).sqrt());
        value += qq / r;
        for k in 0..3 {
            g[3 * i + k] -= qq * d[k] / r.powi(3);
            g[3 * j + k] += qq * d[k] / r.powi(3);
            for l in 0..3 {
                let block = qq * (3.0 * d[k] * d[l] / r.powi(5) - if k == l { 1.0 / r.powi(3) } else { 0.0 });
                if l <= k {
                    h.add(3 * i + k, 3 * i + l, block);
                    h.add(3 * j + k, 3 * j + l, block);
                }
                h.add(3 * i + k, 3 * j + l, -block);
            }
        }
    }
    check("pairwise energy", f, &Array::new([n, 3], x).unwrap(), value, &g, &h.entries);
}

#[test]
fn rayleigh_quotient() {
    // ρ = x^T A x / x·x with A symmetric: g = 2 (A x - ρ x) / x·x, H = 2 (A - ρ 1 - x g^T - g x^T) / x·x.
    let n = 8;
    let raw = uniform(14, n * n, -1.0, 1.0);
    let a: Vec<f64> = (0..n * n).map(|k| raw[k] + raw[k % n * n + k / n]).collect();
    let matrix = Array::new([n, n], a.clone()).unwrap();
    let f = |x: Var| x.dot(constant(&matrix).dot(x)) / (x * x).sum();
    let x = uniform(15, n, -1.0, 1.0);
    let ax: Vec<f64> = (0..n).map(|i| dot(&a[i * n..(i + 1) * n], &x)).collect();
    let (norm, rho) = (dot(&x, &x), dot(&x, &ax) / dot(&x, &x));
    let g: Vec<f64> = (0..n).map(|i| 2.0 * (ax[i] - rho * x[i]) / norm).collect();
    let h: Vec<f64> = (0..n * n)
        .map(|k| {
            let (i, j) = (k / n, k % n);
            let shift = if i == j { rho } else { 0.0 };
            2.0 * (a[k] - shift - x[i] * g[j] - g[i] * x[j]) / norm
        })
        .collect();
    check("rayleigh quotient", f, &array(x), rho, &g, &h);
}

#[test]
fn smooth_length() {
    // √(1 + x·x) = f: gradient x / f, Hessian 1 / f - x x^T / f³.
    let n = 6;
    let f = |x: Var| ((x * x).sum() + 1.0).sqrt();
    let x = uniform(16, n, -2.0, 2.0);
    let value = (1.0 + dot(&x, &x)).sqrt();
    let g: Vec<f64> = x.iter().map(|x| x / value).collect();
    let h: Vec<f64> = (0..n * n)
        .map(|k| (if k / n == k % n { 1.0 / value } else { 0.0 }) - x[k / n] * x[k % n] / value.powi(3))
        .collect();
    check("smooth length", f, &array(x), value, &g, &h);
}

/// Their second derivatives near zero are small differences of nothing: as accurate as elsewhere.
#[test]
fn inverse_functions_near_zero() {
    let x: f64 = 1e-6;
    let complement = 1.0 - x * x;
    let of_asin = x / (complement * complement.sqrt());
    type Rows = [(&'static str, fn(Var) -> Var, f64); 3];
    let rows: Rows = [
        ("asin", |x| x.asin().sum(), of_asin),
        ("acos", |x| x.acos().sum(), -of_asin),
        ("atanh", |x| x.atanh().sum(), 2.0 * x / (complement * complement)),
    ];
    for (what, f, expected) in rows {
        expect_close(what, &hvp(f).call(&array([x]), &array([1.0])).unwrap(), &[expected]);
    }
}

#[test]
fn the_check_finds_a_wrong_entry() {
    let x = array([0.3, -0.2]);
    let cubes = |x: Var| (x * x * x).sum();
    let (value, g) = (0.027 - 0.008, [0.27, 0.12]);
    check("cubes", cubes, &x, value, &g, &[1.8, 0.0, 0.0, -1.2]);
    let wrong = std::panic::catch_unwind(|| check("cubes", cubes, &x, value, &g, &[1.8, 1e-11, 0.0, -1.2]));
    assert!(wrong.is_err());
    let near = ops::convert(&array(g), retrograde_array::DType::F32);
    let near: Vec<f64> = (0..2).map(|i| near.get(i).unwrap().to_f64()).collect();
    assert!(
        std::panic::catch_unwind(|| check("cubes", cubes, &x, value, &near, &[1.8, 0.0, 0.0, -1.2])).is_err()
    );
}
