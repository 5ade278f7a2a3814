//! `z = min(x, y)`, entry by entry.   x, y: same shape and dtype → z: same.
//!
//! NaN where either is NaN; `-0` below `+0`. Derivative: that of the smaller; half of each where they are equal, or not
//! ordered (NaN). The other side is an exact zero, whatever its tangent. Reverse keeps two masks. Errors: none.
//! Source: as `max`; min(x, y) = -max(-x, -y) to the bit, derivatives included.

use super::max::of_the_winner;
use super::structure::entrywise_number;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::ops::{self, Comparison};
use retrograde_array::DType;

/// `z = min(x, y)`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Min;

impl Rules for Min {
    const NAME: &'static str = "min";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Min)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::min(inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![of_the_winner(r, Comparison::Lt, inputs, outputs[0], tangents)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Min, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Min, &[ty.clone(), ty]).order(1)]
    }
}
