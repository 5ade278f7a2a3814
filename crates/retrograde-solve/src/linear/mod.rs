//! Linear systems whose matrix exists only as a function: `A x = b` from products `A v`.
//!
//! | method | for | keeps |
//! |---|---|---|
//! | [`cg`] | symmetric positive definite A | 4 vectors |
//! | [`minres`] | symmetric A, indefinite or singular ones too | 7 vectors |
//! | [`gmres`] | any square A | one vector per step up to the restart |
//!
//! Vectors are trees of arrays such as the parameters of a network. They are flattened once, into `f64`; the operator and the
//! preconditioner see trees of the same structure, shapes and dtypes. A preconditioner is a function as well, an approximation
//! of the inverse of A.
//!
//! ```
//! use retrograde_array::array;
//! use retrograde_core::trace::Var;
//! use retrograde_engine::{grad, hvp};
//! use retrograde_solve::linear::{Stop, cg};
//! // Newton's step: the Hessian exists as products only.
//! let f = |x: Var| (x * x * x).sum() + x.sum() * x.sum();
//! let x = array([1.0, 2.0, 3.0]);
//! let (slope, curvature) = (grad(f).call(&x)?, hvp(f));
//! let found = cg(|v| curvature.call(&x, v), &slope).tolerance(1e-12).solve()?;
//! assert_eq!((found.stop, found.residuals.len()), (Stop::Converged, 4)); // at the start, and after 3 steps
//! assert!(found.residuals[3] < 1e-12);
//! # Ok::<(), retrograde_solve::linear::LinearError>(())
//! ```

mod cg;
pub(crate) mod dense;
mod error;
pub(crate) mod flat;
mod gmres;
mod minres;
mod solver;

pub use cg::cg;
pub use error::LinearError;
pub use gmres::gmres;
pub use minres::minres;
pub use solver::{Method, Solution, Solver, Stop};

pub(crate) use solver::{Limits, System, run};
