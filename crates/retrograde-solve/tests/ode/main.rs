//! Integrators against their declarations.

mod adaptive;
mod adjoint;
mod conservation;
mod gradients;
mod mistakes;
mod order;
mod problems;
mod solvers;
mod stiff;
