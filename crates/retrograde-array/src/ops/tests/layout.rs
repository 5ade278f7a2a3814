//! Operations that move entries.

use super::*;
use crate::array;
use crate::ops::{broadcast, concat, pad_slice, slice, transpose};

#[test]
fn transposes() {
    for (shape, perm) in [
        (vec![2, 3], vec![1, 0]),
        (vec![40, 70], vec![1, 0]),
        (vec![2, 3, 4], vec![2, 0, 1]),
        (vec![2, 3, 4], vec![1, 0, 2]),
        (vec![5, 40, 33], vec![0, 2, 1]),
        (vec![40, 3, 41], vec![2, 1, 0]),
        (vec![2, 1, 3, 1, 2], vec![3, 4, 2, 1, 0]),
        (vec![2; 10], vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (vec![3, 0, 2], vec![2, 0, 1]),
        (vec![1, 5], vec![1, 0]),
        (vec![], vec![]),
    ] {
        for dtype in [DType::F64, DType::I32, DType::Bool] {
            let a = random(dtype, &shape, 1);
            let out: Vec<usize> = perm.iter().map(|&axis| shape[axis]).collect();
            let expected = build(dtype, &out, |index| {
                let mut from = vec![0; index.len()];
                perm.iter().zip(index).for_each(|(&axis, &i)| from[axis] = i);
                at(&a, &from)
            });
            assert_eq!(transpose(&a, &perm), expected, "{shape:?} by {perm:?}");
        }
    }
}

#[test]
fn broadcasts() {
    for (from, shape, axes) in [
        (vec![], vec![2, 3], vec![]),
        (vec![3], vec![2, 3], vec![1]),
        (vec![2], vec![2, 3], vec![0]),
        (vec![2, 4], vec![2, 3, 4], vec![0, 2]),
        (vec![4, 2], vec![2, 3, 4], vec![2, 0]),
        (vec![2, 2], vec![2, 2], vec![1, 0]),
        (vec![3], vec![2, 3, 4, 5], vec![1]),
        (vec![3], vec![0, 3], vec![1]),
        (vec![2, 2], vec![1, 2, 1, 2, 3, 1, 1, 1, 1, 2], vec![3, 9]),
    ] {
        let a = random(DType::F32, &from, 2);
        let expected = build(DType::F32, &shape, |index| {
            at(&a, &axes.iter().map(|&axis: &usize| index[axis]).collect::<Vec<_>>())
        });
        assert_eq!(
            broadcast(&a, &Shape::from(shape.clone()), &axes),
            expected,
            "{from:?} to {shape:?} by {axes:?}"
        );
    }
}

#[test]
fn slices_and_their_transpose() {
    for (shape, starts, limits, strides) in [
        (vec![10], vec![2], vec![9_usize], vec![3]),
        (vec![10], vec![2], vec![2], vec![1]),
        (vec![4, 5], vec![1, 0], vec![3, 5], vec![1, 1]),
        (vec![4, 5], vec![0, 1], vec![4, 5], vec![2, 2]),
        (vec![3, 4, 5], vec![0, 1, 4], vec![3, 3, 5], vec![1, 1, 1]),
        (vec![3, 4, 5], vec![0, 0, 0], vec![3, 4, 5], vec![1, 1, 1]),
        (vec![], vec![], vec![], vec![]),
    ] {
        let a = random(DType::I64, &shape, 3);
        let rank = shape.len();
        let out: Vec<usize> = (0..rank).map(|i| (limits[i] - starts[i]).div_ceil(strides[i])).collect();
        let from = |index: &[usize]| (0..rank).map(|i| starts[i] + index[i] * strides[i]).collect::<Vec<_>>();
        let part = slice(&a, &starts, &limits, &strides);
        assert_eq!(part, build(DType::I64, &out, |index| at(&a, &from(index))));
        let expected =
            build(DType::I64, &shape, |index| match indices(&out).iter().find(|i| from(i) == index) {
                Some(i) => at(&part, i),
                None => Scalar::I64(0),
            });
        assert_eq!(pad_slice(&part, &Shape::from(shape), &starts, &strides), expected);
    }
}

#[test]
fn concatenates() {
    for axis in 0..3 {
        let shapes: Vec<Vec<usize>> = [1, 3, 0, 2]
            .into_iter()
            .map(|len| {
                let mut shape = vec![2, 3, 4];
                shape[axis] = len;
                shape
            })
            .collect();
        let parts: Vec<Array> =
            shapes.iter().enumerate().map(|(i, s)| random(DType::F64, s, i as u64)).collect();
        let mut shape = vec![2, 3, 4];
        shape[axis] = 6;
        let expected = build(DType::F64, &shape, |index| {
            let mut index = index.to_vec();
            let part = parts.iter().find(|part| {
                let inside = index[axis] < part.shape()[axis];
                if !inside {
                    index[axis] -= part.shape()[axis];
                }
                inside
            });
            at(part.unwrap(), &index)
        });
        assert_eq!(concat(&parts.iter().collect::<Vec<_>>(), axis), expected);
    }
    let empty = Array::zeros(DType::F64, [0, 2]);
    assert_eq!(concat(&[&empty, &empty], 0), empty);
    assert_eq!(concat(&[&array([1.0]), &array([2.0])], 0), array([1.0, 2.0]));
}
