//! Plain functions from program to program.
//!
//! [`jvp`](fn@jvp), [`linearize`](fn@linearize), [`transpose`](fn@transpose) and [`vmap`](fn@vmap) make every derivative:
//! reverse mode is linearise, then transpose. [`invert`](fn@invert) turns a step of a loop round, exactly.

mod chosen;
mod invert;
mod jvp;
mod linearize;
mod transpose;
mod vmap;

pub use invert::{Derived, Exact, Inverse, Refusal, invert, invert_exact};
pub use jvp::jvp;
pub use linearize::linearize;
pub use transpose::{LinearProgram, NotLinear, is_linear, transpose};
pub use vmap::vmap;

use crate::prim::{Jvp, Linearized, Program, Transforms, Vmapped};

/// The transforms, handed down to rules with bodies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

impl Transforms for Standard {
    fn jvp(&self, body: &Program, active: &[bool], force: &[bool]) -> Jvp {
        jvp(body, active, force)
    }
    fn linearize(&self, body: &Program, active: &[bool], force: &[bool]) -> Linearized {
        linearize(body, active, force)
    }
    fn transpose(&self, body: &Program, n_known: usize) -> Program {
        match LinearProgram::new(body.clone(), n_known) {
            Ok(linear) => transpose(&linear),
            Err(e) => panic!("transpose: {e}; this is a bug in retrograde"),
        }
    }
    fn vmap(&self, body: &Program, batched: &[bool], force: &[bool], n: usize) -> Vmapped {
        vmap(body, batched, force, n)
    }
    fn is_linear(&self, body: &Program, n_known: usize) -> bool {
        is_linear(body, n_known).is_ok()
    }
}
