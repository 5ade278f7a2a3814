//! Where the entries of an array lie in the array that it is a part or an arrangement of.

use crate::ops::strided::row_major;

/// The entries of an array in another order, some of them, or some more than once: entry `(i, j, ..)` lies at
/// `offset + i * strides[0] + j * strides[1] + ..` of the array in row-major order.
///
/// ```
/// use retrograde_array::tile::View;
/// let view = View::whole(&[2, 3]).transposed(&[1, 0]);
/// assert_eq!((view.shape(), view.places().collect::<Vec<_>>()), (&[3, 2][..], vec![0, 3, 1, 4, 2, 5]));
/// let view = View::whole(&[6]).sliced(&[1], &[6], &[2]).reversed(&[0]);
/// assert_eq!(view.places().collect::<Vec<_>>(), [5, 3, 1]);
/// let view = View::whole(&[2]).broadcast(&[2, 2], &[0]);
/// assert_eq!((view.size(), view.places().collect::<Vec<_>>()), (4, vec![0, 0, 1, 1]));
/// assert_eq!(view.reshaped(&[4]), None);
/// assert!(View::whole(&[2, 3]).reshaped(&[3, 2]).is_some_and(|view| view.is_whole(6)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    shape: Vec<usize>,
    offset: isize,
    strides: Vec<isize>,
}

impl View {
    /// All entries as they are.
    pub fn whole(shape: &[usize]) -> View {
        View { shape: shape.to_vec(), offset: 0, strides: row_major(shape) }
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of entries.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where the first entry lies.
    pub(crate) fn offset(&self) -> isize {
        self.offset
    }

    /// How far the next entry along each axis lies.
    pub(crate) fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Whether these are all entries of an array of that size, in its order.
    pub fn is_whole(&self, size: usize) -> bool {
        self.size() == size && self.offset == 0 && self.is_contiguous()
    }

    /// Whether the entries lie one after another.
    pub(crate) fn is_contiguous(&self) -> bool {
        let expected = row_major(&self.shape);
        let axes = self.shape.iter().zip(self.strides.iter().zip(&expected));
        self.size() == 0 || axes.into_iter().all(|(&len, (stride, expected))| len == 1 || stride == expected)
    }

    /// As [`ops::transpose`](crate::ops::transpose).
    pub fn transposed(&self, perm: &[usize]) -> View {
        View {
            shape: perm.iter().map(|&axis| self.shape[axis]).collect(),
            offset: self.offset,
            strides: perm.iter().map(|&axis| self.strides[axis]).collect(),
        }
    }

    /// As [`ops::broadcast`](crate::ops::broadcast).
    pub fn broadcast(&self, shape: &[usize], axes: &[usize]) -> View {
        let mut strides = vec![0; shape.len()];
        for (&axis, &stride) in axes.iter().zip(&self.strides) {
            strides[axis] = stride;
        }
        View { shape: shape.to_vec(), offset: self.offset, strides }
    }

    /// As [`ops::slice`](crate::ops::slice).
    pub fn sliced(&self, starts: &[usize], limits: &[usize], steps: &[usize]) -> View {
        let part = |i: usize| (limits[i] - starts[i]).div_ceil(steps[i]);
        let shape: Vec<usize> = (0..self.shape.len()).map(part).collect();
        // A step past the part means the first entry only; no address may overflow.
        let step = |i: usize| if shape[i] > 1 { steps[i] as isize } else { 1 };
        let offset =
            starts.iter().zip(&self.strides).map(|(&start, stride)| start as isize * stride).sum::<isize>();
        let strides = self.strides.iter().enumerate().map(|(i, stride)| stride * step(i)).collect();
        View { shape, offset: self.offset + offset, strides }
    }

    /// As [`ops::reverse`](crate::ops::reverse).
    pub fn reversed(&self, axes: &[usize]) -> View {
        let mut view = self.clone();
        for &axis in axes {
            view.offset += (view.shape[axis].max(1) - 1) as isize * view.strides[axis];
            view.strides[axis] = -view.strides[axis];
        }
        view
    }

    /// As [`ops::reshape`](crate::ops::reshape); `None` where no strides serve the new shape.
    pub fn reshaped(&self, shape: &[usize]) -> Option<View> {
        if self.size() == 0 {
            return Some(View { shape: shape.to_vec(), offset: 0, strides: row_major(shape) });
        }
        // Runs of axes that one stride serves, outermost first.
        let mut runs: Vec<(usize, isize)> = vec![];
        for (&len, &stride) in self.shape.iter().zip(&self.strides).filter(|&(&len, _)| len != 1) {
            match runs.last_mut() {
                Some(last) if last.1 == stride * len as isize => *last = (last.0 * len, stride),
                _ => runs.push((len, stride)),
            }
        }
        let mut strides = vec![0; shape.len()];
        let mut left = runs.pop().unwrap_or((1, 0));
        for (to, &len) in strides.iter_mut().zip(shape).rev() {
            if len == 1 {
                continue;
            }
            if left.0 == 1 {
                left = runs.pop()?;
            }
            if !left.0.is_multiple_of(len) {
                return None;
            }
            *to = left.1;
            left = (left.0 / len, left.1 * len as isize);
        }
        Some(View { shape: shape.to_vec(), offset: self.offset, strides })
    }

    /// Where the entries lie, in row-major order.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.size()).map(|mut position| {
            let mut place = self.offset;
            for (&len, stride) in self.shape.iter().zip(&self.strides).rev() {
                place += (position % len) as isize * stride;
                position /= len;
            }
            place as usize
        })
    }
}
