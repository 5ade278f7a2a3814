//! `y = tanh x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·(1 - y²); reverse keeps y. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::{entrywise_float, tangent_times};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::map::Function;
use retrograde_array::{DType, ops};

/// `y = tanh x`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tanh;

impl Rules for Tanh {
    const NAME: &'static str = "tanh";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Tanh)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::function(Function::Tanh, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        tangent_times(r, tangents[0], |r| {
            let ty = r.ty(outputs[0]);
            let one = r.full(&ty, 1.0);
            let square = r.mul(outputs[0], outputs[0]);
            r.sub(one, square)
        })
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Tanh, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Tanh, &[Type::array(DType::F64, [3])]).range(-1.3, 1.3)]
    }
}
