//! Leapfrog under every policy: gradients, tangents, batches and Hessian-vector products are equal to the bit.

use retrograde_array::{Array, array, ops};
use retrograde_core::prim::{Checkpoint, Tape, Value};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_core::trace::door::{grad, hvp, jit, jvp, value_and_grad, vmap};
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::constant;

const BODIES: usize = 8;
const SQRT: Tape = Tape::Checkpoint(Checkpoint::Sqrt);
const POLICIES: [Tape; 4] = [Tape::Store, Tape::Recompute, SQRT, Tape::Reverse];

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
            Tape::Budget(_) | Tape::Quantise { .. } => unreachable!("not among those above"),
            // The states, and no step once more.
            Tape::Recompute => {
                assert!(report.tape_bytes() <= (n_steps + 1) * 48 * 8, "{report}");
                assert_eq!(report.recomputed_steps, 0);
            }
            Tape::Checkpoint(_) => {
                assert!(report.tape_bytes() <= 101 * 48 * 8, "{report}");
                assert_eq!(report.recomputed_steps, 10_000 - 100);
            }
            Tape::Reverse | Tape::ReverseOr(_) => {
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

/// Two initial states, one the other's positions and velocities exchanged.
fn lanes() -> (Array, Array) {
    let (x, v, _) = disc();
    (Array::stack(&[x.clone(), v.clone()]).unwrap(), Array::stack(&[v, x]).unwrap())
}

#[test]
fn batches_of_gradients_agree_to_the_bit_and_follow_the_policy() {
    let n_steps = 10_000;
    let mut first: Option<(Array, Array)> = None;
    for policy in POLICIES {
        let of = loss(n_steps);
        let lane = move |s: (Var, Var)| of(s, constant(&array(vec![1e-3; BODIES])));
        let door = jit(vmap(grad(lane))).tape(policy);
        let g = door.call(&lanes()).unwrap();
        assert!(same(&g, first.get_or_insert(g.clone())), "{policy} changes bits");
        let report = door.last_tape();
        let steps = (report.recomputed_steps, report.inverse_steps);
        match policy {
            Tape::Store | Tape::Recompute => assert_eq!(steps, (0, 0)),
            Tape::Checkpoint(_) => assert_eq!(steps, (10_000 - 100, 0)),
            Tape::Reverse | Tape::ReverseOr(_) => assert_eq!(steps, (0, 10_000)),
            Tape::Budget(_) | Tape::Quantise { .. } => unreachable!("not among those above"),
        }
        assert!(report.notes.is_empty(), "{report}");
    }
    // Each lane has the bits of a run of its own.
    let of = loss(n_steps);
    let door = grad(move |s: (Var, Var)| of(s, constant(&array(vec![1e-3; BODIES])))).tape(Tape::Reverse);
    let (x, v, _) = disc();
    let batch = first.unwrap();
    for (lane, state) in [(x.clone(), v.clone()), (v, x)].iter().enumerate() {
        let alone = door.call(state).unwrap();
        let row = |a: &Array| ops::slice(a, &[lane, 0, 0], &[lane + 1, 3, BODIES], &[1; 3]);
        let flat = |a: &Array| ops::reshape(a, &[1, 3, BODIES].into());
        assert!(same(&(row(&batch.0), row(&batch.1)), &(flat(&alone.0), flat(&alone.1))), "lane {lane}");
    }
}

#[test]
fn gradients_of_batches_agree_to_the_bit_and_keep_little() {
    let n_steps = 10_000;
    let mut first: Option<(Array, Array)> = None;
    for policy in POLICIES {
        let door = grad(move |s: (Var, Var)| {
            let of = loss(n_steps);
            vmap(move |s: (Var, Var)| of(s, constant(&array(vec![1e-3; BODIES])))).apply((s,)).sum()
        })
        .tape(policy);
        let g = door.call(&lanes()).unwrap();
        assert!(same(&g, first.get_or_insert(g.clone())), "{policy} changes bits");
        let report = door.last_tape();
        match policy {
            Tape::Store => assert!(report.tape_bytes() > 2_000_000),
            Tape::Budget(_) | Tape::Quantise { .. } => unreachable!("not among those above"),
            Tape::Recompute => assert!(report.tape_bytes() <= 2 * (n_steps + 1) * 48 * 8, "{report}"),
            Tape::Checkpoint(_) => assert!(report.tape_bytes() <= 2 * 101 * 48 * 8, "{report}"),
            Tape::Reverse | Tape::ReverseOr(_) => {
                let bits = report.stack_bits() as f64 / (2 * 6 * BODIES * n_steps) as f64;
                assert!(bits <= 0.05, "{bits} bits per value and step");
                assert!(report.tape_bytes() < 20_000, "{report}");
            }
        }
    }
}

#[test]
fn tangents_agree_to_the_bit() {
    let (x, v, m) = disc();
    let mut first: Option<(Array, Array)> = None;
    for policy in POLICIES {
        let of = loss(10_000);
        let inner = grad(of).tape(policy);
        // The tangent of the gradient along (v, x): jvp through each policy.
        let m = m.clone();
        let door = jvp(move |s: (Var, Var)| inner.at((s, constant(&m))));
        let (_, dot) = door.call(&(x.clone(), v.clone()), &(v.clone(), x.clone())).unwrap();
        assert!(same(&dot, first.get_or_insert(dot.clone())), "{policy} changes bits");
        let report = door.last_tape();
        let followed = (report.recomputed_steps > 0, report.inverse_steps > 0);
        assert_eq!(followed, (matches!(policy, Tape::Checkpoint(_)), policy == Tape::Reverse), "{policy}");
    }
}

/// One update by the other, with values at the edges of floats.
fn edges(x: Var, v: Var) -> Var {
    let (x, v) = scan(30).repeat((x, v), |(x, v)| {
        let v = v - 0.1 * x.sin();
        (x + 0.1 * v, v)
    });
    (x * v).sum()
}

/// Zeros of either sign, subnormal numbers and huge ones come back as they were: reversal compares the start bit by bit, and would end
/// with an error.
#[test]
fn zeros_keep_their_signs_update_by_update() {
    let x = array([0.0, -0.0, 0.0, -0.0, 5e-324, -3e-310, 1e16, 1e300]);
    let v = array([-0.0, -0.0, 0.0, 0.0, -0.0, 5e-324, 1e-16, -1e300]);
    let door = grad(edges).tape(Tape::Reverse);
    let found = door.call((&x, &v)).unwrap();
    assert!(found.bits_eq(&grad(edges).call((&x, &v)).unwrap()));
    assert_eq!((door.last_tape().inverse_steps, door.last_tape().inverse_evaluations), (30, 0));
    // What stays a zero keeps its sign: without the bit that tells them apart the gradient would be the same and the start not.
    let still = |x: Var| {
        let (x, v) = scan(5).repeat((x, 0.0 * x), |(x, v)| {
            let v = v + 0.0 * x.sin();
            (x + v, v)
        });
        (x * v).sum()
    };
    let zeros = array([0.0, -0.0]);
    assert!(grad(still).tape(Tape::Reverse).call(&zeros).is_ok());
    assert!(zeros.bits_eq(&array([0.0, -0.0])));
}

/// NaN or infinity ends reversal with the line of the update; the caller's arrays are what they were.
#[test]
fn what_is_not_finite_ends_reversal_update_by_update() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (x, v) = (array([1.0, wrong]), array([0.5, 0.0]));
        let error = grad(edges).tape(Tape::Reverse).call((&x, &v)).unwrap_err().to_string();
        assert!(error.contains("not finite") && error.contains("leapfrog.rs:"), "{error}");
        assert!(x.bits_eq(&array([1.0, wrong])) && v.bits_eq(&array([0.5, 0.0])));
        // Other policies give what they give.
        assert!(grad(edges).tape(SQRT).call((&x, &v)).is_ok());
    }
}
