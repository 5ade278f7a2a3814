//! Fused kernels beside loops written by hand with the same arithmetic; and what a step costs on small arrays.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use retrograde_array::tile::hand;
use retrograde_array::{Array, array};
use retrograde_core::ir::parse;
use retrograde_core::prim::Prim;
use retrograde_engine::kernel::{Group, Kernel, Scratch, fuse};
use std::hint::black_box;

/// The one kernel of a program.
fn kernel(text: &str) -> (Kernel, Vec<Array>) {
    let program = parse::<Prim>(text).expect("a program");
    let mut groups = fuse(&program);
    match (groups.pop(), groups.is_empty()) {
        (Some(Group::Kernel { kernel, outputs, .. }), true) => {
            let zeros = |v| Array::zeros(program.ty(v).dtype, program.ty(v).shape.clone());
            (kernel, outputs.into_iter().map(zeros).collect())
        }
        _ => panic!("one kernel"),
    }
}

fn xs(n: usize) -> Array {
    Array::vector((0..n).map(|i| (i as f32 * 0.618).fract() * 8.0 - 4.0).collect())
}

/// `tanh(a x + b) exp(-x²) + sin x`
fn transcendental(n: usize) -> (Kernel, Vec<Array>) {
    kernel(&format!(
        "program(x:f32[{n}], a:f32[], b:f32[]) {{
  c:f32[{n}] = broadcast[shape=[{n}], axes=[]] a
  d:f32[{n}] = broadcast[shape=[{n}], axes=[]] b
  e:f32[{n}] = fma x c d
  f:f32[{n}] = tanh e
  g:f32[{n}] = mul x x
  h:f32[{n}] = neg g
  i:f32[{n}] = exp h
  j:f32[{n}] = sin x
  k:f32[{n}] = fma f i j
  return k
}}"
    ))
}

/// `(a x + b) x + b x - a`
fn cheap(n: usize) -> (Kernel, Vec<Array>) {
    kernel(&format!(
        "program(x:f32[{n}], a:f32[], b:f32[]) {{
  c:f32[{n}] = broadcast[shape=[{n}], axes=[]] a
  d:f32[{n}] = broadcast[shape=[{n}], axes=[]] b
  e:f32[{n}] = fma x c d
  f:f32[{n}] = mul x d
  g:f32[{n}] = fma e x f
  h:f32[{n}] = sub g c
  return h
}}"
    ))
}

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
