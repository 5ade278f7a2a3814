//! Derivatives of decompositions and Fourier transforms against closed forms, and what degenerate operands give.

#![allow(clippy::redundant_closure, reason = "a mistake's line is that of the call")]

use retrograde_array::rng::{self, Key};
use retrograde_array::{Array, DType, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{grad, hessian, jacobian, jit, jvp, vmap};
use retrograde_core::trace::fourier::{complex, fft, ifft, im, irfft, re, rfft};
use retrograde_core::trace::linalg::{
    cholesky, diagonal, eigh, eye, inv, logdet, lower, qr, slogdet, solve, svd, tril, triu, upper,
};
use retrograde_core::trace::var::select;

fn uniform(seed: u64, shape: &[usize]) -> Array {
    let unit = rng::uniform(Key::from_seed(seed), shape).to_vec::<f64>().unwrap();
    Array::new(shape, unit.iter().map(|u| 2.0 * u - 1.0).collect()).unwrap()
}

fn reals(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().unwrap()
}

#[track_caller]
fn close(found: &Array, expected: &Array) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (reals(found), reals(expected));
    let scale = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    assert!(scale > 0.0, "zeros test nothing");
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() <= 1e-12 * scale, "{found:?}, expected {expected:?}");
    }
}

/// What `f` makes of x.
fn value(f: impl Fn(Var) -> Var, x: &Array) -> Array {
    jit(f).call(x).unwrap()
}

fn symmetric(a: Var) -> Var {
    (a + a.t()) * 0.5
}

/// Symmetric and positive definite.
fn gram(a: Var) -> Var {
    a.dot(a.t()) + eye(DType::F64, a.shape()[0])
}

#[test]
fn gradient_of_logdet_is_the_inverse_transposed() {
    let a = uniform(1, &[5, 5]);
    close(&grad(logdet).call(&a).unwrap(), &value(|a| inv(a).t(), &a));
    // The sign has no gradient, and the logarithm is that of the absolute value.
    let f = |a: Var| {
        let (sign, log) = slogdet(a);
        sign * log
    };
    let mut odd = reals(&a);
    odd[..5].iter_mut().for_each(|x| *x = -*x);
    let odd = Array::new([5, 5], odd).unwrap();
    let gradients = [&a, &odd].map(|a| grad(f).call(a).unwrap());
    let signs = [&a, &odd].map(|a| value(|a| slogdet(a).0, a).item::<f64>().unwrap());
    assert_eq!(signs[0], -signs[1]);
    for (gradient, (a, sign)) in gradients.iter().zip([&a, &odd].iter().zip(signs)) {
        close(gradient, &value(|a| inv(a).t() * sign, a));
    }
    // Second order: d(A⁻ᵀ) = -A⁻ᵀ dAᵀ A⁻ᵀ, so the Hessian has entries -B_jk B_li for B = A⁻¹, by rows ij and kl.
    let a = uniform(2, &[3, 3]);
    let b = reals(&value(inv, &a));
    let expected = (0..81).map(|at| {
        let [i, j, k, l] = [at / 27, at / 9 % 3, at / 3 % 3, at % 3];
        -b[j * 3 + k] * b[l * 3 + i]
    });
    close(&hessian(logdet).call(&a).unwrap(), &Array::new([3, 3, 3, 3], expected.collect()).unwrap());
}

