//! Straight-line code over tiles: what [`tile`](crate::tile) is made of.

mod body;
mod code;
mod routine;

pub(crate) use code::{Action, Address, Block, Nest, Parts, STREAMS, Step, Stream, Where};
pub use code::{Code, Scratch, Spread};
pub(crate) use routine::Move;
pub use routine::{Op, Reduction};

/// `n` rounded up to what tiles are padded to: Note [padding] of `code`.
pub(crate) const fn padded(n: usize) -> usize {
    body::padded(n)
}

/// The dtype of the result of an operation on operands of these dtypes, if there is such a routine.
pub(crate) fn has_reduction(reduction: Reduction, dtype: crate::DType) -> bool {
    routine::reduction_routine(reduction, dtype, super::Level::Portable).is_some()
}
