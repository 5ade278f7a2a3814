//! `z = x / y`, entry by entry.   x, y: same shape and dtype → z: same.
//!
//! Derivative (ẋ - z ẏ) / y; reverse keeps y and z. Floats follow IEEE (x / 0 is ±∞ or NaN); integers truncate towards zero.
//! Linear in x. At y = 0 the derivative is infinite or NaN too, and 0 where its factor is exactly 0 (Note [strong zero] in
//! `strong_mul`). Errors: integer division by zero. Source: any calculus text.

use super::structure::{self, entrywise_number};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x / y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Div;

impl Rules for Div {
    const NAME: &'static str = "div";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Div)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::binary(ops::Binary::Div, inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![structure::quotient_rule(r, inputs, outputs, tangents)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, false]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|z_bar| r.div(z_bar, inputs[1].known())), None]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Div, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Div, &[ty.clone(), ty]).range(0.5, 2.0)]
    }
}
