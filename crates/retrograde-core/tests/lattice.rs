//! Lattice states: reversed with no bit kept, more accurate than plain floats; contraction keeps its information and no more.

use retrograde_array::{Array, DType, Scalar, array, lattice, ops};
use retrograde_core::ir::{Op, parse, print};
use retrograde_core::prim::{Checkpoint, Prim, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, scan_over};
use retrograde_core::trace::door::{grad, hvp, jit, value_and_grad, vmap};
use retrograde_core::trace::lattice::{Contract, Lattice};
use retrograde_core::trace::var::constant;

const BODIES: usize = 8;
const STEP: f64 = 0.01;
const LATTICE: Lattice = Lattice { grid: 1.0 / (1_u64 << 57) as f64, range: 64.0 };
const SQRT: Tape = Tape::Checkpoint(Checkpoint::Sqrt);

/// A planetary disc: positions and velocities [3, 8], masses [8].
fn disc() -> (Array, Array, Array) {
    let (mut x, mut v, mut m) = (vec![0.0; 3 * BODIES], vec![0.0; 3 * BODIES], vec![1.0; BODIES]);
    for i in 1..BODIES {
        let (r, angle) = (1.0 + 0.35 * i as f64, 2.399963229728653 * i as f64);
        let speed = (1.0 / r).sqrt();
        (x[i], x[BODIES + i], x[2 * BODIES + i]) =
            (r * angle.cos(), r * angle.sin(), 0.01 * (i as f64).sin());
        (v[i], v[BODIES + i]) = (-speed * angle.sin(), speed * angle.cos());
        m[i] = 1e-6 * (1 + i % 3) as f64;
    }
    let matrix = |e: Vec<f64>| Array::new([3, BODIES], e).unwrap();
    (matrix(x), matrix(v), array(m))
}

fn acceleration(x: Var, m: Var) -> Var {
    let pairs = [3, BODIES, BODIES];
    let d = x.broadcast(pairs, &[0, 2]) - x.broadcast(pairs, &[0, 1]);
    let eye: Vec<f64> = (0..BODIES * BODIES).map(|k| if k % (BODIES + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let eye = constant(&Array::new([BODIES, BODIES], eye).unwrap());
    let r2 = (d * d).sum_axes(&[0]) + 1e-4 + eye;
    let weight = m.broadcast([BODIES, BODIES], &[1]) / (r2 * r2.sqrt());
    (d * weight.broadcast(pairs, &[1, 2])).sum_axes(&[2])
}

/// Positions and velocities after so many steps of leapfrog on the lattice.
fn orbit(n_steps: usize, (x, v): (Var, Var), m: Var) -> (Var, Var) {
    let (x, v) = scan(n_steps).repeat((LATTICE.at(x), LATTICE.at(v)), |(x, v)| {
        let x = x.add(0.5 * STEP * v.value());
        let v = v.add(STEP * acceleration(x.value(), m));
        (x.add(0.5 * STEP * v.value()), v)
    });
    (x.value(), v.value())
}

fn loss(n_steps: usize) -> impl Fn((Var, Var), Var) -> Var {
    move |state, m| {
        let (x, v) = orbit(n_steps, state, m);
        let w: Vec<f64> = (0..3 * BODIES).map(|k| ((k % BODIES + 3 * (k / BODIES)) as f64).cos()).collect();
        (x * &Array::new([3, BODIES], w).unwrap()).sum() + 0.5 * (v * v).sum()
    }
}

fn same(a: &(Array, Array), b: &(Array, Array)) -> bool {
    a.0.bits_eq(&b.0) && a.1.bits_eq(&b.1)
}

#[test]
fn a_lattice_is_reversed_with_no_bit_kept() {
    let (x, v, m) = disc();
    let state = (x, v);
    let n_steps = 10_000;
    let stored = value_and_grad(loss(n_steps)).tape(Tape::Store).call((&state, &m)).unwrap();
    let door = value_and_grad(loss(n_steps)).tape(Tape::Reverse);
    let reversed = door.call((&state, &m)).unwrap();
    assert!(reversed.0.bits_eq(&stored.0) && same(&reversed.1, &stored.1));
    let report = door.last_tape();
    assert_eq!(report.stack_bits(), 0);
    assert_eq!((report.inverse_steps, report.recomputed_steps), (n_steps as u64, 0));
    // Points and values of positions and velocities, at either end.
    assert!(report.tape_bytes() <= 2 * 4 * 3 * BODIES * 8, "{report}");
    assert!(report.notes.is_empty(), "{report}");
}

#[test]
fn gradients_and_hessian_products_agree_to_the_bit_under_every_policy() {
    let (x, v, m) = disc();
    let state = (x.clone(), v.clone());
    let mut first: Option<(Array, Array)> = None;
    for policy in [Tape::Store, Tape::Recompute, SQRT, Tape::Reverse] {
        let g = grad(loss(300)).tape(policy).call((&state, &m)).unwrap();
        assert!(same(&g, first.get_or_insert(g.clone())), "{policy} changes bits");
    }
    for reverse_over_forward in [false, true] {
        let mut first: Option<(Array, Array)> = None;
        for policy in [Tape::Store, Tape::Reverse] {
            let mut door = hvp(loss(1000)).tape(policy);
            if reverse_over_forward {
                door = door.reverse_over_forward();
            }
            let product = door.call((&state, &m), &(v.clone(), x.clone())).unwrap();
            assert!(same(&product, first.get_or_insert(product.clone())), "{policy} changes bits");
        }
    }
    // With respect to the masses alone, the state is not differentiated.
    let mut first: Option<Array> = None;
    for policy in [Tape::Store, Tape::Reverse] {
        let g = grad(loss(300)).wrt::<1>().tape(policy).call((&state, &m)).unwrap();
        assert!(g.bits_eq(first.get_or_insert(g.clone())), "{policy} changes bits");
    }
}
