//! Tracing of ordinary Rust, and the front doors.
//!
//! - [`var`]: the handle [`Var`], its operators and methods
//! - [`tree`]: structures of leaves ([`Tree`])
//! - [`function`]: closures and front doors as functions of trees
//! - [`door`]: `grad`, `value_and_grad`, `vjp`, `jvp`, `hvp`, `vmap`, `jacobian`, `hessian`, `jit`
//! - [`window`]: convolution and pooling
//! - [`place`]: where entries stand, such as `iota`
//! - [`control`]: `scan`, `fori`, `map`, `associative_scan`, `while_loop`, `cond`, `switch`, `scope`
//! - [`custom`]: derivatives of the user's own
//! - [`lattice`]: states whose loops run backwards exactly
//! - [`linalg`]: linear systems and decompositions of matrices
//! - [`fourier`]: Fourier transforms

pub mod control;
pub mod custom;
pub mod door;
mod error;
pub mod fourier;
mod frame;
pub mod function;
mod functions;
pub mod lattice;
pub mod linalg;
mod logic;
pub mod place;
mod reduce;
pub mod tree;
pub mod var;
pub mod window;

pub use error::{Error, ErrorKind};
pub use frame::{Traced, blame, mistake};
pub use tree::{Leaf, Tree};
pub use var::Var;
