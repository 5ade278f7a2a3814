//! Windows that slide over the last one to three axes: their entries, the transpose of that, and where the largest stands.

use crate::kernel::{self, Alone, Geometry, Num, Workers, chunked};
use crate::{Array, DType, Shape};

use super::bf16::in_f32;
use super::dot::whole_mut;
use super::elementwise::result;
use super::{bug, each_dtype, each_num, values};

/// How a window slides, one entry of each list per axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// Entries of the window.
    pub size: Vec<usize>,
    /// From one place of the window to the next.
    pub strides: Vec<usize>,
    /// Entries added before the first.
    pub low: Vec<usize>,
    /// Entries added after the last.
    pub high: Vec<usize>,
    /// From one entry of the window to the next.
    pub dilation: Vec<usize>,
}

impl Window {
    /// How many places the window has along each axis of these lengths.
    ///
    /// ```
    /// # use retrograde_array::ops::Window;
    /// let window = Window { size: vec![3], strides: vec![2], low: vec![1], high: vec![0], dilation: vec![1] };
    /// assert_eq!(window.places(&[6]), [3]);
    /// ```
    pub fn places(&self, lens: &[usize]) -> Vec<usize> {
        let along = |(axis, &len): (usize, &usize)| {
            let extent = self.dilation[axis] * self.size[axis].saturating_sub(1) + 1;
            (len + self.low[axis] + self.high[axis])
                .checked_sub(extent)
                .map_or(0, |room| room / self.strides[axis] + 1)
        };
        lens.iter().enumerate().map(along).collect()
    }
}

/// The window over exactly three axes; the first ones may be of length 1.
pub(super) fn geometry(window: &Window, lens: &[usize]) -> Geometry {
    let rank = window.size.len();
    let one_each =
        [&window.strides, &window.low, &window.high, &window.dilation].iter().all(|list| list.len() == rank);
    let positive = window.strides.iter().chain(&window.dilation).chain(&window.size).all(|&n| n > 0);
    if rank > 3 || lens.len() != rank || !one_each || !positive {
        bug(&format!("{window:?} over axes of lengths {lens:?}"));
    }
    let three = |list: &[usize], absent: usize| {
        let mut all = [absent; 3];
        all[3 - rank..].copy_from_slice(list);
        all
    };
    Geometry {
        lens: three(lens, 1),
        places: three(&window.places(lens), 1),
        size: three(&window.size, 1),
        strides: three(&window.strides, 1),
        low: three(&window.low, 0),
        dilation: three(&window.dilation, 1),
    }
}

/// The geometry over exactly three axes; the first ones may be of length 1.
struct Slide {
    lens: [usize; 3],
    places: [usize; 3],
    size: [usize; 3],
    /// For each axis, place and entry: the position along the axis, unless that is padding.
    at: [Vec<Option<usize>>; 3],
}

impl Slide {
    fn new(window: &Window, lens: &[usize]) -> Slide {
        let rank = window.size.len();
        let one_each = [&window.strides, &window.low, &window.high, &window.dilation]
            .iter()
            .all(|list| list.len() == rank);
        let positive = window.strides.iter().chain(&window.dilation).chain(&window.size).all(|&n| n > 0);
        if rank > 3 || lens.len() != rank || !one_each || !positive {
            bug(&format!("{window:?} over axes of lengths {lens:?}"));
        }
        let places = window.places(lens);
        let three = |list: &[usize]| {
            let mut all = [1; 3];
            all[3 - rank..].copy_from_slice(list);
            all
        };
        let along = |axis: usize| {
            let Some(axis) = (axis + rank).checked_sub(3) else { return vec![Some(0)] };
            let place = |o: usize| {
                (0..window.size[axis]).map(move |k| {
                    let position =
                        (o * window.strides[axis] + k * window.dilation[axis]).checked_sub(window.low[axis]);
                    position.filter(|&position| position < lens[axis])
                })
            };
            (0..places[axis]).flat_map(place).collect()
        };
        Slide {
            lens: three(lens),
            places: three(&places),
            size: three(&window.size),
            at: [along(0), along(1), along(2)],
        }
    }

