//! Every operation on views: the storage changes no bit.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::*;
use crate::array;
use crate::bits::BitStack;
use crate::lost::{ArrayStep, record_array, restore_array};
use crate::map::Function;
use crate::ops::strided::row_major;
use crate::ops::{Binary, Comparison, DotDims, Unary};

/// The entries of `a`, two axes of some length, in every kind of storage. The first is a buffer of its own.
fn storages(a: &Array) -> Vec<(&'static str, Array)> {
    let own = a.compact();
    let back: Vec<usize> = (0..a.rank()).rev().collect();
    let turned = ops::transpose(&ops::transpose(&own, &back).compact(), &back);

    let starts: Vec<usize> = (0..a.rank()).map(|axis| axis + 2).collect();
    let room = |step: usize| -> Shape { a.shape().iter().map(|len| 2 + a.rank() + step * len).collect() };
    let part = |step: usize| {
        let (steps, limits) = (vec![step; a.rank()], |len: usize, start: usize| start + step * (len - 1) + 1);
        let whole = ops::pad_slice(&own, &room(step), &starts, &steps);
        let ends: Vec<usize> =
            a.shape().iter().zip(&starts).map(|(&len, &start)| limits(len, start)).collect();
        ops::slice(&whole, &starts, &ends, &steps)
    };

    let all: Vec<usize> = (0..a.rank()).collect();
    let mirrored = |axes: &[usize]| ops::reverse(&ops::reverse(&own, axes).compact(), axes);
    let zeros = Array::zeros(a.dtype(), a.shape());
    let row = Array::stack(&[zeros.clone(), own.clone(), zeros]).unwrap().row(1);
    let views = vec![
        ("transposed", turned),
        ("part of a larger array", part(1)),
        ("every second entry", part(2)),
        ("last axis backwards", mirrored(&all[a.rank() - 1..])),
        ("backwards", mirrored(&all)),
        ("row of a stack", row),
    ];
    for (what, view) in &views {
        // Otherwise the comparisons below would compare an array with itself.
        assert!(view.strides() != row_major(a.shape()) || view.offset() > 0, "{what} is no view");
    }
    [vec![("own buffer", own)], views].concat()
}

/// `f` gives the same bits for every storage of `a`.
#[track_caller]
fn check(what: &str, a: &Array, f: impl Fn(&Array) -> Array) {
    let storages = storages(a);
    let expected = f(&storages[0].1);
    for (storage, view) in &storages[1..] {
        let result = f(view);
        assert_eq!(result, expected, "{what} of {}, {storage}", a.dtype());
        // Once more, now that the view may remember its copy.
        assert_eq!(f(view), expected, "{what} of {}, {storage}, again", a.dtype());
        assert_eq!(f(&view.compact()), expected, "{what} of {}, {storage}, compact", a.dtype());
    }
}

#[test]
fn arithmetic() {
    use {Binary::*, Unary::*};
    for dtype in [DType::F64, DType::F32, DType::BF16, DType::I64, DType::I32, DType::U8] {
        let (a, b) = (random(dtype, &[20, 33], 1), random(dtype, &[20, 33], 2));
        let unaries = if dtype.is_float() { &[Neg, Sqrt][..] } else { &[Neg] };
        for &op in unaries {
            check(&format!("{op:?}"), &a, |a| ops::unary(op, a));
        }
        let functions = if dtype.is_float() { Function::ALL } else { &[] };
        for &f in functions {
            check(f.name(), &a, |a| ops::function(f, a));
        }
        let nonzero = ops::select(&ops::convert(&b, DType::Bool), &b, &Array::full(dtype, [], one(dtype)));
        for op in [Add, Sub, Mul, Div, Max] {
            check(&format!("{op:?}"), &a, |a| ops::binary(op, a, &nonzero).unwrap());
            check(&format!("{op:?} by"), &nonzero, |b| ops::binary(op, &a, b).unwrap());
            check(&format!("{op:?} by one"), &a, |a| {
                ops::binary(op, a, &Array::full(dtype, [], one(dtype))).unwrap()
            });
        }
        check("fma", &a, |x| ops::fma(x, &b, &a));
        check("fma, second", &a, |x| ops::fma(&b, x, &a));
        check("fma, third", &a, |x| ops::fma(&b, &a, x));
        check("argmax 0", &a, |a| ops::argmax(a, 0));
        check("argmax 1", &a, |a| ops::argmax(a, 1));
        for axes in [&[][..], &[0], &[1], &[0, 1]] {
            check(&format!("sum over {axes:?}"), &a, |a| ops::sum(a, axes));
        }
    }
}

