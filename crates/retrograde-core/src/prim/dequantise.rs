//! The floats of codes on their grids, see `quantise`. Only `tape` writes it, after every transform.
//!
//! codes: u8, grids: f32 → float `[shape]`. No derivative, no batching. Errors: none.

use super::quantise::{Quantise, parse_bits};
use super::structure::array_type;
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// The floats of codes on their grids.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Dequantise {
    /// Of a code, 1 to 8.
    pub bits: u8,
    /// Of the result.
    pub dtype: DType,
    /// Of the result.
    pub shape: Vec<usize>,
}

impl Rules for Dequantise {
    const NAME: &'static str = "dequantise";
    fn fields(&self) -> Fields<Prim> {
        let ty = Type::array(self.dtype, self.shape.clone());
        vec![("bits", Field::Int(self.bits.into())), ("type", Field::Type(ty))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let (bits, ty) = (parse_bits(args)?, args.ty("type")?);
        Ok(Dequantise { bits, dtype: ty.dtype, shape: ty.shape.to_vec() })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let out = array_type(self.dtype, &self.shape[..])?;
        if !out.is_float() || !(1..=8).contains(&self.bits) {
            return Err(Mismatch::new(format!("found {} bits of {out}, expected 1 to 8 of floats", self.bits)));
        }
        let expected = Quantise::codes_and_grids(&out.shape, self.bits);
        if inputs != expected {
            return Err(Mismatch::new(format!("expected codes {} and grids {}", expected[0], expected[1])));
        }
        Ok(vec![out])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let shape = Shape::from(&self.shape[..]);
        value::one(ops::dequantise(inputs[0].array(), inputs[1].array(), self.bits, self.dtype, &shape))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("dequantise: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("dequantise: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let row = |bits, dtype, shape: &[usize]| {
            let types = Quantise::codes_and_grids(&Shape::from(shape), bits);
            Row::new(Dequantise { bits, dtype, shape: shape.to_vec() }, &types).order(0)
        };
        vec![row(3, DType::F64, &[3, 7]), row(8, DType::F32, &[300])]
    }
}
