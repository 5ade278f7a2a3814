//! Takes decisions off the bit stack. Written by `tape` only, after every transform.
//!
//! bits → bits, p: bool of `shape`. `push_bits` put them there. No derivative, no batching. Errors: the stack has fewer bits, so it
//! is not the one that was recorded.

use super::push_bits::WORD;
use super::structure::array_type;
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value};
use crate::ir::{Field, Fields, Kind, Mismatch, Type, ValueId};
use retrograde_array::lost::LostError;
use retrograde_array::{Array, DType};

/// Takes decisions off the bit stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PopBits {
    /// Of the decisions.
    pub shape: Vec<usize>,
}

impl Rules for PopBits {
    const NAME: &'static str = "pop_bits";
    fn fields(&self) -> Fields<Prim> {
        vec![("shape", Field::Ints(self.shape.clone()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(PopBits { shape: args.ints("shape")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        match inputs {
            [bits] if bits.kind == Kind::Bits => Ok(vec![Type::bits(), array_type(DType::Bool, &self.shape[..])?]),
            [found] => Err(Mismatch::new(format!("found {found}, expected bits"))),
            _ => Err(Mismatch::new(format!("found {} operands, expected 1", inputs.len()))),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let bits = inputs.into_iter().next().ok_or_else(|| EvalError::Broken("a bit stack, found nothing".into()))?;
        let mut bits = bits.into_bits()?;
        let mut decisions = vec![false; self.shape.iter().product()];
        for word in decisions.chunks_mut(WORD).rev() {
            let value = bits.pop(word.len() as u32).ok_or(LostError::Exhausted)?;
            word.iter_mut().enumerate().for_each(|(i, p)| *p = value >> i & 1 == 1);
        }
        let decisions = Array::new(self.shape.clone(), decisions).expect("one for each entry");
        Ok(vec![Value::Bits(bits), Value::Array(decisions)])
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        panic!("pop_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn batch(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        panic!("pop_bits: policies are lowered last; this is a bug in retrograde")
    }
    fn rows() -> Vec<Row> {
        vec![Row::new(PopBits { shape: vec![3, 30] }, &[Type::bits()]).order(0)]
    }
}
