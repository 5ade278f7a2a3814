//! Decompositions and Fourier transforms against what defines them, and what data may not do to them.

use super::super::fourier::fft;
use super::super::linalg::{self, Triangular};
use super::super::{DotDims, Part, convert, dot_general, transpose, triangle};
use crate::rng::{self, Key};
use crate::{Array, DType, array};

fn uniform(seed: u64, shape: &[usize]) -> Array {
    let unit = rng::uniform(Key::from_seed(seed), shape).to_vec::<f64>().unwrap();
    Array::new(shape, unit.iter().map(|u| 2.0 * u - 1.0).collect()).unwrap()
}

fn dot(a: &Array, b: &Array) -> Array {
    dot_general(a, b, &DotDims::matmul())
}

fn t(a: &Array) -> Array {
    transpose(a, &[1, 0])
}

fn eye(n: usize) -> Array {
    triangle(&Array::full(DType::F64, [n, n], 1.0.into()), Part::Diagonal)
}

/// The vector as a diagonal matrix.
fn diagonal(w: &Array) -> Array {
    let (n, w) = (w.size(), w.to_vec::<f64>().unwrap());
    Array::new([n, n], (0..n * n).map(|at| if at / n == at % n { w[at % n] } else { 0.0 }).collect()).unwrap()
}

fn reals(a: &Array) -> Vec<f64> {
    a.to_vec::<f64>().unwrap()
}

#[track_caller]
fn close(found: &Array, expected: &Array) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (reals(found), reals(expected));
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |m: f64, x| m.max(x.abs()));
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() <= 1e-12 * scale, "{found:?}, expected {expected:?}");
    }
}

fn all_nan(a: &Array) -> bool {
    reals(a).iter().all(|x| x.is_nan())
}

/// A symmetric positive definite matrix.
fn definite(seed: u64, n: usize) -> Array {
    let a = uniform(seed, &[n, n + 2]);
    dot(&a, &t(&a))
}

const SIDES: [usize; 6] = [1, 2, 3, 8, 40, 65];

#[test]
fn cholesky_by_definition() {
    for n in SIDES {
        let a = definite(n as u64, n);
        let l = linalg::cholesky(&a).unwrap();
        close(&dot(&l, &t(&l)), &a);
        assert_eq!(triangle(&l, Part::Lower), l);
        // Nothing above the diagonal is read.
        let mut half = a.clone();
        let entries = half.make_mut::<f64>().unwrap();
        (0..n * n).filter(|at| at % n > at / n).for_each(|at| entries[at] = f64::NAN);
        assert_eq!(linalg::cholesky(&half).unwrap(), l);
    }
    // By hand: [[4, 2], [2, 5]] = [[2, 0], [1, 2]] [[2, 1], [0, 2]].
    let l = linalg::cholesky(&array([[4.0, 2.0], [2.0, 5.0]])).unwrap();
    assert_eq!(l, array([[2.0, 0.0], [1.0, 2.0]]));
}

#[test]
fn one_indefinite_lane_leaves_the_others_alone() {
    let nan = f64::NAN;
    let a = array([[[4.0, 2.0], [2.0, 5.0]], [[1.0, 2.0], [2.0, 1.0]], [[nan, 2.0], [2.0, 5.0]]]);
    let l = linalg::cholesky(&a).unwrap();
    let none = array([[nan, 0.0], [nan, nan]]);
    assert_eq!([l.row(0), l.row(1), l.row(2)], [array([[2.0, 0.0], [1.0, 2.0]]), none.clone(), none]);
}

