//! Sum over axes, which disappear.   x: [..] number → y: the other axes.
//!
//! In one fixed order (see `retrograde_array::ops::sum`): the result does not depend on the machine. Integers wrap.
//! Linear; its transpose is `broadcast`. Reverse keeps nothing. Errors: none.

use super::structure::{arrays_only, check_axes, other_axes, shifted};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// Sum over axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sum {
    /// The axes that disappear.
    pub axes: Vec<usize>,
}

impl Rules for Sum {
    const NAME: &'static str = "sum";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Sum { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let x = &inputs[0];
        if x.dtype == DType::Bool {
            return Err(Mismatch::new(format!("found {x}, expected numbers"))
                .help("convert truth values first: `.convert(DType::F64)`"));
        }
        check_axes("axes", &self.axes, x)?;
        let kept = other_axes(x.shape.rank(), &self.axes, &[]);
        Ok(vec![x.with_shape(kept.iter().map(|&axis| x.shape[axis]).collect::<Shape>())])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::sum(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.sum(x_dot, &self.axes))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (Operand::Linear(ty), Some(y_bar)) = (&inputs[0], cts[0]) else { return vec![None] };
        let kept = other_axes(ty.shape.rank(), &self.axes, &[]);
        vec![Some(r.broadcast(y_bar, &ty.shape, &kept))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.sum(inputs[0], &shifted(&self.axes))], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 4]);
        let row = |axes: &[usize]| Row::new(Sum { axes: axes.to_vec() }, std::slice::from_ref(&ty));
        vec![row(&[0, 1, 2]), row(&[1]), row(&[0, 2]), row(&[])]
    }
}
