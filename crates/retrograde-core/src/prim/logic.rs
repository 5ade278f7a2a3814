//! `z = x ∘ y`, entry by entry, for ∘ one of and, or, xor.   x, y: same shape, both bool or of one integer dtype → z: same.
//!
//! Of integers, bit by bit. No derivative. Errors: none.

use super::args::word_for;
use super::structure::{entrywise_bits, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops;

/// `z = x ∘ y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Logic {
    /// Which function.
    pub op: ops::Logic,
}

/// The functions and their words in the text form.
const WORDS: [(ops::Logic, &str); 3] = [(ops::Logic::And, "and"), (ops::Logic::Or, "or"), (ops::Logic::Xor, "xor")];

impl Rules for Logic {
    const NAME: &'static str = "logic";
    fn fields(&self) -> Fields<Prim> {
        vec![("op", word_for(self.op, &WORDS))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Logic { op: args.choice("op", &WORDS)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_bits::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::logic(self.op, inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |op, dtype| {
            let ty = Type::array(dtype, [2, 3]);
            Row::new(Logic { op }, &[ty.clone(), ty]).range(-99.0, 99.0).order(0)
        };
        vec![row(ops::Logic::And, DType::Bool), row(ops::Logic::Or, DType::I64), row(ops::Logic::Xor, DType::I32)]
    }
}
