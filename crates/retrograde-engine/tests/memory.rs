//! Direct operations take no memory from the second call on, as the allocator counts it.

use retrograde_array::ops::Window;
use retrograde_array::{Array, DType, DotDims, Scratch, ops};
use retrograde_core::ir::{Op, Type};
use retrograde_core::prim::conv::{Conv, Form};
use retrograde_core::prim::{self, Prim};
use retrograde_engine::direct::resolve;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for all threads: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// How often ten calls ask for memory after two calls, which may.
fn allocations(prim: &Prim, inputs: &[&Array]) -> usize {
    let types: Vec<Type> = inputs.iter().map(|x| Type::array(x.dtype(), x.shape())).collect();
    let direct = resolve(prim, &types).unwrap();
    let out_type = &prim.infer(&types).unwrap()[0];
    let mut out = Array::zeros(out_type.dtype, out_type.shape.clone());
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        direct.run(inputs, &mut out, 1, &mut scratch).unwrap();
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..10 {
        direct.run(inputs, &mut out, 1, &mut scratch).unwrap();
    }
    let change = region.change();
    change.allocations + change.reallocations
}

#[test]
fn direct_operations_take_no_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        Array::new(shape, (0..n).map(|i| (i % 17) as f32 - 8.0).collect()).unwrap()
    };
    let product = |m: usize, k: usize, n: usize| {
        (
            Prim::from(prim::dot_general::DotGeneral { dims: DotDims::matmul() }),
            numbers(&[m, k]),
            numbers(&[k, n]),
        )
    };
    for (m, k, n) in [(128, 784, 512), (4, 4, 4), (1, 300, 70), (70, 300, 1)] {
        let (prim, a, b) = product(m, k, n);
        assert_eq!(allocations(&prim, &[&a, &b]), 0, "{m} by {k} by {n}");
        // Of transposes, which are views.
        let [a, b] = [&a, &b].map(|x| ops::transpose(&ops::transpose(x, &[1, 0]).compact(), &[1, 0]));
        assert_eq!(allocations(&prim, &[&a, &b]), 0, "{m} by {k} by {n}, transposed");
    }
    let window = Window {
        size: vec![3; 2],
        strides: vec![1; 2],
        low: vec![1; 2],
        high: vec![1; 2],
        dilation: vec![1; 2],
    };
    let (x, w, y) = (numbers(&[4, 8, 14, 14]), numbers(&[16, 8, 3, 3]), numbers(&[4, 16, 14, 14]));
    for (form, a, b) in [(Form::Output, &x, &w), (Form::Input, &y, &w), (Form::Kernel, &x, &y)] {
        let conv = Conv { form, window: window.clone(), groups: 1, lens: vec![14; 2] };
        assert_eq!(allocations(&conv.into(), &[a, b]), 0, "{form:?}");
    }
    let of_x: [(&str, Prim); 9] = [
        ("sum, last axes", prim::sum::Sum { axes: vec![2, 3] }.into()),
        ("sum, first axis", prim::sum::Sum { axes: vec![0] }.into()),
        ("sum, scattered axes", prim::sum::Sum { axes: vec![0, 2, 3] }.into()),
        ("reduce_max", prim::reduce_max::ReduceMax { axes: vec![1] }.into()),
        ("logsumexp", prim::logsumexp::Logsumexp { axes: vec![3] }.into()),
        ("argmax", prim::argmax::Argmax { axis: 3 }.into()),
        ("cumsum", prim::cumsum::Cumsum { axis: 2, reverse: true }.into()),
        ("window_argmax", prim::window_argmax::WindowArgmax { window }.into()),
        (
            "unslice",
            prim::unslice::Unslice {
                shape: vec![4, 8, 30, 30],
                starts: vec![0, 0, 1, 1],
                strides: vec![1, 1, 2, 2],
            }
            .into(),
        ),
    ];
    for (what, prim) in of_x {
        assert_eq!(allocations(&prim, &[&x]), 0, "{what}");
    }
    let rows = numbers(&[32, 196]);
    let at = Array::full(DType::I64, [32, 40], retrograde_array::Scalar::I64(3));
    let gather = prim::gather::Gather { axis: 1, batch_dims: 1 };
    assert_eq!(allocations(&gather.into(), &[&rows, &at]), 0, "gather");
    let scatter = prim::scatter_add::ScatterAdd { axis: 1, batch_dims: 1, size: 196 };
    assert_eq!(allocations(&scatter.into(), &[&at, &numbers(&[32, 40])]), 0, "scatter_add");
    assert_eq!(allocations(&prim::concat::Concat { axis: 1 }.into(), &[&rows, &rows]), 0, "concat");
}

#[test]
fn a_copy_is_counted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A factor whose free axes have no single stride is copied: the check above would see it.
    let x = Array::zeros(DType::F32, [20, 30, 20]);
    let scattered = ops::transpose(&x, &[2, 1, 0]);
    let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() };
    let w = Array::zeros(DType::F32, [30, 8]);
    assert!(allocations(&prim::dot_general::DotGeneral { dims }.into(), &[&scattered, &w]) >= 10);
}
