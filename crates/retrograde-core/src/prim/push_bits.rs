//! Puts decisions on the bit stack. Written by `tape` only, after every transform.
//!
//! bits, p: bool `[..]` → bits: one for each entry. `pop_bits` takes them off again. A step that chooses by what its results do
//! not tell, an `if` on the state before it, is turned round with the choice itself. No derivative, no batching. Errors: none.

use super::spill::operands;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Kind, Mismatch, Type, ValueId};
use retrograde_array::DType;

/// Puts decisions on the bit stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PushBits;

/// How many bits are pushed at once.
pub(super) const WORD: usize = 64;

impl Rules for PushBits {
    const NAME: &'static str = "push_bits";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(PushBits)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        match inputs {
            [bits, p] if bits.kind == Kind::Bits && p.kind == Kind::Array && p.dtype == DType::Bool => Ok(vec![Type::bits()]),
            [bits, p] => Err(Mismatch::new(format!("found {bits} and {p}, expected bits and bool"))),
            _ => Err(Mismatch::new(format!("found {} operands, expected 2", inputs.len()))),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let (mut bits, arrays) = operands(inputs)?;
        let decisions = arrays[0].array().to_vec::<bool>().expect("checked by infer");
        for word in decisions.chunks(WORD) {
            let value = word.iter().rev().fold(0, |value, &p| value << 1 | u64::from(p));
            bits.push(value, word.len() as u32);
        }
        Ok(vec![Value::Bits(bits)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("push_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("push_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(PushBits, &[Type::bits(), Type::array(DType::Bool, [3, 30])]).order(0)]
    }
}
