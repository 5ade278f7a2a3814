//! `z = x - y`, entry by entry.   x, y: same shape and dtype → z: same.
//!
//! Derivative ẋ - ẏ; reverse keeps nothing. Integers wrap. Errors: none.
//! Linear in both operands together. Inverse: either operand from z and the other, exactly: fl(x - y) = fl(x + (-y)).

use super::structure::{self, entrywise_number};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, restore, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x - y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sub;

impl Rules for Sub {
    const NAME: &'static str = "sub";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Sub)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::binary(ops::Binary::Sub, inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![structure::difference(r, tangents[0], tangents[1])]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0], cts[0].map(|z_bar| r.neg(z_bar))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Sub, inputs, batched, n)
    }
    fn invert(
        &self, r: &mut Rule<'_>, known: &[Option<ValueId>], outputs: &[Option<ValueId>], unknown: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        let z = outputs[0]?;
        match *known {
            [None, Some(y)] => {
                let minus_y = r.neg(y);
                restore::other_term(r, z, minus_y, unknown, bits)
            }
            [Some(x), None] => {
                let (minus_y, bits) = restore::other_term(r, z, x, unknown, bits)?;
                Some((r.neg(minus_y), bits))
            }
            _ => None,
        }
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Sub, &[ty.clone(), ty])]
    }
}
