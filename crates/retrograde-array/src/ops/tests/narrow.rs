//! `bf16`, computed in `f32` and rounded once, and `u8`, which wraps.

use super::*;
use crate::ops::{Binary, Comparison, DotDims, Unary, argmax, binary, compare, convert, dot_general, fma};
use crate::ops::{gather, scatter_add, sum, unary};
use crate::{ArrayError, array, bf16};

/// Every `bf16`: both zeros, subnormals, infinities and NaNs among them.
fn every() -> Vec<bf16> {
    (0..=u16::MAX).map(bf16::from_bits).collect()
}

fn wide(a: &Array) -> Vec<f32> {
    a.as_slice::<bf16>().unwrap().iter().map(|x| x.to_f32()).collect()
}

fn narrow(x: impl IntoIterator<Item = f32>) -> Array {
    array(x.into_iter().map(bf16::from_f32).collect::<Vec<_>>())
}

#[test]
fn bf16_operations_round_an_f32_once() {
    let x = array(every());
    let y = array(
        random_bits(Key::from_seed(1), x.size())
            .iter()
            .map(|&w| bf16::from_bits(w as u16))
            .collect::<Vec<_>>(),
    );
    let z = array(
        random_bits(Key::from_seed(2), x.size())
            .iter()
            .map(|&w| bf16::from_bits(w as u16))
            .collect::<Vec<_>>(),
    );
    let zip = |f: fn(f32, f32) -> f32| narrow(wide(&x).into_iter().zip(wide(&y)).map(|(x, y)| f(x, y)));
    type Rows = [(Binary, fn(f32, f32) -> f32); 4];
    let rows: Rows = [
        (Binary::Add, |x, y| x + y),
        (Binary::Sub, |x, y| x - y),
        (Binary::Mul, |x, y| x * y),
        (Binary::Div, |x, y| x / y),
    ];
    for (op, f) in rows {
        assert_eq!(everywhere(|| binary(op, &x, &y).unwrap()), zip(f), "{op:?}");
    }
    assert_eq!(unary(Unary::Neg, &x), narrow(wide(&x).into_iter().map(|x| -x)));
    assert_eq!(everywhere(|| unary(Unary::Sqrt, &x)), narrow(wide(&x).into_iter().map(f32::sqrt)));
    assert_eq!(
        everywhere(|| crate::ops::function(crate::map::Function::Exp, &x)),
        narrow(wide(&x).into_iter().map(crate::map::exp_f32))
    );
    let terms = wide(&x).into_iter().zip(wide(&y)).zip(wide(&z));
    assert_eq!(everywhere(|| fma(&x, &y, &z)), narrow(terms.map(|((x, y), z)| x.mul_add(y, z))));
    let larger = binary(Binary::Max, &x, &y).unwrap();
    assert_eq!(
        convert(&larger, DType::F32),
        binary(Binary::Max, &convert(&x, DType::F32), &convert(&y, DType::F32)).unwrap()
    );
    assert_eq!(
        compare(Comparison::Lt, &x, &y),
        compare(Comparison::Lt, &convert(&x, DType::F32), &convert(&y, DType::F32))
    );
}

#[test]
fn bf16_sums_and_products_lose_nothing_on_the_way() {
    // In bf16 itself the sum would stay at 256: 256 + 1 rounds back.
    let ones = Array::full(DType::BF16, [1000], Scalar::BF16(bf16::ONE));
    assert_eq!(sum(&ones, &[0]), array(bf16::from_f32(1000.0)));
    let dims = DotDims { lhs_contract: vec![0], rhs_contract: vec![0], ..DotDims::default() };
    assert_eq!(dot_general(&ones, &ones, &dims), array(bf16::from_f32(1000.0)));
    let indices = Array::zeros(DType::I64, [1000]);
    assert_eq!(scatter_add(&indices, &ones, 0, 0, 1), Ok(array([bf16::from_f32(1000.0)])));

    // The order is that of f32, so the rounded f32 result is the result.
    let (a, b) = (random(DType::BF16, &[30, 70], 1), random(DType::BF16, &[70, 20], 2));
    let (wide_a, wide_b) = (convert(&a, DType::F32), convert(&b, DType::F32));
    let round = |a: &Array| convert(a, DType::BF16);
    for axes in [&[0][..], &[1], &[0, 1]] {
        assert_eq!(everywhere(|| sum(&a, axes)), round(&sum(&wide_a, axes)));
    }
    let dims = DotDims::matmul();
    assert_eq!(everywhere(|| dot_general(&a, &b, &dims)), round(&dot_general(&wide_a, &wide_b, &dims)));
    assert_eq!(argmax(&a, 1), argmax(&wide_a, 1));
    assert_eq!(sum(&a, &[]), a);
}

