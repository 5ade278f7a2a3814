//! Straight-line code over tiles: what [`tile`](crate::tile) is made of.

mod body;
mod check;
mod code;
mod entry;
pub mod hand;
mod moves;
#[cfg(all(feature = "jit", target_arch = "x86_64", not(miri)))]
mod native;
#[cfg(not(all(feature = "jit", target_arch = "x86_64", not(miri))))]
#[path = "no_native.rs"]
mod native;
mod over;
mod pair;
mod parts;
mod product;
mod reduce;
mod routine;
mod scalar;

#[cfg(test)]
mod tests;

pub(crate) use body::at;
pub use code::{AsArray, Code, Places, Scratch};
pub(crate) use entry::function;
pub(crate) use moves::GROUP;
pub use pair::{Arithmetic, Pair};
pub(crate) use parts::{Action, Address, Block, Nest, Parts, STREAMS, Step, Stream, Where};
pub(crate) use routine::{Move, Stage};
pub use routine::{Op, Reduction};
pub(crate) use scalar::{Call, Instruction, Number, Operation, REGISTERS, Run, Scalar, Scalars, Script};

/// `n` rounded up to what tiles are padded to: Note [padding] of `code`.
pub(crate) const fn padded(n: usize) -> usize {
    body::padded(n)
}

/// Bytes of the register of a reduction over several tiles.
pub(crate) const STATE: usize = reduce::STATE;

/// The dtype of the result of an operation on operands of these dtypes, if there is such a routine.
pub(crate) fn has_reduction(reduction: Reduction, dtype: crate::DType) -> bool {
    routine::reduction_routine(reduction, Stage::Value, dtype, super::Level::Portable).is_some()
}

/// Whether there is a product of matrices of that dtype.
pub(crate) fn has_product(dtype: crate::DType) -> bool {
    routine::product_routine(dtype, super::Level::Portable).is_some()
}
