//! `z = x + y`, entry by entry.   x, y: same shape and dtype → z: same.
//!
//! Derivative ẋ + ẏ; reverse keeps nothing. Integers wrap. Errors: none.
//! Linear in both operands together. Inverse: either operand from z and the other, exactly (floats: see `restore`).

use super::structure::entrywise_number;
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, restore, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x + y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Add;

impl Rules for Add {
    const NAME: &'static str = "add";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Add)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::binary(ops::Binary::Add, inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![r.add_optional(tangents[0], tangents[1])]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, true]
    }
    fn transpose(&self, _: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0], cts[0]]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Add, inputs, batched, n)
    }
    fn invert(
        &self, r: &mut Rule<'_>, known: &[Option<ValueId>], outputs: &[Option<ValueId>], unknown: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        match *known {
            [None, Some(d)] | [Some(d), None] => restore::other_term(r, outputs[0]?, d, unknown, bits),
            _ => None,
        }
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Add, &[ty.clone(), ty])]
    }
}
