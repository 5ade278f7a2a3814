//! Whether a number is neither infinite nor NaN, entry by entry.   x: [..] float → bool of that shape.
//!
//! No derivative. Errors: none.

use super::structure::{entrywise_float, no_tangents};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Whether a number is neither infinite nor NaN.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IsFinite;

impl Rules for IsFinite {
    const NAME: &'static str = "is_finite";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(IsFinite)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let bool_of = |ty: &Type| ty.with_dtype(DType::Bool);
        match entrywise_float::<1>(inputs) {
            Ok(out) => Ok(vec![bool_of(&out[0])]),
            Err(e) => Err(Mismatch { guess: e.guess.iter().map(bool_of).collect(), ..e }),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::is_finite(inputs[0].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(IsFinite, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(IsFinite, &[Type::array(DType::F64, [3])]).order(0)]
    }
}