#[test]
fn cholesky_of_two_by_two_by_hand() {
    // [[a, .], [b, c]]: L = [[√a, 0], [b/√a, √(c - b²/a)]].
    let (a, b, c) = (4.0f64, 2.0f64, 5.0f64);
    let x = array([[a, 99.0], [b, c]]);
    let last = (c - b * b / a).sqrt();
    close(&value(cholesky, &x), &array([[a.sqrt(), 0.0], [b / a.sqrt(), last]]));
    let gradient = |f: fn(Var) -> Var| grad(f).call(&x).unwrap();
    close(&gradient(|x| cholesky(x).index(0, 0).index(0, 0)), &array([[0.5 / a.sqrt(), 0.0], [0.0, 0.0]]));
    close(
        &gradient(|x| cholesky(x).index(0, 1).index(0, 0)),
        &array([[-0.5 * b / (a * a.sqrt()), 0.0], [1.0 / a.sqrt(), 0.0]]),
    );
    close(
        &gradient(|x| cholesky(x).index(0, 1).index(0, 1)),
        &array([[0.5 * b * b / (a * a) / last, 0.0], [-b / a / last, 0.5 / last]]),
    );
}

#[test]
fn logdet_by_cholesky_agrees() {
    let a = uniform(3, &[4, 4]);
    let by_lu = |a: Var| logdet(gram(a));
    let by_cholesky = |a: Var| diagonal(cholesky(gram(a))).log().sum() * 2.0;
    close(&grad(by_cholesky).call(&a).unwrap(), &grad(by_lu).call(&a).unwrap());
    close(&hessian(by_cholesky).call(&a).unwrap(), &hessian(by_lu).call(&a).unwrap());
}

#[test]
fn not_positive_definite_is_nan_in_its_own_lane() {
    let lanes = array([[[4.0, 2.0], [2.0, 5.0]], [[1.0, 2.0], [2.0, 1.0]]]);
    let gradient = vmap(grad(|a: Var| cholesky(a).sum())).call(&lanes).unwrap();
    assert!(gradient.row(0).bits_eq(&grad(|a: Var| cholesky(a).sum()).call(&lanes.row(0)).unwrap()));
    let [kept @ .., above, _, _] = &reals(&gradient)[4..] else { panic!("two lanes of four") };
    assert!(kept.iter().all(|x| x.is_nan()) && *above == 0.0, "{gradient}");
}

#[test]
fn second_order_through_solve() {
    // f(x) = bᵀ (D + x E)⁻¹ b with M = D + x E: f' = -bᵀ M⁻¹ E M⁻¹ b, f'' = 2 bᵀ M⁻¹ E M⁻¹ E M⁻¹ b.
    let (d, e, b) = (uniform(4, &[4, 4]), uniform(5, &[4, 4]), uniform(6, &[4]));
    let f = |x: Var| (solve(x * &e + &d, x * 0.0 + &b) * &b).sum();
    let x = Array::scalar(0.3);
    let m = value(|x| inv(x * &e + &d), &x);
    let chain = |n: usize| {
        let f = |m: Var| {
            let steps = (0..n).fold(m * 0.0 + eye(DType::F64, 4), |p, _| p.dot(m).dot(m * 0.0 + &e));
            ((steps.dot(m).dot(m.index(0, 0) * 0.0 + &b)) * &b).sum()
        };
        value(f, &m).item::<f64>().unwrap()
    };
    close(&jit(f).call(&x).unwrap(), &Array::scalar(chain(0)));
    close(&grad(f).call(&x).unwrap(), &Array::scalar(-chain(1)));
    close(&hessian(f).call(&x).unwrap(), &Array::scalar(2.0 * chain(2)));
}

#[test]
fn triangular_systems_from_both_sides() {
    let (a, b) = (uniform(7, &[3, 3]), uniform(8, &[2, 3]));
    let a = value(|a| a + eye(DType::F64, 3) * 3.0, &a);
    let right = |a: Var, b: Var| upper(a).solve_right(b).dot(triu(a));
    close(&jit(right).call((&a, &b)).unwrap(), &b);
    let right = |a: Var, b: Var| lower(a).transposed().solve_right(b).dot(tril(a).t());
    close(&jit(right).call((&a, &b)).unwrap(), &b);
    // The solution does not depend on what is not read.
    let unit = |a: Var| lower(a).unit_diagonal().solve(a * 0.0 + eye(DType::F64, 3)).sum();
    let gradient = grad(unit).call(&a).unwrap();
    assert_eq!(value(|g| triu(g), &gradient), Array::zeros(DType::F64, [3, 3]));
    assert!(reals(&gradient).iter().any(|x| *x != 0.0));
}

