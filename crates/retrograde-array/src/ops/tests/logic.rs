//! Bits, pieces, strong zeros.

use super::*;
use crate::ops::{
    Binary, Logic, Piecewise, Shift, Unary, binary, clamp, is_finite, logic, min, not, piecewise, rem, shift,
    strong_div, strong_mul, unary,
};
use crate::{ArrayError, array};

const SPECIAL: [f64; 12] =
    [0.0, -0.0, 1.0, -1.5, 2.5, 0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, f64::MAX, -7.25];

/// All pairs of special values, and random ones.
fn pairs() -> (Vec<f64>, Vec<f64>) {
    let random = |seed| normal(Key::from_seed(seed), Shape::from([300])).to_vec::<f64>().unwrap();
    let special = || SPECIAL.iter().flat_map(|a| SPECIAL.iter().map(move |b| (*a, *b)));
    special().chain(random(1).into_iter().zip(random(2))).unzip()
}

#[test]
fn bits_of_integers_and_truth_values() {
    let (a, b) = (random(DType::I64, &[200], 1), random(DType::I64, &[200], 2));
    let ints = |a: &Array| a.to_vec::<i64>().unwrap();
    let expect = |f: fn(i64, i64) -> i64| {
        array(ints(&a).into_iter().zip(ints(&b)).map(|(x, y)| f(x, y)).collect::<Vec<_>>())
    };
    assert_eq!(everywhere(|| logic(Logic::And, &a, &b)), expect(|x, y| x & y));
    assert_eq!(everywhere(|| logic(Logic::Or, &a, &b)), expect(|x, y| x | y));
    assert_eq!(everywhere(|| logic(Logic::Xor, &a, &b)), expect(|x, y| x ^ y));
    assert_eq!(everywhere(|| not(&a)), expect(|x, _| !x));
    let (t, f) = (array([true, true, false, false]), array([true, false, true, false]));
    assert_eq!(logic(Logic::And, &t, &f), array([true, false, false, false]));
    assert_eq!(logic(Logic::Or, &t, &f), array([true, true, true, false]));
    assert_eq!(logic(Logic::Xor, &t, &array(true)), array([false, false, true, true]));
    assert_eq!(not(&t), array([false, false, true, true]));
}

#[test]
fn shifts_move_all_bits_out() {
    let (x, by) = (array([-5_i32, -5, -5, 5, 5, -5, -5]), array([0_i32, 1, 31, 1, 40, 32, -1]));
    assert_eq!(everywhere(|| shift(Shift::Left, &x, &by)), array([-5_i32, -10, i32::MIN, 10, 0, 0, 0]));
    assert_eq!(everywhere(|| shift(Shift::Right, &x, &by)), array([-5_i32, -3, -1, 2, 0, -1, -1]));
    let logical = array([-5_i32, 0x7fff_fffd, 1, 2, 0, 0, 0]);
    assert_eq!(everywhere(|| shift(Shift::RightLogical, &x, &by)), logical);
    let wide = array([-1_i64, -1, -1]);
    assert_eq!(shift(Shift::RightLogical, &wide, &array([60_i64, 63, 64])), array([15_i64, 1, 0]));
}

#[test]
fn pieces_are_the_functions_of_the_language() {
    let (x, y) = pairs();
    let (a, b) = (array(&x), array(&y));
    let expect = |f: &dyn Fn(f64) -> f64| array(x.iter().map(|&x| f(x)).collect::<Vec<_>>());
    let sign = |x: f64| if x == 0.0 { x } else { x.signum() };
    assert_eq!(everywhere(|| piecewise(Piecewise::Abs, &a)), expect(&f64::abs));
    assert_eq!(everywhere(|| piecewise(Piecewise::Sign, &a)), expect(&sign));
    assert_eq!(everywhere(|| piecewise(Piecewise::Floor, &a)), expect(&f64::floor));
    assert_eq!(everywhere(|| piecewise(Piecewise::Ceil, &a)), expect(&f64::ceil));
    assert_eq!(everywhere(|| piecewise(Piecewise::Round, &a)), expect(&f64::round_ties_even));
    assert_eq!(piecewise(Piecewise::Round, &array([0.5_f32, 1.5, -2.5])), array([0.0_f32, 2.0, -2.0]));
    assert_eq!(piecewise(Piecewise::Abs, &array([i64::MIN, -3])), array([i64::MIN, 3]));
    assert_eq!(piecewise(Piecewise::Sign, &array([-9_i32, 0, 4])), array([-1_i32, 0, 1]));
    assert_eq!(everywhere(|| is_finite(&a)), array(x.iter().map(|x| (x - x) == 0.0).collect::<Vec<_>>()));

    let negated = |a: &Array| unary(Unary::Neg, a);
    let largest = binary(Binary::Max, &negated(&a), &negated(&b)).unwrap();
    assert_eq!(everywhere(|| min(&a, &b)), negated(&largest));
    assert_eq!(min(&array([i64::MIN, 3]), &array(2_i64)), array([i64::MIN, 2]));
    let raised = binary(Binary::Max, &a, &b).unwrap();
    for high in SPECIAL {
        let high = array(high);
        assert_eq!(everywhere(|| clamp(&a, &b, &high)), min(&raised, &high));
    }

    let expected = x.iter().zip(&y).map(|(x, y)| x % y).collect::<Vec<_>>();
    assert_eq!(rem(&a, &b).unwrap(), array(expected));
    assert_eq!(rem(&array([7_i64, -7, i64::MIN]), &array([-3_i64, 3, -1])).unwrap(), array([1_i64, -1, 0]));
    assert_eq!(rem(&array([7_i64, 1]), &array([1_i64, 0])), Err(ArrayError::DivisionByZero { element: 1 }));
}

#[test]
fn a_strong_zero_changes_nothing_else() {
    let (x, y) = pairs();
    let (a, b) = (array(&x), array(&y));
    let (product, quotient) = (everywhere(|| strong_mul(&a, &b)), everywhere(|| strong_div(&a, &b)));
    let bits = |a: &Array, i: usize| a.as_slice::<f64>().unwrap()[i].to_bits();
    for (i, (&x, &y)) in x.iter().zip(&y).enumerate() {
        let (plain, zero) = (x * y, x == 0.0 || y == 0.0);
        let expected = if zero && plain.is_nan() { 0.0 } else { plain };
        assert!(bits(&product, i) == expected.to_bits() || plain.is_nan() && !zero, "{x} · {y}");
        let plain = x / y;
        let expected = if x == 0.0 && plain.is_nan() { 0.0 } else { plain };
        assert!(bits(&quotient, i) == expected.to_bits() || plain.is_nan() && x != 0.0, "{x} / {y}");
        assert!(zero || !(x * y).is_nan() || product.as_slice::<f64>().unwrap()[i].is_nan());
    }
    let narrow = strong_mul(&array([0.0_f32, -0.0, 2.0]), &array([f32::INFINITY, 3.0, f32::NAN]));
    assert_eq!(narrow, array([0.0_f32, -0.0, f32::NAN]));
}
