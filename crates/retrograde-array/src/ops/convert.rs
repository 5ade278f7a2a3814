//! Change of dtype.

use crate::kernel;
use crate::rounding::{bf16_from_f64, bf16_from_i64};
use crate::{Array, DType, bf16};

use super::elementwise::result;
use super::values;

/// The values in another dtype, entry by entry.
///
/// To float rounds once to nearest, ties to even. Float to integer truncates towards zero and saturates, NaN gives 0. Integer to
/// a narrower integer wraps. To `bool`: everything but zero is true, NaN too. From `bool`: 0 or 1.
///
/// ```
/// use retrograde_array::{DType, array, ops};
/// let x = array([2.7, -2.7, 1e30, f64::NAN]);
/// assert_eq!(ops::convert(&x, DType::I32), array([2, -2, i32::MAX, 0]));
/// assert_eq!(ops::convert(&array([300, -1]), DType::U8), array([44_u8, 255]));
/// assert_eq!(ops::convert(&x, DType::Bool), array([true; 4]));
/// ```
pub fn convert(a: &Array, dtype: DType) -> Array {
    macro_rules! from {
        ($t:ty, $zero:literal, $to_bf16:expr) => {{
            let x = values::<$t>(a);
            match dtype {
                DType::F64 => result(a.shape(), kernel::map(x, |x| x as f64)),
                DType::F32 => result(a.shape(), kernel::map(x, |x| x as f32)),
                DType::BF16 => result(a.shape(), kernel::map(x, $to_bf16)),
                DType::I64 => result(a.shape(), kernel::map(x, |x| x as i64)),
                DType::I32 => result(a.shape(), kernel::map(x, |x| x as i32)),
                DType::U8 => result(a.shape(), kernel::map(x, |x| x as u8)),
                DType::Bool => result(a.shape(), kernel::map(x, |x| x != $zero)),
            }
        }};
    }
    if a.dtype() == dtype {
        return a.clone();
    }
    match a.dtype() {
        DType::F64 => from!(f64, 0.0, bf16_from_f64),
        DType::F32 => from!(f32, 0.0, bf16::from_f32),
        // Every bf16 is an f32, every bool a u8.
        DType::BF16 => convert(&result(a.shape(), kernel::map(values::<bf16>(a), bf16::to_f32)), dtype),
        DType::I64 => from!(i64, 0, bf16_from_i64),
        DType::I32 => from!(i32, 0, |x| bf16_from_i64(i64::from(x))),
        DType::U8 => from!(u8, 0, |x| bf16::from_f32(f32::from(x))),
        DType::Bool => convert(&result(a.shape(), kernel::map(values::<bool>(a), u8::from)), dtype),
    }
}