fn one(dtype: DType) -> Scalar {
    Scalar::from_f64(dtype, 1.0).unwrap()
}

#[test]
fn products() {
    let dims =
        |l: usize, r: usize| DotDims { lhs_contract: vec![l], rhs_contract: vec![r], ..DotDims::default() };
    for dtype in [DType::F64, DType::F32, DType::BF16, DType::I64] {
        // Small and large, several blocks of terms, matrix by vector and vector by matrix.
        for (m, k, n) in [(20, 33, 15), (70, 300, 50), (9, 40, 1), (1, 300, 40)] {
            let (a, b) = (random(dtype, &[m, k], 1), random(dtype, &[k, n], 2));
            if a.size() > 256 && m > 1 {
                check("left factor", &a, |a| ops::dot_general(a, &b, &dims(1, 0)));
                check("left factor, other axis", &a, |a| ops::dot_general(a, a, &dims(0, 0)));
            }
            if b.size() > 256 && n > 1 {
                check("right factor", &b, |b| ops::dot_general(&a, b, &dims(1, 0)));
            }
        }
        let a = random(dtype, &[4, 12, 17], 3);
        let b = random(dtype, &[17, 4, 11], 4);
        let batched =
            DotDims { lhs_contract: vec![2], rhs_contract: vec![0], lhs_batch: vec![0], rhs_batch: vec![1] };
        check("batched, left", &a, |a| ops::dot_general(a, &b, &batched));
        check("batched, right", &b, |b| ops::dot_general(&a, b, &batched));
        let two = DotDims { lhs_contract: vec![0, 2], rhs_contract: vec![0, 2], ..DotDims::default() };
        check("two axes", &a, |x| ops::dot_general(x, &a, &two));
        // A factor that repeats: stride 0.
        let row = random(dtype, &[40], 5);
        let repeated = ops::broadcast(&row, &Shape::from([30, 40]), &[1]);
        assert_eq!(repeated.strides(), [0, 1]);
        let right = random(dtype, &[40, 20], 6);
        let expected = ops::dot_general(&repeated.compact(), &right, &DotDims::matmul());
        assert_eq!(ops::dot_general(&repeated, &right, &DotDims::matmul()), expected);
        let flat = ops::transpose(&repeated, &[1, 0]);
        let expected = ops::dot_general(&right, &flat.compact(), &dims(0, 0));
        assert_eq!(ops::dot_general(&right, &flat, &dims(0, 0)), expected);
    }
}

#[test]
fn everything_else() {
    for dtype in DType::ALL {
        let (a, b) = (random(dtype, &[20, 33], 1), random(dtype, &[20, 33], 2));
        let mask = random(DType::Bool, &[20, 33], 3);
        for to in DType::ALL {
            check("convert", &a, |a| ops::convert(a, to));
        }
        check("compare", &a, |a| ops::compare(Comparison::Lt, a, &b));
        check("compare with", &b, |b| ops::compare(Comparison::Ge, &a, b));
        check("select by", &mask, |mask| ops::select(mask, &a, &b));
        check("select", &a, |a| ops::select(&mask, a, &b));
        check("select else", &b, |b| ops::select(&mask, &a, b));
        check("concat", &a, |a| ops::concat(&[a, &b, a], 1));
        check("pad", &a, |a| ops::pad_slice(a, &Shape::from([50, 40]), &[3, 1], &[2, 1]));
        check("stack", &a, |a| Array::stack(&[a.clone(), b.clone()]).unwrap());
        check("reshape", &a, |a| ops::reshape(a, &Shape::from([4, 55, 3])));
        check("row", &a, |a| a.row(7));
        check("copied and written", &a, |a| {
            let mut a = a.clone();
            if let Some(entries) = a.make_mut::<f64>() {
                entries.reverse();
            }
            a
        });
        // Views of views.
        check("slice", &a, |a| ops::slice(a, &[1, 2], &[19, 33], &[1, 1]));
        check("slice by steps", &a, |a| ops::slice(a, &[1, 2], &[19, 33], &[5, 3]));
        check("transpose", &a, |a| ops::transpose(a, &[1, 0]));
        check("reverse", &a, |a| ops::reverse(a, &[0]));
        check("broadcast", &a, |a| ops::broadcast(a, &Shape::from([33, 2, 20]), &[2, 0]));
        let indices = array([3_i64, 0, 3, 19]);
        check("gather", &a, |a| ops::gather(a, &indices, 0, 0).unwrap());
        check("as text", &a, |a| array(a.to_string().into_bytes()));
        check("entry by entry", &a, |a| array(a.scalars().map(Scalar::to_f64).collect::<Vec<_>>()));
        check("hash", &a, |a| {
            let mut hasher = DefaultHasher::new();
            a.hash(&mut hasher);
            array(hasher.finish() as i64)
        });
    }
    let at = ops::convert(&random(DType::U8, &[20, 33], 4), DType::I64);
    let updates = random(DType::F32, &[20, 33], 5);
    check("gather at", &at, |at| ops::gather(&array(vec![1.5; 256]), at, 0, 0).unwrap());
    check("scatter_add", &updates, |updates| ops::scatter_add(&at, updates, 0, 0, 256).unwrap());
    check("scatter_add at", &at, |at| ops::scatter_add(at, &updates, 0, 0, 256).unwrap());
}

