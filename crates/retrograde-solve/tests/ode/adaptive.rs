//! Steps of chosen size: accuracy, interpolation, derivatives, limits.

use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit, jvp, value_and_grad, vmap};
use retrograde_solve::ode::{self, Embedded, FirstOrder, problems};

use super::solvers::distance;

/// Lotka and Volterra's system at times 1 and 2 from (2, 1), by mpmath's Taylor series in 30 digits.
const AT_ONE: [f64; 2] = [1.156_473_681_591_843_3, 1.977_678_025_454_370_6];
const AT_TWO: [f64; 2] = [0.494_813_646_046_325_7, 1.540_705_619_300_550_5];

type Field = fn(Var) -> Var;

fn start() -> Array {
    array([2.0, 1.0])
}

fn path<M: Embedded + Copy>(solver: FirstOrder<M, Field>, tolerance: f64, times: &[f64]) -> Vec<f64> {
    let solver = solver.adaptive(tolerance, tolerance);
    jit(|y: Var| solver.run(y, 2.0).at(times)).call(&start()).unwrap().to_vec().unwrap()
}

fn error_follows_the_tolerance<M: Embedded + Copy>(solver: FirstOrder<M, Field>) {
    let error = |tolerance| distance(&path(solver, tolerance, &[1.0, 2.0]), &[AT_ONE, AT_TWO].concat());
    let (loose, tight) = (error(1e-4), error(1e-7));
    let name = solver.facts().name;
    assert!(loose < 5e-3 && tight < 5e-6 && tight < loose / 50.0, "{name}: {loose:e} {tight:e}");
}

#[test]
fn errors_follow_the_tolerance() {
    let f: Field = problems::lotka_volterra;
    error_follows_the_tolerance(ode::bosh3(f));
    error_follows_the_tolerance(ode::dopri5(f));
    error_follows_the_tolerance(ode::tsit5(f));
    error_follows_the_tolerance(ode::rodas3(f));
}

/// Without absolute tolerance, and from an entry that is zero.
#[test]
fn a_relative_tolerance_alone() {
    let spring = ode::tsit5(|(q, v): (Var, Var)| (v, -q)).adaptive(1e-8, 0.0);
    let run = jit(|q: Var, v: Var| {
        let ((q, _), n_steps) = spring.run((q, v), 1.0).end_and_steps();
        (q, n_steps)
    });
    let (q, n_steps) = run.call((&array(1.0), &array(0.0))).unwrap();
    assert!((q.item::<f64>().unwrap() - 1f64.cos()).abs() < 1e-7 && n_steps.item::<f64>().unwrap() < 60.0);
}

/// Within one step of size h the error falls like h to the declared order plus one.
fn interpolant_has_its_order<M: Embedded + Copy>(solver: FirstOrder<M, Field>, embedded: &dyn Embedded) {
    for theta in [0.4, 0.7] {
        let error = |h: f64| {
            // So large a tolerance accepts the step as given.
            let one = solver.step(h).adaptive(0.0, 1e6);
            let inside = jit(|y: Var| one.run(y, h).at(&[theta * h])).call(&start()).unwrap();
            let fine = ode::dopri5(problems::lotka_volterra).step(theta * h / 16.0);
            let truth = jit(|y: Var| fine.run(y, 16).end()).call(&start()).unwrap();
            distance(&inside.to_vec().unwrap(), &truth.to_vec().unwrap())
        };
        let declared = f64::from(embedded.dense().order);
        let h = if declared < 4.0 { 0.02 } else { 0.1 };
        let (coarse, fine) = (error(h), error(h / 2.0));
        let order = (coarse / fine).log2() - 1.0;
        let name = solver.facts().name;
        assert!((order - declared).abs() <= 0.2, "{name} at {theta}: {order}, {coarse:e} {fine:e}");
    }
}

#[test]
fn interpolants_have_their_order() {
    let f: Field = problems::lotka_volterra;
    interpolant_has_its_order(ode::bosh3(f), &ode::BOSH3);
    interpolant_has_its_order(ode::dopri5(f), &ode::DOPRI5);
    interpolant_has_its_order(ode::tsit5(f), &ode::TSIT5);
    interpolant_has_its_order(ode::rodas3(f), &ode::Rodas3);
}

