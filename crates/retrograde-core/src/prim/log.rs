//! `y = ln x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / x; reverse keeps x. At the edges: -∞ at 0, where the derivative is ∞ (0 where ẋ or the cotangent is exactly
//! 0, Note [strong zero] in `strong_mul`); NaN below, where the derivative is 1/x all the same. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::entrywise_float;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::map::Function;
use retrograde_array::{DType, ops};

/// `y = ln x`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Log;

impl Rules for Log {
    const NAME: &'static str = "log";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Log)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::function(Function::Log, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.strong_div(x_dot, inputs[0]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Log, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Log, &[Type::array(DType::F64, [3])]).range(0.5, 3.0)]
    }
}