#[test]
fn qr_solves_least_squares_as_the_normal_equations_do() {
    let (a, b) = (uniform(9, &[6, 3]), uniform(10, &[6, 1]));
    let by_qr = |a: Var| {
        let (q, r) = qr(a);
        upper(r).solve(q.t().dot(a.sum() * 0.0 + &b)).sum()
    };
    let normal = |a: Var| solve(a.t().dot(a), a.t().dot(a.sum() * 0.0 + &b)).sum();
    close(&jit(by_qr).call(&a).unwrap(), &jit(normal).call(&a).unwrap());
    close(&grad(by_qr).call(&a).unwrap(), &grad(normal).call(&a).unwrap());
    // A square root of Gram's matrix: R does what Cholesky does.
    let r = |a: Var| qr(a).1.t();
    let l = |a: Var| cholesky(a.t().dot(a));
    close(&jacobian(r).call(&a).unwrap(), &jacobian(l).call(&a).unwrap());
}

#[test]
fn dependent_columns_have_no_derivative() {
    let a = array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
    assert!(reals(&value(|a| qr(a).1, &a)).iter().all(|x| x.is_finite()));
    let gradient = grad(|a: Var| qr(a).0.sum()).call(&a).unwrap();
    assert!(reals(&gradient).iter().any(|x| !x.is_finite()), "{gradient}");
}

#[test]
fn eigenvalues_to_first_order() {
    // dw_i = v_iᵀ dA v_i, and dv_i = Σ_j v_j (v_jᵀ dA v_i)/(w_i - w_j).
    let (a, da) = (value(symmetric, &uniform(11, &[4, 4])), value(symmetric, &uniform(12, &[4, 4])));
    let (w, v) = jit(eigh).call(&a).unwrap();
    let ((w2, v2), (w_dot, v_dot)) = jvp(eigh).call(&a, &da).unwrap();
    assert!(w2.bits_eq(&w) && v2.bits_eq(&v));
    let (w, v, da) = (reals(&w), reals(&v), reals(&da));
    let form = |i: usize, j: usize| -> f64 {
        (0..16).map(|at| v[at / 4 * 4 + i] * da[at] * v[at % 4 * 4 + j]).sum()
    };
    close(&w_dot, &Array::vector((0..4).map(|i| form(i, i)).collect()));
    let entry = |at: usize| -> f64 {
        let (row, i) = (at / 4, at % 4);
        (0..4).filter(|&j| j != i).map(|j| v[row * 4 + j] * form(j, i) / (w[i] - w[j])).sum()
    };
    close(&v_dot, &Array::new([4, 4], (0..16).map(entry).collect()).unwrap());
}

#[test]
fn equal_eigenvalues() {
    let a = value(|a| a * 0.0 + eye(DType::F64, 3) * 2.0, &uniform(13, &[3, 3]));
    // Alike in all of them: the gradient of Σ w³ is 3 A².
    let cubes = |a: Var| {
        let w = eigh(symmetric(a)).0;
        (w * w * w).sum()
    };
    close(&grad(cubes).call(&a).unwrap(), &value(|a| a.dot(a) * 3.0, &a));
    // What does not exist is not finite, rather than some number.
    let vectors = grad(|a: Var| eigh(a).1.sum()).call(&a).unwrap();
    assert!(reals(&vectors).iter().any(|x| !x.is_finite()));
    let second = hessian(cubes).call(&a).unwrap();
    assert!(reals(&second).iter().any(|x| !x.is_finite()));
    // Of singular values, and at zero.
    let nuclear = |a: Var| svd(a).1.sum();
    close(&grad(nuclear).call(&a).unwrap(), &value(|a| a * 0.5, &a));
    let vectors = grad(|a: Var| svd(a).0.sum()).call(&a).unwrap();
    assert!(reals(&vectors).iter().any(|x| !x.is_finite()));
    let low_rank = array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
    assert!(reals(&grad(nuclear).call(&low_rank).unwrap()).iter().all(|x| x.is_finite()));
    let vectors = grad(|a: Var| svd(a).0.sum()).call(&low_rank).unwrap();
    assert!(reals(&vectors).iter().any(|x| !x.is_finite()));
}

