//! Integrators of ordinary differential equations, one file per method.
//!
//! One spelling for all: `ode::rk4(field).step(0.01).run(state, n_steps).tape(policy).end()`, inside traced code.
//!
//! | function | order | evaluations | what it is for |
//! |---|---|---|---|
//! | [`leapfrog()`], [`leapfrog_kdk`], [`velocity_verlet()`] | 2 | 1, 2, 1 | mechanics q'' = a(q): symplectic, symmetric, reversible |
//! | [`yoshida4()`], [`yoshida6()`] | 4, 6 | 3, 7 | the same, more accurate |
//! | [`symplectic_euler()`] | 1 | 1 | mechanics, symplectic |
//! | [`euler()`], [`midpoint()`], [`heun()`], [`rk4()`] | 1, 2, 2, 4 | 1, 2, 2, 4 | any y' = f(y), steps of fixed size |
//! | [`bosh3()`], [`dopri5()`], [`tsit5()`] | 3, 5, 5 | 3, 6, 6 | any y' = f(y), fixed or [adaptive](FirstOrder::adaptive) steps, states at any time |
//! | [`implicit_midpoint()`] | 2 | 6 | oscillations and stiffness without damping: symplectic, symmetric |
//! | [`rodas3()`] | 3 | 3 | stiff y' = f(y), fixed or adaptive steps |
//! | [`reversible_heun()`] | 2 | 1 | any smooth y' = f(y) over short times: reversible |
//!
//! A state is any tree of floating-point leaves; for mechanics, of two, positions and velocities. Fields do not depend on time;
//! where one does, time is a leaf of the state with the rate 1, as the example of [`rk4()`] shows, and parameters are
//! captured. Derivatives of every order and mode exist under every tape policy. `Tape::Reverse` undoes the updates of a
//! method that is reversible, and guesses and corrects whole steps of any other, at up to nine evaluations of a step each way. [`backward_adjoint()`] is the gradient by running backwards, inexact.

mod adaptive;
mod backward_adjoint;
mod bosh3;
mod composition;
mod dopri5;
mod euler;
mod heun;
mod implicit_midpoint;
mod leapfrog;
mod method;
mod midpoint;
mod packed;
pub mod problems;
mod reversible_heun;
mod rk4;
mod rodas3;
mod run;
mod state;
mod symplectic_euler;
mod tableau;
mod tsit5;
mod velocity_verlet;
mod yoshida4;
mod yoshida6;

pub use adaptive::{Adaptive, AdaptiveRun};
pub use backward_adjoint::{BackwardAdjoint, backward_adjoint};
pub use bosh3::{BOSH3, bosh3};
pub use composition::{Composition, Part};
pub use dopri5::{DOPRI5, dopri5};
pub use euler::{EULER, euler};
pub use heun::{HEUN, heun};
pub use implicit_midpoint::{ImplicitMidpoint, implicit_midpoint};
pub use leapfrog::{LEAPFROG, LEAPFROG_KDK, leapfrog, leapfrog_kdk};
pub use method::{Facts, Field, Method};
pub use midpoint::{MIDPOINT, midpoint};
pub use reversible_heun::{ReversibleHeun, reversible_heun};
pub use rk4::{RK4, rk4};
pub use rodas3::{Rodas3, rodas3};
pub use run::{FirstOrder, Run, SecondOrder};
pub use symplectic_euler::{SYMPLECTIC_EULER, symplectic_euler};
pub use tableau::{Dense, Embedded, Pair, Tableau, Trial};
pub use tsit5::{TSIT5, tsit5};
pub use velocity_verlet::{VELOCITY_VERLET, velocity_verlet};
pub use yoshida4::{YOSHIDA4, yoshida4};
pub use yoshida6::{YOSHIDA6, yoshida6};
