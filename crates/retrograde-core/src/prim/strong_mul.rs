//! `z = x · y`, entry by entry, in which an exact zero wins.   x, y: same shape and float dtype → z: same.
//!
//! 0 where one of them is ±0 and the other infinite or NaN; all other entries have the bits of `mul`. Derivative rules write it.
//! Derivative y ẋ + x ẏ, as strong; reverse keeps the other operand. Linear in either operand, not in both together.
//! Errors: none.
//!
//! Note [strong zero]: the branch that a `select` did not take gets a cotangent that is exactly zero, whatever stands in it. A
//! coefficient that is infinite or NaN there (1/(2√x) at 0, e^x at 1000) would turn it into NaN, so derivative rules multiply and
//! divide by coefficients that may be infinite with `strong_mul` and `strong_div`. Both have derivative rules that write only
//! the two, so this holds at every order. The price: where a zero meets an infinite slope on a taken path (√x · √x at 0) the
//! derivative is 0 instead of NaN, and neither is the limit. Matrix products and `fma` stay ordinary: an infinite value in one of
//! their operands still meets a zero cotangent as NaN, as it meets the other operand in the value itself.
//! Source: the strong zero of Enzyme; `mul_no_nan` and `div_no_nan` of TensorFlow.

use super::structure::entrywise_float;
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
        let left = tangents[0].map(|x_dot| r.strong_mul(x_dot, inputs[1]));
        let right = tangents[1].map(|y_dot| r.strong_mul(inputs[0], y_dot));
        vec![r.add_optional(left, right)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear != [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(z_bar) = cts[0] else { return vec![None, None] };
        match inputs {
            [Operand::Linear(_), y] => vec![Some(r.strong_mul(z_bar, y.known())), None],
            [x, _] => vec![None, Some(r.strong_mul(x.known(), z_bar))],
            _ => unreachable!("strong_mul has two operands"),
        }
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(StrongMul, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(StrongMul, &[ty.clone(), ty])]
    }
}
