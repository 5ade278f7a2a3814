//! An array with one value everywhere.   no operands → an array of the given type.
//!
//! No derivative: a constant. Errors: none.

use super::structure::{array_type, arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::{Array, DType, Scalar};

/// An array with one value everywhere.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Full {
    /// The type of the array.
    pub ty: Type,
    /// Its value, of the same dtype.
    pub value: Scalar,
}

impl Full {
    /// The array; `None` where type and value do not fit.
    pub fn array(&self) -> Option<Array> {
        self.infer(&[]).ok().map(|_| Array::full(self.ty.dtype, self.ty.shape.clone(), self.value))
    }
}

impl Rules for Full {
    const NAME: &'static str = "full";
    fn fields(&self) -> Fields<Prim> {
        let value = Array::full(self.value.dtype(), [], self.value);
        vec![("type", Field::Type(self.ty.clone())), ("value", Field::Array(value))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let (ty, value) = (args.ty("type")?, args.array("value")?);
        match value.get(0) {
            Some(scalar) if value.rank() == 0 => Ok(Full { ty, value: scalar }),
            _ => Err(format!("parameter `value`: found {}, expected an array of rank 0", Type::of(&value))),
        }
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 0)?;
        if self.ty.kind != Kind::Array {
            return Err(Mismatch::new(format!("type: found {}, expected an array", self.ty)));
        }
        if self.value.dtype() != self.ty.dtype {
            let (found, expected) = (self.value.dtype(), self.ty.dtype);
            return Err(Mismatch::new(format!("value: found {found}, expected {expected}")).guess(&self.ty));
        }
        Ok(vec![array_type(self.ty.dtype, self.ty.shape.clone())?])
    }
    fn eval(&self, _: &mut dyn Evaluate, _: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(self.array().ok_or_else(|| EvalError::Broken(format!("a value of {}", self.ty)))?)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![false])
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(Full { ty: Type::array(DType::F64, [2, 3]), value: Scalar::F64(0.5) }, &[]).order(0)]
    }
}
