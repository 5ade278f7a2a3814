//! The array value: a shape and a shared buffer, or a view of one.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::data::{data, each_data};
use crate::element::each_dtype;
use crate::layout::{COPIED, Layout, pack};
use crate::ops::strided::{Axis, View, read_into, row_major};
use crate::{ArrayError, DType, Data, Element, Scalar, Shape, bf16, kernel};

/// A shared array. Cloning copies a shape and a pointer, never the values; nor do transposes, slices, broadcasts and
/// reversals of more than a few entries, which are views of the same buffer (Note \[views\] of `layout`).
///
/// Operations see entries in row-major order, whatever the storage: their results are the same to the bit.
/// Equality and hash go by bits: all NaNs are equal, `-0` differs from `+0`.
///
/// ```
/// use retrograde_array::{Array, DType, array};
/// let x = array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!((x.shape().to_string(), x.dtype(), x.rank()), ("[2,3]".to_owned(), DType::F64, 2));
/// assert_eq!((x.size(), x.size_bytes(), x.strides()), (6, 48, vec![3, 1]));
/// assert_ne!(array(0.0), array(-0.0));
/// ```
#[derive(Clone)]
pub struct Array {
    shape: Shape,
    buffer: Data,
    /// `None`: the whole buffer in row-major order.
    layout: Option<Arc<Layout>>,
}

impl Array {
    /// An array of the given shape, filled row by row from `values`.
    ///
    /// # Errors
    /// [`ArrayError::Size`] when the number of values is not the size of the shape.
    ///
    /// ```
    /// use retrograde_array::Array;
    /// assert_eq!(Array::new([2, 2], vec![1, 2, 3, 4])?.to_string(), "[[1, 2],\n [3, 4]]");
    /// let error = Array::new([2, 2], vec![1, 2, 3]).unwrap_err();
    /// assert_eq!(error.to_string(), "3 values do not fill shape [2,2], which has 4 elements");
    /// # Ok::<(), retrograde_array::ArrayError>(())
    /// ```
    pub fn new<T: Element>(shape: impl Into<Shape>, values: Vec<T>) -> Result<Array, ArrayError> {
        let shape = shape.into();
        match shape.checked_size() {
            None => Err(ArrayError::TooLarge { shape }),
            Some(expected) if expected != values.len() => {
                Err(ArrayError::Size { shape, expected, found: values.len() })
            }
            Some(_) => Ok(Array::from_parts(shape, values)),
        }
    }

    /// The array of rank 0 holding `value`.
    ///
    /// ```
    /// use retrograde_array::{Array, array};
    /// assert_eq!(Array::scalar(2.0).rank(), 0);
    /// assert_eq!(Array::vector(vec![2.0, 3.0]), array([2.0, 3.0]));
    /// ```
    pub fn scalar<T: Element>(value: T) -> Array {
        Array::from_parts(Shape::scalar(), vec![value])
    }

    /// The one-dimensional array of `values`.
    pub fn vector<T: Element>(values: Vec<T>) -> Array {
        Array::from_parts(Shape::from([values.len()]), values)
    }

    /// An array with `value` everywhere, which must already be of `dtype`.
    ///
    /// # Panics
    /// When `value` has another dtype, or the shape overflows memory: both are internal misuse.
    ///
    /// ```
    /// use retrograde_array::{Array, DType, Scalar, array};
    /// assert_eq!(Array::full(DType::F32, [2], Scalar::F32(0.5)), array([0.5_f32, 0.5]));
    /// assert_eq!(Array::zeros(DType::Bool, [2]), array([false, false]));
    /// ```
    pub fn full(dtype: DType, shape: impl Into<Shape>, value: Scalar) -> Array {
        assert!(value.dtype() == dtype, "full: value {value} is not {dtype}; this is a bug in retrograde");
        let shape = shape.into();
        let n = shape.checked_size().expect("full: shape too large; this is a bug in retrograde");
        match value {
            Scalar::F64(x) => Array::from_parts(shape, vec![x; n]),
            Scalar::F32(x) => Array::from_parts(shape, vec![x; n]),
            Scalar::BF16(x) => Array::from_parts(shape, vec![x; n]),
            Scalar::I64(x) => Array::from_parts(shape, vec![x; n]),
            Scalar::I32(x) => Array::from_parts(shape, vec![x; n]),
            Scalar::U8(x) => Array::from_parts(shape, vec![x; n]),
            Scalar::Bool(x) => Array::from_parts(shape, vec![x; n]),
        }
    }

