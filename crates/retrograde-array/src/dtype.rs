//! The element types an array can have.

use std::fmt;
use std::str::FromStr;

use crate::ArrayError;

/// The element type of an [`Array`](crate::Array).
///
/// ```
/// use retrograde_array::DType;
/// assert_eq!("f32".parse::<DType>().unwrap(), DType::F32);
/// assert_eq!(DType::I64.to_string(), "i64");
/// ```
///
/// ```
/// use retrograde_array::DType;
/// assert_eq!((DType::BF16.name(), DType::BF16.size_bytes()), ("bf16", 2));
/// assert_eq!((DType::U8.is_int(), DType::Bool.is_int(), DType::BF16.is_float()), (true, false, true));
/// let error = "f16".parse::<DType>().unwrap_err();
/// assert_eq!(error.to_string(), "unknown dtype `f16`, expected one of f64, f32, bf16, i64, i32, u8, bool");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 64-bit IEEE floating point.
    F64,
    /// 32-bit IEEE floating point.
    F32,
    /// The leading 16 bits of an `F32`: its range, eight significant bits.
    BF16,
    /// 64-bit two's complement integer.
    I64,
    /// 32-bit two's complement integer.
    I32,
    /// 8-bit unsigned integer.
    U8,
    /// Truth value, one byte.
    Bool,
}

impl DType {
    /// Every dtype, in declaration order.
    pub const ALL: [DType; 7] =
        [DType::F64, DType::F32, DType::BF16, DType::I64, DType::I32, DType::U8, DType::Bool];

    /// The name in program text: `f64`, `f32`, `bf16`, `i64`, `i32`, `u8` or `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::BF16 => "bf16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// Bytes of one element.
    pub const fn size_bytes(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::BF16 => 2,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// True for `f64`, `f32` and `bf16`.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F64 | DType::F32 | DType::BF16)
    }

    /// True for `i64`, `i32` and `u8`.
    pub const fn is_int(self) -> bool {
        matches!(self, DType::I64 | DType::I32 | DType::U8)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = ArrayError;

    fn from_str(text: &str) -> Result<DType, ArrayError> {
        DType::ALL
            .into_iter()
            .find(|dtype| dtype.name() == text)
            .ok_or_else(|| ArrayError::UnknownDType { name: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse::<DType>().unwrap(), dtype);
        }
        assert!("f16".parse::<DType>().is_err());
    }
}
