//! Arithmetic, comparison, choice, conversion.

use super::*;
use crate::map::Function;
use crate::ops::{Binary, Comparison, Unary, binary, compare, convert, fma, function, select, unary};
use crate::{ArrayError, Element, array};

const SPECIAL: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    5e-324,
    -5e-324,
    f64::MAX,
    f64::MIN,
    1e300,
    -1e17,
    745.0,
];

/// Special values, then random ones of every magnitude.
fn wild(n: usize, seed: u64) -> Vec<f64> {
    SPECIAL
        .into_iter()
        .chain(random_bits(Key::from_seed(seed), n).into_iter().map(f64::from_bits))
        .chain(random_bits(Key::from_seed(seed + 1), n).into_iter().map(|w| (w >> 40) as f64 * 1e-6 - 8.0))
        .collect()
}

#[test]
fn unary_is_the_scalar_function() {
    type Rows = [(Unary, fn(f64) -> f64, fn(f32) -> f32); 2];
    let rows: Rows = [(Unary::Neg, |x| -x, |x| -x), (Unary::Sqrt, f64::sqrt, f32::sqrt)];
    let wide = wild(500, 1);
    let narrow: Vec<f32> = wide.iter().map(|&x| x as f32).collect();
    for (op, f, g) in rows {
        let x = array(wide.clone());
        assert_eq!(
            everywhere(|| unary(op, &x)),
            array(wide.iter().map(|&x| f(x)).collect::<Vec<_>>()),
            "{op:?}"
        );
        let x = array(narrow.clone());
        assert_eq!(
            everywhere(|| unary(op, &x)),
            array(narrow.iter().map(|&x| g(x)).collect::<Vec<_>>()),
            "{op:?}"
        );
    }
    assert_eq!(unary(Unary::Neg, &array([1_i64, i64::MIN])), array([-1_i64, i64::MIN]));
    assert_eq!(unary(Unary::Neg, &array([1_i32, i32::MIN])), array([-1_i32, i32::MIN]));
}

#[test]
fn functions_have_the_bits_of_one_entry_alone() {
    let wide = wild(500, 1);
    let narrow: Vec<f32> = wide.iter().map(|&x| x as f32).collect();
    for &f in Function::ALL {
        let each: Vec<f64> = wide.iter().map(|&x| f.f64(&[x])[0]).collect();
        assert_eq!(everywhere(|| function(f, &array(wide.clone()))), array(each), "{}", f.name());
        let each: Vec<f32> = narrow.iter().map(|&x| f.f32(&[x])[0]).collect();
        assert_eq!(everywhere(|| function(f, &array(narrow.clone()))), array(each), "{}", f.name());
    }
}

#[test]
fn binary_is_the_scalar_function() {
    let max = |x: f64, y: f64| match (x.is_nan() || y.is_nan(), x == y) {
        (true, _) => f64::NAN,
        (false, true) => {
            if x.is_sign_positive() {
                x
            } else {
                y
            }
        }
        (false, false) => x.max(y),
    };
    type Rows<'a> = [(Binary, &'a dyn Fn(f64, f64) -> f64); 5];
    let rows: Rows = [
        (Binary::Add, &|x, y| x + y),
        (Binary::Sub, &|x, y| x - y),
        (Binary::Mul, &|x, y| x * y),
        (Binary::Div, &|x, y| x / y),
        (Binary::Max, &max),
    ];
    let (mut x, mut y) = (wild(200, 3), wild(200, 5));
    for a in SPECIAL {
        for b in SPECIAL {
            x.push(a);
            y.push(b);
        }
    }
    for (op, f) in rows {
        let expected: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| f(x, y)).collect();
        let (x, y) = (array(&x), array(&y));
        assert_eq!(everywhere(|| binary(op, &x, &y).unwrap()), array(expected), "{op:?}");
        let first = x.as_slice::<f64>().unwrap()[2];
        let expected: Vec<f64> = y.as_slice::<f64>().unwrap().iter().map(|&y| f(first, y)).collect();
        assert_eq!(binary(op, &array(first), &y).unwrap(), array(expected), "{op:?} from a scalar");
        let expected: Vec<f64> = x.as_slice::<f64>().unwrap().iter().map(|&x| f(x, first)).collect();
        assert_eq!(binary(op, &x, &array(first)).unwrap(), array(expected), "{op:?} to a scalar");
    }
}