    /// An array of `+0` or `false`.
    ///
    /// # Panics
    /// When the shape overflows memory: internal misuse.
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Array {
        let zero = match dtype {
            DType::F64 => Scalar::F64(0.0),
            DType::F32 => Scalar::F32(0.0),
            DType::BF16 => Scalar::BF16(bf16::ZERO),
            DType::I64 => Scalar::I64(0),
            DType::I32 => Scalar::I32(0),
            DType::U8 => Scalar::U8(0),
            DType::Bool => Scalar::Bool(false),
        };
        Array::full(dtype, shape, zero)
    }

    /// A shape and values already known to agree.
    pub(crate) fn from_parts<T: Element>(shape: Shape, values: Vec<T>) -> Array {
        debug_assert_eq!(shape.size(), values.len());
        Array { shape, buffer: data(values), layout: None }
    }

    /// The entries of this array's buffer at `offset + i * strides[0] + j * strides[1] + ..`, which the caller knows to lie
    /// inside: a view, or a copy of few entries (Note [views]).
    ///
    /// # Cost
    /// Independent of the size.
    pub(crate) fn view(&self, shape: Shape, offset: usize, strides: Vec<isize>) -> Array {
        let size = shape.size();
        if size <= COPIED {
            let buffer = if size == 0 {
                each_dtype!(self.dtype(), T => data(Vec::<T>::new()))
            } else {
                pack(&self.buffer, &shape, offset, &strides)
            };
            return Array { shape, buffer, layout: None };
        }
        let layout = Layout::new(&shape, offset, strides);
        let is_whole = layout.is_contiguous && offset == 0 && size == self.buffer.len();
        Array { shape, buffer: self.buffer.clone(), layout: (!is_whole).then(|| Arc::new(layout)) }
    }

    /// How far apart in memory neighbours along each axis lie, in entries.
    pub fn strides(&self) -> Vec<isize> {
        match &self.layout {
            Some(layout) => layout.strides.clone(),
            None => row_major(&self.shape),
        }
    }

    /// How far apart in memory neighbours along one axis lie.
    pub(crate) fn stride(&self, axis: usize) -> isize {
        match &self.layout {
            Some(layout) => layout.strides[axis],
            None => self.shape[axis + 1..].iter().product::<usize>() as isize,
        }
    }

