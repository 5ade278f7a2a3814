//! How many instructions a call takes that was compiled and has run before, each beside the most it may take; run as
//! `cargo bench -p retrograde-engine --bench instructions`, which needs valgrind and the command `gungraun-runner`, of the version in
//! `Cargo.lock`.
//!
//! Seconds scatter by more than what a change costs where others use the same machine; instructions repeat to 1 %. They are counted on one
//! thread and at AVX2, the most that valgrind knows, so they say nothing of AVX-512, of waiting for memory or of threads. The bounds are 5 %
//! above what was counted (rustc 1.95); for the product above 850,759, what another set of features of the crates around it makes of 817,983.
//! A change that takes more on purpose raises its bound and says why, as does a new compiler; one that takes less lowers it.

#![allow(missing_docs, reason = "the macros of gungraun make items that have none")]

mod chain;
mod numbers;

use chain::{cheap, transcendental, xs};
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use numbers::numbers;
use retrograde_array::tile::Level;
use retrograde_array::{Array, DType, DotDims, array};
use retrograde_core::ir::Type;
use retrograde_core::prim::{Prim, Tape, dot_general::DotGeneral};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::scan;
use retrograde_engine::direct::resolve;
use retrograde_engine::kernel::{Kernel, Scratch};
use retrograde_engine::{Engine, grad, jit};
use std::hint::black_box;

fn one_thread() -> Engine {
    Engine { threads: Some(1), ..Engine::default() }
}

/// What is counted.
type Call = Box<dyn FnMut()>;

/// A call that has everything it takes from the first calls.
fn warm(mut call: impl FnMut() + 'static) -> Call {
    assert_eq!(Level::best(), Level::Avx2, "the bounds are those of AVX2");
    (0..3).for_each(|_| call());
    Box::new(call)
}

/// Sixteen entries: what a call costs besides arithmetic.
fn small_call() -> Call {
    let f = jit(|x: Var| (x * 0.7 + 0.1).tanh() * (-(x * x)).exp() + x.sin()).executor(one_thread());
    let x = xs(16);
    warm(move || drop(black_box(f.call(black_box(&x)).expect("a vector"))))
}

fn chain_of((kernel, mut outputs): (Kernel, Vec<Array>), n: usize) -> Call {
    let (x, a, b, mut scratch) = (xs(n), array(0.7_f32), array(0.1_f32), Scratch::default());
    warm(move || kernel.run(black_box(&[&x, &a, &b]), &mut outputs, &mut scratch, 1))
}

fn transcendental_chain() -> Call {
    chain_of(transcendental(100_000), 100_000)
}

fn cheap_chain() -> Call {
    chain_of(cheap(100_000), 100_000)
}

fn product() -> Call {
    let (a, b) = (numbers(DType::F32, &[128, 128]), numbers(DType::F32, &[128, 128]));
    let prim = Prim::from(DotGeneral { dims: DotDims::matmul() });
    let types = [&a, &b].map(|x| Type::array(x.dtype(), x.shape()));
    let direct = resolve(&prim, &types).expect("a product is direct");
    let (mut out, mut scratch) = (Array::zeros(DType::F32, [128, 128]), retrograde_array::Scratch::default());
    warm(move || direct.run(black_box(&[&a, &b]), &mut out, 1, &mut scratch).expect("matrices"))
}

/// The gradient through a thousand steps of a pendulum.
fn pendulum(policy: Tape) -> Call {
    let swing = |(q, p): (Var, Var)| {
        let p = p - 0.01 * q.sin();
        (q + 0.01 * p, p)
    };
    let last = move |q: Var, p: Var| {
        let (q, p) = scan(1000).repeat((q, p), swing);
        q * p
    };
    let slope = grad(last).tape(policy).executor(one_thread());
    let (q, p) = (array(1.0), array(0.0));
    slope.call((&q, &p)).expect("numbers");
    let n_inverse_steps = slope.last_tape().inverse_steps;
    assert_eq!(
        n_inverse_steps,
        if policy == Tape::Reverse { 1000 } else { 0 },
        "the policy named is what runs"
    );
    warm(move || drop(black_box(slope.call(black_box((&q, &p))).expect("numbers"))))
}

fn stored_loop() -> Call {
    pendulum(Tape::Store)
}

fn reversed_loop() -> Call {
    pendulum(Tape::Reverse)
}

/// A step of gradient descent of a 2-16-16-1 network with ReLU, one example, squared error.
fn network_step() -> Call {
    let loss = |w: Vec<Var>, (x, y): (Var, Var)| {
        let hidden = (x.dot(w[0]) + w[1].broadcast([1, 16], &[1])).max(0.0);
        let hidden = (hidden.dot(w[2]) + w[3].broadcast([1, 16], &[1])).max(0.0);
        let miss = hidden.dot(w[4]) + w[5].broadcast([1, 1], &[1]) - y;
        (miss * miss).mean()
    };
    let slopes = grad(loss).wrt::<0>();
    let step = move |w: Vec<Var>, data: (Var, Var)| {
        let slopes = slopes.at((w.clone(), data));
        w.iter().zip(slopes).map(|(w, slope)| *w - 0.01 * slope).collect::<Vec<Var>>()
    };
    let step = jit(step).executor(one_thread());
    let shapes: [&[usize]; 6] = [&[2, 16], &[16], &[16, 16], &[16], &[16, 1], &[1]];
    let mut weights: Vec<Array> = shapes.iter().map(|shape| numbers(DType::F32, shape)).collect();
    let data = (numbers(DType::F32, &[1, 2]), numbers(DType::F32, &[1, 1]));
    warm(move || weights = step.call(black_box((&weights, &data))).expect("weights and an example"))
}

fn at_most(n_instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, n_instructions)]));
    config
}

// What is returned is not taken apart while it counts.
#[library_benchmark]
#[bench::small_call(setup = small_call, config = at_most(4_110))]
#[bench::transcendental_chain(setup = transcendental_chain, config = at_most(2_340_000))]
#[bench::cheap_chain(setup = cheap_chain, config = at_most(152_000))]
#[bench::product(setup = product, config = at_most(893_000))]
#[bench::stored_loop(setup = stored_loop, config = at_most(3_612_000))]
#[bench::reversed_loop(setup = reversed_loop, config = at_most(9_230_000))]
#[bench::network_step(setup = network_step, config = at_most(29_960))]
fn of(mut call: Call) -> Call {
    call();
    call
}

library_benchmark_group!(name = instructions, benchmarks = of);
main!(library_benchmark_groups = instructions);
