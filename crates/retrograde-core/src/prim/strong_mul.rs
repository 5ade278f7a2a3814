//! `z = x · y`, entry by entry, in which an exact zero wins.   x, y: same shape and float dtype → z: same.
//!
//! 0 where one of them is ±0 and the other infinite or NaN; all other entries have the bits of `mul`. Derivative rules write it.
//! Derivative y ẋ + x ẏ, as strong; reverse keeps the other operand. Linear in either operand, not in both together.
//! Errors: none.
//!
//! Note [strong zero]: the branch that a `select` did not take gets a cotangent that is exactly zero, whatever stands in it. A
//! coefficient that is infinite or NaN there (1/(2√x) at 0, e^x at 1000) would turn it into NaN, so the rules of everything that
//! works entry by entry, and of `prod`, multiply and divide tangents with `strong_mul` and `strong_div`. Both have derivative rules
//! that write only the two, so this holds at every order. The price: where a zero meets an infinite slope on a taken path (√x · √x at 0) the
//! derivative is 0 instead of NaN, and neither is the limit. What sums products inside (`dot_general`, `conv`, `recurrence`, so
//! `cumprod`, the decompositions) stays ordinary: an infinite or NaN entry of one operand still meets a zero cotangent of the other
//! as NaN. There a `select` of the operand, before the product, keeps it out.
//! Source: the strong zero of Enzyme; `mul_no_nan` and `div_no_nan` of TensorFlow.

use super::structure::{self, entrywise_float};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x · y`, in which an exact zero wins.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StrongMul;

impl Rules for StrongMul {
    const NAME: &'static str = "strong_mul";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(StrongMul)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::strong_mul(inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![structure::product_rule(r, inputs, tangents)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear != [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        structure::product_transpose(r, inputs, cts, Rule::strong_mul)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(StrongMul, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(StrongMul, &[ty.clone(), ty])]
    }
}
