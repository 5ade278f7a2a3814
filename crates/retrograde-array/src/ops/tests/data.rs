//! Gather and scatter.

use super::*;
use crate::ops::{Binary, binary, gather, scatter_add, sum};
use crate::{ArrayError, array};

/// Random indices below `size`.
fn random_indices(shape: &[usize], size: usize, seed: u64) -> Array {
    let words = random_bits(Key::from_seed(seed), Shape::from(shape).size());
    Array::new(shape, words.into_iter().map(|w| (w % size as u64) as i64).collect()).unwrap()
}

#[test]
fn gather_and_scatter_follow_their_definition() {
    for (operand, index_shape, axis, batch) in [
        (vec![5], vec![], 0, 0),
        (vec![5], vec![3], 0, 0),
        (vec![5, 4], vec![2, 3], 0, 0),
        (vec![5, 4], vec![2, 3], 1, 0),
        (vec![3, 5], vec![3], 1, 1),
        (vec![3, 5, 2], vec![3, 4], 1, 1),
        (vec![3, 2, 5, 2], vec![3, 4], 2, 1),
        (vec![2, 3, 5], vec![2, 3, 2, 2], 2, 2),
        (vec![2, 0, 5], vec![2, 3], 2, 1),
    ] {
        let a = random(DType::F64, &operand, 1);
        let idx = random_indices(&index_shape, operand[axis], 2);
        let extra = index_shape.len() - batch;
        let out: Vec<usize> = [&operand[..axis], &index_shape[batch..], &operand[axis + 1..]].concat();
        let source = |i: &[usize]| {
            let Scalar::I64(k) = at(&idx, &[&i[..batch], &i[axis..axis + extra]].concat()) else {
                unreachable!()
            };
            [&i[..axis], &[k as usize], &i[axis + extra..]].concat()
        };
        let taken = gather(&a, &idx, axis, batch).unwrap();
        assert_eq!(taken, build(DType::F64, &out, |i| at(&a, &source(i))));
        let narrow = ops::convert(&idx, DType::I32);
        assert_eq!(gather(&a, &narrow, axis, batch).unwrap(), taken);

        let updates = random(DType::F64, &out, 3);
        let added = scatter_add(&idx, &updates, axis, batch, operand[axis]).unwrap();
        let expected = build(DType::F64, &operand, |index| {
            let terms = indices(&out).into_iter().filter(|i| source(i) == index);
            Scalar::F64(terms.fold(0.0, |total, i| match at(&updates, &i) {
                Scalar::F64(x) => total + x,
                _ => unreachable!(),
            }))
        });
        assert_eq!(added, expected);

        // <gather a, updates> = <a, scatter updates>
        let inner = |x: &Array, y: &Array| {
            let axes: Vec<usize> = (0..x.rank()).collect();
            sum(&binary(Binary::Mul, x, y).unwrap(), &axes).item::<f64>().unwrap()
        };
        assert!((inner(&taken, &updates) - inner(&a, &added)).abs() < 1e-12);
    }
}

#[test]
fn indices_outside_are_errors() {
    let a = array([1.0, 2.0]);
    let error = |index, size| Err(ArrayError::Index { index, size });
    assert_eq!(gather(&a, &array([0_i64, 2]), 0, 0), error(2, 2));
    assert_eq!(gather(&a, &array([-1_i32]), 0, 0), error(-1, 2));
    assert_eq!(scatter_add(&array([3_i64]), &array([1.0]), 0, 0, 3), error(3, 3));
    let empty = Array::zeros(DType::F64, [0]);
    assert_eq!(gather(&empty, &array([0_i64]), 0, 0), error(0, 0));
    assert_eq!(gather(&empty, &Array::zeros(DType::I64, [0]), 0, 0), Ok(empty.clone()));
}

#[test]
fn scatter_keeps_duplicates() {
    let result = scatter_add(&array([1_i64, 1, 1]), &array([1_i32, 2, i32::MAX]), 0, 0, 3);
    assert_eq!(result, Ok(array([0_i32, i32::MIN + 2, 0])));
}
