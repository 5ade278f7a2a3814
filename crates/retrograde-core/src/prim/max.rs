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

/// The tangent of whichever of two operands wins the comparison; the mean of both where neither does.
pub(super) fn of_the_winner(
    r: &mut Rule<'_>, wins: Comparison, inputs: &[ValueId], output: ValueId, tangents: &[Option<ValueId>],
) -> Option<ValueId> {
    let sum = r.add_optional(tangents[0], tangents[1])?;
    let ty = r.ty(output);
    let left = r.emit(Compare { comparison: wins }, inputs);
    let right = r.emit(Compare { comparison: wins }, &[inputs[1], inputs[0]]);
    let half = r.full(&ty, 0.5);
    let mean = r.mul(sum, half);
    let [x_dot, y_dot] = [0, 1].map(|i| tangents[i].unwrap_or_else(|| r.zeros(&ty)));
    let otherwise = r.select(right, y_dot, mean);
    Some(r.select(left, x_dot, otherwise))
}

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
        vec![of_the_winner(r, Comparison::Gt, inputs, outputs[0], tangents)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Max, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Max, &[ty.clone(), ty]).order(1)]
    }
}
