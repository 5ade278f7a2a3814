//! `y = x` in another dtype, entry by entry.   x: [..] of any dtype → y: same shape.
//!
//! To float rounds once to nearest. Float to integer truncates towards zero and saturates, NaN gives 0. Wider integers wrap.
//! To bool: everything but zero is true. Derivative from float to float: ẋ in the new dtype; else none. Linear between
//! floats. Reverse keeps nothing. Errors: none.

use super::structure::arrays_only;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `y = x` in another dtype
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Convert {
    /// The dtype of the result.
    pub dtype: DType,
}

impl Rules for Convert {
    const NAME: &'static str = "convert";
    fn fields(&self) -> Fields<Prim> {
        vec![("dtype", Field::Word(self.dtype.name().into()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let dtype = args.word("dtype")?.parse().map_err(|e| format!("parameter `dtype`: {e}"))?;
        Ok(Convert { dtype })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        Ok(vec![inputs[0].with_dtype(self.dtype)])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::convert(inputs[0].array(), self.dtype))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].filter(|_| self.dtype.is_float()).map(|x_dot| r.convert(x_dot, self.dtype))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        self.dtype.is_float()
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        match (&inputs[0], cts[0]) {
            (Operand::Linear(ty), Some(y_bar)) if ty.is_float() => vec![Some(r.convert(y_bar, ty.dtype))],
            _ => vec![None],
        }
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn is_identity(&self, operand: &Type) -> bool {
        self.dtype == operand.dtype
    }
    fn rows() -> Vec<Row> {
        let ty = |dtype| Type::array(dtype, [3]);
        let row = |to, from| Row::new(Convert { dtype: to }, &[ty(from)]);
        vec![
            row(DType::F64, DType::F64),
            row(DType::F64, DType::F32).order(1),
            row(DType::F32, DType::F64).order(0),
            row(DType::I64, DType::F64).order(0),
            row(DType::F64, DType::Bool).order(0),
            row(DType::I32, DType::I64).order(0),
            row(DType::U8, DType::BF16).order(0),
            row(DType::BF16, DType::U8).order(0),
        ]
    }
}