#[test]
fn triangular_systems_by_definition() {
    for n in SIDES {
        let well = super::super::binary(
            super::super::Binary::Add,
            &uniform(1, &[n, n]),
            &diagonal(&Array::vector(vec![9.0; n])),
        );
        let (a, b) = (well.unwrap(), uniform(2, &[n, 3]));
        for which in 0..8 {
            let which =
                Triangular { lower: which & 1 != 0, transposed: which & 2 != 0, unit: which & 4 != 0 };
            let part = match (which.lower, which.unit) {
                (true, false) => triangle(&a, Part::Lower),
                (false, false) => triangle(&a, Part::Upper),
                (lower, true) => {
                    let strict = if lower { Part::StrictLower } else { Part::StrictUpper };
                    super::super::binary(super::super::Binary::Add, &triangle(&a, strict), &eye(n)).unwrap()
                }
            };
            let x = linalg::triangular_solve(&a, &b, which).unwrap();
            let m = if which.transposed { t(&part) } else { part };
            // Larger unit triangles of such entries are too ill-conditioned to compare.
            if !which.unit || n <= 8 {
                close(&dot(&m, &x), &b);
            }
            // The other triangle, and the diagonal where it counts as ones, is not read.
            let mut half = a.clone();
            let entries = half.make_mut::<f64>().unwrap();
            for (at, entry) in entries.iter_mut().enumerate() {
                let (i, j) = (at / n, at % n);
                if (if which.lower { j > i } else { j < i }) || (which.unit && i == j) {
                    *entry = f64::NAN;
                }
            }
            assert_eq!(linalg::triangular_solve(&half, &b, which).unwrap(), x);
        }
    }
}

#[test]
fn solutions_by_definition() {
    for n in SIDES {
        let (a, b) = (uniform(3, &[n, n]), uniform(4, &[n, 2]));
        let x = linalg::solve(&a, &b, false).unwrap();
        let y = linalg::solve(&a, &b, true).unwrap();
        let miss = |m: &Array, x: &Array| {
            let largest = reals(x).iter().fold(1.0f64, |m, x| m.max(x.abs()));
            reals(&dot(m, x)).iter().zip(reals(&b)).all(|(f, e)| (f - e).abs() <= 1e-13 * n as f64 * largest)
        };
        assert!(miss(&a, &x) && miss(&t(&a), &y), "{n}");
    }
    let singular = linalg::solve(&array([[1.0, 2.0], [2.0, 4.0]]), &array([[1.0], [1.0]]), false).unwrap();
    assert!(reals(&singular).iter().all(|x| !x.is_finite()), "{singular}");
}

#[test]
fn determinants_by_hand() {
    let logdet = |a: &Array| linalg::logdet(a).unwrap().map(|x| x.item::<f64>().unwrap());
    let [sign, log] = logdet(&array([[0.0, 2.0], [3.0, 0.0]]));
    assert!(sign == -1.0 && (log - 6.0f64.ln()).abs() < 1e-15);
    let [sign, log] = logdet(&array([[0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]]));
    assert!(sign == 1.0 && (log - 8.0f64.ln()).abs() < 1e-15);
    assert_eq!(logdet(&array([[1.0, 2.0], [2.0, 4.0]])), [0.0, f64::NEG_INFINITY]);
    assert!(logdet(&array([[f64::NAN]])).iter().all(|x| x.is_nan()));
    for n in SIDES {
        let a = definite(5, n);
        let pivots = reals(&linalg::cholesky(&a).unwrap());
        let expected: f64 = (0..n).map(|i| 2.0 * pivots[i * n + i].ln()).sum();
        let [sign, log] = logdet(&a);
        assert!(sign == 1.0 && (log - expected).abs() < 1e-10, "{n}: {log}, expected {expected}");
    }
}

#[test]
fn qr_by_definition() {
    for m in SIDES {
        for n in [1, 2, 5, 40] {
            let a = uniform(6, &[m, n]);
            let [q, r] = linalg::qr(&a).unwrap();
            close(&dot(&q, &r), &a);
            close(&dot(&t(&q), &q), &eye(m.min(n)));
            assert_eq!(triangle(&r, Part::Upper), r);
            let r = reals(&r);
            assert!((0..m.min(n)).all(|i| r[i * n + i] >= 0.0));
        }
    }
}

/// Each column's first entry near its largest magnitude is positive.
fn signs_hold(u: &Array) -> bool {
    let k = u.shape()[1];
    let u = reals(&t(u));
    u.chunks(u.len() / k).all(|column| {
        let largest = column.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        column.iter().find(|x| x.abs() >= 0.999 * largest).is_some_and(|x| *x > 0.0)
    })
}

