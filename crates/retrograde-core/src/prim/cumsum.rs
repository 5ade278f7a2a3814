//! Along an axis, the sum of all entries up to each; from the end where `reverse` is set.   x: [..] number → y: same type.
//!
//! Sequentially in index order, so an entry does not depend on what follows it. Integers wrap. Linear; its transpose runs from the
//! other end. Reverse mode keeps nothing. Errors: none.

use super::structure::{reduced_number};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Sums of all entries up to each.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cumsum {
    /// The axis.
    pub axis: usize,
    /// From the end.
    pub reverse: bool,
}

impl Rules for Cumsum {
    const NAME: &'static str = "cumsum";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64)), ("reverse", Field::Bool(self.reverse))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Cumsum { axis: args.size("axis")?, reverse: args.bool("reverse")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        reduced_number(inputs, &[self.axis])?;
        Ok(inputs.to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::cumsum(inputs[0].array(), self.axis, self.reverse))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|y_bar| r.emit(Cumsum { reverse: !self.reverse, ..*self }, &[y_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Cumsum { axis: self.axis + 1, reverse: self.reverse }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |axis, reverse, x: &[usize]| Row::new(Cumsum { axis, reverse }, &[Type::array(DType::F64, x)]);
        vec![row(0, false, &[5]), row(1, true, &[2, 3, 2]), row(0, false, &[0])]
    }
}
