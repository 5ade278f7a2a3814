//! `y = eˣ`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ·y; reverse keeps y. At the edges: ∞ above 709.78 in f64, the derivative too. Errors: none (NaN in, NaN out).
//! Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::{entrywise_float, tangent_times};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::map::Function;
use retrograde_array::{DType, ops};

/// `y = eˣ`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Exp;

impl Rules for Exp {
    const NAME: &'static str = "exp";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Exp)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::function(Function::Exp, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        tangent_times(r, tangents[0], |_| outputs[0])
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Exp, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Exp, &[Type::array(DType::F64, [3])]).range(-2.0, 2.0)]
    }
}
