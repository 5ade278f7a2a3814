//! Products in the canonical order.

use super::*;
use crate::array;
use crate::ops::{DotDims, dot_general};

/// One output, in canonical order, term by term.
fn canonical(pairs: &[(Scalar, Scalar)], zero: Scalar) -> Scalar {
    macro_rules! chain {
        ($variant:ident, $t:ty) => {
            pairs
                .chunks(256)
                .map(|block| {
                    block.iter().fold(0.0 as $t, |sum, pair| match pair {
                        (Scalar::$variant(a), Scalar::$variant(b)) => a.mul_add(*b, sum),
                        _ => unreachable!(),
                    })
                })
                .reduce(|total, block| total + block)
                .map_or(zero, Scalar::$variant)
        };
    }
    match zero {
        Scalar::F64(_) => chain!(F64, f64),
        Scalar::F32(_) => chain!(F32, f32),
        Scalar::I64(_) => Scalar::I64(pairs.iter().fold(0, |sum: i64, pair| match pair {
            (Scalar::I64(a), Scalar::I64(b)) => sum.wrapping_add(a.wrapping_mul(*b)),
            _ => unreachable!(),
        })),
        _ => unreachable!(),
    }
}

fn check(left: &[usize], right: &[usize], dims: &DotDims) {
    for dtype in [DType::F64, DType::F32, DType::I64] {
        let (a, b) = (random(dtype, left, 1), random(dtype, right, 2));
        let free = |rank: usize, contract: &[usize], batch: &[usize]| {
            (0..rank).filter(|axis| !contract.contains(axis) && !batch.contains(axis)).collect::<Vec<_>>()
        };
        let left_free = free(left.len(), &dims.lhs_contract, &dims.lhs_batch);
        let right_free = free(right.len(), &dims.rhs_contract, &dims.rhs_batch);
        let pick = |shape: &[usize], axes: &[usize]| axes.iter().map(|&axis| shape[axis]).collect::<Vec<_>>();
        let shape = [pick(left, &dims.lhs_batch), pick(left, &left_free), pick(right, &right_free)].concat();
        let terms = indices(&pick(left, &dims.lhs_contract));
        let zero = Scalar::from_f64(dtype, 0.0).unwrap();
        let expected = build(dtype, &shape, |out| {
            let (batch, rest) = out.split_at(dims.lhs_batch.len());
            let (rows, columns) = rest.split_at(left_free.len());
            let place = |rank: usize, groups: [(&[usize], &[usize]); 3]| {
                let mut index = vec![0; rank];
                for (axes, values) in groups {
                    axes.iter().zip(values).for_each(|(&axis, &i)| index[axis] = i);
                }
                index
            };
            let pairs: Vec<_> = terms
                .iter()
                .map(|k| {
                    let i = place(
                        left.len(),
                        [(&dims.lhs_batch, batch), (&left_free, rows), (&dims.lhs_contract, k)],
                    );
                    let j = place(
                        right.len(),
                        [(&dims.rhs_batch, batch), (&right_free, columns), (&dims.rhs_contract, k)],
                    );
                    (at(&a, &i), at(&b, &j))
                })
                .collect();
            canonical(&pairs, zero)
        });
        assert_eq!(everywhere(|| dot_general(&a, &b, dims)), expected, "{dtype}{left:?} by {right:?}");
    }
}

#[test]
fn matrices_in_every_layout() {
    // Small, single row or column, several blocks of terms, several tiles and remainders of each.
    for (m, k, n) in [
        (1, 1, 1),
        (2, 3, 4),
        (1, 300, 1),
        (1, 257, 70),
        (33, 300, 1),
        (5, 513, 3),
        (8, 256, 16),
        (9, 40, 100),
        (130, 260, 9),
        (17, 65, 37),
        (3, 30, 530),
        (4, 0, 4),
        (0, 4, 4),
        (4, 4, 0),
    ] {
        for (transpose_left, transpose_right) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let left = if transpose_left { [k, m] } else { [m, k] };
            let right = if transpose_right { [n, k] } else { [k, n] };
            let dims = DotDims {
                lhs_contract: vec![usize::from(!transpose_left)],
                rhs_contract: vec![usize::from(transpose_right)],
                ..DotDims::default()
            };
            check(&left, &right, &dims);
        }
    }
}

#[test]
fn general_axes() {
    let dims = |lc: &[usize], rc: &[usize], lb: &[usize], rb: &[usize]| DotDims {
        lhs_contract: lc.to_vec(),
        rhs_contract: rc.to_vec(),
        lhs_batch: lb.to_vec(),
        rhs_batch: rb.to_vec(),
    };
    check(&[5], &[5], &dims(&[0], &[0], &[], &[]));
    check(&[5], &[4], &dims(&[], &[], &[], &[]));
    check(&[], &[4], &dims(&[], &[], &[], &[]));
    check(&[5], &[5], &dims(&[], &[], &[0], &[0]));
    check(&[3, 4, 5], &[3, 5, 6], &dims(&[2], &[1], &[0], &[0]));
    check(&[4, 3, 5], &[5, 6, 3], &dims(&[2], &[0], &[1], &[2]));
    check(&[2, 3, 4, 5], &[4, 2, 3, 6], &dims(&[0, 1], &[1, 2], &[2], &[0]));
    check(&[3, 4, 5], &[4, 3, 2], &dims(&[1, 0], &[0, 1], &[], &[]));
    check(&[3, 4, 5], &[4, 3, 2], &dims(&[0, 1], &[1, 0], &[], &[]));
    check(&[2, 3, 20], &[20, 4, 30], &dims(&[2], &[0], &[], &[]));
    check(&[6, 1, 7], &[7, 1, 6], &dims(&[2, 1], &[0, 1], &[], &[]));
}

#[test]
fn signs_of_zero() {
    // A chain starts from +0, so a product of zeros never gives -0.
    let (a, b) = (array([[-0.0, -0.0]]), array([[1.0], [1.0]]));
    assert_eq!(dot_general(&a, &b, &DotDims::matmul()), array([[0.0]]));
}