    /// Calls `visit(place, entry, position)` for all entries that are not padding: entries of a place in row-major order,
    /// places in row-major order.
    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [p0, p1, p2] = self.places;
        let [s0, s1, s2] = self.size;
        let [_, l1, l2] = self.lens;
        for o in 0..p0 * p1 {
            let (o0, o1) = (o / p1, o % p1);
            for o2 in 0..p2 {
                for k in 0..s0 * s1 {
                    let (k0, k1) = (k / s1, k % s1);
                    let (Some(x0), Some(x1)) = (self.at[0][o0 * s0 + k0], self.at[1][o1 * s1 + k1]) else {
                        continue;
                    };
                    let row = (x0 * l1 + x1) * l2;
                    for (k2, x2) in self.at[2][o2 * s2..(o2 + 1) * s2].iter().enumerate() {
                        if let Some(x2) = x2 {
                            visit(o * p2 + o2, k * s2 + k2, row + x2);
                        }
                    }
                }
            }
        }
    }
}

/// Splits a shape before its last `window.size.len()` axes.
fn split<'a>(shape: &'a Shape, window: &Window) -> (&'a [usize], &'a [usize]) {
    match shape.rank().checked_sub(window.size.len()) {
        Some(lead) => shape.split_at(lead),
        None => bug(&format!("{window:?} over shape {shape}")),
    }
}

/// The entries under the window at each of its places; zero in the padding.
///
/// Shape: `[lead.., lens..]` → `[lead.., places.., size..]`.
///
/// # Panics
/// When the window does not fit the shape: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops::{Window, windows}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![1], high: vec![0], dilation: vec![1] };
/// assert_eq!(windows(&array([1, 2, 3]), &window), array([[0, 1], [1, 2], [2, 3]]));
/// ```
pub fn windows(x: &Array, window: &Window) -> Array {
    let (lead, lens) = split(x.shape(), window);
    let slide = Slide::new(window, lens);
    let n_entries: usize = slide.size.iter().product();
    let (from, to) = (lens.iter().product::<usize>(), slide.places.iter().product::<usize>() * n_entries);
    let shape = Shape::from([lead, &window.places(lens), &window.size].concat());
    each_dtype!(x.dtype(), T => {
        let mut out = vec![T::default(); shape.size()];
        if from > 0 && to > 0 {
            for (out, x) in out.chunks_exact_mut(to).zip(values::<T>(x).chunks_exact(from)) {
                slide.each(|place, entry, position| out[place * n_entries + entry] = x[position]);
            }
        }
        result(&shape, out)
    })
}

/// The transpose of [`windows`]: every entry is added to where it came from, place by place and entry by entry in row-major
/// order, starting from zero.
///
/// Shape: `[lead.., places.., size..]` → `[lead.., lens..]`.
///
/// # Panics
/// When the window does not fit the shapes or the dtype is `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops::{Window, add_windows}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![1], high: vec![0], dilation: vec![1] };
/// assert_eq!(add_windows(&array([[9, 1], [1, 2], [2, 3]]), &window, &[3]), array([2, 4, 3]));
/// ```
pub fn add_windows(y: &Array, window: &Window, lens: &[usize]) -> Array {
    if y.dtype() == DType::BF16 {
        return in_f32([y], |[y]| add_windows(y, window, lens));
    }
    let slide = Slide::new(window, lens);
    let tail = [window.places(lens), window.size.clone()].concat();
    let lead = y.rank().checked_sub(tail.len()).filter(|&lead| y.shape()[lead..] == tail[..]);
    let Some(lead) = lead else { bug(&format!("adding windows of shape {} to lengths {lens:?}", y.shape())) };
    let n_entries: usize = slide.size.iter().product();
    let (from, to) = (tail.iter().product::<usize>(), lens.iter().product::<usize>());
    let shape = Shape::from([&y.shape()[..lead], lens].concat());
    each_num!(y.dtype(), "adding windows", T => {
        let mut out = vec![T::ZERO; shape.size()];
        if from > 0 && to > 0 {
            for (out, y) in out.chunks_exact_mut(to).zip(values::<T>(y).chunks_exact(from)) {
                slide.each(|place, entry, position| out[position] = out[position].plus(y[place * n_entries + entry]));
            }
        }
        result(&shape, out)
    })
}

