//! The nearest integer, entry by entry; halves go to the even one.   x: [..] float → y: same shape and dtype.
//!
//! The sign of a zero result is that of x; infinities and NaN stay as they are. The derivative is zero everywhere, at the
//! jumps too. Errors: none. Source: roundToIntegralTiesToEven of IEEE 754-2019, 5.9; exact.

use super::structure::{entrywise_float, no_tangents};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// The nearest integer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Round;

impl Rules for Round {
    const NAME: &'static str = "round";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Round)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<1>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::piecewise(ops::Piecewise::Round, inputs[0].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Round, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Round, &[Type::array(DType::F64, [5])]), Row::new(Round, &[Type::array(DType::F32, [5])]).order(0)]
    }
}
