//! Numbers that count 0, 1, … along an axis and repeat along the others.   no operands → an array of the given type.
//!
//! Floats hold whole numbers up to 2^53 (f64) or 2^24 (f32) exactly and round beyond. No derivative: a constant. Errors: none.

use super::structure::{array_type, arrays_only, check_axes, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Numbers that count along an axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Iota {
    /// The type of the array.
    pub ty: Type,
    /// The axis along which it counts.
    pub axis: usize,
}

impl Rules for Iota {
    const NAME: &'static str = "iota";
    fn fields(&self) -> Fields<Prim> {
        vec![("type", Field::Type(self.ty.clone())), ("axis", Field::Int(self.axis as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Iota { ty: args.ty("type")?, axis: args.size("axis")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 0)?;
        if self.ty.kind != Kind::Array || self.ty.dtype == DType::Bool {
            return Err(Mismatch::new(format!("type: found {}, expected an array of numbers", self.ty))
                .help("count in integers and compare, for example `.gt(0)`, for truth values"));
        }
        check_axes("axis", &[self.axis], &self.ty)?;
        Ok(vec![array_type(self.ty.dtype, self.ty.shape.clone())?])
    }
    fn eval(&self, _: &mut dyn Evaluate, _: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::iota(self.ty.dtype, &self.ty.shape, self.axis))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![false])
    }
    fn rows() -> Vec<Row> {
        let row = |dtype, axis| Row::new(Iota { ty: Type::array(dtype, [2, 3]), axis }, &[]).order(0);
        vec![row(DType::I64, 1), row(DType::F64, 0)]
    }
}
