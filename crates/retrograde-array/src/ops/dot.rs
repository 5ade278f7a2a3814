//! Products with contraction and shared axes.

use crate::kernel::{self, Alone, Matrix, Registers, Scratch, Workers};
use crate::{Array, DType, Shape};

use super::bf16::in_f32;
use super::{bug, each_num, transpose};

/// Which axes of the two factors of [`dot_general`] are contracted and which are shared (batch); the others are free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DotDims {
    /// Contracted axes of the left factor, paired in order with those of the right.
    pub lhs_contract: Vec<usize>,
    /// Contracted axes of the right factor.
    pub rhs_contract: Vec<usize>,
    /// Shared axes of the left factor, paired in order with those of the right.
    pub lhs_batch: Vec<usize>,
    /// Shared axes of the right factor.
    pub rhs_batch: Vec<usize>,
}

impl DotDims {
    /// The axes of a matrix product: `[m, k]` by `[k, n]`.
    pub fn matmul() -> DotDims {
        DotDims { lhs_contract: vec![1], rhs_contract: vec![0], ..DotDims::default() }
    }
}

/// The product of two arrays: entries are multiplied and summed over the contracted axes, for each entry of the shared axes.
///
/// Shape: shared axes, then free axes of `a`, then free axes of `b`. Order of the sum: Note [canonical product] of the
/// kernels, terms numbered by the contracted axes in the order given. `bf16` is multiplied and summed in `f32` and rounded once.
///
/// # Panics
/// When axes or lengths do not fit or the dtype is `bool`: internal misuse.
///
/// # Cost
/// One multiply-add for each entry of the shared, free and contracted axes together.
///
/// ```
/// use retrograde_array::{DotDims, array, ops};
/// let (a, b) = (array([[1.0, 2.0], [3.0, 4.0]]), array([[1.0], [10.0]]));
/// assert_eq!(ops::dot_general(&a, &b, &DotDims::matmul()), array([[21.0], [43.0]]));
/// // The same rows multiplied, one by one.
/// let dims = DotDims { lhs_contract: vec![1], rhs_contract: vec![1], lhs_batch: vec![0], rhs_batch: vec![0] };
/// assert_eq!(ops::dot_general(&a, &a, &dims), array([5.0, 25.0]));
/// ```
pub fn dot_general(a: &Array, b: &Array, dims: &DotDims) -> Array {
    if a.dtype() != b.dtype() {
        bug(&format!("product of {}{} and {}{} by {dims:?}", a.dtype(), a.shape(), b.dtype(), b.shape()));
    }
    if a.dtype() == DType::BF16 {
        return in_f32([a, b], |[a, b]| dot_general(a, b, dims));
    }
    let product = Product::new(a.shape(), b.shape(), dims);
    let mut out = Array::zeros(a.dtype(), product.shape.clone());
    product.run(a, b, &mut out, &Alone, &mut Scratch::default());
    out
}

/// A product of arrays of known shapes: [`dot_general`] into an array that is there already.
///
/// ```
/// use retrograde_array::{Alone, DType, Array, DotDims, Scratch, array, ops::Product};
/// let (a, b) = (array([[1.0, 2.0], [3.0, 4.0]]), array([[1.0], [10.0]]));
/// let product = Product::new(a.shape(), b.shape(), &DotDims::matmul());
/// let mut out = Array::zeros(DType::F64, product.shape().clone());
/// product.run(&a, &b, &mut out, &Alone, &mut Scratch::default());
/// assert_eq!(out, array([[21.0], [43.0]]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Product {
    shape: Shape,
    /// The axes of each factor: shared, free, contracted.
    axes: [[Vec<usize>; 3]; 2],
    lens: [usize; 4],
}

impl Product {
    /// The product of arrays of the given shapes.
    ///
    /// # Panics
    /// When axes or lengths do not fit: internal misuse.
    pub fn new(a: &Shape, b: &Shape, dims: &DotDims) -> Product {
        let pairs = |left: &[usize], right: &[usize]| {
            left.len() == right.len()
                && left.iter().zip(right).all(|(&i, &j)| a.get(i).is_some_and(|len| b.get(j) == Some(len)))
        };
        let distinct = |x: &[usize], y: &[usize]| {
            let mut all: Vec<usize> = x.iter().chain(y).copied().collect();
            all.sort_unstable();
            all.windows(2).all(|pair| pair[0] != pair[1])
        };
        let fits = pairs(&dims.lhs_contract, &dims.rhs_contract)
            && pairs(&dims.lhs_batch, &dims.rhs_batch)
            && distinct(&dims.lhs_contract, &dims.lhs_batch)
            && distinct(&dims.rhs_contract, &dims.rhs_batch);
        if !fits {
            bug(&format!("product of shapes {a} and {b} by {dims:?}"));
        }
        let groups = |shape: &Shape, batch: &[usize], contract: &[usize]| {
            let free =
                (0..shape.rank()).filter(|axis| !contract.contains(axis) && !batch.contains(axis)).collect();
            [batch.to_vec(), free, contract.to_vec()]
        };
        let axes =
            [groups(a, &dims.lhs_batch, &dims.lhs_contract), groups(b, &dims.rhs_batch, &dims.rhs_contract)];
        let [[batch, a_free, contract], [_, b_free, _]] = &axes;
        let count = |shape: &Shape, axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
        let lens = [count(a, batch), count(a, a_free), count(a, contract), count(b, b_free)];
        let shape = batch.iter().chain(a_free).map(|&axis| a[axis]).chain(b_free.iter().map(|&axis| b[axis]));
        Product { shape: shape.collect(), axes, lens }
    }

