//! Bad input: what is said of it.

use super::*;
use retrograde_array::DType;
use retrograde_solve::curvature::Likelihood;
use retrograde_solve::uses::{Posterior, factored, hypergradient, influence, laplace};

type Same = Result<(Array, ()), std::fmt::Error>;

fn same(g: &Array) -> Same {
    Ok((g.clone(), ()))
}

/// The message, which names a line of this file.
fn message(error: impl std::error::Error) -> String {
    let text = error.to_string();
    assert!(text.starts_with("error: ") && text.contains("mistakes.rs:"), "{text}");
    text
}

#[test]
fn batches_without_rows_or_of_uneven_leaves_are_named() {
    let (train, test) = (sample(1, 5, 2), sample(2, 2, 2));
    let p = array([0.1, 0.2]);
    let empty =
        (Array::zeros(DType::F64, [0, 2]), Array::zeros(DType::F64, [0]), Array::zeros(DType::F64, [0]));
    let of = influence(logistic);
    let error = message(of.on_loss(&p, &empty, &test, same).unwrap_err());
    assert!(error.contains("found a training batch of no rows, expected at least one"), "{error}");
    let error = message(of.on_loss(&p, &train, &empty, same).unwrap_err());
    assert!(error.contains("found a test batch of no rows"), "{error}");
    let uneven = (train.0.clone(), array([1.0; 3]), train.2.clone());
    let error = message(of.on_themselves(&p, &uneven, same).unwrap_err());
    assert!(error.contains("with leaves of 5, 3, 5 rows, expected one leading axis"), "{error}");
    let bars = laplace(|p: Var, x: Var| x.dot(p), Likelihood::Bernoulli);
    let error = message(bars.diagonal((&p, &empty.0)).unwrap_err());
    assert!(error.contains("found a batch of no rows"), "{error}");
    let posterior = Posterior::diagonal(&p, &p, 1.0).unwrap();
    let error = message(bars.predict(&posterior, &empty.0).unwrap_err());
    assert!(error.contains("found a batch of no rows"), "{error}");
    let error = bars.curvature_times((&p, &empty.0), &p).unwrap_err().to_string();
    assert!(error.contains("found a batch of no rows") && error.contains("mistakes.rs:"), "{error}");
}

#[test]
fn groups_that_are_empty_overlap_or_name_no_row_are_refused() {
    let train = sample(1, 5, 2);
    let scores = influence(logistic).on(&array([0.1, 0.2]), &train, &array([1.0, 0.0]), same).unwrap();
    for (groups, expected) in [
        (vec![vec![0, 1], vec![]], "found no row in group 1, expected at least one"),
        (vec![vec![0, 1], vec![2, 0]], "found row 0 in group 0 and in group 1, expected it in one"),
        (vec![vec![3, 3]], "found row 3 in group 0 and in group 0"),
        (vec![vec![1], vec![5]], "group 1: found row 5, expected one from 0 to 4"),
    ] {
        let error = message(scores.groups(&groups).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn trees_and_inverses_that_do_not_fit_are_named() {
    let train = sample(1, 5, 2);
    let p = array([0.1, 0.2]);
    let of = influence(logistic);
    let error = message(of.on(&p, &train, &array([1.0, 0.0, 0.0]), same).unwrap_err());
    assert!(error.contains("gradient") && error.contains("f64[3]"), "{error}");
    let wrong = |_: &Array| -> Same { Ok((array([1.0; 3]), ())) };
    let error = message(of.on(&p, &train, &p, wrong).unwrap_err());
    assert!(error.contains("result of the inverse"), "{error}");
    let fails = |g: &Array| cg(|v: &Array| Ok(scaled(v, -1.0)), g).solve().map(|found| (found.x, ()));
    let error = message(of.on(&p, &train, &p, fails).unwrap_err());
    assert!(
        error.contains("the inverse curvature failed: cg: found the curvature -1.000e0")
            && error.contains("add damping of more than 1.000e0"),
        "{error}"
    );
    let nan = |_: &Array| -> Same { Ok((array([f64::NAN, 0.0]), ())) };
    let error = message(of.on(&p, &train, &p, nan).unwrap_err());
    assert!(error.contains("found a score that is not finite"), "{error}");
}

#[test]
fn curvature_without_an_inverse_says_what_damping_would_do() {
    // Two columns alike: nothing tells their parameters apart.
    let x = array([[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0]]);
    let p = array([0.1, 0.2]);
    let bars = laplace(|p: Var, x: Var| x.dot(p), Likelihood::Bernoulli);
    let times = |v: &Array| bars.curvature_times((&p, &x), v);
    let error = message(Posterior::dense(&p, times, 0.0).unwrap_err());
    assert!(
        error.contains("found curvature that is not positive")
            && error.contains("a prior precision of more than"),
        "{error}"
    );
    assert!(Posterior::dense(&p, times, 1e-6).is_ok());
    let saddle = hvp(|x: Var| x.index(0, 0) * x.index(0, 0) - 2.0 * x.index(0, 1) * x.index(0, 1));
    let times = |v: &Array| saddle.call(&p, v);
    let error = message(factored(times, &p, 1.0).unwrap_err());
    // The smallest of 2 + 1 and −4 + 1, and how much more is needed.
    assert!(
        error.contains("its smallest value about -3.000e0") && error.contains("a damping of more than 3.0e0"),
        "{error}"
    );
    assert!(factored(times, &p, 4.1).is_ok());
    let error = message(Posterior::low_rank(&p, times, 10.0, 2, Key::from_seed(1)).unwrap_err());
    assert!(error.contains("found curvature that is not positive"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let p = array([0.1, 0.2]);
    let times = |v: &Array| Ok(v.clone());
    let error = message(factored(times, &p, -1.0).unwrap_err());
    assert!(
        error.contains("found a damping of -1, expected a number that is finite and not negative"),
        "{error}"
    );
    let error = message(Posterior::low_rank(&p, times, 1.0, 0, Key::from_seed(1)).unwrap_err());
    assert!(error.contains("found a rank of 0, expected at least one direction"), "{error}");
    let error = message(Posterior::low_rank(&p, times, 0.0, 1, Key::from_seed(1)).unwrap_err());
    assert!(error.contains("found a prior precision of 0, expected a positive number"), "{error}");
    let error = message(Posterior::diagonal(&p, &array([1.0, -2.0]), 1.0).unwrap_err());
    assert!(error.contains("its smallest value about -1.000e0"), "{error}");
    let error = message(factored(|_: &Array| Ok(array([f64::NAN, 0.0])), &p, 0.0).unwrap_err());
    assert!(error.contains("found a product with curvature that is not finite"), "{error}");
    let none = Array::zeros(DType::F64, [0]);
    assert!(message(factored(times, &none, 0.0).unwrap_err()).contains("without entries"));
}

#[test]
fn a_hypergradient_that_is_not_finite_is_refused() {
    let implicit = hypergradient(|w: Var, h: Var| (w - h) * (w - h), |w: Var, _: Var| w.log());
    let (w, h) = (array(0.0), array(0.0));
    let error = message(implicit.call((&w, &h), same).unwrap_err());
    assert!(error.contains("found a hypergradient that is not finite"), "{error}");
}
