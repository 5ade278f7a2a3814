//! Automatic differentiation with the tricks of deep learning.
//!
//! Start with [`prelude`] and the examples of the README, which run as tests of this crate.
#![forbid(unsafe_code)]

pub use retrograde_array::ops::DotDims;
pub use retrograde_array::{self as arrays, Array, DType, Shape, array, rng};
pub use retrograde_core::trace::{Error, ErrorKind, Tree, Var, tree};
pub use retrograde_core::{exec, ir, prim, tape, trace, transform};
pub use retrograde_derive::Tree;
pub use retrograde_engine::{self as engine, Engine};
pub use retrograde_solve::{curvature, linear, ode, uses};
pub use retrograde_tricks as tricks;

/// What most programs need.
pub mod prelude {
    pub use crate::ode;
    pub use crate::{Array, DType, Error, Tree, Var, array};
    pub use retrograde_array::rng::Key;
    pub use retrograde_core::prim::{Checkpoint, GIB, KIB, MIB, Tape};
    pub use retrograde_core::trace::control::{
        associative_scan, call, cond, fori, map, reversible, scan, scan_over, scope, switch, taped,
        while_config, while_loop,
    };
    pub use retrograde_core::trace::custom::{Law, custom_jvp, custom_vjp};
    pub use retrograde_core::trace::lattice::{Contract, Lattice};
    pub use retrograde_core::trace::place::iota;
    pub use retrograde_core::trace::var::{concat, constant, full, random_bits, select, stack, uniform};
    pub use retrograde_core::trace::window::{ConvConfig, PoolConfig, avg_pool, conv, max_pool};
    pub use retrograde_core::trace::{fourier, linalg};
    pub use retrograde_engine::{
        grad, hessian, hvp, jacobian, jit, jvp, value_and_grad, value_grad_hvp, vjp, vmap,
    };
    pub use retrograde_solve::curvature::{Batches, inverse_hvp};
    pub use retrograde_tricks::primal::dense::{Activation, Linear, Mlp};
    pub use retrograde_tricks::primal::loss::cross_entropy;
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/tutorial.md")]
struct Tutorial;
