//! Convolutions (cross-correlations, as in deep learning) and their two transposes, by products of windows.
//!
//! With the input x `[n, g·c, lens..]`, the kernel w `[g·o, c, size..]` and the output y `[n, g·o, places..]`, for g groups,
//! all three functions belong to one form `Σ y·x·w` over the windows: each leaves out the factor it returns. Sums over
//! channels and window, and over examples and places, are canonical products in that order; what several windows give to one
//! entry of the input is added place by place.

use crate::kernel::{
    self, Entries, Geometry, Matrix, Places, Registers, Runs, Scratch, Windows as Slid, Workers,
};
use crate::{Array, Element, Shape};

use super::dot::{entries, group_stride, values_mut};
use super::window::{Window, add_windows, geometry, windows};
use super::{DotDims, bug, dot_general, each_num, reshape, transpose};

/// Which of input, kernel and output a [`Convolution`] computes from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConvolutionForm {
    /// [`conv`]
    Output,
    /// [`conv_input`]
    Input,
    /// [`conv_kernel`]
    Kernel,
}

/// A convolution of arrays of known shapes, or one of its transposes, into an array that is there already. Windows are
/// copied a few registers at a time where the product needs them, never as a whole; the bits are those of [`conv`],
/// [`conv_input`] and [`conv_kernel`].
///
/// ```
/// use retrograde_array::{Alone, Array, DType, Scratch, array};
/// use retrograde_array::ops::{Convolution, ConvolutionForm, Window};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![0], high: vec![0], dilation: vec![1] };
/// let (x, w) = (array([[[1.0, 2.0, 4.0]]]), array([[[10.0, 1.0]]]));
/// let convolution = Convolution::new(ConvolutionForm::Output, [x.shape(), w.shape()], &window, 1, &[3]);
/// let mut y = Array::zeros(DType::F64, convolution.shape().clone());
/// convolution.run(&x, &w, &mut y, &Alone, &mut Scratch::default());
/// assert_eq!(y, array([[[12.0, 24.0]]]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Convolution {
    form: ConvolutionForm,
    geometry: Geometry,
    shape: Shape,
    n: usize,
    groups: usize,
    /// Channels of a group, in and out.
    c: usize,
    o: usize,
}

impl Convolution {
    /// The convolution of factors of the given shapes, in the order in which [`conv`], [`conv_input`] and [`conv_kernel`] take
    /// them, over axes of lengths `lens` of the input.
    ///
    /// # Panics
    /// When shapes or groups do not fit: internal misuse.
    pub fn new(
        form: ConvolutionForm,
        shapes: [&Shape; 2],
        window: &Window,
        groups: usize,
        lens: &[usize],
    ) -> Convolution {
        let [a, b] = shapes;
        let rank = window.size.len();
        let misfit = || bug(&format!("{form:?} of a convolution of {a} and {b} by {window:?} over {lens:?}"));
        if a.rank() != rank + 2 || b.rank() != rank + 2 || groups == 0 {
            misfit();
        }
        let geometry = geometry(window, lens);
        let (n, channels, outputs) = match form {
            ConvolutionForm::Output => (a[0], a[1], b[0]),
            ConvolutionForm::Input => (a[0], groups * b[1], a[1]),
            ConvolutionForm::Kernel => (a[0], a[1], b[1]),
        };
        let (c, o) = (channels / groups, outputs / groups);
        let input = Shape::from([&[n, groups * c], lens].concat());
        let kernel = Shape::from([&[groups * o, c], &window.size[..]].concat());
        let output = Shape::from([&[n, groups * o], &window.places(lens)[..]].concat());
        let (left, right, shape) = match form {
            ConvolutionForm::Output => (&input, &kernel, &output),
            ConvolutionForm::Input => (&output, &kernel, &input),
            ConvolutionForm::Kernel => (&input, &output, &kernel),
        };
        if left != a || right != b {
            misfit();
        }
        Convolution { form, geometry, shape: shape.clone(), n, groups, c, o }
    }

    /// The shape of the result.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Writes the result to `out`, an array of its shape that shares its memory with no other. A factor whose axes cannot be
    /// walked as they lie is copied first.
    ///
    /// # Panics
    /// When shapes or dtypes do not fit, or the dtype is `bool` or `bf16`: internal misuse.
    pub fn run(&self, a: &Array, b: &Array, out: &mut Array, workers: &dyn Workers, scratch: &mut Scratch) {
        each_num!(out.dtype(), "convolution", T => {
            let out = values_mut::<T>(out, &self.shape);
            match self.form {
                ConvolutionForm::Output => self.output(a, b, out, workers, scratch),
                ConvolutionForm::Input => self.input(a, b, out, workers, scratch),
                ConvolutionForm::Kernel => self.kernel(a, b, out, workers, scratch),
            }
        });
    }

