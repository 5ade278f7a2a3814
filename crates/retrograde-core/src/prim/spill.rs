//! Puts on the bit stack what one `contract` drops. Written by `tape` only, after every transform.
//!
//! bits, v, R (i64 of one shape) → bits: a word of 32 bits for each entry whose remainder gets too large, none for the others.
//! `expand` takes them back. No derivative, no batching. Errors: a number that is no remainder.
//! Source: `retrograde_array::lattice`, Note \[spilling\].

use super::contract::{fields, parse, value_and_remainder};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value};
use crate::ir::{Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::{DType, lattice};

/// Puts on the bit stack what one `contract` drops.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Spill {
    /// The factor of the contraction.
    pub by: lattice::Contract,
}

/// A bit stack, a value and its remainder; returns the type of these.
pub(super) fn bits_value_and_remainder(inputs: &[Type]) -> Result<Type, Mismatch> {
    match inputs.split_first() {
        Some((bits, rest)) if bits.kind == Kind::Bits => value_and_remainder(rest).map_err(|e| Mismatch { guess: vec![], ..e }),
        _ => Err(Mismatch::new("operand 0: expected bits")),
    }
}

/// The bit stack and the two arrays. The stack is taken by value: it may be large, and nobody else holds it.
pub(super) fn operands(inputs: Vec<Value>) -> Result<(retrograde_array::bits::BitStack, Vec<Value>), EvalError> {
    let mut inputs = inputs.into_iter();
    let bits = inputs.next().ok_or_else(|| EvalError::Broken("a bit stack, found nothing".into()))?.into_bits()?;
    Ok((bits, inputs.collect()))
}

impl Rules for Spill {
    const NAME: &'static str = "spill";
    fn fields(&self) -> Fields<Prim> {
        fields(&self.by)
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Spill { by: parse(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        bits_value_and_remainder(inputs)?;
        Ok(vec![Type::bits()])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let (mut bits, arrays) = operands(inputs)?;
        self.by.spill(arrays[0].array(), arrays[1].array(), &mut bits)?;
        Ok(vec![Value::Bits(bits)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("spill: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("spill: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::I64, [3]);
        // Remainders up to the largest, so that words are spilled.
        let row = |by| Row::new(Spill { by }, &[Type::bits(), ty.clone(), ty.clone()]).range(9.0, 3.8e10).order(0);
        lattice::Contract::new(9, 10).map(row).into_iter().collect()
    }
}
