//! `y = √x`, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative ẋ / (2 y); reverse keeps y. At x = 0 the derivative is ∞, and
//! 0 where ẋ or the cotangent is exactly 0 (Note [strong zero] in `strong_mul`). Errors: none (NaN for x < 0).
//! Source: any calculus text; correctly rounded (IEEE 754-2019, 5.4.1).

use super::structure::entrywise_float;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `y = √x`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sqrt;

impl Rules for Sqrt {
    const NAME: &'static str = "sqrt";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Sqrt)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::unary(ops::Unary::Sqrt, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| {
            let twice_y = r.add(outputs[0], outputs[0]);
            r.strong_div(x_dot, twice_y)
        })]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Sqrt, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Sqrt, &[Type::array(DType::F64, [3])]).range(0.5, 2.0)]
    }
}
