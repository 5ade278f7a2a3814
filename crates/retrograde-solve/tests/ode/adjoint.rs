//! The inexact gradient by running backwards: accepted where it is near, refused where it is not.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_core::trace::var::constant;
use retrograde_engine::grad;
use retrograde_solve::ode::{self, problems};

#[test]
fn lorenz_over_a_long_time_is_refused() {
    let solver = ode::rk4(problems::lorenz63).step(0.01);
    let door = ode::backward_adjoint(solver, |y: Var| (y * y).sum());
    let start = array([1.0, 1.0, 1.0]);
    let message = door.call(&start, 500).unwrap_err().to_string();
    assert!(
        message.contains("misses the start by") && message.contains("expected at most 1.0e-6"),
        "{message}"
    );
    assert!(message.contains("tests/ode/adjoint.rs:") && message.contains("Tape::Reverse"), "{message}");
    // Over a short time it is accepted.
    assert!(door.tolerance(1e-3).call(&start, 5).is_ok());
}

/// y' = tanh(W y + b)
fn neural(y: Var) -> Var {
    let w = array([[0.5, -0.3, 0.8], [-0.7, 0.2, 0.4], [0.1, 0.9, -0.6]]);
    (constant(&w).dot(y) + &array([0.1, -0.2, 0.3])).tanh()
}

#[test]
fn a_short_smooth_field_is_accepted() {
    let solver = ode::rk4(neural).step(0.02);
    let start = array([0.4, -0.5, 1.2]);
    let (value, gradient) = ode::backward_adjoint(solver, |y: Var| (y * y).sum()).call(&start, 50).unwrap();
    let exact = grad(|y: Var| {
        let end = solver.run(y, 50).end();
        (end * end).sum()
    });
    let exact = exact.call(&start).unwrap().to_vec::<f64>().unwrap();
    assert!(value.item::<f64>().unwrap() > 0.0);
    let off = super::solvers::distance(&gradient.to_vec().unwrap(), &exact);
    assert!(off < 1e-7, "{off:e}");
    assert!(off > 0.0, "it is another discretisation");
}

/// Structures of leaves, and a parameter as a leaf with the rate zero.
#[test]
fn a_parameter_is_a_leaf() {
    let solver = ode::rk4(|(k, (q, v)): (Var, (Var, Var))| (0.0 * k, (v, -(k * q)))).step(0.02);
    let door = ode::backward_adjoint(solver, |(_, (q, _)): (Var, (Var, Var))| q);
    let start: (Array, (Array, Array)) = (array(1.0), (array(1.0), array(0.0)));
    let (_, (by_k, _)) = door.call(&start, 50).unwrap();
    // q = cos(√k t): dq/dk = -t/2 sin t at k = 1, t = 1.
    assert!((by_k.item::<f64>().unwrap() + 0.5 * 1f64.sin()).abs() < 1e-6);
}
