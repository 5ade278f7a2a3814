//! Reductions, cumulations, orders and places.

use super::*;
use crate::ops::{
    any, argmin, argsort, cumprod, cumsum, dynamic_slice, dynamic_update, iota, logsumexp, pad, prod,
    recurrence, reduce_max, reduce_min, reverse,
};
use crate::{ArrayError, array};

const CASES: [(&[usize], &[usize]); 9] = [
    (&[40], &[0]),
    (&[7], &[0]),
    (&[3, 20], &[1]),
    (&[20, 3], &[0]),
    (&[2, 17, 3], &[1]),
    (&[3, 4, 5], &[0, 2]),
    (&[3, 4, 5], &[]),
    (&[0, 3], &[1]),
    (&[], &[]),
];

/// The entries that a reduction folds into each of its results.
fn groups(a: &Array, axes: &[usize]) -> (Vec<usize>, Vec<Vec<f64>>) {
    let shape = a.shape().to_vec();
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let outer: Vec<usize> = kept.iter().map(|&axis| shape[axis]).collect();
    let of = |result: &[usize]| {
        let inside = |index: &&Vec<usize>| kept.iter().zip(result).all(|(&axis, &i)| index[axis] == i);
        indices(&shape).iter().filter(inside).map(|index| at(a, index).to_f64()).collect()
    };
    (outer.clone(), indices(&outer).iter().map(|index| of(index)).collect())
}

/// In lanes of eight, folded by halves: the order of sums.
fn canonical(terms: &[f64], f: fn(f64, f64) -> f64) -> f64 {
    if terms.len() <= 8 {
        return terms.iter().copied().reduce(f).unwrap();
    }
    let mut lanes: Vec<f64> =
        (0..8).map(|lane| terms.iter().copied().skip(lane).step_by(8).reduce(f).unwrap()).collect();
    while lanes.len() > 1 {
        let half = lanes.len() / 2;
        lanes = (0..half).map(|j| f(lanes[j], lanes[j + half])).collect();
    }
    lanes[0]
}

#[test]
fn folds_have_the_order_of_sums() {
    for (shape, axes) in CASES {
        let a = random(DType::F64, shape, 3);
        let (outer, groups) = groups(&a, axes);
        let expect = |f: fn(f64, f64) -> f64| {
            Array::new(&outer[..], groups.iter().map(|g| canonical(g, f)).collect::<Vec<f64>>()).unwrap()
        };
        assert_eq!(everywhere(|| prod(&a, axes)), expect(|x, y| x * y), "{shape:?} over {axes:?}");
        assert_eq!(everywhere(|| reduce_max(&a, axes)), expect(f64::max));
        assert_eq!(everywhere(|| reduce_min(&a, axes)), expect(f64::min));
        let mask = crate::ops::compare(crate::Comparison::Gt, &a, &array(1.5));
        let some = groups.iter().map(|g| g.iter().any(|x| *x > 1.5)).collect::<Vec<bool>>();
        assert_eq!(everywhere(|| any(&mask, axes)), Array::new(&outer[..], some).unwrap());
        let log = everywhere(|| logsumexp(&a, axes)).to_vec::<f64>().unwrap();
        for (found, group) in log.iter().zip(&groups) {
            let expected = group.iter().map(|x| x.exp()).sum::<f64>().ln();
            assert!((found - expected).abs() < 1e-14 * expected.abs().max(1.0), "{found} {expected}");
        }
    }
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!(prod(&Array::zeros(DType::F64, [0, 2]), &[0]), array([1.0, 1.0]));
    assert_eq!(prod(&array([i32::MAX, 2]), &[0]), array(-2_i32));
    assert_eq!(reduce_max(&array([1.0, nan, 3.0]), &[0]), array(nan));
    assert_eq!(reduce_max(&array([-0.0, 0.0]), &[0]), array(0.0));
    assert_eq!(reduce_min(&array([0.0, -0.0]), &[0]), array(-0.0));
    assert_eq!(reduce_min(&array([3_i64, i64::MIN]), &[0]), array(i64::MIN));
    assert_eq!(any(&Array::zeros(DType::Bool, [0]), &[0]), array(false));
    let rows = array([[-inf, -inf], [inf, 1.0], [nan, 1.0], [1e300, 1e300], [-1e300, -inf]]);
    assert_eq!(logsumexp(&rows, &[1]), array([-inf, inf, nan, 1e300, -1e300]));
    assert_eq!(logsumexp(&Array::zeros(DType::F32, [2, 0]), &[1]), array([f32::NEG_INFINITY; 2]));
}

#[test]
fn argmin_takes_the_first() {
    let nan = f64::NAN;
    assert_eq!(argmin(&array([3.0, 1.0, 1.0]), 0), array(1_i64));
    assert_eq!(argmin(&array([1.0, nan, -9.0, nan]), 0), array(1_i64));
    assert_eq!(argmin(&array([0.0, -0.0]), 0), array(0_i64));
    assert_eq!(argmin(&array([[1, 5], [7, 2]]), 0), array([0_i64, 1]));
    assert_eq!(argmin(&array([[1, 5], [7, 2]]), 1), array([0_i64, 1]));
    let a = random(DType::F32, &[3, 50, 4], 2);
    let expected = build(DType::I64, &[3, 4], |i| {
        let column: Vec<f64> = (0..50).map(|k| at(&a, &[i[0], k, i[1]]).to_f64()).collect();
        let best = (0..50).reduce(|best, k| if column[k] < column[best] { k } else { best });
        Scalar::I64(best.unwrap() as i64)
    });
    assert_eq!(argmin(&a, 1), expected);
}

