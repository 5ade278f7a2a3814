//! Stiff problems: what is made for them solves them, and RK4 does not.

use retrograde_array::array;
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_solve::ode::{self, FirstOrder, Method, problems};

/// y' = -10⁶ (y - cos t) - sin t, whose solution from 1 is cos t.
fn fast((t, y): (Var, Var)) -> (Var, Var) {
    (0.0 * t + 1.0, -1e6 * (y - t.cos()) - t.sin())
}

#[test]
fn a_stiff_linear_equation() {
    let start = (array(0.0), array(1.0));
    let at = |end: (retrograde_array::Array, retrograde_array::Array)| end.1.item::<f64>().unwrap();
    let stiff = ode::rodas3(fast).step(0.05);
    let good = at(jit(|s: (Var, Var)| stiff.run(s, 20).end()).call(&start).unwrap());
    assert!((good - 1f64.cos()).abs() < 1e-6, "{good}");
    let explicit = ode::rk4(fast).step(0.05);
    let bad = at(jit(|s: (Var, Var)| explicit.run(s, 20).end()).call(&start).unwrap());
    assert!(bad.is_nan() || (bad - 1f64.cos()).abs() > 1e6, "{bad}");
    // A wrong start is forgotten in one step: L-stability.
    let end = at(jit(|s: (Var, Var)| stiff.run(s, 1).end()).call(&(array(0.0), array(3.0))).unwrap());
    assert!((end - 0.05f64.cos()).abs() < 1e-3, "{end}");
}

/// What is left of 1 after one step of y' = -10⁹ y.
fn decay<M: Method + Copy>(make: impl Fn(fn(Var) -> Var) -> FirstOrder<M, fn(Var) -> Var>) {
    let solver = make(|y| -1e9 * y).step(1.0);
    let left = jit(|y: Var| solver.run(y, 1).end()).call(&array(1.0)).unwrap().item::<f64>().unwrap();
    let facts = solver.facts();
    assert_eq!(left.abs() < 1e-6, facts.l_stable, "{}: {left}", facts.name);
}

#[test]
fn exactly_the_l_stable_methods_forget_at_once() {
    decay(ode::euler);
    decay(ode::midpoint);
    decay(ode::heun);
    decay(ode::rk4);
    decay(ode::bosh3);
    decay(ode::dopri5);
    decay(ode::tsit5);
    decay(ode::reversible_heun);
    decay(ode::implicit_midpoint);
    decay(ode::rodas3);
}

/// With μ = 1000, on the slow branch ln x - x²/2 grows like t/μ, up to about 1/μ².
#[test]
fn van_der_pol() {
    const MU: f64 = 1e3;
    const UNTIL: f64 = 100.0;
    let start = array([2.0, -2.0 / (3.0 * MU)]);
    let stiff = ode::rodas3(problems::van_der_pol(MU)).adaptive(1e-6, 1e-9);
    let run = jit(|y: Var| stiff.run(y, UNTIL).end_and_steps());
    let (end, n_steps) = run.call(&start).unwrap();
    let x = end.to_vec::<f64>().unwrap()[0];
    let slow = |x: f64| x.ln() - x * x / 2.0;
    assert!((slow(x) - slow(2.0) - UNTIL / MU).abs() < 1e-5, "{x}");
    assert!(n_steps.item::<f64>().unwrap() < 200.0, "{n_steps}");
    // The slope along the slow branch, where the velocity is forgotten.
    let g =
        grad(|y: Var| stiff.run(y, UNTIL).end().index(0, 0)).call(&start).unwrap().to_vec::<f64>().unwrap();
    let slope = |x: f64| 1.0 / x - x;
    assert!((g[0] - slope(2.0) / slope(x)).abs() < 1e-4 && g[1].abs() < 1e-3, "{g:?}");
    // An explicit method needs steps of about 3 / (3 μ): 100,000 of them.
    let explicit = ode::tsit5(problems::van_der_pol(MU)).adaptive(1e-6, 1e-9).max_steps(400);
    let end = jit(|y: Var| explicit.run(y, UNTIL).end()).call(&start).unwrap();
    assert!(end.to_vec::<f64>().unwrap()[0].is_nan());
    let rk4 = ode::rk4(problems::van_der_pol(MU)).step(UNTIL / 400.0);
    let end = jit(|y: Var| rk4.run(y, 400).end()).call(&start).unwrap().to_vec::<f64>().unwrap();
    assert!(end[0].is_nan() || end[0].abs() > 1e6, "{end:?}");
}

/// A Newton iteration that does not converge is no silent number.
#[test]
fn a_midpoint_that_is_not_found_is_nan() {
    // m = y + h/2 (m² + 1) has no real solution for h = 10.
    let solver = ode::implicit_midpoint(|y: Var| y * y + 1.0).step(10.0);
    let end = jit(|y: Var| solver.run(y, 1).end()).call(&array(0.3)).unwrap();
    assert!(end.item::<f64>().unwrap().is_nan());
}
