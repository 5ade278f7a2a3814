//! Where entries stand: padding, reversal, counting, parts at computed places. Methods of [`Var`].

use super::frame;
use super::var::{IntoOperand, Var, caller};
use crate::ir::Type;
use crate::prim::{compare, convert, dynamic_slice, dynamic_update, iota, pad, reverse};
use retrograde_array::ops::Comparison;
use retrograde_array::{DType, Shape};

impl Var {
    /// The array with `value` around it: `widths[i]` says how many before and after along axis i.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let framed = jit(|x: Var| x.pad(&[(1, 2)], 0.5)).call(&array([1.0, 2.0]))?;
    /// assert_eq!(framed, array([0.5, 1.0, 2.0, 0.5, 0.5]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn pad(self, widths: &[(usize, usize)], value: impl IntoOperand) -> Var {
        let location = caller();
        let value = value.operand(&self.ty().with_shape([]), location);
        let (low, high) = widths.iter().copied().unzip();
        frame::record1(pad::Pad { low, high, strides: vec![1; widths.len()] }, &[self, value], location)
    }
    /// The entries along `axes` in the opposite order.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// assert_eq!(jit(|x: Var| x.reverse(&[1])).call(&array([[1, 2], [3, 4]]))?, array([[2, 1], [4, 3]]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn reverse(self, axes: &[usize]) -> Var {
        frame::record1(reverse::Reverse { axes: axes.to_vec() }, &[self], caller())
    }
    /// Rows with a 1 at the position that the entry names and zeros elsewhere, along a new last axis of length `n`; an entry
    /// outside 0..n gives zeros only.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::{DType, array};
    /// let rows = jit(|labels: Var| labels.one_hot(3, DType::F64)).call(&array([2_i64, 0]))?;
    /// assert_eq!(rows, array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn one_hot(self, n: usize, dtype: DType) -> Var {
        let location = caller();
        let axes: Vec<usize> = (0..self.rank()).collect();
        let shape = [&self.shape()[..], &[n]].concat();
        let ty = self.ty().with_shape(shape.clone());
        let axis = axes.len();
        frame::blame(location, || {
            let spread = self.broadcast(shape, &axes);
            let count = frame::record1(iota::Iota { ty, axis }, &[], location);
            let equal = compare::Compare { comparison: Comparison::Eq };
            let mask = frame::record1(equal, &[spread, count], location);
            if dtype == DType::Bool {
                return mask;
            }
            frame::record1(convert::Convert { dtype }, &[mask], location)
        })
    }
    /// The part of shape `lens` that begins at `starts` (`i64[rank]`), known only at run time. A part that does not lie inside
    /// is an error when the program runs.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::{grad, jit}};
    /// use retrograde_array::array;
    /// let (x, start) = (array([1.0, 2.0, 3.0]), array([1_i64]));
    /// assert_eq!(grad(|x: Var, start: Var| x.dynamic_slice(start, &[2]).sum()).call((&x, &start))?, array([0.0, 1.0, 1.0]));
    /// let error = jit(|x: Var, start: Var| x.dynamic_slice(start, &[3])).call((&x, &start)).unwrap_err();
    /// assert!(error.to_string().contains("a part of 3 entries from 1 does not lie inside an axis of size 3"));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn dynamic_slice(self, starts: Var, lens: &[usize]) -> Var {
        let op = dynamic_slice::DynamicSlice { lens: lens.to_vec(), batch_dims: 0 };
        frame::record1(op, &[self, starts], caller())
    }
    /// The array with `update` in place of the part that begins at `starts` (`i64[rank]`), known only at run time. A part that
    /// does not lie inside is an error when the program runs.
    ///
    /// ```
    /// use retrograde_core::trace::{Var, door::jit};
    /// use retrograde_array::array;
    /// let f = |x: Var, y: Var, start: Var| x.dynamic_update(y, start);
    /// assert_eq!(jit(f).call((&array([1, 2, 3]), &array([9]), &array([2_i64])))?, array([1, 2, 9]));
    /// # Ok::<(), retrograde_core::trace::Error>(())
    /// ```
    #[track_caller]
    pub fn dynamic_update(self, update: Var, starts: Var) -> Var {
        frame::record1(dynamic_update::DynamicUpdate { batch_dims: 0 }, &[self, update, starts], caller())
    }
}

/// Numbers that count 0, 1, … along `axis` and repeat along the others.
///
/// ```
/// use retrograde_core::trace::{Var, door::jit, place::iota};
/// use retrograde_array::{DType, array};
/// let f = |x: Var| x * iota(DType::F64, [2, 3], 1);
/// assert_eq!(jit(f).call(&array(10.0))?, array([[0.0, 10.0, 20.0], [0.0, 10.0, 20.0]]));
/// # Ok::<(), retrograde_core::trace::Error>(())
/// ```
#[track_caller]
pub fn iota(dtype: DType, shape: impl Into<Shape>, axis: usize) -> Var {
    frame::record1(iota::Iota { ty: Type::array(dtype, shape), axis }, &[], caller())
}
