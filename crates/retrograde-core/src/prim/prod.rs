//! Product over axes, which disappear.   x: [..] number → y: the other axes.
//!
//! In the fixed order of `sum`; 1 where there are no entries. Integers wrap. Derivative Σᵢ ẋᵢ ∏ⱼ≠ᵢ xⱼ, with the products before
//! and after i from two `cumprod`: without a division, so it is right where entries are zero. Reverse keeps these products.
//! Errors: none.

use super::cumprod::Cumprod;
use super::structure::{delayed, other_axes, reduced_number, shifted};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Product over axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Prod {
    /// The axes that disappear.
    pub axes: Vec<usize>,
}

impl Rules for Prod {
    const NAME: &'static str = "prod";
    fn fields(&self) -> Fields<Prim> {
        vec![("axes", Field::Ints(self.axes.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Prod { axes: args.ints("axes")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        Ok(vec![reduced_number(inputs, &self.axes)?])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::prod(inputs[0].array(), &self.axes))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let ty = r.ty(inputs[0]);
        let kept = other_axes(ty.shape.rank(), &self.axes, &[]);
        let reduced = other_axes(ty.shape.rank(), &kept, &[]);
        let n: usize = reduced.iter().map(|&axis| ty.shape[axis]).product();
        let Some(x_dot) = tangents[0].filter(|_| n > 0) else { return vec![None] };
        let mut shape: Vec<usize> = kept.iter().map(|&axis| ty.shape[axis]).collect();
        shape.push(n);
        let axis = kept.len();
        let perm = [kept, reduced].concat();
        let [x, x_dot] = [inputs[0], x_dot].map(|v| {
            let v = r.transpose(v, &perm);
            r.reshape(v, &shape)
        });
        let [before, after] = [false, true].map(|reverse| {
            let others = delayed(r, x, axis, reverse, 1.0);
            r.emit(Cumprod { axis, reverse }, &[others])
        });
        let others = r.mul(before, after);
        let terms = r.strong_mul(x_dot, others);
        vec![Some(r.sum(terms, &[axis]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Prod { axes: shifted(&self.axes) }, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3, 2]);
        let row = |axes: &[usize], ty: &Type| Row::new(Prod { axes: axes.to_vec() }, std::slice::from_ref(ty));
        vec![
            row(&[0, 1, 2], &ty),
            row(&[1], &ty),
            row(&[0, 2], &ty),
            row(&[], &ty),
            row(&[0], &ty.with_shape([0, 2])),
            row(&[0], &ty.with_shape([20])).order(1),
            row(&[0], &ty.with_dtype(DType::I64)).order(0),
        ]
    }
}
