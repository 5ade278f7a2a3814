//! `y = x`, held fixed by every derivative.   x: [..] of any dtype → y: same.
//!
//! No derivative in either mode; reverse keeps nothing. Errors: none.

use super::structure::{arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::DType;

/// `y = x`, held fixed
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StopGradient;

impl Rules for StopGradient {
    const NAME: &'static str = "stop_gradient";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(StopGradient)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        Ok(inputs.to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Ok(inputs)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(StopGradient, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        // Order 0: its derivative is zero by definition, not by differences.
        vec![Row::new(StopGradient, &[Type::array(DType::F64, [3])]).order(0)]
    }
}
