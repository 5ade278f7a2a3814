//! Solutions are those of dense factors; histories fall as they must.

use retrograde_array::{Array, DType, array, ops};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, hvp};
use retrograde_solve::linear::{Stop, cg, gmres, minres};

use super::{apart, dense, length, symmetric, times, vector};

const N: usize = 24;

fn positive() -> Vec<f64> {
    (0..N).map(|k| 1.1_f64.powi(k as i32)).collect()
}

/// Both signs.
fn indefinite() -> Vec<f64> {
    (0..N).map(|k| if k % 3 == 0 { -1.0 } else { 1.0 } * 1.1_f64.powi(k as i32)).collect()
}

#[test]
fn every_solver_agrees_with_dense_factors() {
    let b = vector(2, N);
    let (a, c) = (symmetric(1, &positive()), symmetric(1, &indefinite()));
    let general = normal_matrix();
    for (name, found, expected) in [
        ("cg", cg(|v| times(&a, v), &b).tolerance(1e-13).solve().unwrap(), dense(&a, &b)),
        ("minres", minres(|v| times(&a, v), &b).tolerance(1e-13).solve().unwrap(), dense(&a, &b)),
        ("minres, indefinite", minres(|v| times(&c, v), &b).tolerance(1e-13).solve().unwrap(), dense(&c, &b)),
        (
            "gmres",
            gmres(|v| times(&general, v), &b, N).tolerance(1e-13).solve().unwrap(),
            dense(&general, &b),
        ),
        ("gmres, restarted", gmres(|v| times(&a, v), &b, 7).tolerance(1e-12).solve().unwrap(), dense(&a, &b)),
    ] {
        assert_eq!(found.stop, Stop::Converged, "{name}");
        assert!(apart(&found.x, &expected) < 1e-11, "{name}: {}", apart(&found.x, &expected));
    }
}

/// No symmetry; eigenvalues around 5.
fn normal_matrix() -> Array {
    let z = retrograde_array::rng::normal(retrograde_array::rng::Key::from_seed(5), [N, N]);
    let mut entries = z.to_vec::<f64>().unwrap();
    (0..N).for_each(|i| entries[i * N + i] += 8.0);
    Array::new([N, N], entries).unwrap()
}

#[test]
fn every_solver_agrees_with_dense_factors_from_a_start_and_with_a_preconditioner() {
    let (b, start) = (vector(2, N), vector(3, N));
    let (a, c) = (symmetric(1, &positive()), symmetric(1, &indefinite()));
    // Not the inverse of anything here: it may change the way, not the end.
    let m = symmetric(9, &(0..N).map(|k| 0.5 + 0.05 * k as f64).collect::<Vec<_>>());
    let m = |r: &Array| times(&m, r);
    let found = cg(|v| times(&a, v), &b).tolerance(1e-13).start(&start).preconditioner(m).solve().unwrap();
    assert!(apart(&found.x, &dense(&a, &b)) < 1e-11);
    let found =
        minres(|v| times(&c, v), &b).tolerance(1e-13).start(&start).preconditioner(m).solve().unwrap();
    assert!(apart(&found.x, &dense(&c, &b)) < 1e-11);
    let found =
        gmres(|v| times(&c, v), &b, N).tolerance(1e-13).start(&start).preconditioner(m).solve().unwrap();
    assert!(apart(&found.x, &dense(&c, &b)) < 1e-11);
}

#[test]
fn the_inverse_as_preconditioner_ends_it_in_a_step() {
    let (a, b) = (symmetric(1, &positive()), vector(2, N));
    let inverse = symmetric(1, &positive().iter().map(|x| 1.0 / x).collect::<Vec<_>>());
    let m = |r: &Array| times(&inverse, r);
    let steps = |n: usize| n - 1;
    assert_eq!(steps(cg(|v| times(&a, v), &b).preconditioner(m).solve().unwrap().residuals.len()), 1);
    assert_eq!(steps(minres(|v| times(&a, v), &b).preconditioner(m).solve().unwrap().residuals.len()), 1);
    assert_eq!(steps(gmres(|v| times(&a, v), &b, 5).preconditioner(m).solve().unwrap().residuals.len()), 1);
}

