//! Exact reversal of whole arrays.

use super::{LostError, Real, SliceStep, record_slice, restore_slice, restore_slice_into};
use crate::bits::BitStack;
use crate::{Array, DType, bf16};

/// The additions that led from one array to another, entry by entry.
#[derive(Debug, Clone, Copy)]
pub enum ArrayStep<'a> {
    /// `y = fl(x + d)`
    Add(&'a Array),
    /// `y = fma(a, b, x)`
    Fma(&'a Array, &'a Array),
}

impl<'a> ArrayStep<'a> {
    fn typed<T: Real>(self) -> SliceStep<'a, T> {
        match self {
            ArrayStep::Add(d) => SliceStep::Add(values(d)),
            ArrayStep::Fma(a, b) => SliceStep::Fma(values(a), values(b)),
        }
    }
}

/// [`record`](super::record) for every entry, in row-major order.
///
/// # Errors
/// As [`record_slice`].
///
/// # Panics
/// When dtypes or sizes differ or the dtype is not a float: internal misuse.
pub fn record_array(
    y: &Array,
    x: &Array,
    step: ArrayStep<'_>,
    stack: &mut BitStack,
) -> Result<(), LostError> {
    match y.dtype() {
        DType::F64 => record_slice::<f64>(values(y), values(x), step.typed(), stack),
        DType::BF16 => record_slice::<bf16>(values(y), values(x), step.typed(), stack),
        DType::F32 => record_slice::<f32>(values(y), values(x), step.typed(), stack),
        dtype => not_a_float(dtype),
    }
}

/// [`restore`](super::restore) for every entry, from the last in row-major order to the first.
///
/// # Errors
/// As [`restore_slice`].
///
/// # Panics
/// When dtypes or sizes differ or the dtype is not a float: internal misuse.
///
/// ```
/// use retrograde_array::{array, bits::BitStack, lost::{ArrayStep, record_array, restore_array}, ops};
/// let (x, d) = (array([0.1, 1e-20]), array([3.0, 1.0]));
/// let y = ops::binary(ops::Binary::Add, &x, &d).unwrap();
/// let mut stack = BitStack::new();
/// record_array(&y, &x, ArrayStep::Add(&d), &mut stack)?;
/// assert_eq!(restore_array(&y, ArrayStep::Add(&d), &mut stack)?, x);
/// # Ok::<(), retrograde_array::lost::LostError>(())
/// ```
pub fn restore_array(y: &Array, step: ArrayStep<'_>, stack: &mut BitStack) -> Result<Array, LostError> {
    let shape = y.shape().clone();
    Ok(match y.dtype() {
        DType::F64 => Array::from_parts(shape, restore_slice::<f64>(values(y), step.typed(), stack)?),
        DType::BF16 => Array::from_parts(shape, restore_slice::<bf16>(values(y), step.typed(), stack)?),
        DType::F32 => Array::from_parts(shape, restore_slice::<f32>(values(y), step.typed(), stack)?),
        dtype => not_a_float(dtype),
    })
}

/// [`restore_array`] into an array, which keeps its memory where that fits.
///
/// # Errors
/// As [`restore_array`].
///
/// # Panics
/// As [`restore_array`].
///
/// ```
/// use retrograde_array::{array, bits::BitStack, lost::{ArrayStep, restore_array_into}};
/// let (y, d, mut x) = (array([3.5, 3.25]), array([1.0, 1.0]), array([0.0, 0.0]));
/// restore_array_into(&y, ArrayStep::Add(&d), &mut BitStack::new(), &mut x)?;
/// assert_eq!(x, array([2.5, 2.25]));
/// # Ok::<(), retrograde_array::lost::LostError>(())
/// ```
pub fn restore_array_into(
    y: &Array,
    step: ArrayStep<'_>,
    stack: &mut BitStack,
    x: &mut Array,
) -> Result<(), LostError> {
    fn restore<T: Real>(
        y: &Array,
        step: ArrayStep<'_>,
        stack: &mut BitStack,
        x: &mut Array,
    ) -> Result<(), LostError> {
        if x.shape() == y.shape()
            && let Some(xs) = x.unique_mut::<T>()
        {
            return restore_slice_into::<T>(values(y), step.typed(), stack, xs);
        }
        *x = restore_array(y, step, stack)?;
        Ok(())
    }
    match y.dtype() {
        DType::F64 => restore::<f64>(y, step, stack, x),
        DType::BF16 => restore::<bf16>(y, step, stack, x),
        DType::F32 => restore::<f32>(y, step, stack, x),
        dtype => not_a_float(dtype),
    }
}

fn values<T: Real>(a: &Array) -> &[T] {
    match a.as_slice() {
        Some(values) => values,
        None => panic!("{} array where {} was promised; this is a bug in retrograde", a.dtype(), T::DTYPE),
    }
}

fn not_a_float(dtype: DType) -> ! {
    panic!("exact reversal of {dtype}; this is a bug in retrograde")
}
