//! Fused kernels beside loops written by hand with the same arithmetic; and what a step costs on small arrays.

mod chain;

use chain::{cheap, kernel, transcendental, xs};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use retrograde_array::tile::hand;
use retrograde_array::{Array, array};
use retrograde_engine::kernel::{Kernel, Scratch};
use std::hint::black_box;

type Make = fn(usize) -> (Kernel, Vec<Array>);
type ByHand = fn(&[f32], f32, f32, &mut [f32]);

fn chains(c: &mut Criterion) {
    let chains: [(&str, Make, ByHand); 2] =
        [("transcendental", transcendental, hand::transcendental), ("cheap", cheap, hand::cheap)];
    for (name, make, by_hand) in chains {
        let mut group = c.benchmark_group(name);
        for n in [1_000_000, 1000, 16] {
            let (kernel, mut outputs) = make(n);
            let (x, a, b) = (xs(n), array(0.7_f32), array(0.1_f32));
            let mut scratch = Scratch::default();
            for threads in [1, 2] {
                group.bench_function(BenchmarkId::new(format!("kernel, {threads} threads"), n), |bench| {
                    bench.iter(|| kernel.run(black_box(&[&x, &a, &b]), &mut outputs, &mut scratch, threads));
                });
            }
            let x = x.as_slice::<f32>().expect("f32");
            let mut out = vec![0.0; n];
            group.bench_function(BenchmarkId::new("by hand", n), |bench| {
                bench.iter(|| by_hand(black_box(x), 0.7, 0.1, &mut out));
            });
            assert_eq!(outputs[0].as_slice::<f32>(), Some(&out[..]), "the same bits");
        }
    }
}

/// A kernel of 40 steps on arrays of few entries: its time over 40 is what a step costs.
fn small(c: &mut Criterion) {
    let mut group = c.benchmark_group("40 steps");
    for n in [1, 3, 24, 192] {
        let mut text = format!("program(x:f64[{n}], y:f64[{n}]) {{\n");
        for i in 0..40 {
            let op = ["add", "mul", "sub", "max"][i % 4];
            let before = if i == 0 { "x".to_owned() } else { format!("v{}", i - 1) };
            text += &format!("  v{i}:f64[{n}] = {op} {before} y\n");
        }
        let (kernel, mut outputs) = kernel(&(text + "  return v39\n}"));
        let x = Array::vector(vec![0.5; n]);
        let mut scratch = Scratch::default();
        group.bench_function(BenchmarkId::from_parameter(n), |bench| {
            bench.iter(|| kernel.run(black_box(&[&x, &x]), &mut outputs, &mut scratch, 1));
        });
    }
}

criterion_group!(benches, chains, small);
criterion_main!(benches);
