//! Symmetry, energy and stability, declared and measured.

use retrograde_array::{Array, array};
use retrograde_core::trace::Var;
use retrograde_engine::jit;
use retrograde_solve::ode::{self, problems};

use super::solvers::{all, distance, numbers};

/// There with h and back with -h: exactly the symmetric methods return.
#[test]
fn symmetric_methods_return_and_others_do_not() {
    for solver in all() {
        let there = solver.end(&solver.start, 0.2, 10);
        let back = solver.end(&there, -0.2, 10);
        let off = distance(&numbers(&back), &numbers(&solver.start));
        let returns = off < 1e-13;
        assert_eq!(returns, solver.facts.symmetric, "{}: {off:e}", solver.facts.name);
        assert!(returns || off > 1e-9, "{}: {off:e}", solver.facts.name);
    }
}

type State = (Var, Var);

/// Energies along a path of Hénon and Heiles' star.
fn energies(path: impl Fn(State) -> State) -> Vec<f64> {
    let start = (array([0.3, -0.2]), array([0.1, 0.25]));
    let (q, v) = jit(path).call(&start).unwrap();
    let energy = |row: (&[f64], &[f64])| {
        let ([x, y], [u, w]) = (row.0, row.1) else { unreachable!("two coordinates") };
        0.5 * (u * u + w * w + x * x + y * y) + x * x * y - y * y * y / 3.0
    };
    let (q, v) = (q.to_vec::<f64>().unwrap(), v.to_vec::<f64>().unwrap());
    q.chunks(2).zip(v.chunks(2)).map(energy).collect()
}

/// Whether the energy strays no further in the second half than in the first.
fn is_bounded(energies: &[f64]) -> bool {
    let spread = |part: &[f64]| part.iter().map(|e| (e - energies[0]).abs()).fold(0.0, f64::max);
    let (first, second) = energies.split_at(energies.len() / 2);
    spread(second) <= 1.2 * spread(first)
}

#[test]
fn symplectic_methods_keep_the_energy_bounded_and_others_do_not() {
    let (h, n) = (0.2, 800);
    let a = problems::henon_heiles;
    let bounded = [
        energies(|s: State| ode::symplectic_euler(a).step(h / 2.0).run(s, n).path()),
        energies(|s: State| ode::leapfrog(a).step(h).run(s, n).path()),
        energies(|s: State| ode::leapfrog_kdk(a).step(h).run(s, n).path()),
        energies(|s: State| ode::velocity_verlet(a).step(h).run(s, n).path()),
        energies(|s: State| ode::yoshida4(a).step(h).run(s, n).path()),
        energies(|s: State| ode::yoshida6(a).step(h).run(s, n).path()),
        energies(|s: State| ode::implicit_midpoint(|(q, v): State| (v, a(q))).step(h).run(s, n / 4).path()),
    ];
    for (i, energies) in bounded.iter().enumerate() {
        assert!(is_bounded(energies), "symplectic method {i}: {:?}", &energies[energies.len() - 3..]);
    }
    let drifting = [
        energies(|s: State| ode::rk4(|(q, v): State| (v, a(q))).step(2.0 * h).run(s, n / 2).path()),
        energies(|s: State| ode::heun(|(q, v): State| (v, a(q))).step(h / 2.0).run(s, n).path()),
    ];
    for energies in &drifting {
        assert!(!is_bounded(energies), "{:?}", &energies[energies.len() - 3..]);
    }
}

#[test]
fn velocity_verlet_has_the_states_of_leapfrog() {
    let start = (array([0.3, -0.2]), array([0.1, 0.25]));
    let a = problems::henon_heiles;
    let kdk = jit(|s: State| ode::leapfrog_kdk(a).step(0.1).run(s, 20).end()).call(&start).unwrap();
    let verlet = jit(|s: State| ode::velocity_verlet(a).step(0.1).run(s, 20).end()).call(&start).unwrap();
    let flat = |(q, v): (Array, Array)| numbers(&[q, v]);
    assert!(distance(&flat(kdk), &flat(verlet)) < 1e-14);
}

/// The path ends where the run ends, and has one state for each step.
#[test]
fn a_path_ends_at_the_end() {
    let orbit = ode::velocity_verlet(problems::henon_heiles).step(0.1);
    let start = (array([0.3, -0.2]), array([0.1, 0.25]));
    let (q, v) = jit(|s: State| orbit.run(s, 7).path()).call(&start).unwrap();
    let (end_q, end_v) = jit(|s: State| orbit.run(s, 7).end()).call(&start).unwrap();
    assert_eq!((&q.shape()[..], &v.shape()[..]), (&[7, 2][..], &[7, 2][..]));
    let last = |a: &Array| array(a.to_vec::<f64>().unwrap()[12..].to_vec());
    assert!(last(&q).bits_eq(&end_q) && last(&v).bits_eq(&end_v));
}
