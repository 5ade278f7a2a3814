//! `y = min(max(x, low), high)`, entry by entry.   x, low, high: same shape and dtype → y: same.
//!
//! `high` where the bounds cross; NaN where one of the three is. Derivative: that of whichever of the three y is. At an edge
//! that is x, so that a parameter on its bound can move back; the bound's is an exact zero there. Reverse keeps two masks.
//! Errors: none.

use super::compare::Compare;
use super::max::Max;
use super::structure::entrywise_number;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::ops::{self, Comparison};
use retrograde_array::DType;

/// `y = min(max(x, low), high)`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Clamp;

impl Rules for Clamp {
    const NAME: &'static str = "clamp";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Clamp)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<3>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::clamp(inputs[0].array(), inputs[1].array(), inputs[2].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if tangents == [None, None, None] {
            return vec![None];
        }
        let [x, low, high] = [inputs[0], inputs[1], inputs[2]];
        let ty = r.ty(outputs[0]);
        let [x_dot, low_dot, high_dot] = [0, 1, 2].map(|i| tangents[i].unwrap_or_else(|| r.zeros(&ty)));
        let raised = r.emit(Max, &[x, low]);
        let below = r.emit(Compare { comparison: Comparison::Lt }, &[x, low]);
        let above = r.emit(Compare { comparison: Comparison::Gt }, &[raised, high]);
        let raised_dot = r.select(below, low_dot, x_dot);
        vec![Some(r.select(above, high_dot, raised_dot))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Clamp, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        let int = ty.with_dtype(DType::I64);
        vec![Row::new(Clamp, &[ty.clone(), ty.clone(), ty]), Row::new(Clamp, &[int.clone(), int.clone(), int]).order(0)]
    }
}