#[test]
fn histories_are_the_true_residuals_and_minimal_ones_never_rise() {
    let (a, b) = (symmetric(1, &positive()), vector(2, N));
    let size = length(&b);
    for steps in [1, 5, 10] {
        let cg = cg(|v| times(&a, v), &b).tolerance(1e-15).max_iterations(steps).solve().unwrap();
        let minres = minres(|v| times(&a, v), &b).tolerance(1e-15).max_iterations(steps).solve().unwrap();
        let gmres = gmres(|v| times(&a, v), &b, N).tolerance(1e-15).max_iterations(steps).solve().unwrap();
        for found in [&cg, &minres, &gmres] {
            assert_eq!((found.stop, found.residuals.len()), (Stop::MaxIterations, steps + 1));
            let product = times(&a, &found.x).unwrap();
            let miss = ops::binary(ops::Binary::Sub, &b, &product).unwrap();
            let miss = length(&miss) / size;
            assert!((miss / found.residuals[steps] - 1.0).abs() < 1e-9, "{miss} {:?}", found.residuals);
        }
        // Two ways to the same minimum.
        assert!(apart(&minres.x, &gmres.x) < 1e-10);
        assert!(minres.residuals.windows(2).all(|pair| pair[1] <= pair[0]));
        assert!(gmres.residuals.windows(2).all(|pair| pair[1] <= pair[0]));
        assert!(minres.residuals[steps] <= cg.residuals[steps]);
    }
}

/// The error of conjugate gradients in the norm of A, against its bound for the condition at hand.
#[test]
fn conjugate_gradients_keep_their_bound() {
    let (a, b) = (symmetric(1, &positive()), vector(2, N));
    let x = dense(&a, &b);
    let root = (positive()[N - 1] / positive()[0]).sqrt();
    let energy = |x: &Array, y: &Array| {
        let e = ops::binary(ops::Binary::Sub, x, y).unwrap();
        let square = ops::binary(ops::Binary::Mul, &e, &times(&a, &e).unwrap()).unwrap();
        ops::sum(&square, &[0]).item::<f64>().unwrap().sqrt()
    };
    let zero = Array::zeros(DType::F64, [N]);
    for steps in [2, 6, 12] {
        let found = cg(|v| times(&a, v), &b).tolerance(1e-15).max_iterations(steps).solve().unwrap();
        let bound = 2.0 * ((root - 1.0) / (root + 1.0)).powi(steps as i32);
        assert!(energy(&found.x, &x) <= bound * energy(&zero, &x), "{steps}");
    }
}

#[test]
fn a_singular_system_is_solved_as_well_as_it_can_be() {
    let mut eigenvalues = positive();
    eigenvalues[3] = 0.0;
    let (a, b) = (symmetric(1, &eigenvalues), vector(2, N));
    let found = minres(|v| times(&a, v), &b).tolerance(1e-12).solve().unwrap();
    assert_eq!(found.stop, Stop::LeastSquares);
    // The residual is along the kernel: A r = 0, to half the digits.
    let r = ops::binary(ops::Binary::Sub, &b, &times(&a, &found.x).unwrap()).unwrap();
    let left = times(&a, &r).unwrap().to_vec::<f64>().unwrap();
    assert!(length(&r) > 1e-2 && left.iter().all(|x| x.abs() < 1e-6), "{left:?}");
}

#[test]
fn a_rotation_stagnates_restarted_too_early() {
    // A shift of the coordinates: the residual stays as it is until the last of N steps.
    let shift = |v: &Array| {
        let v = v.to_vec::<f64>().unwrap();
        Ok(Array::vector((0..v.len()).map(|i| v[(i + 1) % v.len()]).collect::<Vec<_>>()))
    };
    let mut b = vec![0.0; 6];
    b[0] = 1.0;
    let b = Array::vector(b);
    assert_eq!(gmres(shift, &b, 3).solve().unwrap().stop, Stop::Stagnated);
    assert_eq!(gmres(shift, &b, 6).solve().unwrap().stop, Stop::Converged);
}

#[test]
fn trees_keep_their_structure_and_dtypes() {
    let f = |(w, b): (Var, Vec<Var>)| {
        let x = w.convert(DType::F64).sum() + b[0].sum() + b[1];
        (w * w).sum().convert(DType::F64) + (b[0] * b[0]).sum() * 2.0 + b[1] * b[1] + x * x
    };
    let at = (array([[1.0_f32, 2.0], [3.0, 4.0]]), vec![array([1.0, -1.0]), array(0.5)]);
    let (slope, curvature) = (grad(f).call(&at).unwrap(), hvp(f));
    let found = cg(|v| curvature.call(&at, v), &slope).tolerance(1e-7).solve().unwrap();
    // A quadratic form without a linear part: Newton's step leads to zero from anywhere.
    assert_eq!(found.x.0.dtype(), DType::F32);
    let error = |x: &Array, y: &Array| {
        let widen = |x: &Array| ops::convert(x, DType::F64).to_vec::<f64>().unwrap();
        widen(x).iter().zip(widen(y)).fold(0.0_f64, |m, (x, y)| m.max((x - y).abs()))
    };
    assert!(error(&found.x.0, &at.0) < 1e-5 && error(&found.x.1[0], &at.1[0]) < 1e-6);
    assert!(error(&found.x.1[1], &at.1[1]) < 1e-6);
}
