//! Every operation against an obvious loop over index vectors, at every instruction set.

mod data;
mod elementwise;
#[cfg(not(all(feature = "linalg", feature = "fft")))]
mod features;
mod folds;
mod layout;
#[cfg(all(feature = "linalg", feature = "fft"))]
mod linalg;
mod logic;
mod narrow;
mod product;
mod sums;
mod views;
mod window;

use crate::kernel::{Level, at_level};
use crate::rng::{Key, normal, random_bits};
use crate::{Array, DType, Scalar, Shape, ops};

/// Row-major position of an index vector.
fn position(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |position, (len, i)| position * len + i)
}

/// Every index vector of a shape, in row-major order.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for &len in shape {
        all = all
            .into_iter()
            .flat_map(|head| (0..len).map(move |i| [head.clone(), vec![i]].concat()))
            .collect();
    }
    all
}

fn at(a: &Array, index: &[usize]) -> Scalar {
    a.get(position(a.shape(), index)).unwrap()
}

/// The array of `shape` whose entry at `index` is `entry(index)`.
fn build(dtype: DType, shape: &[usize], entry: impl Fn(&[usize]) -> Scalar) -> Array {
    let entries: Vec<Scalar> = indices(shape).iter().map(|index| entry(index)).collect();
    macro_rules! collect {
        ($variant:ident) => {
            Array::new(
                shape,
                entries
                    .iter()
                    .map(|entry| match entry {
                        Scalar::$variant(x) => *x,
                        other => panic!("{other:?} in an array of {dtype}"),
                    })
                    .collect(),
            )
            .unwrap()
        };
    }
    match dtype {
        DType::F64 => collect!(F64),
        DType::F32 => collect!(F32),
        DType::BF16 => collect!(BF16),
        DType::I64 => collect!(I64),
        DType::I32 => collect!(I32),
        DType::U8 => collect!(U8),
        DType::Bool => collect!(Bool),
    }
}

/// Random values of any dtype; integers use all their bits.
fn random(dtype: DType, shape: &[usize], seed: u64) -> Array {
    let shape = Shape::from(shape);
    let key = Key::from_seed(seed);
    let words = || random_bits(key, shape.size());
    match dtype {
        DType::F64 | DType::F32 | DType::BF16 => ops::convert(&normal(key, shape.clone()), dtype),
        DType::I64 => Array::new(shape.clone(), words().into_iter().map(|w| w as i64).collect()).unwrap(),
        DType::I32 => Array::new(shape.clone(), words().into_iter().map(|w| w as i32).collect()).unwrap(),
        DType::U8 => Array::new(shape.clone(), words().into_iter().map(|w| w as u8).collect()).unwrap(),
        DType::Bool => Array::new(shape.clone(), words().into_iter().map(|w| w % 2 == 0).collect()).unwrap(),
    }
}

/// The result of `work`, which must have the same bits at every level of this machine.
fn everywhere(work: impl Fn() -> Array) -> Array {
    let result = work();
    for level in [Level::Portable, Level::Avx2, Level::Avx512] {
        assert_eq!(at_level(level, &work), result, "at {level:?}");
    }
    result
}
