//! Equations that run as one operation on whole arrays, into memory that is there.

use retrograde_array::{Array, ArrayError};
use retrograde_core::ir::Type;
use retrograde_core::prim::Prim;

/// How an equation runs.
#[derive(Debug)]
pub struct Direct(std::convert::Infallible);

/// Room for what a running operation needs beside its result.
#[derive(Debug, Default)]
pub struct Scratch;

/// How an equation with operands of these types runs, `None` where only `Prim::eval` knows.
pub fn resolve(_prim: &Prim, _inputs: &[Type]) -> Option<Direct> {
    None
}

impl Direct {
    /// Computes the result into `out`.
    ///
    /// # Errors
    /// What the entries do not allow.
    pub fn run(
        &self,
        _inputs: &[&Array],
        _out: &mut Array,
        _threads: usize,
        _scratch: &mut Scratch,
    ) -> Result<(), ArrayError> {
        match self.0 {}
    }
}
