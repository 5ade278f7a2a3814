//! Straight-line code over the entries of arrays, run tile by tile in registers of a few hundred entries.
//!
//! [`Builder`] makes [`Code`]: values are read from arrays through [`View`]s, computed from each other entry by entry ([`Op`]), and
//! written to arrays. What is read and computed once stays in registers, so a chain of operations passes over memory
//! once. Every entry has the bits that the functions of [`ops`](crate::ops) give, at every instruction set and for any number of
//! threads.
//!
//! There are two kinds of code. [`Builder::nest`]: all values have one shape, which may be large; it is cut into tiles. And
//! [`Builder::small`]: values are small and have shapes of their own, so they can be arranged otherwise, and reduced, on the way. Where
//! they have so few entries that a pass over each is mostly overhead, small code runs number by number, in registers of one number.
//!
//! ```
//! use retrograde_array::{Array, DType, array, ops::Binary, tile::{Builder, Level, Op, Scratch, View}};
//! // x * x + 1
//! let mut b = Builder::nest(&[3]);
//! let x = b.input(DType::F64, 3);
//! let x = b.read(x, &View::whole(&[3]));
//! let square = b.op(Op::Binary(Binary::Mul), &[x, x]);
//! let one = b.constant(1.0.into(), &[3]);
//! let y = b.op(Op::Binary(Binary::Add), &[square, one]);
//! b.output(y);
//! let code = b.finish(Level::best());
//! let mut y = [Array::zeros(DType::F64, [3])];
//! code.run(&[&array([1.0, 2.0, 3.0])], &mut y, &mut Scratch::default(), None);
//! assert_eq!(y[0], array([2.0, 5.0, 10.0]));
//! // The product and the sum are one pass.
//! assert_eq!((code.tiles(), code.most_parts(), code.steps()), (1, 1, 1));
//! ```

mod build;
mod nest;
mod pair;
mod plan;
mod registers;
mod scalarise;
mod view;

#[cfg(test)]
mod tests;

pub use build::{Builder, Input, TILE, Value};
pub use view::View;

pub use crate::kernel::Level;
pub use crate::kernel::tile::{Arithmetic, AsArray, Code, Op, Pair, Places, Reduction, Scratch, hand};