#[test]
fn what_is_not_taken_contributes_nothing() {
    let a = value(|a| a * 0.0 + eye(DType::F64, 2), &uniform(13, &[2, 2]));
    let f = |a: Var| {
        let entry = |m: Var| m.index(0, 0).index(0, 0);
        let vectors = entry(eigh(a).1) + entry(svd(a).0) + entry(svd(a).2);
        select(a.sum().gt(100.0), vectors, a.sum())
    };
    assert_eq!(grad(f).call(&a).unwrap(), array([[1.0, 1.0], [1.0, 1.0]]));
}

#[test]
fn gradient_of_the_nuclear_norm() {
    for shape in [[4, 4], [5, 3], [3, 5]] {
        let a = uniform(14, &shape);
        let expected = value(
            |a| {
                let (u, _, v) = svd(a);
                u.dot(v.t())
            },
            &a,
        );
        close(&grad(|a: Var| svd(a).1.sum()).call(&a).unwrap(), &expected);
        // Σ s² is the sum of squares of A: second derivatives go through the vectors and cancel.
        let squares = |a: Var| {
            let s = svd(a).1;
            (s * s).sum()
        };
        close(&hessian(squares).call(&a).unwrap(), &hessian(|a: Var| (a * a).sum()).call(&a).unwrap());
    }
}

#[test]
fn lanes_to_the_bit() {
    let a = uniform(15, &[3, 4, 4]);
    let f = |a: Var| {
        let (u, s, v) = svd(a);
        let (w, x) = eigh(gram(a));
        (u * v).sum() + s.sum() + (w.reshape([1, 4]).dot(x)).sum() + logdet(a) + qr(a).0.sum() + inv(a).sum()
    };
    let whole = vmap(grad(f)).call(&a).unwrap();
    for lane in 0..3 {
        assert!(whole.row(lane).bits_eq(&grad(f).call(&a.row(lane)).unwrap()), "lane {lane}");
    }
}

/// The message of a refused program.
#[track_caller]
fn refused<T>(result: Result<T, retrograde_core::trace::Error>, words: &[&str]) {
    let Err(error) = result else { panic!("found a result, expected an error") };
    let message = error.to_string();
    assert!(message.contains("tests/linalg.rs:"), "names no line:\n{message}");
    assert!(message.contains("help: "), "names no remedy:\n{message}");
    words.iter().for_each(|word| assert!(message.contains(word), "no `{word}` in\n{message}"));
}

