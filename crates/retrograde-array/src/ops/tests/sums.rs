//! Sums in the canonical order, and argmax.

use super::*;
use crate::array;
use crate::ops::{argmax, sum};

/// The sum of terms in canonical order, term by term.
fn canonical(terms: &[f64], lanes: usize, round: fn(f64) -> f64) -> f64 {
    if terms.is_empty() {
        return 0.0;
    }
    let ascending = |terms: Vec<f64>| terms.into_iter().reduce(|total, term| round(total + term)).unwrap();
    if terms.len() <= lanes {
        return ascending(terms.to_vec());
    }
    let mut sums: Vec<f64> =
        (0..lanes).map(|lane| ascending(terms.iter().copied().skip(lane).step_by(lanes).collect())).collect();
    while sums.len() > 1 {
        let half = sums.len() / 2;
        sums = (0..half).map(|j| round(sums[j] + sums[j + half])).collect();
    }
    sums[0]
}

fn check(shape: &[usize], axes: &[usize]) {
    for (dtype, lanes, round) in
        [(DType::F64, 8, (|x| x) as fn(f64) -> f64), (DType::F32, 16, |x| f64::from(x as f32))]
    {
        let a = random(dtype, shape, 1);
        let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        let pick = |list: &[usize]| list.iter().map(|&axis| shape[axis]).collect::<Vec<_>>();
        let mut reduced = axes.to_vec();
        reduced.sort_unstable();
        let expected = build(dtype, &pick(&kept), |outer| {
            let terms: Vec<f64> = indices(&pick(&reduced))
                .iter()
                .map(|inner| {
                    let mut index = vec![0; shape.len()];
                    kept.iter().zip(outer).for_each(|(&axis, &i)| index[axis] = i);
                    reduced.iter().zip(inner).for_each(|(&axis, &i)| index[axis] = i);
                    at(&a, &index).to_f64()
                })
                .collect();
            Scalar::from_f64(dtype, canonical(&terms, lanes, round)).unwrap()
        });
        assert_eq!(everywhere(|| sum(&a, axes)), expected, "{dtype}{shape:?} over {axes:?}");
    }
}

#[test]
fn the_order_is_canonical() {
    for n in (0..40).chain([64, 65, 255, 256, 257, 1000]) {
        check(&[n], &[0]);
        check(&[3, n], &[1]);
        check(&[n, 5], &[0]);
        check(&[2, n, 3], &[1]);
    }
    check(&[20, 100], &[0]);
    check(&[3, 4, 5], &[0, 1, 2]);
    check(&[3, 4, 5], &[2, 1]);
    check(&[3, 4, 5], &[1, 0]);
    check(&[3, 4, 5], &[0, 2]);
    check(&[3, 4, 5], &[]);
    check(&[3, 4, 5, 6, 2], &[3, 1]);
    check(&[9, 2, 9], &[0, 2]);
    check(&[0, 3], &[1]);
    check(&[0, 3], &[0]);
    check(&[], &[]);
}

#[test]
fn zeros_and_integers() {
    assert_eq!(sum(&array([-0.0, -0.0]), &[0]), array(-0.0));
    assert_eq!(sum(&array(vec![-0.0; 30]), &[0]), array(-0.0));
    assert_eq!(sum(&Array::zeros(DType::F64, [0]), &[0]), array(0.0));
    assert_eq!(sum(&array([i32::MAX, 1]), &[0]), array(i32::MIN));
    let ints = random(DType::I64, &[7, 30], 1);
    let total = ints.as_slice::<i64>().unwrap().iter().fold(0_i64, |total, x| total.wrapping_add(*x));
    assert_eq!(sum(&ints, &[0, 1]), array(total));
}

#[test]
fn argmax_takes_the_first() {
    let nan = f64::NAN;
    assert_eq!(argmax(&array([1.0, 3.0, 3.0]), 0), array(1_i64));
    assert_eq!(argmax(&array([1.0, nan, 9.0, nan]), 0), array(1_i64));
    assert_eq!(argmax(&array([nan, 1.0]), 0), array(0_i64));
    assert_eq!(argmax(&array([-0.0, 0.0]), 0), array(0_i64));
    assert_eq!(argmax(&array([[1, 5], [7, 2]]), 0), array([1_i64, 0]));
    assert_eq!(argmax(&array([[1, 5], [7, 2]]), 1), array([1_i64, 0]));
    assert_eq!(argmax(&array([[nan, 5.0], [7.0, 5.0], [nan, 6.0]]), 0), array([0_i64, 2]));
    let a = random(DType::F32, &[3, 50, 4], 2);
    let expected = build(DType::I64, &[3, 4], |i| {
        let column: Vec<f64> = (0..50).map(|k| at(&a, &[i[0], k, i[1]]).to_f64()).collect();
        let best = (0..50).reduce(|best, k| if column[k] > column[best] { k } else { best });
        Scalar::I64(best.unwrap() as i64)
    });
    assert_eq!(argmax(&a, 1), expected);
}
