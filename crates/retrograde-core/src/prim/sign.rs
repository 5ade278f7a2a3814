//! `y = sign x`, entry by entry: -1, 0 or 1.   x: [..] number → y: same shape and dtype.
//!
//! `-0` and NaN stay as they are. The derivative is zero everywhere, at 0 too. Errors: none.

use super::structure::{entrywise_number, no_tangents};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `y = sign x`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sign;

impl Rules for Sign {
    const NAME: &'static str = "sign";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Sign)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::piecewise(ops::Piecewise::Sign, inputs[0].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Sign, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [5]);
        vec![Row::new(Sign, std::slice::from_ref(&ty)), Row::new(Sign, &[ty.with_dtype(DType::I32)]).order(0)]
    }
}