#[test]
fn bf16_converts_once() {
    let x = array(every());
    for dtype in [DType::F64, DType::F32] {
        assert_eq!(convert(&convert(&x, dtype), DType::BF16), x);
    }
    // Just above a tie: through f32 it would become the tie, and round down.
    let above_tie = 1.0 + 2.0_f64.powi(-8) + 2.0_f64.powi(-40);
    assert_eq!(convert(&array(above_tie), DType::BF16), array(bf16::from_bits(0x3f81)));
    assert_eq!(Scalar::from_f64(DType::BF16, above_tie), Some(Scalar::BF16(bf16::from_bits(0x3f81))));
    assert_eq!(convert(&array((1_i64 << 60) + (1 << 52) + 1), DType::BF16), array(bf16::from_bits(0x5d81)));
    assert_eq!(convert(&array([257_i32, -3]), DType::BF16), narrow([256.0, -3.0]));
    assert_eq!(
        convert(&narrow([1e30, -1e30, f32::NAN, -1.5]), DType::I32),
        array([i32::MAX, i32::MIN, 0, -1])
    );
    assert_eq!(convert(&narrow([300.0, -1.0, f32::NAN, 2.9]), DType::U8), array([255_u8, 0, 0, 2]));
    assert_eq!(
        convert(&narrow([0.0, -0.0, f32::NAN, 1e-40]), DType::Bool),
        array([false, false, true, true])
    );
    assert_eq!(
        convert(&array((0..=255).collect::<Vec<u8>>()), DType::BF16),
        narrow((0..=255_u8).map(f32::from))
    );
}

#[test]
fn bf16_prints_text_that_reads_back() {
    for x in every() {
        let text = Scalar::BF16(x).to_string();
        let again: bf16 = text.parse().unwrap();
        assert_eq!(Scalar::BF16(again), Scalar::BF16(x), "{text}");
    }
}

#[test]
fn u8_wraps_and_refuses_zero() {
    let (a, b) = (array([255_u8, 7, 0, 200]), array([1_u8, 2, 255, 100]));
    assert_eq!(binary(Binary::Add, &a, &b).unwrap(), array([0_u8, 9, 255, 44]));
    assert_eq!(binary(Binary::Sub, &a, &b).unwrap(), array([254_u8, 5, 1, 100]));
    assert_eq!(binary(Binary::Mul, &a, &b).unwrap(), array([255_u8, 14, 0, 32]));
    assert_eq!(binary(Binary::Div, &a, &b).unwrap(), array([255_u8, 3, 0, 2]));
    assert_eq!(binary(Binary::Max, &a, &b).unwrap(), array([255_u8, 7, 255, 200]));
    assert_eq!(unary(Unary::Neg, &b), array([255_u8, 254, 1, 156]));
    assert_eq!(fma(&a, &b, &b), array([0_u8, 16, 255, 132]));
    assert_eq!(sum(&a, &[0]), array(206_u8));
    assert_eq!(argmax(&a, 0), array(0_i64));
    let error = binary(Binary::Div, &a, &array(0_u8));
    assert_eq!(error, Err(ArrayError::DivisionByZero { element: 0 }));
    assert_eq!(
        dot_general(&array([[200_u8, 100]]), &array([[2_u8], [3]]), &DotDims::matmul()),
        array([[188_u8]])
    );
    assert_eq!(gather(&array([1.0, 2.0]), &array([1_u8, 1]), 0, 0), Ok(array([2.0, 2.0])));
}

#[test]
fn u8_converts() {
    assert_eq!(
        convert(&array([1.9, -1.9, f64::NAN, 1e300, 255.9]), DType::U8),
        array([1_u8, 0, 0, 255, 255])
    );
    assert_eq!(convert(&array([256_i64, -1, 44]), DType::U8), array([0_u8, 255, 44]));
    assert_eq!(convert(&array([255_u8, 0]), DType::I32), array([255_i32, 0]));
    assert_eq!(convert(&array([2_u8, 0]), DType::Bool), array([true, false]));
    assert_eq!(Scalar::from_f64(DType::U8, 255.0), Some(Scalar::U8(255)));
    assert_eq!(Scalar::from_f64(DType::U8, 256.0), None);
    assert_eq!(Scalar::from_f64(DType::U8, -1.0), None);
    assert_eq!(Scalar::from_f64(DType::U8, 0.5), None);
}