#[test]
fn cumulations_go_step_by_step() {
    for (shape, axis) in
        [(&[9][..], 0), (&[4, 3], 0), (&[4, 3], 1), (&[2, 5, 3], 1), (&[0, 2], 0), (&[2, 0], 0)]
    {
        let (a, b) = (random(DType::F64, shape, 5), random(DType::F64, shape, 6));
        for from_end in [false, true] {
            let n = shape[axis];
            // The step at `index` from its neighbour, found again from the first each time.
            let expect = |step: &dyn Fn(f64, &[usize]) -> f64, first: &dyn Fn(&[usize]) -> f64| {
                build(DType::F64, shape, |index| {
                    let place = |k: usize| {
                        let mut index = index.to_vec();
                        index[axis] = k;
                        index
                    };
                    let steps: Vec<usize> =
                        if from_end { (index[axis]..n).rev().collect() } else { (0..=index[axis]).collect() };
                    let start = first(&place(steps[0]));
                    Scalar::F64(steps[1..].iter().fold(start, |total, &k| step(total, &place(k))))
                })
            };
            let of = |x: &Array, i: &[usize]| at(x, i).to_f64();
            let (first_a, first_b) = (|i: &[usize]| of(&a, i), |i: &[usize]| of(&b, i));
            assert_eq!(cumsum(&a, axis, from_end), expect(&|t, i| t + of(&a, i), &first_a));
            assert_eq!(cumprod(&a, axis, from_end), expect(&|t, i| t * of(&a, i), &first_a));
            let recurred = expect(&|t, i| of(&a, i).mul_add(t, of(&b, i)), &first_b);
            assert_eq!(recurrence(&a, &b, axis, from_end), recurred);
        }
    }
    assert_eq!(cumsum(&array([i64::MAX, 1]), 0, false), array([i64::MAX, i64::MIN]));
}

#[test]
fn orders_are_stable_in_both_directions() {
    let nan = f64::NAN;
    let x = array([2.0, nan, -0.0, 2.0, 0.0, nan, -1.0]);
    assert_eq!(argsort(&x, 0, false), array([6_i64, 2, 4, 0, 3, 1, 5]));
    assert_eq!(argsort(&x, 0, true), array([1_i64, 5, 0, 3, 2, 4, 6]));
    assert_eq!(argsort(&array([[3, 1], [2, 4], [3, 0]]), 0, false), array([[1_i64, 2], [0, 0], [2, 1]]));
    assert_eq!(argsort(&Array::zeros(DType::F64, [0, 3]), 0, false).shape()[..], [0, 3]);
}

#[test]
fn places() {
    for dtype in DType::ALL {
        let a = random(dtype, &[3, 4, 5], 1);
        let turned = build(dtype, &[3, 4, 5], |i| at(&a, &[2 - i[0], i[1], 4 - i[2]]));
        assert_eq!(reverse(&a, &[0, 2]), turned);
        assert_eq!(reverse(&a, &[]), a);

        let value = random(dtype, &[], 2);
        let padded = pad(&a, &value, &Shape::from([6, 4, 12]), &[1, 0, 2], &[2, 1, 2]);
        let expected = build(dtype, &[6, 4, 12], |i| {
            let inside = i[0] % 2 == 1 && i[2] % 2 == 0 && (2..=10).contains(&i[2]);
            if inside { at(&a, &[i[0] / 2, i[1], i[2] / 2 - 1]) } else { at(&value, &[]) }
        });
        assert_eq!(padded, expected);

        let starts = array([[1_i64, 0], [2, 3], [0, 2]]);
        let start = |lane: usize, axis: usize| at(&starts, &[lane, axis]).to_f64() as usize;
        let part = dynamic_slice(&a, &starts, &[2, 2], 1).unwrap();
        assert_eq!(
            part,
            build(dtype, &[3, 2, 2], |i| at(&a, &[i[0], i[1] + start(i[0], 0), i[2] + start(i[0], 1)]))
        );
        let update = random(dtype, &[3, 2, 2], 3);
        let expected = build(dtype, &[3, 4, 5], |i| {
            let (j, k) = (i[1].wrapping_sub(start(i[0], 0)), i[2].wrapping_sub(start(i[0], 1)));
            if j < 2 && k < 2 { at(&update, &[i[0], j, k]) } else { at(&a, i) }
        });
        assert_eq!(dynamic_update(&a, &update, &starts, 1).unwrap(), expected);
    }
    assert_eq!(reverse(&Array::zeros(DType::F64, [0, 2]), &[0, 1]).shape()[..], [0, 2]);
    assert_eq!(iota(DType::I32, &Shape::from([2, 3]), 1), array([[0_i32, 1, 2], [0, 1, 2]]));
    assert_eq!(iota(DType::F64, &Shape::from([2, 2]), 0), array([[0.0, 0.0], [1.0, 1.0]]));
    for (start, len) in [(-1_i64, 1_usize), (3, 1), (2, 2), (i64::MAX, 0), (i64::MIN, 0)] {
        let outside = Err(ArrayError::Part { start, len, size: 3 });
        assert_eq!(dynamic_slice(&array([1.0, 2.0, 3.0]), &array([start]), &[len], 0), outside);
    }
    let end = dynamic_slice(&array([1.0]), &array([1_i64]), &[0], 0);
    assert_eq!(end, Ok(Array::zeros(DType::F64, [0])));
}
