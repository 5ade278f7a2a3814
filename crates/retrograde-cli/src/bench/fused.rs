//! Chains of functions of a million f32, entry by entry, that a good compiler makes one loop; and a call so small that only its overhead
//! counts.
//!
//! - `w1_s`: tanh(x a + b) exp(−x²) + sin x, a and b numbers: transcendental functions
//! - `w1_by_hand_s`: the same as a loop in Rust with the library's functions, on one thread
//! - `w1b_s`: (x a + b) (x − b) + x: memory
//! - `call_s`: the second of 16 entries

use std::hint::black_box;
use std::rc::Rc;

use retrograde::arrays::tile::hand;
use retrograde::prelude::*;

use super::workload::{TimedCall, TimedCase, Workload, normal_f32};
use crate::failure::Failure;

const N: usize = 1_000_000;

pub(super) const CASE: TimedCase = TimedCase {
    name: "fused",
    about: "chains of functions of a million f32, and of 16",
    path: None,
    workload: |_, policy| Ok::<_, Failure>(workload(N, policy)),
};

fn transcendental(x: Var, a: Var, b: Var) -> Var {
    (x * a + b).tanh() * (-(x * x)).exp() + x.sin()
}

fn cheap(x: Var, a: Var, b: Var) -> Var {
    (x * a + b) * (x - b) + x
}

pub(super) fn workload(n: usize, policy: Tape) -> Workload {
    let x = normal_f32(Key::from_seed(1), &[n], 1.0);
    let data = vec![array(1.5_f32), array(0.25_f32)];
    let chain =
        |f: fn(Var, Var, Var) -> Var| move |wrt: &[Var], data: &[Var]| vec![f(wrt[0], data[0], data[1])];
    let few = vec![normal_f32(Key::from_seed(2), &[16], 1.0)];
    let calls = vec![
        TimedCall::new("w1_s", chain(transcendental)),
        TimedCall::new("w1b_s", chain(cheap)),
        TimedCall { instead: Some(few), ..TimedCall::new("call_s", chain(cheap)) },
    ];
    let loss = |wrt: &[Var], data: &[Var]| {
        let (x, a, b) = (wrt[0], data[0], data[1]);
        (transcendental(x, a, b) + cheap(x, a, b)).mean()
    };
    let entries = x.to_vec::<f32>().unwrap_or_default();
    let mut out = vec![0.0; n];
    let by_hand = move || {
        hand::transcendental(black_box(&entries), 1.5, 0.25, &mut out);
        black_box(&mut out);
    };
    let workload = Workload::new("fused", vec![x], data, policy, calls, Rc::new(loss));
    Workload { by_hand: vec![("w1_by_hand_s", Box::new(by_hand))], ..workload }
}
