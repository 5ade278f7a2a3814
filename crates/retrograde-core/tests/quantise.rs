//! `Tape::Quantise`: what it keeps in fewer bits, and the law of what comes out.

use retrograde_array::rng::{Key, normal};
use retrograde_array::{Array, DType, array, ops};
use retrograde_core::ir::{parse, print};
use retrograde_core::prim::Program;
use retrograde_core::tape::{Lowered, Tape, audit, lower};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, taped};
use retrograde_core::trace::door::{grad, value_and_grad};
use retrograde_core::trace::var::constant;

const EIGHT: Tape = Tape::Quantise { bits: 8, seed: 0 };

fn lowered(text: &str, policy: Tape) -> Lowered {
    let program: Program = parse(text).unwrap();
    let lowered = lower(&program, 1, 1, policy).unwrap();
    assert_eq!(audit(&program, &lowered, 1), Ok(()));
    lowered
}

fn kept(lowered: &Lowered) -> Vec<String> {
    lowered.tape.iter().map(|entry| format!("{} {} {}", entry.op, entry.ty, entry.policy)).collect()
}

fn f32s(key: u64, shape: &[usize]) -> Array {
    ops::convert(&normal(Key::from_seed(key), shape.to_vec()), DType::F32)
}

#[test]
fn a_coefficient_is_kept_in_few_bits_and_nothing_else() {
    // The sine multiplies a cotangent. The cosine is made of a in the backward part, so a stays as it is.
    let l = lowered(
        "program(x:f32[1000], s:f32[1000]) {
           a:f32[1000] = exp x
           b:f32[1000] = sin a
           c:f32[1000] = mul s b
           d:f32[1000] = mul a a
           e:f32[1000] = strong_div c d
           return b, e
         }",
        EIGHT,
    );
    println!("{}\n{}", print(&l.forward), print(&l.backward));
    assert_eq!(kept(&l), ["exp f32[1000] store", "sin u8[1000] quantise-8", "sin f32[4,2] quantise-8"]);
}

#[test]
fn network() {
    let (x, w, v) = (f32s(1, &[64, 40]), f32s(2, &[40, 50]), f32s(3, &[50, 60]));
    let loss = |w: Var, v: Var| {
        let h = constant(&x).dot(w).max(0.0);
        let y = h.dot(v).max(0.0);
        (y * y).sum()
    };
    for policy in [Tape::Store, EIGHT] {
        let door = grad(loss).tape(policy);
        door.call((&w, &v)).unwrap();
        println!("{}", door.last_tape());
    }
    let step = |w: Var| {
        let w = w * 0.3;
        let end = scan(20).repeat(constant(&f32s(9, &[64, 40])), |h| h.dot(w.slice(1, 0..40)).tanh());
        end.sum()
    };
    for policy in [Tape::Store, EIGHT] {
        let door = grad(step).tape(policy);
        door.call(&w).unwrap();
        println!("{}", door.last_tape());
        let l = door.lowered(&w).unwrap();
        println!("{}\n{}", print(&l.forward), print(&l.backward));
    }
}
