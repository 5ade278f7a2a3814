//! `z = x / y`, entry by entry, in which an exactly zero x wins.   x, y: same shape and float dtype → z: same.
//!
//! 0 where x is ±0 and y zero or NaN; all other entries have the bits of `div`. Derivative rules write it, for the reason
//! of Note [strong zero] in `strong_mul`. Derivative (ẋ - z ẏ) / y, as strong; reverse keeps y and z. Linear in x.
//! Errors: none.

use super::structure::{self, entrywise_float};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x / y`, in which an exactly zero x wins.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StrongDiv;

impl Rules for StrongDiv {
    const NAME: &'static str = "strong_div";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(StrongDiv)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::strong_div(inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![structure::quotient_rule(r, inputs, outputs, tangents)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, false]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|z_bar| r.strong_div(z_bar, inputs[1].known())), None]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(StrongDiv, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(StrongDiv, &[ty.clone(), ty]).range(0.5, 2.0)]
    }
}
