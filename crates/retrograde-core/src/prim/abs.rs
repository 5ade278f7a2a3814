//! `y = |x|`, entry by entry.   x: [..] number → y: same shape and dtype.
//!
//! Derivative sign x, which is 0 at 0 (the middle of the subdifferential, as `max` has it at ties); reverse keeps x.
//! Integers wrap: the smallest one is its own absolute value. Errors: none (NaN in, NaN out).

use super::sign::Sign;
use super::structure::entrywise_number;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `y = |x|`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Abs;

impl Rules for Abs {
    const NAME: &'static str = "abs";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Abs)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::piecewise(ops::Piecewise::Abs, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| {
            let slope = r.emit(Sign, inputs);
            r.strong_mul(x_dot, slope)
        })]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Abs, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [5]);
        vec![Row::new(Abs, std::slice::from_ref(&ty)), Row::new(Abs, &[ty.with_dtype(DType::I64)]).order(0)]
    }
}