#[test]
fn mistakes_are_named() {
    let wide = uniform(16, &[2, 3]);
    for f in [|a: Var| cholesky(a), |a: Var| logdet(a), |a: Var| eigh(a).1, |a: Var| inv(a)] {
        refused(jit(move |a: Var| f(a)).call(&wide), &["f64[2,3]", "expected a square one"]);
    }
    let whole = array([[1_i64, 2], [3, 4]]);
    for f in [|a: Var| logdet(a), |a: Var| qr(a).1, |a: Var| svd(a).2, |a: Var| eigh(a).1] {
        refused(
            jit(move |a: Var| f(a)).call(&whole),
            &["i64[2,2]", "expected floating-point numbers", "convert"],
        );
    }
    let vector = uniform(17, &[3]);
    for f in [|a: Var| cholesky(a), |a: Var| tril(a), |a: Var| qr(a).0, |a: Var| svd(a).1] {
        refused(jit(move |a: Var| f(a)).call(&vector), &["f64[3]", "expected a matrix"]);
    }
    let square = uniform(18, &[3, 3]);
    let system = |b: &Array| jit(|a: Var, b: Var| solve(a, b)).call((&square, b));
    refused(system(&uniform(19, &[4])), &["right side: found f64[4,1], expected f64[3,1]"]);
    refused(system(&array([1.0f32, 2.0, 3.0])), &["dtypes differ", "convert"]);
    refused(jit(|b: Var| lower(b).solve(b)).call(&uniform(20, &[2, 3, 3, 1])), &["expected a square one"]);
    refused(jit(|z: Var| fft(z)).call(&vector), &["f64[3]", "[.., n, 2]", "complex"]);
    refused(jit(|x: Var| rfft(x)).call(&Array::scalar(1.0)), &["f64[]", "at least one number"]);
    refused(jit(|z: Var| irfft(z, 5)).call(&uniform(21, &[4, 2])), &["expected 3 coefficients for n = 5"]);
    refused(jit(|z: Var| irfft(z, 0)).call(&uniform(21, &[1, 2])), &["expected 1 coefficients for n = 0"]);
    refused(jit(|x: Var| irfft(x, 5)).call(&vector), &["[.., n/2 + 1, 2]"]);
}

#[test]
fn empty_matrices_have_empty_gradients() {
    let a = Array::zeros(DType::F64, [0, 0]);
    let log = |a: Var| {
        logdet(a) + cholesky(a).sum() + eigh(a).0.sum() + svd(a).1.sum() + qr(a).1.sum() + inv(a).sum()
    };
    assert_eq!(jit(log).call(&a).unwrap(), Array::scalar(0.0));
    assert_eq!(grad(log).call(&a).unwrap(), a);
}

#[test]
fn fourier_transforms_and_their_gradients() {
    for n in [1, 2, 5, 6, 9] {
        let x = uniform(22, &[2, n]);
        close(&value(|x| irfft(rfft(x), n), &x), &x);
        let z = uniform(23, &[2, n, 2]);
        close(&value(|z| ifft(fft(z)), &z), &z);
        // Parseval: Σ |ẑ|² = n Σ |z|², so its gradient is 2n z.
        let energy = |z: Var| {
            let f = fft(z);
            (re(f) * re(f) + im(f) * im(f)).sum()
        };
        close(&grad(energy).call(&z).unwrap(), &value(|z| z * (2.0 * n as f64), &z));
        close(&value(|x| fft(complex(x, x * 0.0)).slice(1, 0..n / 2 + 1), &x), &value(rfft, &x));
        // The transform of a shift is a circular convolution: irfft(rfft(x) · rfft(δ_1)) = x shifted.
        let shifted = |x: Var| {
            let (a, b) = (rfft(x), rfft(x * 0.0 + &one_at(1 % n, n)));
            let product = complex(re(a) * re(b) - im(a) * im(b), re(a) * im(b) + im(a) * re(b));
            irfft(product, n)
        };
        let expected: Vec<f64> = (0..2 * n).map(|at| reals(&x)[at / n * n + (at % n + n - 1) % n]).collect();
        close(&value(shifted, &x), &Array::new([2, n], expected).unwrap());
        let weights = uniform(24, &[2, n]);
        let expected: Vec<f64> =
            (0..2 * n).map(|at| reals(&weights)[at / n * n + (at % n + 1) % n]).collect();
        let gradient = grad(|x: Var| (shifted(x) * &weights).sum()).call(&x).unwrap();
        close(&gradient, &Array::new([2, n], expected).unwrap());
    }
}

/// Two rows of length n, each with a 1 at `position`.
fn one_at(position: usize, n: usize) -> Array {
    Array::new([2, n], (0..2 * n).map(|at| f64::from(u8::from(at % n == position))).collect()).unwrap()
}
