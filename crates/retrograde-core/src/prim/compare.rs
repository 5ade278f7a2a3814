//! `mask = x ⋈ y`, entry by entry, for ⋈ one of =, ≠, <, ≤, >, ≥.   x, y: same shape and dtype → bool of that shape.
//!
//! IEEE rules: NaN differs from everything, `-0` equals `+0`; false is below true. No derivative. Errors: none.

use super::args::word_for;
use super::structure::{entrywise, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{self, Comparison};

/// `mask = x ⋈ y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Compare {
    /// Which comparison.
    pub comparison: Comparison,
}

/// The comparisons and their words in the text form.
const WORDS: [(Comparison, &str); 6] = [
    (Comparison::Eq, "eq"),
    (Comparison::Ne, "ne"),
    (Comparison::Lt, "lt"),
    (Comparison::Le, "le"),
    (Comparison::Gt, "gt"),
    (Comparison::Ge, "ge"),
];

impl Rules for Compare {
    const NAME: &'static str = "compare";
    fn fields(&self) -> Fields<Prim> {
        vec![("comparison", word_for(self.comparison, &WORDS))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Compare { comparison: args.choice("comparison", &WORDS)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let bool_of = |ty: &Type| ty.with_dtype(DType::Bool);
        match entrywise::<2>(inputs) {
            Ok(out) => Ok(vec![bool_of(&out[0])]),
            Err(e) => Err(Mismatch { guess: e.guess.iter().map(bool_of).collect(), ..e }),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::compare(self.comparison, inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let float = Type::array(DType::F64, [2, 3]);
        let int = float.with_dtype(DType::I64);
        vec![
            Row::new(Compare { comparison: Comparison::Lt }, &[float.clone(), float]).order(0),
            Row::new(Compare { comparison: Comparison::Eq }, &[int.clone(), int]).order(0),
        ]
    }
}
