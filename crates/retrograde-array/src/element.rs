//! The Rust types behind the dtypes.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{DType, Data, Scalar, bf16};

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that can be an array element: `f64`, `f32`, [`bf16`](struct@bf16), `i64`, `i32`, `u8` or `bool`. Sealed.
///
/// ```
/// use retrograde_array::{Element, Scalar};
/// use std::sync::Arc;
/// let mut data = f32::wrap(Arc::new(vec![1.5]));
/// assert_eq!((f32::unwrap(&data).unwrap().len(), f64::unwrap(&data)), (1, None));
/// Arc::make_mut(f32::unwrap_mut(&mut data).unwrap()).push(2.5);
/// assert_eq!(2.5_f32.to_scalar(), Scalar::F32(2.5));
/// assert_eq!((f64::NAN.key() == (-f64::NAN).key(), 0.0_f64.key() == (-0.0_f64).key()), (true, false));
/// ```
pub trait Element: sealed::Sealed + Copy + Default + PartialEq + Debug + Send + Sync + 'static {
    /// The dtype of this Rust type.
    const DTYPE: DType;

    /// Wraps a shared buffer.
    fn wrap(values: Arc<Vec<Self>>) -> Data;

    /// The shared buffer, when the dtype fits.
    fn unwrap(data: &Data) -> Option<&Arc<Vec<Self>>>;

    /// The shared buffer for writing, when the dtype fits.
    fn unwrap_mut(data: &mut Data) -> Option<&mut Arc<Vec<Self>>>;

    /// The value with its dtype.
    fn to_scalar(self) -> Scalar;

    /// A word that is equal exactly when the values are the same bits, all NaNs counting as one.
    fn key(self) -> u64;
}

/// `$body` with `$t` the Rust type of a dtype.
macro_rules! each_dtype {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::BF16 => {
                type $t = $crate::bf16;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::DType::Bool => {
                type $t = bool;
                $body
            }
        }
    };
}
pub(crate) use each_dtype;

macro_rules! element {
    ($t:ty, $variant:ident, $key:expr) => {
        impl sealed::Sealed for $t {}

        impl Element for $t {
            const DTYPE: DType = DType::$variant;

            fn wrap(values: Arc<Vec<Self>>) -> Data {
                Data::$variant(values)
            }

            fn unwrap(data: &Data) -> Option<&Arc<Vec<Self>>> {
                match data {
                    Data::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn unwrap_mut(data: &mut Data) -> Option<&mut Arc<Vec<Self>>> {
                match data {
                    Data::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn to_scalar(self) -> Scalar {
                Scalar::$variant(self)
            }

            fn key(self) -> u64 {
                let key: fn($t) -> u64 = $key;
                key(self)
            }
        }
    };
}

element!(f64, F64, |x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() });
element!(f32, F32, |x| u64::from(if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }));
element!(bf16, BF16, |x| u64::from(if x.is_nan() { bf16::NAN.to_bits() } else { x.to_bits() }));
element!(i64, I64, |x| x as u64);
element!(i32, I32, |x| x as u64);
element!(u8, U8, u64::from);
element!(bool, Bool, u64::from);
