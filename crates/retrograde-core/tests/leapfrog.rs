//! Leapfrog under every policy: gradients, tangents, batches and Hessian-vector products are equal to the bit.

use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape, Value};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::door::{grad, hvp, jit, value_and_grad, vmap};
use retrograde_core::trace::var::constant;

const BODIES: usize = 8;
const POLICIES: [Tape; 3] = [Tape::Store, Tape::Checkpoint(Checkpoint::Sqrt), Tape::Reverse];

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

fn loss(n_steps: usize) -> impl Fn((Var, Var), Var) -> Var {
    move |(x, v), m| {
        let h = 0.01;
        let (x, v) = scan(n_steps).repeat((x, v), |(x, v)| {
            let x = x + 0.5 * h * v;
            let v = v + h * acceleration(x, m);
            let x = x + 0.5 * h * v;
            (x, v)
        });
        let w: Vec<f64> = (0..3 * BODIES).map(|k| ((k % BODIES + 3 * (k / BODIES)) as f64).cos()).collect();
        (x * &Array::new([3, BODIES], w).unwrap()).sum() + 0.5 * (v * v).sum()
    }
}

fn same(a: &(Array, Array), b: &(Array, Array)) -> bool {
    a.0.bits_eq(&b.0) && a.1.bits_eq(&b.1)
}

#[test]
fn gradients_agree_to_the_bit_and_reversal_keeps_little() {
    let (x, v, m) = disc();
    let state = (x, v);
    let n_steps = 10_000;
    let mut reference = None;
    for policy in POLICIES {
        let door = value_and_grad(loss(n_steps)).tape(policy);
        let (value, g) = door.call((&state, &m)).unwrap();
        let report = door.last_tape();
        let (first_value, first) = reference.get_or_insert((value.clone(), g.clone()));
        assert!(value.bits_eq(first_value) && same(&g, first), "{policy} changes bits");
        match policy {
            Tape::Store => assert!(report.tape_bytes() > 1_000_000),
            Tape::Checkpoint(_) => {
                assert!(report.tape_bytes() <= 101 * 48 * 8, "{report}");
                assert_eq!(report.recomputed_steps, 10_000 - 100);
            }
            Tape::Reverse => {
                let bits = report.stack_bits() as f64 / (6 * BODIES * n_steps) as f64;
                assert!(bits <= 0.03, "{bits} bits per value and step");
                assert_eq!(report.inverse_steps, n_steps as u64);
                assert_eq!(report.recomputed_steps, 0);
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found() {
    let (x, v, m) = disc();
    let state = (x, v);
    let door = value_and_grad(loss(2_000)).tape(Tape::Reverse);
    let (_, report, tape) = door.forward((&state, &m)).unwrap();
    assert!(door.backward((&state, &m), tape.clone()).is_ok());
    for bit in [0, report.stack_bits() / 2, report.stack_bits() - 1] {
        let mut broken = tape.clone();
        for value in &mut broken {
            if let Value::Bits(bits) = value {
                bits.flip(bit);
            }
        }
        assert!(
            door.backward((&state, &m), broken).is_err(),
            "bit {bit} of {} is not missed",
            report.stack_bits()
        );
    }
}

#[test]
fn hessian_products_agree_to_the_bit() {
    let (x, v, m) = disc();
    let state = (x.clone(), v.clone());
    for reverse_over_forward in [false, true] {
        let mut first: Option<(Array, Array)> = None;
        for policy in POLICIES {
            let mut door = hvp(loss(10_000)).tape(policy);
            if reverse_over_forward {
                door = door.reverse_over_forward();
            }
            let product = door.call((&state, &m), &(v.clone(), x.clone())).unwrap();
            assert!(same(&product, first.get_or_insert(product.clone())), "{policy} changes bits");
        }
    }
}

#[test]
fn batches_agree_to_the_bit() {
    let (x, v, m) = disc();
    let lanes =
        (Array::stack(&[x.clone(), v.clone()]).unwrap(), Array::stack(&[v.clone(), x.clone()]).unwrap());
    let mut first: Option<(Array, Array)> = None;
    for policy in POLICIES {
        let of = loss(1_000);
        let door =
            jit(vmap(grad(move |s: (Var, Var)| of(s, constant(&array(vec![1e-3; BODIES])))))).tape(policy);
        let g = door.call(&lanes).unwrap();
        assert!(same(&g, first.get_or_insert(g.clone())), "{policy} changes bits");
    }
    let _ = m;
}
