//! Change of dtype.

use crate::kernel;
use crate::{Array, DType};

use super::elementwise::result;
use super::values;

/// The values in another dtype, entry by entry.
///
/// Float to float rounds to nearest. Float to integer truncates towards zero and saturates, NaN gives 0. `i64` to `i32` wraps.
/// To `bool`: everything but zero is true. From `bool`: 0 or 1.
pub fn convert(a: &Array, dtype: DType) -> Array {
    macro_rules! from {
        ($t:ty, $nonzero:expr) => {{
            let x = values::<$t>(a);
            match dtype {
                DType::F64 => result(a.shape(), kernel::map(x, |x| x as f64)),
                DType::F32 => result(a.shape(), kernel::map(x, |x| x as f32)),
                DType::I64 => result(a.shape(), kernel::map(x, |x| x as i64)),
                DType::I32 => result(a.shape(), kernel::map(x, |x| x as i32)),
                DType::Bool => result(a.shape(), kernel::map(x, $nonzero)),
            }
        }};
    }
    if a.dtype() == dtype {
        return a.clone();
    }
    match a.dtype() {
        DType::F64 => from!(f64, |x| x != 0.0),
        DType::F32 => from!(f32, |x| x != 0.0),
        DType::I64 => from!(i64, |x| x != 0),
        DType::I32 => from!(i32, |x| x != 0),
        DType::Bool => {
            let x = values::<bool>(a);
            match dtype {
                DType::F64 => result(a.shape(), kernel::map(x, |x| f64::from(u8::from(x)))),
                DType::F32 => result(a.shape(), kernel::map(x, |x| f32::from(u8::from(x)))),
                DType::I64 => result(a.shape(), kernel::map(x, i64::from)),
                DType::I32 => result(a.shape(), kernel::map(x, i32::from)),
                DType::Bool => a.clone(),
            }
        }
    }
}
