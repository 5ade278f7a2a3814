//! `y = -x`, entry by entry.   x: [..] number → y: same shape and dtype.
//!
//! Derivative -ẋ; reverse keeps nothing. Integers wrap. Errors: none. Linear. Its own inverse, to the bit.

use super::structure::entrywise_number;
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `y = -x`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Neg;

impl Rules for Neg {
    const NAME: &'static str = "neg";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Neg)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::unary(ops::Unary::Neg, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.neg(x_dot))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|y_bar| r.neg(y_bar))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Neg, inputs, batched, n)
    }
    fn invert(
        &self, r: &mut Rule<'_>, _: &[Option<ValueId>], outputs: &[Option<ValueId>], _: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        Some((r.neg(outputs[0]?), bits))
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Neg, &[Type::array(DType::F64, [3])])]
    }
}
