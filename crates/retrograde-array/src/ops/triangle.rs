//! Parts of matrices.

use crate::{Array, Element};

use super::elementwise::result;
use super::{bug, each_dtype, values};

/// A part of a matrix, by row i and column j.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// j ≤ i
    Lower,
    /// j < i
    StrictLower,
    /// j ≥ i
    Upper,
    /// j > i
    StrictUpper,
    /// j = i
    Diagonal,
}

impl Part {
    /// Whether the entry in row i and column j belongs to it.
    pub fn contains(self, i: usize, j: usize) -> bool {
        match self {
            Part::Lower => j <= i,
            Part::StrictLower => j < i,
            Part::Upper => j >= i,
            Part::StrictUpper => j > i,
            Part::Diagonal => j == i,
        }
    }
}

/// A part of each matrix `[.., m, n]`, and `+0` (or `false`) elsewhere.
///
/// # Panics
/// When the array has fewer than two axes: internal misuse.
///
/// ```
/// use retrograde_array::{array, ops::{Part, triangle}};
/// assert_eq!(triangle(&array([[1, 2, 3], [4, 5, 6]]), Part::Upper), array([[1, 2, 3], [0, 5, 6]]));
/// assert!(Part::Upper.contains(0, 2) && !Part::Upper.contains(1, 0));
/// ```
pub fn triangle(x: &Array, part: Part) -> Array {
    let [.., _, columns] = x.shape()[..] else { bug(&format!("triangle of shape {}", x.shape())) };
    each_dtype!(x.dtype(), T => part_typed::<T>(x, part, columns))
}

fn part_typed<T: Element>(x: &Array, part: Part, columns: usize) -> Array {
    let rows = x.shape()[x.rank() - 2];
    let entries = values::<T>(x).iter().enumerate();
    let kept = entries.map(|(at, &x)| {
        let inside = part.contains(at / columns % rows, at % columns);
        if inside { x } else { T::default() }
    });
    result(x.shape(), kept.collect())
}
