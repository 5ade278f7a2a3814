//! The extent of an array along each axis.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// The length of every axis, outermost first; empty for a scalar.
///
/// ```
/// use retrograde_array::Shape;
/// let shape = Shape::from([3, 4]);
/// assert_eq!((shape.rank(), shape.size(), shape.to_string()), (2, 12, "[3,4]".to_string()));
/// ```
#[derive(Clone)]
pub struct Shape(Lens);

/// Shapes of up to this many axes live where they are, without memory of their own.
const FEW: usize = 5;

#[derive(Clone)]
enum Lens {
    Few { rank: u8, lens: [usize; FEW] },
    Many(Box<[usize]>),
}

impl Shape {
    /// The shape of a single value: no axes.
    ///
    /// ```
    /// use retrograde_array::Shape;
    /// assert_eq!((Shape::scalar().rank(), Shape::scalar().size()), (0, 1));
    /// ```
    pub const fn scalar() -> Shape {
        Shape(Lens::Few { rank: 0, lens: [0; FEW] })
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.len()
    }

    /// Bytes of memory that the shape has outside of itself: none up to rank 5.
    ///
    /// ```
    /// use retrograde_array::Shape;
    /// assert_eq!((Shape::from([1; 5]).heap_bytes(), Shape::from([1; 6]).heap_bytes()), (0, 48));
    /// ```
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Lens::Few { .. } => 0,
            Lens::Many(lens) => std::mem::size_of_val::<[usize]>(lens),
        }
    }

    /// The number of elements: the product of the axis lengths, 1 for a scalar. Saturates instead of overflowing.
    pub fn size(&self) -> usize {
        self.checked_size().unwrap_or(usize::MAX)
    }

    /// The number of elements, `None` when it does not fit a `usize`. Zero when any axis is empty.
    pub(crate) fn checked_size(&self) -> Option<usize> {
        if self.contains(&0) {
            return Some(0);
        }
        self.iter().try_fold(1_usize, |n, &len| n.checked_mul(len))
    }
}

impl Deref for Shape {
    type Target = [usize];

    #[inline]
    fn deref(&self) -> &[usize] {
        match &self.0 {
            Lens::Few { rank, lens } => &lens[..usize::from(*rank)],
            Lens::Many(lens) => lens,
        }
    }
}

impl DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut [usize] {
        match &mut self.0 {
            Lens::Few { rank, lens } => &mut lens[..usize::from(*rank)],
            Lens::Many(lens) => lens,
        }
    }
}

impl Default for Shape {
    fn default() -> Shape {
        Shape::scalar()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shape").field(&&**self).finish()
    }
}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Shape) -> bool {
        match (&self.0, &other.0) {
            // Behind the last axis there are zeros: whole arrays compare without a loop.
            (Lens::Few { rank, lens }, Lens::Few { rank: other_rank, lens: other_lens }) => {
                rank == other_rank && lens == other_lens
            }
            (Lens::Many(lens), Lens::Many(other_lens)) => lens == other_lens,
            _ => false,
        }
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialOrd for Shape {
    fn partial_cmp(&self, other: &Shape) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Shape {
    fn cmp(&self, other: &Shape) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl From<&[usize]> for Shape {
    fn from(from: &[usize]) -> Shape {
        let mut lens = [0; FEW];
        match lens.get_mut(..from.len()) {
            Some(few) => {
                few.copy_from_slice(from);
                Shape(Lens::Few { rank: from.len() as u8, lens })
            }
            None => Shape(Lens::Many(from.into())),
        }
    }
}

impl From<Vec<usize>> for Shape {
    fn from(lens: Vec<usize>) -> Shape {
        Shape::from(&lens[..])
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(lens: [usize; N]) -> Shape {
        Shape::from(&lens[..])
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(lens: I) -> Shape {
        let (mut few, mut rank) = ([0; FEW], 0);
        let mut lens = lens.into_iter();
        for len in lens.by_ref() {
            if rank == FEW {
                let many: Vec<usize> = few.into_iter().chain([len]).chain(lens).collect();
                return Shape(Lens::Many(many.into()));
            }
            few[rank] = len;
            rank += 1;
        }
        Shape(Lens::Few { rank: rank as u8, lens: few })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, len) in self.iter().enumerate() {
            if axis > 0 {
                f.write_str(",")?;
            }
            write!(f, "{len}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_any_rank_hold_their_lengths() {
        for rank in 0..9 {
            let lens: Vec<usize> = (2..2 + rank).collect();
            let mut shape = Shape::from(lens.clone());
            assert_eq!((&shape[..], shape.rank()), (&lens[..], rank));
            assert_eq!(lens.iter().copied().collect::<Shape>(), shape);
            assert_eq!(shape.cmp(&Shape::from(&lens[..])), Ordering::Equal);
            if rank > 0 {
                shape[rank - 1] = 99;
                assert_ne!(shape[..], lens[..]);
                assert!(shape > Shape::from(&lens[..rank - 1]));
            }
        }
    }
}
