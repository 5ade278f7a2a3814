//! Fused loop nests: what is computed in one pass over memory, and the tiles of registers that run it.

use retrograde_array::Array;
use retrograde_core::ir::ValueId;
use retrograde_core::prim::Program;

/// A fused loop nest.
#[derive(Debug)]
pub struct Kernel(std::convert::Infallible);

/// Room for the tiles of a running kernel.
#[derive(Debug, Default)]
pub struct Scratch;

/// Some equations of a program that run together.
#[derive(Debug)]
pub enum Group {
    /// In one pass over memory.
    Kernel {
        /// How.
        kernel: Kernel,
        /// What it reads.
        inputs: Vec<ValueId>,
        /// What it writes.
        outputs: Vec<ValueId>,
    },
    /// By the rule of the primitive: the position among the equations.
    Equation(usize),
}

/// The equations of a program in groups, in an order in which they can run.
pub fn fuse(program: &Program) -> Vec<Group> {
    (0..program.equations.len()).map(Group::Equation).collect()
}

impl Kernel {
    /// Computes `outputs`, each of which is a whole array of its type that nobody else holds.
    pub fn run(&self, _inputs: &[&Array], _outputs: &mut [Array], _scratch: &mut Scratch, _threads: usize) {
        match self.0 {}
    }
    /// The equations that the kernel computes.
    pub fn equations(&self) -> &[usize] {
        match self.0 {}
    }
}