#[test]
fn exact_reversal() {
    let (x, d) = (random(DType::F64, &[20, 33], 1), random(DType::F64, &[20, 33], 2));
    let y = ops::binary(Binary::Add, &x, &d).unwrap();
    check("record", &x, |x| {
        let mut stack = BitStack::default();
        record_array(&y, x, ArrayStep::Add(&d), &mut stack).unwrap();
        array(stack.len_bits() as i64)
    });
    let mut recorded = BitStack::default();
    record_array(&y, &x, ArrayStep::Add(&d), &mut recorded).unwrap();
    check("restore", &y, |y| restore_array(y, ArrayStep::Add(&d), &mut recorded.clone()).unwrap());
    check("restore by", &d, |d| restore_array(&y, ArrayStep::Add(d), &mut recorded.clone()).unwrap());
}

#[test]
fn views_share_the_buffer() {
    let a = random(DType::F64, &[100, 100], 1);
    let start = a.as_slice::<f64>().unwrap().as_ptr();
    for view in [
        ops::transpose(&a, &[1, 0]),
        ops::slice(&a, &[10, 10], &[90, 90], &[1, 2]),
        ops::broadcast(&a, &Shape::from([3, 100, 100]), &[1, 2]),
        ops::reverse(&a, &[0, 1]),
        ops::reshape(&ops::slice(&a, &[10, 0], &[90, 100], &[1, 1]), &Shape::from([8000])),
        ops::transpose(&ops::reverse(&ops::slice(&a, &[0, 0], &[100, 50], &[1, 1]), &[1]), &[1, 0]),
    ] {
        assert_eq!(view.buffer::<f64>().unwrap().as_ptr(), start, "{:?}", view.strides());
        assert_ne!(view.compact().as_slice::<f64>().unwrap().as_ptr(), start);
    }
    // Few entries keep nothing else alive.
    let few = ops::slice(&a, &[0, 0], &[2, 2], &[1, 1]);
    assert_eq!(few.buffer::<f64>().unwrap().len(), 4);
    // Back to where it was: no view.
    let there_and_back =
        ops::reverse(&ops::reverse(&ops::transpose(&ops::transpose(&a, &[1, 0]), &[1, 0]), &[0]), &[0]);
    assert_eq!(there_and_back.as_slice::<f64>().unwrap().as_ptr(), start);
}

#[test]
fn writing_leaves_the_others_alone() {
    let a = random(DType::F64, &[30, 30], 1);
    let before = a.compact();
    let mut turned = ops::transpose(&a, &[1, 0]);
    let expected = turned.compact();
    let mut part = a.row(0).compact();
    turned.make_mut::<f64>().unwrap()[0] = 1e9;
    part.make_mut::<f64>().unwrap()[0] = 1e9;
    assert_eq!(a, before);
    assert_eq!(turned.as_slice::<f64>().unwrap()[1..], expected.as_slice::<f64>().unwrap()[1..]);
    assert_eq!(turned.make_mut::<f32>(), None);
}

#[test]
fn reversals() {
    for (shape, axes) in
        [(vec![5], vec![0]), (vec![2, 3], vec![1]), (vec![30, 20], vec![0]), (vec![9, 7, 8], vec![2, 0])]
    {
        let a = random(DType::I32, &shape, 1);
        let expected = build(DType::I32, &shape, |index| {
            let mut from = index.to_vec();
            axes.iter().for_each(|&axis: &usize| from[axis] = shape[axis] - 1 - from[axis]);
            at(&a, &from)
        });
        assert_eq!(ops::reverse(&a, &axes), expected);
    }
    let empty = Array::zeros(DType::F64, [3, 0]);
    assert_eq!(ops::reverse(&empty, &[1, 0]), empty);
}
