//! The extent of an array along each axis.

use std::fmt;
use std::ops::Deref;

/// The length of every axis, outermost first; empty for a scalar.
///
/// ```
/// use retrograde_array::Shape;
/// let shape = Shape::from([3, 4]);
/// assert_eq!((shape.rank(), shape.size(), shape.to_string()), (2, 12, "[3,4]".to_string()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// The shape of a single value: no axes.
    ///
    /// ```
    /// use retrograde_array::Shape;
    /// assert_eq!((Shape::scalar().rank(), Shape::scalar().size()), (0, 1));
    /// ```
    pub const fn scalar() -> Shape {
        Shape(Vec::new())
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements: the product of the axis lengths, 1 for a scalar. Saturates instead of overflowing.
    pub fn size(&self) -> usize {
        self.checked_size().unwrap_or(usize::MAX)
    }

    /// The number of elements, `None` when it does not fit a `usize`. Zero when any axis is empty.
    pub(crate) fn checked_size(&self) -> Option<usize> {
        if self.0.contains(&0) {
            return Some(0);
        }
        self.0.iter().try_fold(1_usize, |n, &len| n.checked_mul(len))
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(lens: Vec<usize>) -> Shape {
        Shape(lens)
    }
}

impl From<&[usize]> for Shape {
    fn from(lens: &[usize]) -> Shape {
        Shape(lens.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(lens: [usize; N]) -> Shape {
        Shape(lens.to_vec())
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(lens: I) -> Shape {
        Shape(lens.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, len) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str(",")?;
            }
            write!(f, "{len}")?;
        }
        f.write_str("]")
    }
}
