//! `y = x`, which must be `expected` to the bit.   x, expected: same type → y: same. Written by `tape` only.
//!
//! Stands where a loop that will be reversed starts with a carry that is a function of the other ones: that function is
//! recomputed on the way back, so the loop has to start with its value. No derivative, no batching. Errors: the first entry
//! that differs, with both values and what to try.

use super::structure::arrays_only;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, Scalar};

/// `y = x`, which must be `expected`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Agree {
    /// Which part of the loop's state it is.
    pub carry: usize,
}

impl Rules for Agree {
    const NAME: &'static str = "agree";
    fn fields(&self) -> crate::ir::Fields<super::Prim> {
        vec![("carry", crate::ir::Field::Int(self.carry as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Agree { carry: args.size("carry")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        if inputs[0] != inputs[1] {
            return Err(Mismatch::new(format!("found {} and {}, expected one type", inputs[0], inputs[1])));
        }
        Ok(inputs[..1].to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, mut inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let [x, expected] = [inputs[0].array(), inputs[1].array()];
        if !x.bits_eq(expected) {
            let pairs: Vec<(Scalar, Scalar)> = x.scalars().zip(expected.scalars()).collect();
            let entry = pairs.iter().position(|(x, e)| x.to_f64().to_bits() != e.to_f64().to_bits()).unwrap_or(0);
            let (found, expected) = pairs.get(entry).map(|(x, e)| (x.to_f64(), e.to_f64())).unwrap_or_default();
            return Err(EvalError::Start { carry: self.carry, entry, found, expected });
        }
        inputs.truncate(1);
        Ok(inputs)
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("agree: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("agree: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [3]);
        vec![Row::new(Agree { carry: 0 }, &[ty.clone(), ty]).order(0)]
    }
}
