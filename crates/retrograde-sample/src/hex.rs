//! Arrays as the bytes of their entries, little endian, in hexadecimal: exact, and read by any language.
//!
//! ```
//! use retrograde_array::array;
//! use retrograde_sample::hex::{decode, encode};
//! let x = array([1.5f32, -0.0]);
//! assert_eq!(encode(&x), "0000c03f00000080");
//! assert!(decode(x.dtype(), x.shape(), &encode(&x)).is_some_and(|y| y.bits_eq(&x)));
//! ```

use retrograde_array::{Array, DType, Scalar, Shape, bf16};

/// The bytes of the entries in row-major order.
pub fn encode(x: &Array) -> String {
    let n_bytes = x.dtype().size_bytes();
    x.scalars()
        .flat_map(|entry| bits(entry).to_le_bytes().into_iter().take(n_bytes))
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The array of those bytes: `None` where the text is not hexadecimal or has another length.
pub fn decode(dtype: DType, shape: &Shape, text: &str) -> Option<Array> {
    let n_bytes = dtype.size_bytes();
    if !text.is_ascii() || text.len() != shape.size().checked_mul(2 * n_bytes)? {
        return None;
    }
    let entry = |i: usize| {
        let byte = |k: usize| {
            u64::from_str_radix(text.get(2 * (i * n_bytes + k)..2 * (i * n_bytes + k) + 2)?, 16).ok()
        };
        (0..n_bytes).map(|k| Some(byte(k)? << (8 * k))).sum::<Option<u64>>()
    };
    let words = (0..shape.size()).map(entry).collect::<Option<Vec<u64>>>()?;
    let shape = shape.clone();
    match dtype {
        DType::F64 => Array::new(shape, words.into_iter().map(f64::from_bits).collect()),
        DType::F32 => Array::new(shape, words.into_iter().map(|w| f32::from_bits(w as u32)).collect()),
        DType::BF16 => Array::new(shape, words.into_iter().map(|w| bf16::from_bits(w as u16)).collect()),
        DType::I64 => Array::new(shape, words.into_iter().map(|w| w as i64).collect()),
        DType::I32 => Array::new(shape, words.into_iter().map(|w| w as i32).collect()),
        DType::U8 => Array::new(shape, words.into_iter().map(|w| w as u8).collect()),
        DType::Bool => Array::new(shape, words.into_iter().map(|w| w != 0).collect::<Vec<bool>>()),
    }
    .ok()
}

fn bits(entry: Scalar) -> u64 {
    match entry {
        Scalar::F64(x) => x.to_bits(),
        Scalar::F32(x) => u64::from(x.to_bits()),
        Scalar::BF16(x) => u64::from(x.to_bits()),
        Scalar::I64(x) => x as u64,
        Scalar::I32(x) => u64::from(x as u32),
        Scalar::U8(x) => u64::from(x),
        Scalar::Bool(x) => u64::from(x),
    }
}
