//! Repeated calls allocate no buffers; loops allocate nothing for a step. Counted by the allocator, in a process of its own.

use std::alloc::System;

use retrograde_array::{Array, array};
use retrograde_core::prim::{Checkpoint, Tape};
use retrograde_core::trace::Var;
use retrograde_core::trace::control::{scan, scan_over, while_loop};
use retrograde_engine::{jit, value_and_grad};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations and their bytes in one call, once the workspace is there.
fn per_call(mut call: impl FnMut()) -> (usize, usize) {
    (0..3).for_each(|_| call());
    let region = Region::new(ALLOCATOR);
    call();
    let change = region.change();
    (
        change.allocations + change.reallocations,
        change.bytes_allocated + change.bytes_reallocated.max(0) as usize,
    )
}

fn pendulum(n_steps: usize) -> impl Fn(Var, Var) -> Var {
    move |q, p| {
        let swing = |(q, p): (Var, Var)| {
            let p = p - 0.1 * q;
            (q + 0.1 * p, p)
        };
        let (q, p) = scan(n_steps).repeat((q, p), swing);
        (q * p).sum()
    }
}

// One test, so that nothing else allocates meanwhile.
#[test]
fn repeated_calls_allocate_no_buffers_and_loops_nothing_for_a_step() {
    let numbers = |n: usize| Array::vector((0..n).map(|i| i as f64 / n as f64).collect::<Vec<_>>());

    // However many entries there are, a few small pieces: the results' places, and where threads share the work.
    let of_size = |n: usize| {
        let f = jit(|x: Var| ((x * 2.0 + 1.0) * x).sum());
        let x = numbers(n);
        per_call(|| drop(f.call(&x).unwrap()))
    };
    let (small, large) = (of_size(100), of_size(100_000));
    assert!(large.1 < 4000 && large.0 < 20 && small.0 < 20, "{small:?} and {large:?}");

    // However many steps there are.
    let of_steps = |n_steps: usize, policy: Tape| {
        let f = value_and_grad(pendulum(n_steps)).tape(policy);
        let (q, p) = (numbers(20), numbers(20));
        per_call(|| drop(f.call((&q, &p)).unwrap()))
    };
    for policy in [Tape::Store, Tape::Recompute, Checkpoint::Sqrt.into(), Tape::Reverse] {
        let (few, many) = (of_steps(100, policy), of_steps(900, policy));
        // States kept in blocks are noted once a block, the stack of bits grows by doubling.
        assert!(
            many.0 <= few.0 + 40,
            "{policy}: {few:?} allocations and bytes for 100 steps, {many:?} for 900"
        );
    }

    let rows = |n: usize| {
        let xs = Array::new([n, 20], vec![0.5; 20 * n]).unwrap();
        let f = jit(|s: Var, xs: Var| scan_over().run(s, xs, |s, x| (s * x, s + x)).1.sum());
        let s = numbers(20);
        per_call(|| drop(f.call((&s, &xs)).unwrap()))
    };
    let (few, many) = (rows(50), rows(500));
    // Threads that share the sum need a little.
    assert!(many.0 <= few.0 + 10, "{few:?} and {many:?}");

    let halvings = |start: f64| {
        let f = jit(|x: Var| while_loop(x, |x| x.gt(1.0), |x| x * 0.5));
        let x = array(start);
        per_call(|| drop(f.call(&x).unwrap()))
    };
    let (few, many) = (halvings(1e3), halvings(1e300));
    assert!(many.0 <= few.0, "{few:?} and {many:?}");

    // What the caller gives up is written again.
    let step = jit(|x: Var| x * 0.5 + 1.0);
    let mut x = Some(numbers(100_000));
    let (_, bytes) = per_call(|| x = Some(step.call_donating(x.take().unwrap()).unwrap()));
    assert!(bytes < 4000, "{bytes}");

    // A step of descent has one array beside its operand: the new numbers lie where the slopes lay.
    let n = 200_000;
    let descent = jit(|x: Var| {
        let slope = x.cumsum(0);
        x - slope * 1e-6
    });
    let mut x = numbers(n);
    let region = Region::new(ALLOCATOR);
    let held = descent.call(&x).unwrap();
    let change = region.change();
    let bytes =
        change.bytes_allocated as isize + change.bytes_reallocated - change.bytes_deallocated as isize;
    assert!(bytes < 12 * n as isize, "{bytes}");
    // Where results are held, each call takes one; where they are let go or given up, none.
    let mut all_held = vec![held];
    let (_, bytes) = per_call(|| all_held.push(descent.call(&x).unwrap()));
    assert!((8 * n..12 * n).contains(&bytes), "{bytes}");
    let (_, bytes) = per_call(|| drop(descent.call(&x).unwrap()));
    assert!(bytes < 4000, "{bytes}");
    let (_, bytes) = per_call(|| x = descent.call(&x).unwrap());
    assert!((8 * n..12 * n).contains(&bytes), "{bytes}");
    let mut x = Some(x);
    let (_, bytes) = per_call(|| x = Some(descent.call_donating(x.take().unwrap()).unwrap()));
    assert!(bytes < 4000, "{bytes}");
}
