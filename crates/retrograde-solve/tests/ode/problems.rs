//! The problems are what they say: known equilibria and conserved quantities.

use retrograde_array::array;
use retrograde_core::trace::Var;
use retrograde_engine::{grad, jit};
use retrograde_solve::ode::problems;

use super::solvers::distance;

#[test]
fn equilibria() {
    let c = 72f64.sqrt();
    let rate = jit(problems::lorenz63).call(&array([c, c, 27.0])).unwrap().to_vec::<f64>().unwrap();
    assert!(distance(&rate, &[0.0; 3]) < 1e-13, "{rate:?}");
    assert_eq!(jit(problems::lotka_volterra).call(&array([1.0, 1.0])).unwrap(), array([0.0, 0.0]));
    let rate = jit(problems::van_der_pol(7.0)).call(&array([1.0, 3.0])).unwrap();
    assert_eq!(rate, array([3.0, -1.0])); // no friction where x² = 1
}

/// Along the flow the invariant is constant: its gradient is orthogonal to the field.
#[test]
fn invariants() {
    let y = array([2.0, 0.7]);
    let slope = grad(problems::lotka_volterra_invariant).call(&y).unwrap().to_vec::<f64>().unwrap();
    let rate = jit(problems::lotka_volterra).call(&y).unwrap().to_vec::<f64>().unwrap();
    assert!((slope[0] * rate[0] + slope[1] * rate[1]).abs() < 1e-15);
    let (q, v) = (array([0.3, -0.2]), array([0.1, 0.25]));
    for (energy, acceleration) in [
        (problems::henon_heiles_energy as fn(Var, Var) -> Var, problems::henon_heiles as fn(Var) -> Var),
        (problems::harmonic_energy, problems::harmonic_oscillator),
    ] {
        let force = grad(energy).call((&q, &v)).unwrap().to_vec::<f64>().unwrap();
        let acceleration = jit(acceleration).call(&q).unwrap().to_vec::<f64>().unwrap();
        assert!(distance(&force.iter().map(|f| -f).collect::<Vec<_>>(), &acceleration) < 1e-15);
    }
}

/// A planet on a circle of radius r is pulled to the sun with 1/r², and the pulls have no sum.
#[test]
fn gravity() {
    let disc = problems::planetary_disc(8);
    let pull = jit(problems::gravity(&disc.masses)).call(&disc.positions).unwrap().to_vec::<f64>().unwrap();
    let x = disc.positions.to_vec::<f64>().unwrap();
    let m = disc.masses.to_vec::<f64>().unwrap();
    for i in 1..8 {
        let at = |a: &[f64]| [a[i], a[8 + i], a[16 + i]];
        let norm = |a: [f64; 3]| a.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((norm(at(&pull)) * norm(at(&x)).powi(2) - 1.0).abs() < 1e-3);
    }
    for axis in 0..3 {
        let total: f64 = (0..8).map(|i| m[i] * pull[8 * axis + i]).sum();
        assert!(total.abs() < 1e-18, "{total:e}");
    }
}
