//! The opposite truth value, entry by entry; every bit of an integer turned over.   x: bool or integer → y: same type.
//!
//! No derivative. Errors: none.

use super::structure::{entrywise_bits, no_tangents};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// The opposite truth value, or every bit turned over.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Not;

impl Rules for Not {
    const NAME: &'static str = "not";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Not)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_bits::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::not(inputs[0].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Not, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        [DType::Bool, DType::I64].map(|dtype| Row::new(Not, &[Type::array(dtype, [3])]).order(0)).to_vec()
    }
}
