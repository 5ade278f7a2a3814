//! What benchmarks compute with.

use retrograde_array::{Array, DType, ops};

/// Numbers between -0.5 and 0.5, the same in every run.
pub(crate) fn numbers(dtype: DType, shape: &[usize]) -> Array {
    let n: usize = shape.iter().product();
    let numbers = (0..n).map(|i| (i * 7919 % 1000) as f64 / 1000.0 - 0.5).collect();
    let wide =
        Array::new(shape, numbers).unwrap_or_else(|error| panic!("{error}; this is a bug in retrograde"));
    ops::convert(&wide, dtype)
}