    fn output<T: Registers>(
        &self,
        x: &Array,
        w: &Array,
        y: &mut [T],
        workers: &dyn Workers,
        scratch: &mut Scratch,
    ) {
        let &Convolution { geometry, n, groups, c, o, .. } = self;
        let (mut x_copy, mut w_copy) = (None, None);
        let x = forwards(x, |_| true, &mut x_copy);
        let w = forwards(w, |w| group_stride(w, 1..w.rank()).is_some(), &mut w_copy);
        let n_terms = c * geometry.n_entries();
        let [of_output, of_term] = [stride(w, 0), group_stride(w, 1..w.rank()).unwrap_or(1)];
        let factors = |i: usize| {
            let (example, group) = (i / groups, i % groups);
            let w = &from::<T>(w)[group * o * of_output..];
            let x = self.slid(x, group);
            (Matrix::new(w, [of_output, o], [of_term, n_terms]), Places(x, example))
        };
        kernel::product(n * groups, factors, [o, n_terms, geometry.n_places()], y, workers, scratch);
    }

    fn input<T: Registers>(
        &self,
        y: &Array,
        w: &Array,
        x: &mut [T],
        workers: &dyn Workers,
        scratch: &mut Scratch,
    ) {
        let &Convolution { geometry, n, groups, c, o, .. } = self;
        let (mut y_copy, mut w_copy) = (None, None);
        let y = forwards(y, |y| group_stride(y, 2..y.rank()).is_some(), &mut y_copy);
        let w = forwards(w, |w| group_stride(w, 1..w.rank()).is_some(), &mut w_copy);
        let [of_place, of_entry] =
            [group_stride(y, 2..y.rank()), group_stride(w, 1..w.rank())].map(|stride| stride.unwrap_or(1));
        let factors = |i: usize| {
            let (example, group) = (i / groups, i % groups);
            let w_values = &from::<T>(w)[group * o * stride(w, 0)..];
            let y_values = &from::<T>(y)[example * stride(y, 0) + group * o * stride(y, 1)..];
            let entries = Matrix::new(w_values, [of_entry, c * geometry.n_entries()], [stride(w, 0), o]);
            (entries, Matrix::new(y_values, [of_place, geometry.n_places()], [stride(y, 1), o]))
        };
        kernel::product_of_windows(n * groups, factors, [c, o], &geometry, x, workers, scratch);
    }

    fn kernel<T: Registers>(
        &self,
        x: &Array,
        y: &Array,
        w: &mut [T],
        workers: &dyn Workers,
        scratch: &mut Scratch,
    ) {
        let &Convolution { geometry, n, groups, c, o, .. } = self;
        let (mut x_copy, mut y_copy) = (None, None);
        let x = forwards(x, |_| true, &mut x_copy);
        let y = forwards(y, |y| group_stride(y, 2..y.rank()) == Some(1), &mut y_copy);
        let (n_entries, n_places) = (c * geometry.n_entries(), geometry.n_places());
        let factors = |group: usize| {
            let y_values = &from::<T>(y)[group * o * stride(y, 1)..];
            let outputs = Runs::new(y_values, [stride(y, 1), o], n_places, [stride(y, 0), n]);
            (Entries(self.slid(x, group)), outputs)
        };
        // Windows by outputs, then outputs by windows.
        scratch.with_unordered::<T>(w.len(), |sums, scratch| {
            kernel::product(groups, factors, [n_entries, n * n_places, o], sums, workers, scratch);
            let size = n_entries * o;
            for (w, sums) in w.chunks_exact_mut(size.max(1)).zip(sums.chunks_exact(size.max(1))) {
                for (i, w) in w.chunks_exact_mut(n_entries).enumerate() {
                    for (w, sums) in w.iter_mut().zip(sums.chunks_exact(o)) {
                        *w = sums[i];
                    }
                }
            }
        });
    }

    /// The windows over the channels of a group.
    fn slid<'a, T: Registers>(&self, x: &'a Array, group: usize) -> Slid<'a, T> {
        let mut strides = [0; 5];
        let rank = x.rank() - 2;
        strides[..2].copy_from_slice(&[stride(x, 0), stride(x, 1)]);
        for axis in 0..rank {
            strides[5 - rank + axis] = stride(x, 2 + axis);
        }
        Slid::new(&from(x)[group * self.c * strides[1]..], self.geometry, [self.n, self.c], strides)
    }
}

/// The entries from the first one on.
fn from<T: Element>(x: &Array) -> &[T] {
    let values = entries(x);
    &values[x.offset().min(values.len())..]
}

/// The stride of an axis that is walked forwards.
fn stride(x: &Array, axis: usize) -> usize {
    x.stride(axis).unsigned_abs()
}

/// The array itself if no axis is walked backwards and it `fits`, else a copy.
fn forwards<'a>(x: &'a Array, fits: impl Fn(&Array) -> bool, copy: &'a mut Option<Array>) -> &'a Array {
    if (0..x.rank()).all(|axis| x.stride(axis) >= 0) && fits(x) { x } else { copy.insert(x.compact()) }
}

/// `[n, g·c, ..]` as `[n, g, c, ..]`.
fn grouped(x: &Array, groups: usize) -> Array {
    let shape = x.shape();
    if shape.rank() < 2 || groups == 0 || !shape[1].is_multiple_of(groups) {
        bug(&format!("convolution of shape {shape} in {groups} groups"));
    }
    reshape(x, &[&[shape[0], groups, shape[1] / groups], &shape[2..]].concat().into())
}

