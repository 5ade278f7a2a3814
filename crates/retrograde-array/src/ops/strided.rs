//! Copies between contiguous memory and a strided view of it.

/// One axis of a view: how many entries and how far apart, backwards if negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Axis {
    pub(crate) len: usize,
    pub(crate) stride: isize,
}

/// Axes up to this number live on the stack.
const INLINE: usize = 8;

/// The axes of a view, outermost first, simplified: no axis of length 1, neighbours merged where one stride serves both.
pub(crate) struct View {
    inline: [Axis; INLINE],
    heap: Vec<Axis>,
    rank: usize,
}

impl View {
    /// The view with the given axes.
    pub(crate) fn new(axes: impl Iterator<Item = Axis>) -> View {
        let mut view = View { inline: [Axis::default(); INLINE], heap: Vec::new(), rank: 0 };
        for axis in axes {
            if axis.len == 1 {
                continue;
            }
            match view.axes_mut().last_mut() {
                Some(last) if last.stride == axis.stride.wrapping_mul(axis.len as isize) => {
                    *last = Axis { len: last.len * axis.len, stride: axis.stride };
                }
                _ => view.push(axis),
            }
        }
        view
    }

    fn push(&mut self, axis: Axis) {
        if self.rank == INLINE && self.heap.is_empty() {
            self.heap.extend_from_slice(&self.inline);
        }
        if self.rank < INLINE {
            self.inline[self.rank] = axis;
        } else {
            self.heap.push(axis);
        }
        self.rank += 1;
    }

    fn axes(&self) -> &[Axis] {
        if self.heap.is_empty() { &self.inline[..self.rank] } else { &self.heap }
    }

    fn axes_mut(&mut self) -> &mut [Axis] {
        if self.heap.is_empty() { &mut self.inline[..self.rank] } else { &mut self.heap }
    }

    /// True when the view reads memory straight through.
    pub(crate) fn is_contiguous(&self) -> bool {
        matches!(self.axes(), [] | [Axis { stride: 1, .. }])
    }
}

/// The row-major strides of a shape, outermost first.
pub(crate) fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1_isize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].wrapping_mul(shape[axis] as isize);
    }
    strides
}

/// The entries of a view of `from` that starts at `base`, in row-major order.
pub(crate) fn read<T: Copy + Default>(from: &[T], base: usize, view: &View, size: usize) -> Vec<T> {
    let mut out = vec![T::default(); size];
    read_into(from, base, view, &mut out);
    out
}

/// Writes the entries of a view of `from` that starts at `base`, in row-major order, to `out`, which has as many.
pub(crate) fn read_into<T: Copy>(from: &[T], base: usize, view: &View, out: &mut [T]) {
    if !out.is_empty() {
        read_axes(from, base, view.axes(), out);
    }
}

/// The place `i` entries along an axis.
#[inline(always)]
fn along(base: usize, i: usize, stride: isize) -> usize {
    base.wrapping_add_signed(i as isize * stride)
}

fn read_axes<T: Copy>(from: &[T], base: usize, axes: &[Axis], out: &mut [T]) {
    match *axes {
        [] => out[0] = from[base],
        [Axis { stride: 0, .. }] => out.fill(from[base]),
        [Axis { len, stride: 1 }] => out.copy_from_slice(&from[base..base + len]),
        [Axis { len, stride }] if stride > 0 => {
            let run = from[base..=along(base, len - 1, stride)].iter().step_by(stride.unsigned_abs());
            out.iter_mut().zip(run).for_each(|(out, &entry)| *out = entry);
        }
        [Axis { len, stride }] => {
            let run = from[along(base, len - 1, stride)..=base].iter().rev().step_by(stride.unsigned_abs());
            out.iter_mut().zip(run).for_each(|(out, &entry)| *out = entry);
        }
        [Axis { len: rows, stride: 1 }, Axis { len: columns, stride }] if rows * columns > 1024 => {
            read_transposed(from, base, rows, columns, stride, out);
        }
        [Axis { len, stride: 0 }, ref rest @ ..] => {
            let size = out.len() / len;
            let (first, others) = out.split_at_mut(size);
            read_axes(from, base, rest, first);
            others.chunks_exact_mut(size).for_each(|out| out.copy_from_slice(first));
        }
        [Axis { len, stride }, ref rest @ ..] => {
            let size = out.len() / len;
            for (i, out) in out.chunks_exact_mut(size).enumerate() {
                read_axes(from, along(base, i, stride), rest, out);
            }
        }
    }
}

/// A matrix stored by columns, `stride` apart, read by rows: in square tiles, so that both sides stay in cache.
fn read_transposed<T: Copy>(
    from: &[T],
    base: usize,
    rows: usize,
    columns: usize,
    stride: isize,
    out: &mut [T],
) {
    const TILE: usize = 16;
    for i0 in (0..rows).step_by(TILE) {
        let i1 = (i0 + TILE).min(rows);
        for j0 in (0..columns).step_by(TILE) {
            let j1 = (j0 + TILE).min(columns);
            for i in i0..i1 {
                for (j, out) in (j0..j1).zip(&mut out[i * columns + j0..i * columns + j1]) {
                    *out = from[along(base + i, j, stride)];
                }
            }
        }
    }
}

/// Writes contiguous `from` to the entries of a view of `to` that starts at `base`.
pub(super) fn write<T: Copy>(mut from: &[T], to: &mut [T], base: usize, view: &View) {
    if !from.is_empty() {
        write_axes(&mut from, to, base, view.axes());
    }
}

fn write_axes<T: Copy>(from: &mut &[T], to: &mut [T], base: usize, axes: &[Axis]) {
    match *axes {
        [] => to[base] = take(from, 1)[0],
        [Axis { len, stride: 1 }] => to[base..base + len].copy_from_slice(take(from, len)),
        [Axis { len, stride }] => {
            for (i, &value) in take(from, len).iter().enumerate() {
                to[along(base, i, stride)] = value;
            }
        }
        [Axis { len, stride }, ref rest @ ..] => {
            for i in 0..len {
                write_axes(from, to, along(base, i, stride), rest);
            }
        }
    }
}

fn take<'a, T>(from: &mut &'a [T], n: usize) -> &'a [T] {
    let (head, tail) = from.split_at(n);
    *from = tail;
    head
}
