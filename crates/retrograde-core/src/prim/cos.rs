//! `y = cos x`, entry by entry.   x: [..] radian → y: same shape, no unit.
//!
//! Derivative -ẋ·sin x; reverse keeps x. At the edges: NaN at ±∞. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::{entrywise_float, tangent_times};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::map::Function;
use retrograde_array::{DType, ops};

/// `y = cos x`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cos;

impl Rules for Cos {
    const NAME: &'static str = "cos";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Cos)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::function(Function::Cos, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        tangent_times(r, tangents[0], |r| {
            let sine = r.emit(super::sin::Sin, &[inputs[0]]);
            r.neg(sine)
        })
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Cos, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Cos, &[Type::array(DType::F64, [3])]).range(-3.0, 3.0)]
    }
}