#[test]
fn integers_wrap_and_refuse_zero() {
    let (a, b) = (array([i64::MAX, -7, i64::MIN]), array([1_i64, 2, -1]));
    assert_eq!(binary(Binary::Add, &a, &b).unwrap(), array([i64::MIN, -5, i64::MAX]));
    assert_eq!(binary(Binary::Sub, &a, &b).unwrap(), array([i64::MAX - 1, -9, i64::MIN + 1]));
    assert_eq!(binary(Binary::Mul, &a, &b).unwrap(), array([i64::MAX, -14, i64::MIN]));
    assert_eq!(binary(Binary::Div, &a, &b).unwrap(), array([i64::MAX, -3, i64::MIN]));
    assert_eq!(binary(Binary::Max, &a, &b).unwrap(), array([i64::MAX, 2, -1]));
    assert_eq!(fma(&a, &b, &a), array([-2_i64, -21, 0]));
    let error = binary(Binary::Div, &array([1_i32, 2]), &array([1_i32, 0]));
    assert_eq!(error, Err(ArrayError::DivisionByZero { element: 1 }));
    assert_eq!(
        binary(Binary::Mul, &array([true, true]), &array([true, false])).unwrap(),
        array([true, false])
    );
    assert_eq!(binary(Binary::Max, &array([false, true]), &array(false)).unwrap(), array([false, true]));
}

#[test]
fn fma_rounds_once() {
    let (a, b, c) = (wild(300, 7), wild(300, 9), wild(300, 11));
    let expected: Vec<f64> = a.iter().zip(&b).zip(&c).map(|((a, b), c)| a.mul_add(*b, *c)).collect();
    let (a, b, c) = (array(a), array(b), array(c));
    assert_eq!(everywhere(|| fma(&a, &b, &c)), array(expected));
    let narrow = |a: &Array| convert(a, DType::F32);
    let one = array(1.0_f32);
    assert_eq!(fma(&narrow(&a), &one, &array(-0.0_f32)), narrow(&a));
}

#[test]
fn comparisons_follow_ieee() {
    let expected: [(Comparison, [bool; 4]); 6] = [
        (Comparison::Eq, [false, true, false, false]),
        (Comparison::Ne, [true, false, true, true]),
        (Comparison::Lt, [true, false, false, false]),
        (Comparison::Le, [true, true, false, false]),
        (Comparison::Gt, [false, false, true, false]),
        (Comparison::Ge, [false, true, true, false]),
    ];
    let (a, b) = (array([1.0, 0.0, 3.0, f64::NAN]), array([2.0, -0.0, 2.0, f64::NAN]));
    for (op, expected) in expected {
        assert_eq!(everywhere(|| compare(op, &a, &b)), array(expected), "{op:?}");
    }
    assert_eq!(compare(Comparison::Lt, &array([1_i32, 2]), &array(2_i32)), array([true, false]));
    assert_eq!(compare(Comparison::Eq, &array([true, false]), &array(false)), array([false, true]));
}

#[test]
fn select_chooses() {
    for dtype in DType::ALL {
        let (a, b) = (random(dtype, &[3, 40], 1), random(dtype, &[3, 40], 2));
        let mask = random(DType::Bool, &[3, 40], 3);
        let expected =
            build(dtype, &[3, 40], |i| at(if at(&mask, i) == Scalar::Bool(true) { &a } else { &b }, i));
        assert_eq!(everywhere(|| select(&mask, &a, &b)), expected);
    }
    assert_eq!(select(&array(true), &array([1.0, 2.0]), &array(0.0)), array([1.0, 2.0]));
}

#[test]
fn conversions() {
    let x = array([1.9, -1.9, f64::NAN, 1e300, -1e300, 0.0, -0.0, 0.1]);
    assert_eq!(convert(&x, DType::I64), array([1_i64, -1, 0, i64::MAX, i64::MIN, 0, 0, 0]));
    assert_eq!(convert(&x, DType::I32), array([1_i32, -1, 0, i32::MAX, i32::MIN, 0, 0, 0]));
    assert_eq!(convert(&x, DType::Bool), array([true, true, true, true, true, false, false, true]));
    let inf = f32::INFINITY;
    assert_eq!(convert(&x, DType::F32), array([1.9_f32, -1.9, f32::NAN, inf, -inf, 0.0, -0.0, 0.1]));
    assert_eq!(convert(&array([1_i64 << 40, -1]), DType::I32), array([0_i32, -1]));
    for dtype in DType::ALL {
        let one = Scalar::from_f64(dtype, 1.0).unwrap();
        assert_eq!(convert(&array([true, true]), dtype), Array::full(dtype, [2], one));
        assert_eq!(convert(&Array::full(dtype, [2], one), DType::Bool), array([true, true]));
    }
}

#[test]
fn larger_is_symmetric_in_bits() {
    use crate::kernel::Num;
    for a in SPECIAL {
        for b in SPECIAL {
            assert_eq!(a.larger(b).key(), b.larger(a).key());
        }
    }
}
