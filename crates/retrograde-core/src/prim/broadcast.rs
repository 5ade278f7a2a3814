//! Repetition along new axes.   x: [..] → y: the given shape, in which axis i of x is axis `axes[i]`.
//!
//! `axes` ascend; the other axes of y repeat. Linear; its transpose is the sum over the new axes. Reverse keeps nothing.
//! Errors: none.

use super::structure::{array_type, arrays_only, check_axes, other_axes, prepended, shifted};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// Repetition along new axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast {
    /// The shape of the result.
    pub shape: Vec<usize>,
    /// For each axis of the operand, the axis of the result.
    pub axes: Vec<usize>,
}

impl Rules for Broadcast {
    const NAME: &'static str = "broadcast";
    fn fields(&self) -> Fields<Prim> {
        vec![("shape", Field::Ints(self.shape.clone())), ("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Broadcast { shape: args.ints("shape")?, axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let x = &inputs[0];
        let out = array_type(x.dtype, &self.shape[..])?;
        if self.axes.len() != x.shape.rank() {
            let (found, expected) = (self.axes.len(), x.shape.rank());
            return Err(Mismatch::new(format!("axes: found {found}, expected {expected}, one for each axis of {x}"))
                .help("each axis of the operand becomes one of the result; `spread` keeps them last and in order")
                .guess(&out));
        }
        check_axes("axes", &self.axes, &out).map_err(|e| e.guess(&out))?;
        if !self.axes.is_sorted() {
            return Err(Mismatch::new(format!("axes: found {:?}, expected ascending ones", self.axes))
                .help("permute the operand with `transpose` first")
                .guess(&out));
        }
        match (0..self.axes.len()).find(|&i| x.shape[i] != self.shape[self.axes[i]]) {
            Some(i) => {
                let (found, axis) = (x.shape[i], self.axes[i]);
                let expected = self.shape[axis];
                Err(Mismatch::new(format!("axis {i} of {x} becomes axis {axis} of {out}: found length {found}, expected {expected}"))
                    .help("an axis of length 1 does not repeat by itself: drop it with `reshape` first")
                    .guess(&out))
            }
            None => Ok(vec![out]),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::broadcast(inputs[0].array(), &Shape::from(&self.shape[..]), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, _: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let new = other_axes(self.shape.len(), &self.axes, &[]);
        vec![cts[0].map(|y_bar| if new.is_empty() { y_bar } else { r.sum(y_bar, &new) })]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let (shape, axes) = (prepended(n, &self.shape), prepended(0, &shifted(&self.axes)));
        (vec![r.broadcast(inputs[0], &shape, &axes)], vec![true])
    }
    fn after(&self, inner: &Prim) -> Option<Prim> {
        let Prim::Broadcast(inner) = inner else { return None };
        let axes = inner.axes.iter().map(|&axis| self.axes[axis]).collect();
        Some(Broadcast { shape: self.shape.clone(), axes }.into())
    }
    fn is_identity(&self, operand: &Type) -> bool {
        self.shape.len() == operand.shape.rank()
    }
    fn rows() -> Vec<Row> {
        let row = |from: &[usize], shape: &[usize], axes: &[usize]| {
            Row::new(Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, &[Type::array(DType::F64, from)])
        };
        vec![row(&[], &[2, 3], &[]), row(&[3], &[2, 3], &[1]), row(&[2, 3], &[2, 4, 3], &[0, 2])]
    }
}
