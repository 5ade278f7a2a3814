//! What cannot be run is refused with the line, what was found and what to do.

use std::fmt::Display;

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::jit;
use retrograde_solve::ode;

#[track_caller]
fn refused<T>(result: Result<T, impl Display>, parts: &[&str]) {
    let Err(error) = result else { panic!("found a result, expected an error with {parts:?}") };
    let message = error.to_string();
    for part in parts.iter().chain(&["tests/ode/mistakes.rs:", "\n  help: "]) {
        assert!(message.contains(part), "no {part:?} in\n{message}");
    }
    assert_eq!(message.matches("error: ").count(), 1, "one mistake, one error:\n{message}");
}

fn two() -> (Array, Array) {
    (array([1.0, 2.0]), array([0.0, 0.0]))
}

#[test]
fn steps_lead_somewhere() {
    for (h, shown) in [(0.0, "step of 0"), (f64::NAN, "step of NaN"), (f64::INFINITY, "step of inf")] {
        refused(
            jit(|y: Var| ode::rk4(|y: Var| -y).step(h).run(y, 3).end()).call(&array(1.0)),
            &["rk4: ", shown],
        );
        let spring = ode::yoshida4(|q: Var| -q).step(h);
        refused(jit(|s: (Var, Var)| spring.run(s, 3).end()).call(&two()), &["yoshida4: ", shown]);
    }
}

#[test]
fn states_fit() {
    let spring = ode::leapfrog(|q: Var| -q);
    let three = jit(|a: Var| spring.run((a, a, a), 3).end());
    refused(three.call(&array(1.0)), &["a state of 3 leaves", "captured by the acceleration"]);
    let unequal = jit(|q: Var, v: Var| spring.run((q, v), 3).end());
    refused(
        unequal.call((&array([1.0, 2.0]), &array(0.0))),
        &["the positions are f64[2], the velocities f64[]"],
    );
    let integers = jit(|n: Var, y: Var| ode::heun(|(n, y): (Var, Var)| (n, -y)).run((n, y), 3).end());
    refused(integers.call((&array(1_i64), &array(0.0))), &["heun: leaf `0` of the state is i64[]"]);
    let mixed = jit(|a: Var, b: Var| ode::rodas3(|(a, b): (Var, Var)| (-a, -b)).run((a, b), 3).end());
    refused(
        mixed.call((&array(1.0f32), &array(1.0))),
        &["rodas3: found leaves of f32[] and f64[], expected one dtype"],
    );
}

#[test]
fn fields_return_rates() {
    let sum = jit(|y: Var| ode::rk4(|y: Var| y.sum()).run(y, 3).end());
    refused(sum.call(&array([1.0, 2.0])), &["rk4: the field returns f64[], expected f64[2]"]);
    let short = jit(|y: Var| {
        ode::tsit5(|y: Vec<Var>| y[..1].to_vec()).adaptive(1e-3, 1e-3).run(vec![y, y], 1.0).end()
    });
    refused(short.call(&array(1.0)), &["tsit5: the field returns f64[], expected f64[], f64[]"]);
    let pull = jit(|s: (Var, Var)| ode::leapfrog(|q: Var| q.slice(0, 0..1)).run(s, 3).end());
    refused(pull.call(&two()), &["leapfrog: the acceleration returns f64[1], expected f64[2]"]);
}

#[test]
fn control_is_sound() {
    let decay = |relative, absolute| ode::dopri5(|y: Var| -y).adaptive(relative, absolute);
    for (r, a) in [(0.0, 0.0), (-1e-3, 1e-3), (1e-3, f64::NAN)] {
        refused(jit(|y: Var| decay(r, a).run(y, 1.0).end()).call(&array(1.0)), &["dopri5: found tolerances"]);
    }
    let at =
        |times: &'static [f64]| jit(move |y: Var| decay(1e-3, 1e-3).run(y, 1.0).at(times)).call(&array(1.0));
    refused(at(&[0.5, 0.2]), &["time 1 is 0.2, expected at least 0.5"]);
    refused(at(&[0.5, 1.5]), &["time 1 is 1.5, expected one from 0 to the end of the run, 1"]);
    refused(at(&[f64::NAN]), &["time 0 is NaN"]);
    refused(
        jit(|y: Var| decay(1e-3, 1e-3).run(y, -1.0).end()).call(&array(1.0)),
        &["a run until -1, expected a time > 0"],
    );
    let backwards = ode::dopri5(|y: Var| -y).step(-0.1).adaptive(1e-3, 1e-3);
    refused(jit(|y: Var| backwards.run(y, 1.0).end()).call(&array(1.0)), &["a first step of -0.1"]);
}
