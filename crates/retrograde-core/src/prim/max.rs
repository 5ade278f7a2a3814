//! `z = max(x, y)`, entry by entry.   x, y: same shape and dtype → z: same.
//!
//! NaN where either is NaN; `+0` above `-0`. Derivative: that of the larger; half of each where they are equal, or not
//! ordered (NaN). The other side is an exact zero, whatever its tangent. Reverse keeps two masks. Errors: none.
//! Source: the half at a tie is the middle of the subdifferential, as in autograd and JAX.

use super::compare::Compare;
use super::structure::entrywise_number;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::ops::{self, Comparison};
use retrograde_array::DType;

/// `z = max(x, y)`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Max;

impl Rules for Max {
    const NAME: &'static str = "max";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Max)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::binary(ops::Binary::Max, inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        // x_dot where x > y, y_dot where x < y, else the mean of both.
        let Some(sum) = r.add_optional(tangents[0], tangents[1]) else { return vec![None] };
        let ty = r.ty(outputs[0]);
        let left = r.emit(Compare { comparison: Comparison::Gt }, inputs);
        let right = r.emit(Compare { comparison: Comparison::Lt }, inputs);
        let half = r.full(&ty, 0.5);
        let mean = r.mul(sum, half);
        let [x_dot, y_dot] = [0, 1].map(|i| tangents[i].unwrap_or_else(|| r.zeros(&ty)));
        let otherwise = r.select(right, y_dot, mean);
        vec![Some(r.select(left, x_dot, otherwise))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Max, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Max, &[ty.clone(), ty]).order(1)]
    }
}
