//! Gradients through steps of fixed size: equal to the bit under every policy, and right.

use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_engine::{grad, hvp, value_and_grad};

use retrograde_solve::ode::{
    self,
    problems::{gravity, planetary_disc},
};

use super::solvers::{Solver, all, numbers};

const H: f64 = 0.01;

/// A smooth loss of all entries.
fn loss(leaves: &[Var]) -> Var {
    let terms = leaves.iter().map(|leaf| (0.7 * *leaf + 0.1).sin().sum());
    terms.reduce(|a, b| a + b).expect("a state has leaves")
}

fn n_steps(solver: &Solver) -> usize {
    // The implicit ones take some hundred equations in a step.
    match solver.facts.name {
        "implicit_midpoint" | "rodas3" => 20,
        _ if solver.facts.reversible => 200,
        // Two blocks of whole steps, the last one short.
        _ => 100,
    }
}

#[test]
fn policies_agree_to_the_bit_and_whole_steps_are_reversed_where_they_must_be() {
    for solver in all() {
        let n = n_steps(&solver);
        let name = solver.facts.name;
        let run = |tape: Tape| {
            let door = value_and_grad(|y: Vec<Var>| loss(&(solver.advance)(y, H, n, tape)));
            door.call(&solver.start).map(|answer| (answer, door.last_tape()))
        };
        let ((value, gradient), stored) = run(Tape::Store).unwrap();
        let same = |(v, g): &(Array, Vec<Array>)| {
            v.bits_eq(&value) && g.iter().zip(&gradient).all(|(a, b)| a.bits_eq(b))
        };
        let (sqrt, report) = run(Checkpoint::Sqrt.into()).unwrap();
        assert!(same(&sqrt), "{name}: checkpoints change bits");
        assert!(report.recomputed_steps > 0 && report.tape_bytes() < stored.tape_bytes(), "{name}: {report}");
        let (reversed, report) = run(Tape::Reverse).unwrap();
        assert!(same(&reversed), "{name}: reversal changes bits");
        let by_updates = report.inverse_evaluations == 0;
        assert_eq!(by_updates, solver.facts.reversible, "{name}: {report}");
        let values = (numbers(&solver.start).len() * n) as f64;
        let bits = report.stack_bits() as f64 / values;
        if by_updates {
            assert_eq!((report.inverse_steps, report.recomputed_steps), (n as u64, 0), "{name}");
            assert!(
                bits < 0.07 * f64::from(solver.facts.evaluations),
                "{name}: {bits} bits a value and step"
            );
        } else {
            assert_eq!(report.inverse_steps + report.recomputed_steps, n as u64, "{name}: {report}");
            // A state for each block of 64 steps, begun or not, and a word.
            let blocks = n.div_ceil(64) as f64;
            assert!(bits * values <= blocks * 64.0 * (values / n as f64 + 1.0), "{name}: {report}");
            assert!(report.notes[0].contains("reversed as whole steps"), "{name}: {report}");
        }
    }
}

/// A direction in the space of states, of no special place.
fn direction(solver: &Solver) -> Vec<Array> {
    let of = |(i, leaf): (usize, &Array)| {
        array((0..leaf.size()).map(|j| 1.0 + (i + 2 * j) as f64).collect::<Vec<_>>())
    };
    solver.start.iter().enumerate().map(of).collect()
}

/// The start moved along the direction.
fn moved(solver: &Solver, by: f64) -> Vec<Array> {
    let sum = |(x, d): (&Array, &Array)| {
        let (x, d) = (x.to_vec::<f64>().unwrap(), d.to_vec::<f64>().unwrap());
        array(x.iter().zip(d).map(|(x, d)| x + by * d).collect::<Vec<_>>())
    };
    solver.start.iter().zip(&direction(solver)).map(sum).collect()
}

/// The slope of `f` at 0, by differences of fourth order.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    let by = 3e-4;
    (8.0 * (f(by) - f(-by)) - (f(2.0 * by) - f(-2.0 * by))) / (12.0 * by)
}

fn product(a: &[Array], b: &[Array]) -> f64 {
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| a * b).sum()
}

#[test]
fn gradients_are_slopes() {
    for solver in all() {
        let n = n_steps(&solver);
        let door = value_and_grad(|y: Vec<Var>| loss(&(solver.advance)(y, H, n, Tape::Store)));
        let expected = slope(|by| door.call(&moved(&solver, by)).unwrap().0.item::<f64>().unwrap());
        let found = product(&door.call(&solver.start).unwrap().1, &direction(&solver));
        assert!((found - expected).abs() < 1e-9, "{}: {found} {expected}", solver.facts.name);
    }
}

/// Derivatives of derivatives, through Jacobians and iterations too.
#[test]
fn hessian_products_are_slopes_of_gradients() {
    for solver in all() {
        let of = |y: Vec<Var>| loss(&(solver.advance)(y, 0.1, 4, Tape::Store));
        let (gradient, along) = (grad(of), direction(&solver));
        let expected = slope(|by| product(&gradient.call(&moved(&solver, by)).unwrap(), &along));
        let found = product(&hvp(of).call(&solver.start, &along).unwrap(), &along);
        assert!((found - expected).abs() < 1e-8, "{}: {found} {expected}", solver.facts.name);
    }
}

/// As updates in place, at most a hundredth of a bit for each number of the state and step: eight bodies, h = 0.001. The start is dearer,
/// as velocities that are zero become small numbers, so what a thousand steps more keep is counted too.
#[test]
fn reversible_heun_in_small_steps_keeps_little() {
    let disc = planetary_disc(8);
    let heun = ode::reversible_heun(|(x, v): (Var, Var)| (v, gravity(&disc.masses)(x))).step(1e-3);
    let bits = |n_steps: usize| {
        let end = |s: (Var, Var)| {
            let (x, v) = heun.run(s, n_steps).end();
            loss(&[x, v])
        };
        let start = (disc.positions.clone(), disc.velocities.clone());
        let door = grad(end).tape(Tape::Reverse);
        let found = door.call(&start).unwrap();
        let expected = grad(end).tape(Checkpoint::Sqrt).call(&start).unwrap();
        assert!(found.0.bits_eq(&expected.0) && found.1.bits_eq(&expected.1));
        let report = door.last_tape();
        assert_eq!((report.inverse_evaluations, report.inverse_steps), (0, n_steps as u64), "{report}");
        report.stack_bits() as f64
    };
    // Positions and velocities, 24 each, and their companions.
    let (few, many) = (bits(1000), bits(2000));
    let (all, later) = (many / (96.0 * 2000.0), (many - few) / (96.0 * 1000.0));
    assert!(all <= 0.01 && later <= 0.01 && later > 0.0, "{all} {later}");
}
