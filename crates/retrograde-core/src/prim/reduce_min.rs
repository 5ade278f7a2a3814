//! The smallest entry over axes, which disappear.   x: [..] number → y: the other axes.
//!
//! NaN where one is NaN; `-0` below `+0`. Derivative: that of the smallest entry, the mean of all that are equal to it, as `min`
//! shares at ties; NaN where y is. Reverse keeps a mask and how many there are. Errors: none; an empty axis is refused.

use super::reduce_max::{of_the_winners, some_entry};
use super::structure::{reduced_number, shifted};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// The smallest entry over axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReduceMin {
    /// The axes that disappear.
    pub axes: Vec<usize>,
}

impl Rules for ReduceMin {
    const NAME: &'static str = "reduce_min";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(ReduceMin { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        some_entry("smallest", reduced_number(inputs, &self.axes)?, &inputs[0], &self.axes)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::reduce_min(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![of_the_winners(r, inputs[0], outputs[0], tangents[0], &self.axes)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(ReduceMin { axes: shifted(&self.axes) }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 2]);
        let row = |axes: &[usize], ty: &Type| Row::new(ReduceMin { axes: axes.to_vec() }, std::slice::from_ref(ty));
        vec![row(&[0, 1, 2], &ty), row(&[1], &ty), row(&[0, 2], &ty), row(&[], &ty), row(&[0], &ty.with_dtype(DType::I32)).order(0)]
    }
}