/// Where the largest entry under the window stands, at each place of the window: its row-major position (`i64`) among the
/// entries of the last axes. The first of equal ones, `-0` equal to `+0`, NaN above everything; padding does not count.
///
/// Shape: `[lead.., lens..]` → `[lead.., places..]`.
///
/// # Panics
/// When a window lies wholly in the padding, or the dtype is `bool`: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops::{Window, window_argmax}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![1], high: vec![0], dilation: vec![1] };
/// assert_eq!(window_argmax(&array([5.0, 5.0, 7.0]), &window), array([0_i64, 0, 2]));
/// ```
pub fn window_argmax(x: &Array, window: &Window) -> Array {
    if x.dtype() == DType::BF16 {
        return window_argmax(&super::convert(x, DType::F32), window);
    }
    let (lead, lens) = split(x.shape(), window);
    let mut out = Array::zeros(DType::I64, [lead, &window.places(lens)].concat());
    WindowArgmax::new(x.shape(), window).run(x, &mut out, &Alone);
    out
}

/// [`window_argmax()`] of an array of known shape into an array that is there already.
///
/// ```
/// use retrograde_array::{Alone, Array, DType, array, ops::{Window, WindowArgmax}};
/// let window = Window { size: vec![2], strides: vec![1], low: vec![1], high: vec![0], dilation: vec![1] };
/// let x = array([5.0, 5.0, 7.0]);
/// let mut out = Array::zeros(DType::I64, [3]);
/// WindowArgmax::new(x.shape(), &window).run(&x, &mut out, &Alone);
/// assert_eq!(out, array([0_i64, 0, 2]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowArgmax {
    geometry: Geometry,
    operand: Shape,
}

impl WindowArgmax {
    /// Over an array of this shape.
    ///
    /// # Panics
    /// When the window does not fit the shape: internal misuse.
    pub fn new(operand: &Shape, window: &Window) -> WindowArgmax {
        let (_, lens) = split(operand, window);
        WindowArgmax { geometry: geometry(window, lens), operand: operand.clone() }
    }

    /// Writes the positions to `out` (`i64`), which shares its memory with no other array.
    ///
    /// # Panics
    /// When shapes do not fit, a window lies wholly in the padding, or the dtype is `bool` or `bf16`: internal misuse.
    pub fn run(&self, x: &Array, out: &mut Array, workers: &dyn Workers) {
        let geometry = &self.geometry;
        let (from, to) = (geometry.lens.iter().product::<usize>(), geometry.n_places());
        if *x.shape() != self.operand || out.size() * from != x.size() * to {
            bug(&format!("{geometry:?} over {} into {}", x.shape(), out.shape()));
        }
        let out = whole_mut::<i64>(out);
        if out.is_empty() {
            return;
        }
        if from == 0 {
            bug(&format!("{geometry:?}: a window without entries"));
        }
        each_num!(x.dtype(), "window_argmax", T => {
            let x = values::<T>(x);
            let cost = out.len() * geometry.n_entries();
            chunked(out, to, cost, workers, |first, out| {
                for (out, x) in out.chunks_exact_mut(to).zip(x[first * from..].chunks_exact(from)) {
                    if !kernel::window_argmax(geometry, x, out) {
                        bug(&format!("{geometry:?}: a window without entries"));
                    }
                }
            });
        });
    }
}
