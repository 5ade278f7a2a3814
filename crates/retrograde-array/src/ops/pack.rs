//! Truth values as bits.

use crate::{Array, DType, Shape};

/// The entries of a bool array in row-major order as bits, eight to a byte, the first in the lowest bit: u8 `[n / 8, rounded
/// up]`. What is left of the last byte is 0.
///
/// ```
/// use retrograde_array::{array, ops};
/// let mask = array([true, false, false, true, false, false, false, false, true]);
/// assert_eq!(ops::pack_bits(&mask), array([0b1001_u8, 1]));
/// ```
///
/// # Panics
/// When the array is of another dtype.
pub fn pack_bits(x: &Array) -> Array {
    let bits = x.as_slice::<bool>().expect("pack_bits: expected a bool array");
    let byte = |chunk: &[bool]| chunk.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << i);
    Array::vector(bits.chunks(8).map(byte).collect::<Vec<u8>>())
}

/// The bool array of this shape whose bits [`pack_bits`] gave.
///
/// ```
/// use retrograde_array::{array, ops};
/// let mask = array([[true, false], [true, true]]);
/// assert_eq!(ops::unpack_bits(&ops::pack_bits(&mask), mask.shape()), mask);
/// ```
///
/// # Panics
/// When there are more or fewer bytes than that takes, or the array is of another dtype than u8.
pub fn unpack_bits(x: &Array, shape: &Shape) -> Array {
    let bytes = x.as_slice::<u8>().expect("unpack_bits: expected a u8 array");
    assert_eq!(bytes.len(), shape.size().div_ceil(8), "unpack_bits: bytes for {shape}");
    let bits = (0..shape.size()).map(|i| bytes[i / 8] >> (i % 8) & 1 == 1).collect::<Vec<bool>>();
    Array::new(shape.clone(), bits).unwrap_or_else(|_| Array::zeros(DType::Bool, shape.clone()))
}