    /// The shape of the product.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Writes the product to `out`, an array of that shape that shares its memory with no other. Factors are read as they lie
    /// in memory, so a transpose or broadcast costs nothing, unless the axes of one group (free or contracted) cannot be
    /// walked with one stride: then the factor is copied first.
    ///
    /// # Panics
    /// When shapes or dtypes do not fit, or the dtype is `bool` or `bf16`: internal misuse.
    pub fn run(&self, a: &Array, b: &Array, out: &mut Array, workers: &dyn Workers, scratch: &mut Scratch) {
        each_num!(out.dtype(), "product", T => self.run_typed::<T>(a, b, out, workers, scratch));
    }

    fn run_typed<T: Registers>(
        &self,
        a: &Array,
        b: &Array,
        out: &mut Array,
        workers: &dyn Workers,
        scratch: &mut Scratch,
    ) {
        let [count, m, k, n] = self.lens;
        let (mut a_copy, mut b_copy) = (None, None);
        let a = Walked::new(a, &self.axes[0], &mut a_copy);
        let b = Walked::new(b, &self.axes[1], &mut b_copy);
        let (a_values, b_values) = (entries::<T>(a.array), entries::<T>(b.array));
        let factors = |i: usize| {
            let (a_at, b_at) = (a.place(i), b.place(i));
            let left = Matrix::new(&a_values[a_at..], [a.free, m], [a.contract, k]);
            (left, Matrix::new(&b_values[b_at..], [b.free, n], [b.contract, k]))
        };
        let out = values_mut::<T>(out, &self.shape);
        // With one column the output has one layout, and the factors may change places (multiplication commutes): the
        // one column is then read as few rows are.
        if n == 1 && m > 1 {
            let swapped = |i: usize| {
                let (a, b) = factors(i);
                (b, a)
            };
            kernel::product(count, swapped, [n, k, m], out, workers, scratch);
        } else {
            kernel::product(count, factors, [m, k, n], out, workers, scratch);
        }
    }
}

/// The values of an array of the given shape, for writing.
pub(super) fn values_mut<'a, T: crate::Element>(out: &'a mut Array, shape: &Shape) -> &'a mut [T] {
    if out.shape() != shape {
        bug(&format!("a result of shape {shape} into an array of shape {}", out.shape()));
    }
    whole_mut(out)
}

/// The values of an array, for writing.
pub(super) fn whole_mut<T: crate::Element>(out: &mut Array) -> &mut [T] {
    let dtype = out.dtype();
    match out.make_mut() {
        Some(values) => values,
        None => bug(&format!("{} values into an array of {dtype}", T::DTYPE)),
    }
}

pub(super) fn entries<T: crate::Element>(x: &Array) -> &[T] {
    match x.buffer() {
        Some(values) => values,
        None => bug(&format!("{} array where {} was promised", x.dtype(), T::DTYPE)),
    }
}

/// A factor of which each of the last two groups of axes is walked with one stride.
struct Walked<'a> {
    array: &'a Array,
    /// The shared axes, or none where each entry of theirs takes `size` places.
    shared: Result<&'a [usize], usize>,
    free: usize,
    contract: usize,
}

impl<'a> Walked<'a> {
    /// The factor itself, or a copy with its axes in the order of the groups if one of the last two is scattered in memory.
    fn new(x: &'a Array, groups: &'a [Vec<usize>; 3], copy: &'a mut Option<Array>) -> Walked<'a> {
        let [shared, free, contract] = groups;
        let walk = |axes: &[usize]| group_stride(x, axes.iter().copied());
        if let (Some(free), Some(contract)) = (walk(free), walk(contract)) {
            return Walked { array: x, shared: Ok(shared), free, contract };
        }
        let len = |axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).product::<usize>();
        let array = copy.insert(transpose(x, &groups.concat()).compact());
        let n_terms = len(contract);
        Walked { array, shared: Err(len(free) * n_terms), free: n_terms, contract: 1 }
    }

    /// Where the first entry lies for entry `i` of the shared axes, counted in row-major order.
    fn place(&self, mut i: usize) -> usize {
        let axes = match self.shared {
            Ok(axes) => axes,
            Err(size) => return i * size,
        };
        let mut place = self.array.offset();
        for &axis in axes.iter().rev() {
            let len = self.array.shape()[axis];
            place = place.wrapping_add_signed((i % len) as isize * self.array.stride(axis));
            i /= len;
        }
        place
    }
}

/// The one stride that walks a group of axes forwards in row-major order, if there is one.
pub(super) fn group_stride(x: &Array, axes: impl DoubleEndedIterator<Item = usize>) -> Option<usize> {
    let mut long = axes.filter(|&axis| x.shape()[axis] != 1).rev();
    let Some(innermost) = long.next() else { return Some(1) };
    let stride = usize::try_from(x.stride(innermost)).ok()?;
    let mut next = stride * x.shape()[innermost];
    for axis in long {
        if usize::try_from(x.stride(axis)) != Ok(next) {
            return None;
        }
        next *= x.shape()[axis];
    }
    Some(stride)
}
