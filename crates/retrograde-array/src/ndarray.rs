//! Exchange with the crate `ndarray`.
//!
//! ```
//! use retrograde_array::Array;
//! let x = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
//! let y = Array::from(&x.t());
//! assert_eq!(y, retrograde_array::array([[1.0, 3.0], [2.0, 4.0]]));
//! assert_eq!(y.as_ndarray::<f64>().unwrap(), x.t().into_dyn());
//! ```

use ndarray::{ArrayBase, ArrayViewD, Data, Dimension, IxDyn};

use crate::{Array, Element, Shape};

impl<S, D> From<&ArrayBase<S, D>> for Array
where
    S: Data,
    S::Elem: Element,
    D: Dimension,
{
    /// A copy of the entries, in row-major order whatever the layout.
    fn from(array: &ArrayBase<S, D>) -> Array {
        Array::from_parts(Shape::from(array.shape()), array.iter().copied().collect())
    }
}

impl Array {
    /// The array as one of `ndarray`, sharing memory; `None` when `T` is not the dtype. For an array of its own, call `to_owned`.
    ///
    /// # Cost
    /// That of [`Array::as_slice`].
    pub fn as_ndarray<T: Element>(&self) -> Option<ArrayViewD<'_, T>> {
        ArrayViewD::from_shape(IxDyn(self.shape()), self.as_slice()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::rng::{Key, normal};
    use crate::{Array, DType, bf16, ops};

    #[test]
    fn there_and_back() {
        for shape in [&[][..], &[3], &[0, 4], &[20, 30], &[2, 3, 4]] {
            for dtype in DType::ALL {
                let x = ops::convert(&normal(Key::from_seed(1), shape), dtype);
                let back: Vec<usize> = (0..x.rank()).rev().collect();
                let turned = ops::transpose(&x, &back);
                macro_rules! check {
                    ($t:ty) => {{
                        let view = x.as_ndarray::<$t>().unwrap();
                        assert_eq!(view.shape(), &x.shape()[..]);
                        assert_eq!(Array::from(&view), x);
                        assert_eq!(Array::from(&view.t()), turned);
                        assert_eq!(turned.as_ndarray::<$t>().unwrap(), view.t());
                    }};
                }
                match dtype {
                    DType::F64 => check!(f64),
                    DType::F32 => check!(f32),
                    DType::BF16 => check!(bf16),
                    DType::I64 => check!(i64),
                    DType::I32 => check!(i32),
                    DType::U8 => check!(u8),
                    DType::Bool => check!(bool),
                }
            }
        }
        assert!(normal(Key::from_seed(1), [2]).as_ndarray::<f32>().is_none());
        let every_second = ndarray::Array1::from_iter(0..9_i64);
        let every_second = Array::from(&every_second.slice(ndarray::s![..;-2]));
        assert_eq!(every_second, crate::array([8_i64, 6, 4, 2, 0]));
    }
}
