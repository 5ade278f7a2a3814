//! Axes permuted.   x: [..] → y: axis i of y is axis `perm[i]` of x.
//!
//! Linear; its transpose and its inverse are the inverse permutation. Reverse keeps nothing. Errors: none.

use super::structure::{arrays_only, check_axes, prepended, shifted};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// Axes permuted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transpose {
    /// For each axis of the result, the axis of the operand.
    pub perm: Vec<usize>,
}

/// The permutation back.
pub(super) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
    inverse
}

impl Rules for Transpose {
    const NAME: &'static str = "transpose";
    fn fields(&self) -> Fields<Prim> {
        vec![("perm", Field::Ints(self.perm.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Transpose { perm: args.ints("perm")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let x = &inputs[0];
        if self.perm.len() != x.shape.rank() {
            let (found, expected) = (self.perm.len(), x.shape.rank());
            return Err(Mismatch::new(format!("perm: found {found} axes, expected the {expected} of {x}"))
                .help("list every axis once, in the new order; `t` is for matrices"));
        }
        check_axes("perm", &self.perm, x)?;
        Ok(vec![x.with_shape(self.perm.iter().map(|&axis| x.shape[axis]).collect::<Shape>())])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::transpose(inputs[0].array(), &self.perm))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.transpose(x_dot, &self.perm))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![cts[0].map(|y_bar| r.transpose(y_bar, &inverse(&self.perm)))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.transpose(inputs[0], &prepended(0, &shifted(&self.perm)))], vec![true])
    }
    fn after(&self, inner: &Prim) -> Option<Prim> {
        let Prim::Transpose(inner) = inner else { return None };
        Some(Transpose { perm: self.perm.iter().map(|&axis| inner.perm[axis]).collect() }.into())
    }
    fn is_identity(&self, _: &Type) -> bool {
        self.perm.iter().enumerate().all(|(i, &axis)| i == axis)
    }
    fn invert(
        &self, r: &mut Rule<'_>, _: &[Option<ValueId>], outputs: &[Option<ValueId>], _: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        Some((r.transpose(outputs[0]?, &inverse(&self.perm)), bits))
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 4]);
        vec![
            Row::new(Transpose { perm: vec![1, 0] }, &[Type::array(DType::F64, [2, 3])]),
            Row::new(Transpose { perm: vec![2, 0, 1] }, &[ty]),
        ]
    }
}
