//! The value and remainder before one `contract`, exactly, with the help of the bit stack. Written by `tape` only.
//!
//! bits, v', R' (i64 of one shape) → bits, v, R. `spill` put the bits there; whether an entry has some is seen from R'. No
//! derivative, no batching. Errors: the stack is not the one that was recorded.
//! Source: `retrograde_array::lattice`, Note \[spilling\].

use super::contract::{fields, parse};
use super::spill::{bits_value_and_remainder, operands};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, lattice};

/// The value and remainder before one `contract`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Expand {
    /// The factor of the contraction.
    pub by: lattice::Contract,
}

impl Rules for Expand {
    const NAME: &'static str = "expand";
    fn fields(&self) -> Fields<Prim> {
        fields(&self.by)
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Expand { by: parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let ty = bits_value_and_remainder(inputs)?;
        Ok(vec![Type::bits(), ty.clone(), ty])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let (mut bits, arrays) = operands(inputs)?;
        let (v, r) = self.by.undo(arrays[0].array(), arrays[1].array(), &mut bits)?;
        Ok(vec![Value::Bits(bits), Value::Array(v), Value::Array(r)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("expand: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("expand: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::I64, [3]);
        let row = |by| Row::new(Expand { by }, &[Type::bits(), ty.clone(), ty.clone()]).range(10.0, 3.8e10).order(0);
        lattice::Contract::new(9, 10).map(row).into_iter().collect()
    }
}
