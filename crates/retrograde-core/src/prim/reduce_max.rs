//! The largest entry over axes, which disappear.   x: [..] number → y: the other axes.
//!
//! NaN where one is NaN; `+0` above `-0`. Derivative: that of the largest entry, the mean of all that are equal to it, as `max`
//! shares at ties; NaN where y is. Reverse keeps a mask and how many there are. Errors: none; an empty axis is refused.

use super::compare::Compare;
use super::structure::{other_axes, reduced_number, shifted};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{self, Comparison};

/// The largest entry over axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReduceMax {
    /// The axes that disappear.
    pub axes: Vec<usize>,
}

/// Refuses the extreme entry of none.
pub(super) fn some_entry(what: &str, out: Type, x: &Type, axes: &[usize]) -> Result<Vec<Type>, Mismatch> {
    match axes.iter().find(|&&axis| x.shape[axis] == 0) {
        Some(axis) => Err(Mismatch::new(format!("axis {axis} of {x}: found no entries, expected at least 1"))
            .help(format!("an empty axis has no {what} entry"))
            .guess(&out)),
        None => Ok(vec![out]),
    }
}

/// The mean of the tangents of all entries that are equal to the extreme one.
pub(super) fn of_the_winners(
    r: &mut Rule<'_>, x: ValueId, y: ValueId, x_dot: Option<ValueId>, axes: &[usize],
) -> Option<ValueId> {
    let x_dot = x_dot?;
    let ty = r.ty(x);
    let kept = other_axes(ty.shape.rank(), axes, &[]);
    let spread = r.broadcast(y, &ty.shape, &kept);
    let equal = r.emit(Compare { comparison: Comparison::Eq }, &[x, spread]);
    let ones = r.convert(equal, ty.dtype);
    let count = r.sum(ones, axes);
    let zeros = r.zeros(&ty);
    let chosen = r.select(equal, x_dot, zeros);
    let total = r.sum(chosen, axes);
    Some(r.strong_div(total, count))
}

impl Rules for ReduceMax {
    const NAME: &'static str = "reduce_max";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(ReduceMax { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        some_entry("largest", reduced_number(inputs, &self.axes)?, &inputs[0], &self.axes)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::reduce_max(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![of_the_winners(r, inputs[0], outputs[0], tangents[0], &self.axes)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(ReduceMax { axes: shifted(&self.axes) }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 2]);
        let row = |axes: &[usize], ty: &Type| Row::new(ReduceMax { axes: axes.to_vec() }, std::slice::from_ref(ty));
        vec![row(&[0, 1, 2], &ty), row(&[1], &ty), row(&[0, 2], &ty), row(&[], &ty), row(&[0], &ty.with_dtype(DType::I32)).order(0)]
    }
}
