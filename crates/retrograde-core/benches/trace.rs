//! How long tracing, differentiating and lowering take: the bar is 50 ms for a program of 5000 equations.

use criterion::{Criterion, criterion_group, criterion_main};
use retrograde_array::array;
use retrograde_core::prim::Tape;
use retrograde_core::trace::Var;
use retrograde_core::trace::door::{grad, jit};
use std::hint::black_box;

/// 5000 equations: x, then 2500 times a product and a sine.
fn chain(mut x: Var) -> Var {
    for _ in 0..2500 {
        x = (x * x).sin();
    }
    x.sum()
}

fn trace(c: &mut Criterion) {
    let x = array([0.1, 0.2, 0.3]);
    c.bench_function("trace 5000 equations", |b| b.iter(|| jit(chain).program(black_box(&x))));
    c.bench_function("trace, simplify and lower 5000 equations", |b| {
        b.iter(|| jit(chain).lowered(black_box(&x)))
    });
    c.bench_function("trace, differentiate and lower 5000 equations", |b| {
        b.iter(|| grad(chain).tape(Tape::Store).lowered(black_box(&x)))
    });
    // A budget of a tenth of what is stored: ten of the 5000 arrays of a number, with their headers.
    c.bench_function("trace, differentiate and plan a budget for 5000 equations", |b| {
        b.iter(|| grad(chain).budget(100_000).lowered(black_box(&x)))
    });
}

criterion_group!(benches, trace);
criterion_main!(benches);
