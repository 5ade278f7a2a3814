//! One value with its dtype.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::rounding::bf16_from_f64;
use crate::{DType, Element, bf16};

/// One value with its dtype. Equality and hash go by bits: all NaNs are equal, `-0` differs from `+0`.
///
/// ```
/// use retrograde_array::{DType, Scalar};
/// assert_eq!(Scalar::from_f64(DType::I32, 3.0), Some(Scalar::I32(3)));
/// assert_eq!(Scalar::from_f64(DType::I32, 3.5), None);
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Scalar {
    /// An `f64`.
    F64(f64),
    /// An `f32`.
    F32(f32),
    /// A `bf16`.
    BF16(bf16),
    /// An `i64`.
    I64(i64),
    /// An `i32`.
    I32(i32),
    /// A `u8`.
    U8(u8),
    /// A `bool`.
    Bool(bool),
}

impl Scalar {
    /// The dtype of the value.
    ///
    /// ```
    /// use retrograde_array::{DType, Scalar};
    /// assert_eq!((Scalar::U8(7).dtype(), Scalar::Bool(true).to_f64()), (DType::U8, 1.0));
    /// ```
    pub const fn dtype(self) -> DType {
        match self {
            Scalar::F64(_) => DType::F64,
            Scalar::F32(_) => DType::F32,
            Scalar::BF16(_) => DType::BF16,
            Scalar::I64(_) => DType::I64,
            Scalar::I32(_) => DType::I32,
            Scalar::U8(_) => DType::U8,
            Scalar::Bool(_) => DType::Bool,
        }
    }

    /// The value as `f64`; an `i64` beyond 2^53 is rounded, a `bool` is 0 or 1.
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::F64(x) => x,
            Scalar::F32(x) => f64::from(x),
            Scalar::BF16(x) => x.to_f64(),
            Scalar::I64(x) => x as f64,
            Scalar::I32(x) => f64::from(x),
            Scalar::U8(x) => f64::from(x),
            Scalar::Bool(x) => f64::from(u8::from(x)),
        }
    }

    /// `value` in `dtype`: rounded to `f32` or `bf16`, but `None` when an integer dtype or `bool` cannot hold it exactly.
    pub fn from_f64(dtype: DType, value: f64) -> Option<Scalar> {
        match dtype {
            DType::F64 => Some(Scalar::F64(value)),
            DType::F32 => Some(Scalar::F32(value as f32)),
            DType::BF16 => Some(Scalar::BF16(bf16_from_f64(value))),
            DType::I64 => {
                let x = value as i64;
                (x as f64 == value && x != i64::MAX).then_some(Scalar::I64(x))
            }
            DType::I32 => {
                let x = value as i32;
                (f64::from(x) == value).then_some(Scalar::I32(x))
            }
            DType::U8 => {
                let x = value as u8;
                (f64::from(x) == value).then_some(Scalar::U8(x))
            }
            DType::Bool if value == 0.0 => Some(Scalar::Bool(false)),
            DType::Bool if value == 1.0 => Some(Scalar::Bool(true)),
            DType::Bool => None,
        }
    }

    fn key(self) -> u64 {
        match self {
            Scalar::F64(x) => x.key(),
            Scalar::F32(x) => x.key(),
            Scalar::BF16(x) => x.key(),
            Scalar::I64(x) => x.key(),
            Scalar::I32(x) => x.key(),
            Scalar::U8(x) => x.key(),
            Scalar::Bool(x) => x.key(),
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        self.dtype() == other.dtype() && self.key() == other.key()
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dtype().hash(state);
        self.key().hash(state);
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::F64(x) => write!(f, "{x:?}"),
            Scalar::F32(x) => write!(f, "{x:?}"),
            Scalar::BF16(x) => write!(f, "{x:?}"),
            Scalar::I64(x) => write!(f, "{x}"),
            Scalar::I32(x) => write!(f, "{x}"),
            Scalar::U8(x) => write!(f, "{x}"),
            Scalar::Bool(x) => write!(f, "{x}"),
        }
    }
}

impl<T: Element> From<T> for Scalar {
    fn from(value: T) -> Scalar {
        value.to_scalar()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_conversions_only() {
        assert_eq!(Scalar::from_f64(DType::I64, 9_223_372_036_854_775_808.0), None);
        assert_eq!(Scalar::from_f64(DType::I64, -9_223_372_036_854_775_808.0), Some(Scalar::I64(i64::MIN)));
        assert_eq!(Scalar::from_f64(DType::I32, f64::NAN), None);
        assert_eq!(Scalar::from_f64(DType::I32, 2_147_483_648.0), None);
        assert_eq!(Scalar::from_f64(DType::Bool, 1.0), Some(Scalar::Bool(true)));
        assert_eq!(Scalar::from_f64(DType::Bool, 2.0), None);
        assert_eq!(Scalar::F64(f64::NAN), Scalar::F64(-f64::NAN));
        assert_ne!(Scalar::F64(0.0), Scalar::F64(-0.0));
        assert_ne!(Scalar::F64(0.0), Scalar::F32(0.0));
    }
}
