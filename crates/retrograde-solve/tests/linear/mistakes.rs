//! What solvers refuse, each with what was found and what to try.

use retrograde_array::{Array, array};
use retrograde_solve::linear::{LinearError, cg, gmres, minres};

use super::{symmetric, times, two};

fn same(v: &Array) -> Result<Array, retrograde_core::trace::Error> {
    Ok(v.clone())
}

#[test]
fn an_indefinite_operator_is_named_with_its_curvature() {
    let a = symmetric(1, &[1.0, 2.0, -3.0]);
    let b = array([1.0, 1.0, 1.0]);
    let error = cg(|v| times(&a, v), &b).solve().unwrap_err();
    let LinearError::Indefinite { curvature, .. } = error else { panic!("{error}") };
    assert!((-3.0..0.0).contains(&curvature), "{curvature}");
    assert!(error.to_string().contains("the operator is indefinite; add damping of more than"), "{error}");
    // What the message says is enough for the direction found; for all directions it takes 3.
    assert!(cg(|v| times(&symmetric(1, &[4.5, 5.5, 0.5]), v), &b).solve().is_ok());
}

#[test]
fn a_singular_operator_is_named() {
    let a = array([[1.0, -1.0], [-1.0, 1.0]]);
    let error = cg(|v| times(&a, v), &array([1.0, 1.0])).solve().unwrap_err().to_string();
    assert!(error.contains("the operator is singular"), "{error}");
}

#[test]
fn what_is_not_finite_is_named_with_its_step() {
    let mut calls = 0;
    let broken = |v: &Array| {
        calls += 1;
        if calls < 2 { times(&array([[2.0, 1.0], [1.0, 3.0]]), v) } else { Ok(array([f64::NAN, 0.0])) }
    };
    let error = cg(broken, &two()).solve().unwrap_err();
    assert_eq!(error, LinearError::NotFinite { method: "cg", what: "a product", step: 2 });
    let error = minres(same, &array([f64::INFINITY])).solve().unwrap_err().to_string();
    assert!(error.starts_with("minres: found a right-hand side that is not finite (step 0)"), "{error}");
    let error = gmres(same, &two(), 3).start(&array([0.0, f64::NAN])).solve().unwrap_err().to_string();
    assert!(error.starts_with("gmres: found a start that is not finite"), "{error}");
}

#[test]
fn trees_of_another_shape_are_refused_with_the_line() {
    let here = line!() + 1;
    let error = cg(|_: &Array| Ok(array([1.0])), &two()).solve().unwrap_err().to_string();
    assert!(error.starts_with("error: product: the value is f64[1], expected f64[2]"), "{error}");
    assert!(error.contains(&format!("mistakes.rs:{here}:")), "{error}");
    let error = cg(same, &two()).preconditioner(|_| Ok(array(1.0))).solve().unwrap_err().to_string();
    assert!(
        error.starts_with("error: preconditioned residual: the value is f64[], expected f64[2]"),
        "{error}"
    );
    let error = cg(same, &two()).start(&array([1.0])).solve().unwrap_err().to_string();
    assert!(error.starts_with("error: start: the value is f64[1], expected f64[2]"), "{error}");
}

#[test]
fn a_preconditioner_that_is_not_positive_is_refused() {
    let minus = |r: &Array| times(&array([[-1.0, 0.0], [0.0, -1.0]]), r);
    for error in [
        cg(same, &two()).preconditioner(minus).solve().unwrap_err(),
        minres(same, &two()).preconditioner(minus).solve().unwrap_err(),
    ] {
        assert!(matches!(error, LinearError::Preconditioner { found, .. } if found == -5.0), "{error}");
    }
}

#[test]
fn settings_out_of_range_and_nothing_to_solve_are_refused() {
    let error = cg(same, &two()).tolerance(0.0).solve().unwrap_err().to_string();
    assert_eq!(
        error,
        "cg: found a tolerance of 0, expected a positive number, relative to the right-hand side"
    );
    let error = gmres(same, &two(), 0).solve().unwrap_err().to_string();
    assert_eq!(error, "gmres: found a restart of 0, expected at least one step");
    let empty = Array::vector(Vec::<f64>::new());
    assert_eq!(cg(same, &empty).solve().unwrap_err(), LinearError::Empty { method: "cg" });
    assert_eq!(cg(same, &array([0.0, 0.0])).solve().unwrap().x, array([0.0, 0.0]));
}
