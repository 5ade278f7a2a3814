//! The bits of integers moved, entry by entry.   x, by: same shape and integer dtype → y: same.
//!
//! `left` brings zeros in; `right` copies of the sign, so it divides by a power of two and rounds down; `right_logical` zeros.
//! A negative amount, or one of at least the number of bits, moves all bits out: 0, for `right` 0 or -1. No derivative.
//! Errors: none.

use super::args::word_for;
use super::structure::{entrywise_integer, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops;

/// The bits of integers moved.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shift {
    /// Where to, and what comes in.
    pub op: ops::Shift,
}

/// The shifts and their words in the text form.
const WORDS: [(ops::Shift, &str); 3] =
    [(ops::Shift::Left, "left"), (ops::Shift::Right, "right"), (ops::Shift::RightLogical, "right_logical")];

impl Rules for Shift {
    const NAME: &'static str = "shift";
    fn fields(&self) -> Fields<Prim> {
        vec![("op", word_for(self.op, &WORDS))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Shift { op: args.choice("op", &WORDS)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_integer::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::shift(self.op, inputs[0].array(), inputs[1].array()))
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
            Row::new(Shift { op }, &[ty.clone(), ty]).range(-9.0, 70.0).order(0)
        };
        vec![row(ops::Shift::Left, DType::I64), row(ops::Shift::Right, DType::I32), row(ops::Shift::RightLogical, DType::I64)]
    }
}
