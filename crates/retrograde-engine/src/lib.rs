//! The default executor: the same bits as the reference interpreter, faster.
//!
//! A program is planned once and run often: elementwise chains become [`kernel`]s, which tiles of registers run; products,
//! reductions and the like run [`direct`]ly into memory that is there; everything else is called as the primitive says.
//! Buffers are laid out by liveness and live from call to call.
//!
//! The doors of this crate are those of `retrograde_core::trace::door`, told to run on an [`Engine`]:
//!
//! ```
//! use retrograde_array::array;
//! use retrograde_core::exec::Interpreter;
//! use retrograde_core::trace::Var;
//! use retrograde_engine::grad;
//! let f = |x: Var| (x * x.sin()).sum();
//! let x = array([1.0, 2.0, 3.0]);
//! let (fast, reference) = (grad(f), grad(f).executor(Interpreter::default()));
//! assert_eq!(fast.call(&x)?, reference.call(&x)?); // to the bit
//! # Ok::<(), retrograde_core::trace::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod direct;
mod doors;
mod engine;
pub mod kernel;
mod plan;

pub use doors::{grad, hessian, hvp, jacobian, jit, jvp, value_and_grad, value_grad_hvp, vjp, vmap};
pub use engine::Engine;
