//! The position of the largest entry along an axis, which disappears.   x: [..] number → y: i64 of the other axes.
//!
//! The first of equal ones; `-0` equals `+0`; NaN counts as the largest. No derivative. Errors: none.

use super::structure::{no_tangents, position_along};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// The position of the largest entry along an axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Argmax {
    /// The axis that disappears.
    pub axis: usize,
}

impl Rules for Argmax {
    const NAME: &'static str = "argmax";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Argmax { axis: args.size("axis")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        position_along(inputs, self.axis, "largest")
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::argmax(inputs[0].array(), self.axis))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Argmax { axis: self.axis + 1 }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [3, 4]);
        [0, 1].map(|axis| Row::new(Argmax { axis }, std::slice::from_ref(&ty)).order(0)).to_vec()
    }
}
