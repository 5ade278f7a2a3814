//! The typed, shared buffer of an array.

use std::sync::Arc;

use crate::{DType, Element, bf16};

/// A shared buffer of one dtype.
///
/// ```
/// use retrograde_array::{DType, Data};
/// let data = Data::F32(vec![1.0, 2.0].into());
/// assert_eq!((data.dtype(), data.len(), data.is_empty()), (DType::F32, 2, false));
/// ```
#[derive(Debug, Clone)]
pub enum Data {
    /// `f64` values.
    F64(Arc<Vec<f64>>),
    /// `f32` values.
    F32(Arc<Vec<f32>>),
    /// `bf16` values.
    BF16(Arc<Vec<bf16>>),
    /// `i64` values.
    I64(Arc<Vec<i64>>),
    /// `i32` values.
    I32(Arc<Vec<i32>>),
    /// `u8` values.
    U8(Arc<Vec<u8>>),
    /// `bool` values.
    Bool(Arc<Vec<bool>>),
}

/// Runs `$body` with `$values` bound to the typed buffer, whatever its dtype.
macro_rules! each_data {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            $crate::Data::F64($values) => $body,
            $crate::Data::F32($values) => $body,
            $crate::Data::BF16($values) => $body,
            $crate::Data::I64($values) => $body,
            $crate::Data::I32($values) => $body,
            $crate::Data::U8($values) => $body,
            $crate::Data::Bool($values) => $body,
        }
    };
}
pub(crate) use each_data;

/// The values as a buffer.
pub(crate) fn data<T: Element>(values: Vec<T>) -> Data {
    T::wrap(Arc::new(values))
}

impl Data {
    /// The dtype of the buffer.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F64(_) => DType::F64,
            Data::F32(_) => DType::F32,
            Data::BF16(_) => DType::BF16,
            Data::I64(_) => DType::I64,
            Data::I32(_) => DType::I32,
            Data::U8(_) => DType::U8,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        each_data!(self, values => values.len())
    }

    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
