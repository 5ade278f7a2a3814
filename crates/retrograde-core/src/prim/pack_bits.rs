//! Truth values as bits, for the tape. Only `tape` writes it, after every transform.
//!
//! x: bool `[..]` → u8 `[n / 8, rounded up]`, entry i of the row-major order in bit i mod 8 of byte i / 8. No derivative, no
//! batching. Errors: none.

use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Truth values as bits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PackBits;

impl PackBits {
    /// The type of the bits of a bool array.
    pub fn packed(ty: &Type) -> Type {
        Type::array(DType::U8, [ty.shape.size().div_ceil(8)])
    }
}

impl Rules for PackBits {
    const NAME: &'static str = "pack_bits";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(PackBits)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        match inputs {
            [x] if x.dtype == DType::Bool && x.kind == crate::ir::Kind::Array => Ok(vec![PackBits::packed(x)]),
            [x] => Err(Mismatch::new(format!("found {x}, expected bool"))),
            _ => Err(Mismatch::new(format!("found {} operands, expected 1", inputs.len()))),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::pack_bits(inputs[0].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("pack_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("pack_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(PackBits, &[Type::array(DType::Bool, [3, 7])]).order(0)]
    }
}
