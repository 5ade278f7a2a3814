//! Typed arrays with one meaning for every bit: dtypes, shapes, canonical reductions and products, keyed randomness.
//!
//! [`Array`] is a row-major, reference-counted block of one [`DType`]. [`ops`] are plain functions on arrays whose
//! result bits are part of their meaning: they do not depend on the machine, the instruction set or the blocking.
//!
//! ```
//! use retrograde_array::{array, ops};
//! let x = array([[1.0, 2.0], [3.0, 4.0]]);
//! assert_eq!(ops::sum(&x, &[0]), array([4.0, 6.0]));
//! ```

#![deny(unsafe_code)]

mod array;
mod bfloat16;
mod data;
mod display;
mod dtype;
mod element;
mod error;
mod into_array;
mod layout;
#[cfg(feature = "ndarray")]
mod ndarray;
mod rounding;
mod scalar;
mod shape;

pub mod bits;
pub mod io;
pub mod lattice;
pub mod lost;
pub mod map;
pub mod ops;
pub mod rng;
pub mod tile;

#[allow(unsafe_code, reason = "run-time dispatch to functions compiled for wider instruction sets")]
mod kernel;

pub use array::Array;
pub use bfloat16::bf16;
pub use data::Data;
pub use dtype::DType;
pub use element::Element;
pub use error::ArrayError;
pub use into_array::{IntoArray, array};
pub use kernel::{Alone, Scratch, Threads, Workers};
pub use ops::{Comparison, DotDims};
pub use scalar::Scalar;
pub use shape::Shape;
