//! Along an axis, the product of all entries up to each; from the end where `reverse` is set.   x: [..] number → y: same type.
//!
//! Sequentially in index order. Integers wrap. Derivative ẏᵢ = xᵢ ẏᵢ₋₁ + yᵢ₋₁ ẋᵢ, a `recurrence` without a division, so it is right
//! where entries are zero. Reverse mode keeps x and y. Errors: none.

use super::recurrence::Recurrence;
use super::structure::{delayed, reduced_number};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Products of all entries up to each.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cumprod {
    /// The axis.
    pub axis: usize,
    /// From the end.
    pub reverse: bool,
}

impl Rules for Cumprod {
    const NAME: &'static str = "cumprod";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64)), ("reverse", Field::Bool(self.reverse))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Cumprod { axis: args.size("axis")?, reverse: args.bool("reverse")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        reduced_number(inputs, &[self.axis])?;
        Ok(inputs.to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::cumprod(inputs[0].array(), self.axis, self.reverse))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| {
            let before = delayed(r, outputs[0], self.axis, self.reverse, 1.0);
            let term = r.strong_mul(x_dot, before);
            r.emit(Recurrence { axis: self.axis, reverse: self.reverse }, &[inputs[0], term])
        })]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Cumprod { axis: self.axis + 1, reverse: self.reverse }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |axis, reverse, x: &[usize]| Row::new(Cumprod { axis, reverse }, &[Type::array(DType::F64, x)]);
        vec![row(0, false, &[5]), row(1, true, &[2, 3, 2]), row(0, false, &[0])]
    }
}
