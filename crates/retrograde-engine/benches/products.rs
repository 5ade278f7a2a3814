//! Products, convolutions, pooling and reductions, into given arrays; run as `cargo bench -p retrograde-engine --bench products`.
//!
//! Names say shapes; elements per second are multiply-adds (of products and convolutions) or entries read.

mod numbers;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use numbers::numbers;
use retrograde_array::ops::Window;
use retrograde_array::{Array, DType, DotDims, Scratch, ops};
use retrograde_core::ir::{Op, Type};
use retrograde_core::prim::conv::{Conv, Form};
use retrograde_core::prim::{self, Prim};
use retrograde_engine::direct::resolve;
use std::time::Duration;

/// Times one equation on 1 and 2 threads.
fn time(c: &mut Criterion, group: &str, name: &str, cost: usize, prim: &Prim, inputs: &[&Array]) {
    let types: Vec<Type> = inputs.iter().map(|x| Type::array(x.dtype(), x.shape())).collect();
    let (Some(direct), Ok(out)) = (resolve(prim, &types), prim.infer(&types)) else {
        panic!("{prim:?} of {types:?} is not direct; this is a bug in retrograde")
    };
    let mut out = Array::zeros(out[0].dtype, out[0].shape.clone());
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(cost as u64));
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1)).sample_size(20);
    for n_threads in [1, 2] {
        group.bench_function(BenchmarkId::new(name, n_threads), |b| {
            b.iter(|| direct.run(inputs, &mut out, n_threads, &mut scratch));
        });
    }
    group.finish();
}

fn products(c: &mut Criterion) {
    let shapes = [
        [128, 784, 512],
        [128, 512, 512],
        [784, 128, 512],
        [128, 512, 10],
        [1024, 1024, 1024],
        [256, 256, 256],
        [64, 64, 64],
        [16, 16, 16],
        [4, 4, 4],
        [1, 512, 512],
        [512, 512, 1],
    ];
    for dtype in [DType::F32, DType::F64] {
        for [m, k, n] in shapes {
            let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() };
            let prim = prim::dot_general::DotGeneral { dims }.into();
            let (a, b) = (numbers(dtype, &[m, k]), numbers(dtype, &[k, n]));
            time(c, &format!("product {dtype}"), &format!("{m}x{k}x{n}"), m * k * n, &prim, &[&a, &b]);
        }
    }
    // Scores of attention: 8 examples, 4 heads, 128 tokens, 32 entries each.
    let q = numbers(DType::F32, &[8, 128, 4, 32]);
    let dims = DotDims {
        lhs_contract: vec![3],
        rhs_contract: vec![3],
        lhs_batch: vec![0, 2],
        rhs_batch: vec![0, 2],
    };
    let prim = prim::dot_general::DotGeneral { dims }.into();
    time(c, "product f32", "8x4 of 128x32x128", 32 * 128 * 32 * 128, &prim, &[&q, &q]);
}

fn convolutions(c: &mut Criterion) {
    let list = |n: usize| vec![n; 2];
    let window = Window { size: list(3), strides: list(1), low: list(1), high: list(1), dilation: list(1) };
    for (c_in, c_out, len) in [(1, 32, 28), (32, 64, 14)] {
        let x = numbers(DType::F32, &[64, c_in, len, len]);
        let w = numbers(DType::F32, &[c_out, c_in, 3, 3]);
        let y = numbers(DType::F32, &[64, c_out, len, len]);
        for (form, a, b) in [(Form::Output, &x, &w), (Form::Input, &y, &w), (Form::Kernel, &x, &y)] {
            let conv = Conv { form, window: window.clone(), groups: 1, lens: list(len) };
            let name = format!("{c_in} to {c_out} {len}x{len} {form:?}");
            time(c, "convolution f32", &name, 64 * c_in * c_out * len * len * 9, &conv.into(), &[a, b]);
        }
    }
}

fn pooling(c: &mut Criterion) {
    let list = |n: usize| vec![n; 2];
    let window = Window { size: list(2), strides: list(2), low: list(0), high: list(0), dilation: list(1) };
    let x = numbers(DType::F32, &[64, 32, 28, 28]);
    let argmax = Prim::from(prim::window_argmax::WindowArgmax { window: window.clone() });
    time(c, "pooling f32", "argmax 64x32x28x28", x.size(), &argmax, &[&x]);
    let at = ops::reshape(&ops::window_argmax(&x, &window), &[64 * 32, 14 * 14].into());
    let x = ops::reshape(&x, &[64 * 32, 28 * 28].into());
    let gather = prim::gather::Gather { axis: 1, batch_dims: 1 }.into();
    time(c, "pooling f32", "gather 2048x784", at.size(), &gather, &[&x, &at]);
    let y = numbers(DType::F32, at.shape());
    let scatter = prim::scatter_add::ScatterAdd { axis: 1, batch_dims: 1, size: 28 * 28 }.into();
    time(c, "pooling f32", "scatter_add 2048x784", at.size(), &scatter, &[&at, &y]);
}

fn reductions(c: &mut Criterion) {
    let shapes: [(&[usize], &[usize]); 4] =
        [(&[1_000_000], &[0]), (&[1000, 1000], &[0]), (&[1000, 1000], &[1]), (&[64, 32, 784], &[0, 2])];
    for (shape, axes) in shapes {
        let x = numbers(DType::F32, shape);
        let axes = axes.to_vec();
        let prims: [(&str, Prim); 3] = [
            ("sum", prim::sum::Sum { axes: axes.clone() }.into()),
            ("reduce_max", prim::reduce_max::ReduceMax { axes: axes.clone() }.into()),
            ("logsumexp", prim::logsumexp::Logsumexp { axes: axes.clone() }.into()),
        ];
        for (name, prim) in prims {
            time(c, "reduction f32", &format!("{name} {shape:?} over {axes:?}"), x.size(), &prim, &[&x]);
        }
    }
}

criterion_group!(benches, products, convolutions, pooling, reductions);
criterion_main!(benches);