#[test]
fn times_asked_for_do_not_change_the_steps() {
    let f: Field = problems::lotka_volterra;
    let few = path(ode::tsit5(f), 1e-5, &[1.3]);
    let many = path(ode::tsit5(f), 1e-5, &[0.0, 0.0, 0.2, 0.9, 1.3, 2.0]);
    assert_eq!((&many[..4], &many[8..10]), (&[2.0, 1.0, 2.0, 1.0][..], &few[..]));
    let solver = ode::tsit5(f).adaptive(1e-5, 1e-5);
    let end = jit(|y: Var| solver.run(y, 2.0).end()).call(&start()).unwrap();
    assert!(distance(&many[10..], &end.to_vec().unwrap()) < 1e-14);
    assert_eq!(path(ode::tsit5(f), 1e-5, &[]).len(), 0);
}

/// The passenger p obeys a nonlinear equation but is so small that its error vanishes beside the absolute tolerance: moving it
/// moves no step, so that a difference along it is one with frozen steps. The driver d sets the steps.
fn passenger(d: Var, p: Var) -> Var {
    let solver = ode::tsit5(|(d, p): (Var, Var)| (problems::lotka_volterra(d), p * (1.0 - 1e40 * p)))
        .adaptive(0.0, 1e-3);
    let (_, p) = solver.run((d, p), 2.0).end();
    1e40 * p
}

#[test]
fn gradients_hold_the_steps_fixed() {
    let p = array(0.3e-40);
    let of_p = grad(|p: Var, d: Var| passenger(d, p));
    let slope = of_p.call((&p, &start())).unwrap().item::<f64>().unwrap() * 1e-40;
    let value = |x: f64| {
        let run = jit(|p: Var, d: Var| passenger(d, p));
        run.call((&array(x * 1e-40), &start())).unwrap().item::<f64>().unwrap()
    };
    let difference = (value(0.3 + 1e-4) - value(0.3 - 1e-4)) / 2e-4;
    assert!((slope - difference).abs() < 1e-7, "{slope} {difference}");
    // The driver changes the passenger through the steps alone, which derivatives do not see.
    let of_d = grad(passenger).call((&start(), &p)).unwrap();
    assert_eq!(of_d, array([0.0, 0.0]));
    let moved = |x: f64| jit(passenger).call((&array([x, 1.0]), &p)).unwrap().item::<f64>().unwrap();
    assert!(moved(2.0) != moved(2.1));
}

#[test]
fn both_modes_and_policies_agree() {
    let solver = ode::dopri5(problems::lotka_volterra as Field).adaptive(1e-7, 1e-7);
    let stored = value_and_grad(|y: Var| solver.run(y, 2.0).end().sum());
    let sqrt = value_and_grad(|y: Var| solver.run(y, 2.0).tape(Checkpoint::Sqrt).end().sum());
    let ((value, gradient), (again, also)) = (stored.call(&start()).unwrap(), sqrt.call(&start()).unwrap());
    assert!(value.bits_eq(&again) && gradient.bits_eq(&also));
    assert!(sqrt.last_tape().tape_bytes() < stored.last_tape().tape_bytes());
    let (_, dot) = jvp(|y: Var| solver.run(y, 2.0).end().sum()).call(&start(), &array([1.0, -2.0])).unwrap();
    let g = gradient.to_vec::<f64>().unwrap();
    assert!((dot.item::<f64>().unwrap() - (g[0] - 2.0 * g[1])).abs() < 1e-12);
    // States at given times, under both policies.
    let at = |tape: Tape| {
        let door = value_and_grad(|y: Var| solver.run(y, 2.0).tape(tape).at(&[0.3, 0.9, 1.8]).sum());
        door.call(&start()).unwrap()
    };
    let (stored, sqrt) = (at(Tape::Store), at(Checkpoint::Sqrt.into()));
    assert!(stored.0.bits_eq(&sqrt.0) && stored.1.bits_eq(&sqrt.1));
    // Gradients of their parts add up.
    let at = |times: &'static [f64]| {
        grad(move |y: Var| solver.run(y, 2.0).at(times).sum())
            .call(&start())
            .unwrap()
            .to_vec::<f64>()
            .unwrap()
    };
    let (both, one, two) = (at(&[0.7, 2.0]), at(&[0.7]), at(&[2.0]));
    assert!((0..2).all(|i| (both[i] - one[i] - two[i]).abs() < 1e-12), "{both:?} {one:?} {two:?}");
    assert!(distance(&two, &g) < 1e-11);
}