/// `[g·o, ..]` as `[g, o, ..]`.
fn kernel_grouped(w: &Array, groups: usize) -> Array {
    let shape = w.shape();
    if groups == 0 || !shape[0].is_multiple_of(groups) {
        bug(&format!("convolution by a kernel of shape {shape} in {groups} groups"));
    }
    reshape(w, &[&[groups, shape[0] / groups], &shape[1..]].concat().into())
}

/// The output. `x: [n, g·c, lens..]`, `w: [g·o, c, size..]` → `[n, g·o, places..]`.
///
/// # Panics
/// When shapes, dtypes or groups do not fit: internal misuse.
///
/// # Cost
/// n·g·o·c multiply-adds for each place and entry of the window, and a copy of the windows.
///
/// ```
/// use retrograde_array::{array, ops::{self, Window}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![0], high: vec![0], dilation: vec![1] };
/// let (x, w) = (array([[[1.0, 2.0, 4.0]]]), array([[[10.0, 1.0]]]));
/// assert_eq!(ops::conv(&x, &w, &window, 1), array([[[12.0, 24.0]]]));
/// ```
pub fn conv(x: &Array, w: &Array, window: &Window, groups: usize) -> Array {
    let d = window.size.len();
    // [n, g, c, places.., size..] by [g, o, c, size..]
    let x = windows(&grouped(x, groups), window);
    let w = kernel_grouped(w, groups);
    let dims = DotDims {
        lhs_contract: std::iter::once(2).chain(3 + d..3 + 2 * d).collect(),
        rhs_contract: (2..3 + d).collect(),
        lhs_batch: vec![1],
        rhs_batch: vec![0],
    };
    // [g, n, places.., o]
    let y = dot_general(&x, &w, &dims);
    let perm: Vec<usize> = [1, 0, 2 + d].into_iter().chain(2..2 + d).collect();
    merge_groups(&transpose(&y, &perm))
}

/// The cotangent of the input. `y: [n, g·o, places..]`, `w: [g·o, c, size..]` → `[n, g·c, lens..]`.
///
/// # Panics
/// When shapes, dtypes or groups do not fit: internal misuse.
///
/// # Cost
/// That of [`conv`].
///
/// ```
/// use retrograde_array::{array, ops::{self, Window}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![0], high: vec![0], dilation: vec![1] };
/// let (y_bar, w) = (array([[[1.0, 1.0]]]), array([[[10.0, 1.0]]]));
/// assert_eq!(ops::conv_input(&y_bar, &w, &window, 1, &[3]), array([[[10.0, 11.0, 1.0]]]));
/// ```
pub fn conv_input(y: &Array, w: &Array, window: &Window, groups: usize, lens: &[usize]) -> Array {
    let d = window.size.len();
    // [n, g, o, places..] by [g, o, c, size..] to [g, n, places.., c, size..]
    let dims =
        DotDims { lhs_contract: vec![2], rhs_contract: vec![1], lhs_batch: vec![1], rhs_batch: vec![0] };
    let x = dot_general(&grouped(y, groups), &kernel_grouped(w, groups), &dims);
    let perm: Vec<usize> = [1, 0, 2 + d].into_iter().chain(2..2 + d).chain(3 + d..3 + 2 * d).collect();
    merge_groups(&add_windows(&transpose(&x, &perm), window, lens))
}

/// The cotangent of the kernel. `x: [n, g·c, lens..]`, `y: [n, g·o, places..]` → `[g·o, c, size..]`.
///
/// # Panics
/// When shapes, dtypes or groups do not fit: internal misuse.
///
/// # Cost
/// That of [`conv`].
///
/// ```
/// use retrograde_array::{array, ops::{self, Window}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![0], high: vec![0], dilation: vec![1] };
/// let (x, y_bar) = (array([[[1.0, 2.0, 4.0]]]), array([[[1.0, 1.0]]]));
/// assert_eq!(ops::conv_kernel(&x, &y_bar, &window, 1), array([[[3.0, 6.0]]]));
/// ```
pub fn conv_kernel(x: &Array, y: &Array, window: &Window, groups: usize) -> Array {
    let d = window.size.len();
    // [n, g, o, places..] by [n, g, c, places.., size..] to [g, o, c, size..]
    let dims = DotDims {
        lhs_contract: std::iter::once(0).chain(3..3 + d).collect(),
        rhs_contract: std::iter::once(0).chain(3..3 + d).collect(),
        lhs_batch: vec![1],
        rhs_batch: vec![1],
    };
    let w = dot_general(&grouped(y, groups), &windows(&grouped(x, groups), window), &dims);
    let shape = w.shape();
    reshape(&w, &[&[shape[0] * shape[1]], &shape[2..]].concat().into())
}

/// `[n, g, c, ..]` as `[n, g·c, ..]`.
fn merge_groups(x: &Array) -> Array {
    let shape = x.shape();
    reshape(x, &[&[shape[0], shape[1] * shape[2]], &shape[3..]].concat().into())
}
