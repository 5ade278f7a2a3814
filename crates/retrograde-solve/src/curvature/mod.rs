//! Curvature without matrices: products of second derivatives with vectors, and what they are good for.
//!
//! | product | of | where |
//! |---|---|---|
//! | `H v` | the Hessian | `retrograde_engine::{hvp, value_grad_hvp}`, [`hessian_vp`] |
//! | `Jᵀ H_L J v` | Gauss and Newton's matrix | [`gauss_newton_vp`] |
//! | `F v` | Fisher's information, true and empirical | [`fisher_vp`], [`empirical_fisher_vp`] |
//! | `gᵢ`, `‖gᵢ‖` | the gradient of each example, and its length | [`per_example_gradients`], [`per_example_norms`] |
//!
//! What a matrix would be asked for comes from products as well: [`hutchinson_trace`], [`hutch_plus_plus`], [`hutchinson_diagonal`],
//! [`lanczos`], [`spectral_density`]. And [`inverse_hvp`] solves `H x = g`, exactly or from batches, with a certificate.

mod batch;
mod error;
mod fisher;
mod gauss_newton;
mod hessian;
mod hutch_plus_plus;
mod hutchinson;
mod inverse;
mod lanczos;
mod layers;
mod objective;
mod per_example;
mod per_example_norms;
mod probe;
mod product;

pub use batch::{Batch, Batches};
pub use error::{Cause, CurvatureError};
pub use fisher::{EmpiricalFisher, Fisher, Likelihood, empirical_fisher_vp, fisher_vp};
pub use gauss_newton::{GaussNewton, gauss_newton_vp};
pub use hessian::{Hessian, hessian_vp};
pub use hutch_plus_plus::hutch_plus_plus;
pub use hutchinson::{DiagonalEstimate, TraceEstimate, hutchinson_diagonal, hutchinson_trace};
pub use inverse::{
    Certificate, Cost, Curvature, Draws, InverseHvp, ParametersAndBatch, Preconditioner, RightSide,
    inverse_hvp,
};
pub use lanczos::{Spectrum, lanczos, spectral_density};
pub use objective::{Fitted, fitted};
pub use per_example::{PerExample, PerExampleGradients, per_example_gradients};
pub use per_example_norms::{PerExampleNorms, per_example_norms};
pub use product::Product;

pub(crate) use fisher::{alone, losses_of_rows};
pub(crate) use lanczos::{Map as LanczosMap, steps as lanczos_steps, unchanged as lanczos_unchanged};
pub(crate) use objective::same;
pub(crate) use product::arrays;
