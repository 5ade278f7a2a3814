//! `z = x · y`, entry by entry.   x, y: same shape and dtype → z: same.
//!
//! Derivative y ẋ + x ẏ with strong zeros (see `strong_mul`); reverse keeps the other operand. Integers wrap. Errors: none.
//! Linear in either operand, not in both together.

use super::structure::{self, entrywise_number};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x · y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Mul;

impl Rules for Mul {
    const NAME: &'static str = "mul";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Mul)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::binary(ops::Binary::Mul, inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![structure::product_rule(r, inputs, tangents)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear != [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        structure::product_transpose(r, inputs, cts, Rule::mul)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Mul, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Mul, &[ty.clone(), ty])]
    }
}
