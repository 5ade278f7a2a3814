//! Entries along axes in the opposite order.   x: [..] → y: same type.
//!
//! Linear; its own transpose. Reverse mode keeps nothing. Errors: none.

use super::structure::{arrays_only, check_axes, shifted};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Entries along axes in the opposite order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reverse {
    /// The axes.
    pub axes: Vec<usize>,
}

impl Rules for Reverse {
    const NAME: &'static str = "reverse";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Reverse { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        check_axes("axes", &self.axes, &inputs[0])?;
        Ok(inputs.to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::reverse(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|y_bar| r.emit(self.clone(), &[y_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Reverse { axes: shifted(&self.axes) }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 2]);
        [&[1][..], &[0, 2], &[]].map(|axes| Row::new(Reverse { axes: axes.to_vec() }, std::slice::from_ref(&ty))).to_vec()
    }
}