#[test]
fn eigenvectors_by_definition() {
    for n in SIDES {
        let a = super::super::binary(
            super::super::Binary::Sub,
            &definite(7, n),
            &diagonal(&Array::vector(vec![3.0; n])),
        );
        let a = a.unwrap();
        let [w, v] = linalg::eigh(&a).unwrap();
        close(&dot(&dot(&v, &diagonal(&w)), &t(&v)), &a);
        close(&dot(&t(&v), &v), &eye(n));
        assert!(reals(&w).is_sorted() && signs_hold(&v));
        let mut half = a.clone();
        let entries = half.make_mut::<f64>().unwrap();
        (0..n * n).filter(|at| at % n > at / n).for_each(|at| entries[at] = f64::NAN);
        assert_eq!(linalg::eigh(&half).unwrap(), [w, v]);
    }
    let [w, v] = linalg::eigh(&array([[2.0, 1.0], [1.0, 2.0]])).unwrap();
    let r = 0.5f64.sqrt();
    close(&w, &array([1.0, 3.0]));
    close(&v, &array([[r, r], [-r, r]]));
}

#[test]
fn singular_vectors_by_definition() {
    for m in SIDES {
        for n in [1, 2, 5, 40] {
            let a = uniform(8, &[m, n]);
            let [u, s, v] = linalg::svd(&a).unwrap();
            close(&dot(&dot(&u, &diagonal(&s)), &t(&v)), &a);
            close(&dot(&t(&u), &u), &eye(m.min(n)));
            close(&dot(&t(&v), &v), &eye(m.min(n)));
            assert!(
                reals(&s).is_sorted_by(|a, b| a >= b)
                    && reals(&s).iter().all(|s| *s >= 0.0)
                    && signs_hold(&u)
            );
        }
    }
}

#[test]
fn sizes_of_entries_do_not_matter() {
    for by in [1e-300, 1e-160, 1e160, 1e300] {
        let scaled =
            |a: &Array| Array::new(a.shape().clone(), reals(a).iter().map(|x| x * by).collect()).unwrap();
        let a = scaled(&uniform(9, &[5, 5]));
        let [q, r] = linalg::qr(&a).unwrap();
        close(&dot(&q, &r), &a);
        let [u, s, v] = linalg::svd(&a).unwrap();
        close(&dot(&dot(&u, &diagonal(&s)), &t(&v)), &a);
        let a = scaled(&definite(10, 5));
        let [w, v] = linalg::eigh(&a).unwrap();
        close(&dot(&dot(&v, &diagonal(&w)), &t(&v)), &a);
    }
}

#[test]
fn no_data_panics_or_hangs() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let edge = [0.0, -0.0, nan, inf, -inf, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0];
    for seed in 0..200u64 {
        let n = 1 + (seed as usize % 6);
        let words = rng::random_bits(Key::from_seed(seed), 2 * n * n);
        let entries: Vec<f64> = words.iter().map(|w| edge[(w % edge.len() as u64) as usize]).collect();
        let a = Array::new([n, n], entries[..n * n].to_vec()).unwrap();
        let b = Array::new([n, n], entries[n * n..].to_vec()).unwrap();
        let which = Triangular { lower: true, transposed: false, unit: false };
        _ = (linalg::cholesky(&a), linalg::triangular_solve(&a, &b, which), linalg::solve(&a, &b, false));
        _ = (linalg::logdet(&a), linalg::qr(&a), linalg::eigh(&a), linalg::svd(&a));
    }
    for bad in [nan, inf] {
        let a = array([[1.0, bad], [bad, 1.0]]);
        assert!(
            linalg::eigh(&a).unwrap().iter().all(all_nan) && linalg::svd(&a).unwrap().iter().all(all_nan)
        );
        assert!(linalg::qr(&a).unwrap().iter().all(all_nan));
    }
    let zeros = Array::zeros(DType::F64, [3, 3]);
    assert_eq!(linalg::svd(&zeros).unwrap()[1], Array::zeros(DType::F64, [3]));
    assert_eq!(linalg::qr(&zeros).unwrap()[1], zeros);
}

