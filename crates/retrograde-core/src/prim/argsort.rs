//! Positions of the entries along an axis in ascending or descending order.   x: [..] number → y: i64 of the same shape.
//!
//! Equal entries keep their order, in both directions; `-0` equals `+0`; NaN counts as the largest. No derivative: `sort` takes
//! the entries at these positions, so that its derivative is the permutation. Errors: none.

use super::structure::{no_tangents, reduced_number};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Positions of the entries along an axis in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Argsort {
    /// The axis.
    pub axis: usize,
    /// The largest first.
    pub descending: bool,
}

impl Rules for Argsort {
    const NAME: &'static str = "argsort";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64)), ("descending", Field::Bool(self.descending))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Argsort { axis: args.size("axis")?, descending: args.bool("descending")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        reduced_number(inputs, &[self.axis])?;
        Ok(vec![inputs[0].with_dtype(DType::I64)])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::argsort(inputs[0].array(), self.axis, self.descending))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Argsort { axis: self.axis + 1, descending: self.descending }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |axis, descending, dtype| Row::new(Argsort { axis, descending }, &[Type::array(dtype, [2, 5])]).order(0);
        vec![row(1, false, DType::F64), row(0, true, DType::F64), row(1, true, DType::I64)]
    }
}