    /// Whether the entries lie one after another in row-major order.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.layout.as_ref().is_none_or(|layout| layout.is_contiguous)
    }

    /// Writes the entries to `out`, in row-major order of the axes in the given order.
    pub(crate) fn read_into<T: Element>(&self, order: impl Iterator<Item = usize>, out: &mut [T]) {
        let view = View::new(order.map(|axis| Axis { len: self.shape[axis], stride: self.stride(axis) }));
        if let Some(from) = self.buffer() {
            read_into(from, self.offset(), &view, out);
        }
    }

    /// Where the first entry lies in [`Array::buffer`].
    pub(crate) fn offset(&self) -> usize {
        self.layout.as_ref().map_or(0, |layout| layout.offset)
    }

    /// The buffer that the array lies in, `None` when `T` is not the dtype.
    pub(crate) fn buffer<T: Element>(&self) -> Option<&[T]> {
        T::unwrap(&self.buffer).map(|values| values.as_slice())
    }

    /// The same array, holding no memory but its own entries: a view is copied.
    ///
    /// For arrays that are kept: a view keeps the whole buffer alive that it is part of.
    ///
    /// ```
    /// use retrograde_array::{array, ops};
    /// let column = ops::slice(&array(vec![7_u8; 10_000]).reshaped([5000, 2])?, &[0, 0], &[5000, 1], &[1, 1]);
    /// assert_eq!((column.strides(), column.compact().strides()), (vec![2, 1], vec![1, 1]));
    /// assert_eq!(column.compact(), column);
    /// # Ok::<(), retrograde_array::ArrayError>(())
    /// ```
    pub fn compact(&self) -> Array {
        let buffer = match &self.layout {
            Some(layout) => layout.copied(&self.buffer, &self.shape),
            None => self.buffer.clone(),
        };
        Array { shape: self.shape.clone(), buffer, layout: None }
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The dtype.
    pub fn dtype(&self) -> DType {
        self.buffer.dtype()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape.size()
    }

    /// Bytes of all elements.
    pub fn size_bytes(&self) -> usize {
        self.size() * self.dtype().size_bytes()
    }

    /// The values in row-major order, `None` when `T` is not the dtype.
    ///
    /// # Cost
    /// None, but for a view whose entries do not lie one after another: it copies them once and keeps the copy.
    ///
    /// ```
    /// use retrograde_array::array;
    /// let x = array([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.as_slice::<f64>(), Some(&[1.0, 2.0, 3.0, 4.0][..]));
    /// assert_eq!(x.as_slice::<f32>(), None);
    /// assert_eq!(x.to_vec::<f64>(), Some(vec![1.0, 2.0, 3.0, 4.0]));
    /// ```
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        match &self.layout {
            None => self.buffer(),
            Some(layout) if layout.is_contiguous => {
                self.buffer().map(|values| &values[layout.offset..layout.offset + self.size()])
            }
            Some(layout) => {
                T::unwrap(layout.packed(&self.buffer, &self.shape)).map(|values| values.as_slice())
            }
        }
    }

    /// The values for writing, `None` when `T` is not the dtype. Copies them first if the buffer is shared.
    ///
    /// ```
    /// use retrograde_array::array;
    /// let x = array([1, 2]);
    /// let mut y = x.clone();
    /// y.make_mut::<i32>().unwrap()[0] = 9;
    /// assert_eq!((x, y), (array([1, 2]), array([9, 2])));
    /// ```
    pub fn make_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        if self.layout.is_some() {
            *self = self.compact();
        }
        let values = T::unwrap_mut(&mut self.buffer)?;
        if !kernel::is_unique(values) {
            *values = Arc::new(values.to_vec());
        }
        kernel::unique(values).map(Vec::as_mut_slice)
    }

    /// Whether the array is a whole buffer that nobody else holds.
    ///
    /// ```
    /// use retrograde_array::array;
    /// let mut x = array([1, 2]);
    /// assert!(x.is_unique());
    /// let y = x.clone();
    /// assert!(!x.is_unique() && x.unique_mut::<i32>().is_none());
    /// drop(y);
    /// x.unique_mut::<i32>().unwrap()[0] = 9;
    /// assert_eq!(x, array([9, 2]));
    /// ```
    #[inline]
    pub fn is_unique(&mut self) -> bool {
        self.layout.is_none() && each_data!(&mut self.buffer, values => kernel::is_unique(values))
    }

    /// The values for writing where the array [is unique](Array::is_unique), else `None`; nothing is ever copied. `None` also
    /// when `T` is not the dtype.
    #[inline]
    pub fn unique_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        if self.layout.is_some() {
            return None;
        }
        T::unwrap_mut(&mut self.buffer).and_then(kernel::unique).map(Vec::as_mut_slice)
    }

    /// An array of `+0` or `false`, or the error that there is no memory for it.
    ///
    /// # Errors
    /// [`ArrayError::OutOfMemory`]
    ///
    /// ```
    /// use retrograde_array::{Array, ArrayError, DType};
    /// assert_eq!(Array::try_zeros(DType::F32, [2])?, Array::zeros(DType::F32, [2]));
    /// let error = Array::try_zeros(DType::F64, [1 << 40, 1 << 18]).unwrap_err();
    /// assert_eq!(error.to_string(), "out of memory: 2305843009213693952 bytes wanted");
    /// # Ok::<(), ArrayError>(())
    /// ```
    pub fn try_zeros(dtype: DType, shape: impl Into<Shape>) -> Result<Array, ArrayError> {
        let shape = shape.into();
        let n = shape.checked_size().ok_or_else(|| ArrayError::TooLarge { shape: shape.clone() })?;
        each_dtype!(dtype, T => {
            let mut values = Vec::<T>::new();
            let bytes = n.saturating_mul(dtype.size_bytes());
            values.try_reserve_exact(n).map_err(|_| ArrayError::OutOfMemory { bytes })?;
            values.resize(n, T::default());
            Ok(Array::from_parts(shape, values))
        })
    }

    /// Makes the array one of this type with any entries, in the same memory; false, changing nothing, where that is shared, a
    /// view or of another size.
    ///
    /// ```
    /// use retrograde_array::{DType, Shape, array};
    /// let mut x = array([[1, 2], [3, 4]]);
    /// let y = x.clone();
    /// assert!(!x.reuse(DType::I32, &Shape::from([4]))); // shared
    /// drop(y);
    /// assert!(x.reuse(DType::I32, &Shape::from([4])));
    /// assert_eq!(x.shape(), &Shape::from([4]));
    /// ```
    #[inline]
    pub fn reuse(&mut self, dtype: DType, shape: &Shape) -> bool {
        if self.dtype() != dtype || !self.is_unique() {
            return false;
        }
        if self.shape != *shape {
            if self.buffer.len() != shape.size() {
                return false;
            }
            self.shape.clone_from(shape);
        }
        true
    }

    /// Takes over the entries of `from`: into the own memory where that is whole, unshared and of this size, so that nothing is
    /// allocated; else into new memory.
    ///
    /// ```
    /// use retrograde_array::array;
    /// let (mut x, y) = (array([[1, 2], [3, 4]]), array([[5, 6], [7, 8]]));
    /// x.assign(&y);
    /// assert!(x.is_unique() && x == y);
    /// x.assign_row(&array([[[0, 0], [0, 0]], [[9, 9], [9, 9]]]), 1);
    /// x.set_row(0, &array([1, 2]));
    /// assert_eq!(x, array([[1, 2], [9, 9]]));
    /// x.push_row(&array([3, 4]));
    /// assert_eq!(x, array([[1, 2], [9, 9], [3, 4]]));
    /// x.clear_rows();
    /// assert_eq!(x.shape().to_string(), "[0,2]");
    /// ```
    #[inline]
    pub fn assign(&mut self, from: &Array) {
        fn copy<T: Element>(to: &mut Array, from: &Array) {
            let Some(from_values) = from.as_slice::<T>() else { return };
            match to.unique_mut::<T>() {
                Some(values) if values.len() == from_values.len() => values.copy_from_slice(from_values),
                _ => {
                    *to = Array::from_parts(from.shape.clone(), from_values.to_vec());
                    return;
                }
            }
            if to.shape != from.shape {
                to.shape.clone_from(&from.shape);
            }
        }
        each_dtype!(from.dtype(), T => copy::<T>(self, from));
    }

    /// [`assign`](Array::assign) of `from.row(row)`.
    ///
    /// # Panics
    /// As [`Array::row`].
    #[inline]
    pub fn assign_row(&mut self, from: &Array, row: usize) {
        fn copy<T: Element>(to: &mut Array, from: &Array, row: usize) -> bool {
            let (Some(to), Some(from)) = (to.unique_mut::<T>(), from.as_slice::<T>()) else { return false };
            let Some(from) = from.get(row * to.len()..(row + 1) * to.len()) else { return false };
            to.copy_from_slice(from);
            true
        }
        let fits = self.dtype() == from.dtype() && from.rank() > 0 && self.shape[..] == from.shape[1..];
        if !(fits && each_dtype!(from.dtype(), T => copy::<T>(self, from, row))) {
            self.assign(&from.row(row));
        }
    }

    /// Writes entry `i` along the leading axis; copies the array first if it is shared.
    ///
    /// # Panics
    /// When there is no such row or `row` has another size or dtype: internal misuse.
    #[inline]
    pub fn set_row(&mut self, i: usize, row: &Array) {
        fn copy<T: Element>(to: &mut Array, i: usize, from: &Array) {
            let (Some(to), Some(from)) = (to.make_mut::<T>(), from.as_slice::<T>()) else {
                panic!("rows of different dtypes; this is a bug in retrograde")
            };
            to[i * from.len()..(i + 1) * from.len()].copy_from_slice(from);
        }
        each_dtype!(self.dtype(), T => copy::<T>(self, i, row));
    }

    /// Adds an entry behind the others along the leading axis.
    ///
    /// # Panics
    /// When `row` has another size or dtype: internal misuse.
    ///
    /// # Cost
    /// That of the row, averaged over many.
    pub fn push_row(&mut self, row: &Array) {
        fn push<T: Element>(to: &mut Data, from: &Array) {
            let (Some(to), Some(from)) = (T::unwrap_mut(to), from.as_slice::<T>()) else {
                panic!("rows of different dtypes; this is a bug in retrograde")
            };
            Arc::make_mut(to).extend_from_slice(from);
        }
        assert!(self.shape[1..] == row.shape[..], "rows of different shapes; this is a bug in retrograde");
        if self.layout.is_some() {
            *self = self.compact();
        }
        each_dtype!(self.dtype(), T => push::<T>(&mut self.buffer, row));
        self.shape[0] += 1;
    }

    /// Drops all entries along the leading axis; an unshared array keeps its memory for those to come.
    ///
    /// # Panics
    /// When the array is a scalar: internal misuse.
    pub fn clear_rows(&mut self) {
        let (dtype, mut shape) = (self.dtype(), self.shape.clone());
        shape[0] = 0;
        if self.is_unique() {
            each_dtype!(dtype, T => if let Some(values) = T::unwrap_mut(&mut self.buffer) { Arc::make_mut(values).clear(); });
            self.shape = shape;
        } else {
            *self = Array::zeros(dtype, shape);
        }
    }

    /// The entries in memory, in row-major order, as [`Array::as_slice`] has them: dtype, address of the first, number.
    pub(crate) fn memory(&self) -> (DType, *const u8, usize) {
        each_dtype!(self.dtype(), T => {
            let values = self.as_slice::<T>().unwrap_or_default();
            (T::DTYPE, values.as_ptr().cast(), values.len())
        })
    }

    /// The same for writing, as [`Array::make_mut`] has them.
    pub(crate) fn memory_mut(&mut self) -> (DType, *mut u8, usize) {
        each_dtype!(self.dtype(), T => {
            let values = self.make_mut::<T>().unwrap_or_default();
            (T::DTYPE, values.as_mut_ptr().cast(), values.len())
        })
    }

    /// A copy of the values in row-major order, `None` when `T` is not the dtype.
    pub fn to_vec<T: Element>(&self) -> Option<Vec<T>> {
        self.as_slice::<T>().map(<[T]>::to_vec)
    }

    /// The only element, `None` when there is not exactly one or `T` is not the dtype.
    ///
    /// ```
    /// use retrograde_array::array;
    /// assert_eq!((array([[3.0]]).item::<f64>(), array([3.0, 4.0]).item::<f64>()), (Some(3.0), None));
    /// ```
    pub fn item<T: Element>(&self) -> Option<T> {
        match self.as_slice::<T>()? {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// The element at a row-major position, `None` past the end.
    ///
    /// ```
    /// use retrograde_array::{Scalar, array};
    /// let x = array([[1, 2], [3, 4]]);
    /// assert_eq!((x.get(2), x.get(4)), (Some(Scalar::I32(3)), None));
    /// assert_eq!(x.scalars().last(), Some(Scalar::I32(4)));
    /// ```
    pub fn get(&self, position: usize) -> Option<Scalar> {
        if position >= self.size() {
            return None;
        }
        let place = self.layout.as_ref().map_or(position, |layout| layout.place(&self.shape, position));
        each_data!(&self.buffer, values => values.get(place).map(|value| value.to_scalar()))
    }

    /// The elements in row-major order.
    pub fn scalars(&self) -> impl Iterator<Item = Scalar> + '_ {
        (0..self.size()).filter_map(|position| self.get(position))
    }

    /// True when dtype, shape and every bit agree; all NaNs are equal, `-0` differs from `+0`.
    ///
    /// ```
    /// use retrograde_array::array;
    /// assert!(array([f64::NAN]).bits_eq(&array([f64::NAN])));
    /// assert!(!array([0.0]).bits_eq(&array([-0.0])));
    /// assert!(!array([1.0]).bits_eq(&array([1.0_f32])));
    /// ```
    pub fn bits_eq(&self, other: &Array) -> bool {
        fn same<T: Element>(a: &Array, b: &Array) -> bool {
            match (a.as_slice::<T>(), b.as_slice::<T>()) {
                (Some(a), Some(b)) => std::ptr::eq(a, b) || a.iter().zip(b).all(|(x, y)| x.key() == y.key()),
                _ => false,
            }
        }
        self.shape == other.shape && each_dtype!(self.dtype(), T => same::<T>(self, other))
    }

    /// The same values under another shape, sharing the buffer; a view whose entries do not lie one after another is copied.
    ///
    /// # Errors
    /// [`ArrayError::Size`] when the sizes differ.
    ///
    /// ```
    /// use retrograde_array::array;
    /// assert_eq!(array([1, 2, 3, 4]).reshaped([2, 2])?, array([[1, 2], [3, 4]]));
    /// assert!(array([1, 2, 3, 4]).reshaped([3]).is_err());
    /// # Ok::<(), retrograde_array::ArrayError>(())
    /// ```
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Result<Array, ArrayError> {
        let shape = shape.into();
        match shape.checked_size() {
            None => Err(ArrayError::TooLarge { shape }),
            Some(expected) if expected != self.size() => {
                Err(ArrayError::Size { shape, expected, found: self.size() })
            }
            Some(_) => Ok(match &self.layout {
                None => Array { shape, buffer: self.buffer.clone(), layout: None },
                Some(layout) if layout.is_contiguous => {
                    let strides = row_major(&shape);
                    self.view(shape, layout.offset, strides)
                }
                Some(layout) => {
                    let buffer = layout.packed(&self.buffer, &self.shape).clone();
                    Array { shape, buffer, layout: None }
                }
            }),
        }
    }

    /// Entry `i` along the leading axis.
    ///
    /// # Panics
    /// When the array is a scalar or `i` is outside the axis: internal misuse.
    ///
    /// ```
    /// use retrograde_array::array;
    /// assert_eq!(array([[1, 2], [3, 4]]).row(1), array([3, 4]));
    /// ```
    pub fn row(&self, i: usize) -> Array {
        assert!(
            self.rank() > 0 && i < self.shape[0],
            "row {i} of an array of shape {}; this is a bug in retrograde",
            self.shape
        );
        let shape = Shape::from(&self.shape[1..]);
        let strides = self.strides();
        let offset = self.offset().wrapping_add_signed(i as isize * strides[0]);
        self.view(shape, offset, strides[1..].to_vec())
    }

    /// Arrays of one type joined along a new leading axis.
    ///
    /// # Errors
    /// [`ArrayError::Empty`] for no arrays; [`ArrayError::DType`] or [`ArrayError::Shape`] when they differ.
    ///
    /// ```
    /// use retrograde_array::{Array, array};
    /// assert_eq!(Array::stack(&[array([1, 2]), array([3, 4])])?, array([[1, 2], [3, 4]]));
    /// let error = Array::stack(&[array([1, 2]), array([3, 4, 5])]).unwrap_err();
    /// assert_eq!(error.to_string(), "shape [3] found where [2] was expected");
    /// # Ok::<(), retrograde_array::ArrayError>(())
    /// ```
    pub fn stack(arrays: &[Array]) -> Result<Array, ArrayError> {
        fn join<T: Element>(arrays: &[Array], shape: Shape) -> Array {
            let mut values = Vec::with_capacity(shape.size());
            for array in arrays {
                values.extend_from_slice(array.as_slice::<T>().unwrap_or_default());
            }
            Array::from_parts(shape, values)
        }
        let first = arrays.first().ok_or(ArrayError::Empty)?;
        for other in arrays {
            if other.dtype() != first.dtype() {
                return Err(ArrayError::DType { expected: first.dtype(), found: other.dtype() });
            }
            if other.shape != first.shape {
                let (expected, found) = (first.shape.clone().into(), other.shape.clone().into());
                return Err(ArrayError::Shape { expected, found });
            }
        }
        let shape = std::iter::once(arrays.len()).chain(first.shape.iter().copied()).collect();
        Ok(each_dtype!(first.dtype(), T => join::<T>(arrays, shape)))
    }
}

impl PartialEq for Array {
    fn eq(&self, other: &Array) -> bool {
        self.bits_eq(other)
    }
}

impl Eq for Array {}

impl Hash for Array {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dtype().hash(state);
        self.shape.hash(state);
        each_dtype!(self.dtype(), T => {
            self.as_slice::<T>().unwrap_or_default().iter().for_each(|value| value.key().hash(state));
        });
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {self}", self.dtype(), self.shape)
    }
}
