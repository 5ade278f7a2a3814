//! What can be wrong with array data.

use crate::{DType, Shape};

/// A mistake in array data or arguments, with what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// The number of values does not fill the shape.
    #[error("{found} values do not fill shape {shape}, which has {expected} elements")]
    Size {
        /// The requested shape.
        shape: Shape,
        /// Elements of that shape.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The shape has more elements than memory can address.
    #[error("shape {shape} has too many elements")]
    TooLarge {
        /// The requested shape.
        shape: Shape,
    },
    /// A dtype name that does not exist.
    #[error("unknown dtype `{name}`, expected one of f64, f32, bf16, i64, i32, u8, bool")]
    UnknownDType {
        /// The text found.
        name: String,
    },
    /// Two dtypes that should agree.
    #[error("dtype {found} found where {expected} was expected")]
    DType {
        /// The dtype wanted.
        expected: DType,
        /// The dtype given.
        found: DType,
    },
    /// Two shapes that should agree.
    #[error("shape {found} found where {expected} was expected")]
    Shape {
        /// The shape wanted.
        expected: Box<Shape>,
        /// The shape given.
        found: Box<Shape>,
    },
    /// `stack` of nothing: there is no shape or dtype to take.
    #[error("cannot stack zero arrays")]
    Empty,
    /// An index outside its axis.
    #[error("index {index} is outside an axis of size {size}")]
    Index {
        /// The index found.
        index: i64,
        /// The length of the axis.
        size: usize,
    },
    /// A part at a computed place that does not lie inside its array.
    #[error("a part of {len} entries from {start} does not lie inside an axis of size {size}")]
    Part {
        /// Where the part begins.
        start: i64,
        /// The length of the part.
        len: usize,
        /// The length of the axis.
        size: usize,
    },
    /// No memory for an array.
    #[error("out of memory: {bytes} bytes wanted")]
    OutOfMemory {
        /// Its size.
        bytes: usize,
    },
    /// An integer division by zero.
    #[error("integer division by zero at element {element}")]
    DivisionByZero {
        /// Row-major position of the first zero divisor.
        element: usize,
    },
    /// An operation whose cargo feature this build leaves out.
    #[error(
        "{what}: this build has no cargo feature `{feature}`; build with `--features {feature}`, or with default features"
    )]
    Feature {
        /// The operation.
        what: &'static str,
        /// The feature it needs.
        feature: &'static str,
    },
}
