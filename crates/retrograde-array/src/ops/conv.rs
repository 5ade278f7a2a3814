//! Convolutions (cross-correlations, as in deep learning) and their two transposes, by products of windows.
//!
//! With the input x `[n, g·c, lens..]`, the kernel w `[g·o, c, size..]` and the output y `[n, g·o, places..]`, for g groups,
//! all three functions belong to one form `Σ y·x·w` over the windows: each leaves out the factor it returns. Sums over
//! channels and window, and over examples and places, are canonical products in that order; what several windows give to one
//! entry of the input is added place by place.

use crate::Array;

use super::window::{Window, add_windows, windows};
use super::{DotDims, bug, dot_general, reshape, transpose};

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
