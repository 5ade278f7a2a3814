//! What inverse curvature is for: examples that a fit rests on, error bars, and gradients of what a fit depends on.
//!
//! | question | answer | takes |
//! |---|---|---|
//! | which examples made this prediction? | [`influence`] | one solve, and one tangent through all losses |
//! | how sure are parameters and predictions? | [`laplace`], [`Posterior`] | products, or one factorisation |
//! | how does a penalty move the validation loss? | [`hypergradient`] | one solve, one mixed product |
//!
//! None of them forms a matrix of rows, parameters and outputs. The inverse is a function that the caller brings: conjugate
//! gradients of [`linear`](crate::linear), a factored matrix ([`Factored`]), or any other; it says what it is worth as well, and
//! that comes back with the answer.

mod error;
mod factored;
mod hypergradient;
mod influence;
mod laplace;
mod posterior;
mod rows;
mod scores;

pub use error::{Cause, UseError};
pub use factored::{Factored, factored};
pub use hypergradient::{Hypergradient, Hyperslope, hypergradient};
pub use influence::{Influence, influence};
pub use laplace::{Laplace, Predicted, laplace};
pub use posterior::Posterior;
pub use scores::Scores;