#[test]
fn too_few_steps_give_nan() {
    let solver = ode::tsit5(problems::lotka_volterra as Field).adaptive(1e-9, 1e-9).max_steps(5);
    let (end, n_steps) = jit(|y: Var| solver.run(y, 2.0).end_and_steps()).call(&start()).unwrap();
    assert!(end.to_vec::<f64>().unwrap().iter().all(|x| x.is_nan()));
    assert_eq!(n_steps, array(5.0));
    let path =
        jit(|y: Var| solver.run(y, 2.0).at(&[0.01, 2.0])).call(&start()).unwrap().to_vec::<f64>().unwrap();
    assert!(path[..2].iter().all(|x| x.is_finite()) && path[2..].iter().all(|x| x.is_nan()));
}

/// A solution that explodes at time 1 ends with NaN and not with a loop.
#[test]
fn an_explosion_ends() {
    let solver = ode::dopri5(|y: Var| y * y).adaptive(1e-6, 1e-6);
    let run = jit(|y: Var| solver.run(y, 1.5).end_and_steps());
    let (end, n_steps) = run.call(&array(1.0)).unwrap();
    assert!(end.item::<f64>().unwrap().is_nan() && n_steps.item::<f64>().unwrap() < 2000.0, "{n_steps}");
    // And so does one that is none from the start.
    let (end, n_steps) = run.call(&array(f64::NAN)).unwrap();
    assert!(end.item::<f64>().unwrap().is_nan() && n_steps.item::<f64>().unwrap() < 1000.0, "{n_steps}");
    let end = jit(|y: Var| solver.run(y, 0.9).end()).call(&array(1.0)).unwrap();
    assert!((end.item::<f64>().unwrap() - 10.0).abs() < 1e-2);
}

#[test]
fn f32_states_stay_f32() {
    let solver = ode::bosh3(|y: Var| -y).adaptive(1e-3, 1e-4);
    let y = jit(|y: Var| solver.run(y, 1.0).end()).call(&array([1.0f32, 2.0])).unwrap();
    let y = y.to_vec::<f32>().unwrap();
    assert!((y[0] - (-1f32).exp()).abs() < 1e-3 && (y[1] - 2.0 * (-1f32).exp()).abs() < 2e-3);
}

/// Lanes stop at different times, and each has the bits of a run of its own.
#[test]
fn lanes_choose_their_own_steps() {
    let solver = ode::bosh3(problems::lotka_volterra as Field).adaptive(1e-4, 1e-4);
    let run = |y: Var| solver.run(y, 2.0).end_and_steps();
    let lanes = [[2.0, 1.0], [1.01, 1.0]];
    let (ends, n_steps) = jit(vmap(run)).call(&array(lanes)).unwrap();
    let (ends, n_steps) = (ends.to_vec::<f64>().unwrap(), n_steps.to_vec::<f64>().unwrap());
    assert!(n_steps[0] > n_steps[1], "{n_steps:?}");
    for (i, lane) in lanes.iter().enumerate() {
        let (end, n) = jit(run).call(&array(*lane)).unwrap();
        assert_eq!(end.to_vec::<f64>().unwrap(), ends[2 * i..2 * i + 2]);
        assert_eq!(n.item::<f64>().unwrap(), n_steps[i]);
    }
}

/// A step of chosen size does not tell the one before, so that states are kept; a run with times holds a loop in its steps.
#[test]
fn reversal_keeps_few_states_or_is_refused() {
    let solver = ode::dopri5(problems::lotka_volterra as Field).adaptive(1e-8, 1e-8);
    let end = |tape: Tape| {
        let door = grad(|y: Var| solver.run(y, 6.0).tape(tape).end().sum());
        (door.call(&start()).unwrap(), door.last_tape())
    };
    let ((stored, kept), (reversed, report)) = (end(Tape::Store), end(Tape::Reverse));
    assert!(reversed.bits_eq(&stored), "{reversed}, expected {stored}");
    assert!(report.tape_bytes() < kept.tape_bytes() / 10, "{report}");
    let path = grad(|y: Var| solver.run(y, 3.0).tape(Tape::Reverse).at(&[1.0, 3.0]).sum());
    let e = path.call(&start()).unwrap_err().to_string();
    assert!(e.contains("it holds a `while`") && e.contains("adaptive.rs"), "{e}");
}
