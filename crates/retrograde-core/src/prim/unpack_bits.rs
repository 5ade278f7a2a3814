//! Truth values from their bits, see `pack_bits`. Only `tape` writes it, after every transform.
//!
//! x: u8 `[n / 8, rounded up]` → bool `[shape]` of n entries. No derivative, no batching. Errors: none.

use super::pack_bits::PackBits;
use super::structure::array_type;
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// Truth values from their bits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnpackBits {
    /// Of the result.
    pub shape: Vec<usize>,
}

impl Rules for UnpackBits {
    const NAME: &'static str = "unpack_bits";
    fn fields(&self) -> Fields<Prim> {
        vec![("shape", Field::Ints(self.shape.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(UnpackBits { shape: args.ints("shape")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let out = array_type(DType::Bool, &self.shape[..])?;
        match inputs {
            [x] if *x == PackBits::packed(&out) => Ok(vec![out]),
            [x] => Err(Mismatch::new(format!("found {x}, expected {}", PackBits::packed(&out)))),
            _ => Err(Mismatch::new(format!("found {} operands, expected 1", inputs.len()))),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::unpack_bits(inputs[0].array(), &Shape::from(&self.shape[..])))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("unpack_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("unpack_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(UnpackBits { shape: vec![3, 7] }, &[Type::array(DType::U8, [3])]).order(0)]
    }
}