#[test]
fn empty_matrices() {
    let shape = |x: &Array| x.shape().to_vec();
    for lanes in [vec![], vec![0], vec![2]] {
        let of = |sides: &[usize]| [&lanes[..], sides].concat();
        let empty = |sides: &[usize]| Array::zeros(DType::F64, of(sides));
        let a = empty(&[0, 0]);
        assert_eq!(shape(&linalg::cholesky(&a).unwrap()), of(&[0, 0]));
        assert_eq!(shape(&linalg::solve(&a, &empty(&[0, 3]), false).unwrap()), of(&[0, 3]));
        assert_eq!(shape(&linalg::solve(&empty(&[2, 2]), &empty(&[2, 0]), true).unwrap()), of(&[2, 0]));
        let which = Triangular { lower: true, transposed: true, unit: false };
        assert_eq!(shape(&linalg::triangular_solve(&a, &empty(&[0, 3]), which).unwrap()), of(&[0, 3]));
        assert_eq!(linalg::eigh(&a).unwrap().each_ref().map(shape), [of(&[0]), of(&[0, 0])]);
        assert_eq!(linalg::qr(&empty(&[3, 0])).unwrap().each_ref().map(shape), [of(&[3, 0]), of(&[0, 0])]);
        assert_eq!(linalg::qr(&empty(&[0, 3])).unwrap().each_ref().map(shape), [of(&[0, 0]), of(&[0, 3])]);
        assert_eq!(
            linalg::svd(&empty(&[0, 3])).unwrap().each_ref().map(shape),
            [of(&[0, 0]), of(&[0]), of(&[3, 0])]
        );
        let [sign, log] = linalg::logdet(&a).unwrap();
        assert_eq!((shape(&sign), shape(&log)), (of(&[]), of(&[])));
        assert!(reals(&sign).iter().all(|s| *s == 1.0) && reals(&log).iter().all(|l| *l == 0.0));
    }
    assert_eq!(shape(&fft(&Array::zeros(DType::F64, [2, 0, 2]), false).unwrap()), [2, 0, 2]);
}

#[test]
fn narrow_floats_are_rounded_once() {
    let a = definite(11, 4);
    for dtype in [DType::F32, DType::BF16] {
        let narrow = convert(&a, dtype);
        let wide = convert(&narrow, DType::F64);
        assert_eq!(linalg::eigh(&narrow).unwrap(), linalg::eigh(&wide).unwrap().map(|x| convert(&x, dtype)));
        let z = convert(&uniform(12, &[6, 2]), dtype);
        let expected = fft(&convert(&z, DType::F64), true).unwrap();
        assert_eq!(fft(&z, true).unwrap(), convert(&expected, dtype));
    }
}

#[test]
fn fourier_transforms_by_definition() {
    for n in [1, 2, 3, 4, 5, 7, 12, 31, 64, 97] {
        let z = uniform(13, &[2, n, 2]);
        let x = reals(&z);
        for backward in [false, true] {
            let sign = if backward { 1.0 } else { -1.0 };
            let mut expected = vec![];
            for at in 0..2 * n {
                let (lane, k) = (at / n, at % n);
                let mut sums = [0.0, 0.0];
                for j in 0..n {
                    let angle = sign * std::f64::consts::TAU * ((j * k % n) as f64) / n as f64;
                    let (re, im) = (x[2 * (lane * n + j)], x[2 * (lane * n + j) + 1]);
                    sums[0] += re * angle.cos() - im * angle.sin();
                    sums[1] += re * angle.sin() + im * angle.cos();
                }
                expected.extend(sums);
            }
            close(&fft(&z, backward).unwrap(), &Array::new([2, n, 2], expected).unwrap());
            let lane = fft(&z.row(1), backward).unwrap();
            assert_eq!(fft(&z, backward).unwrap().row(1), lane);
        }
    }
}
