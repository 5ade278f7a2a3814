//! Along an axis, `hᵢ = aᵢ hᵢ₋₁ + bᵢ` from h₀ = b₀; from the end where `reverse` is set.   a, b: same type → h: same.
//!
//! Sequentially, with one rounding per step; the first a is not used. Derivative ḣᵢ = aᵢ ḣᵢ₋₁ + (ȧᵢ hᵢ₋₁ + ḃᵢ), a recurrence again.
//! Linear in b; its transpose runs from the other end with a one step ahead. Reverse mode keeps a and h. Errors: none.
//! The state space layers of sequence models are this primitive; products up to each entry have their derivative through it.

use super::structure::{check_axes, delayed, entrywise_number};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// A linear recurrence.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Recurrence {
    /// The axis.
    pub axis: usize,
    /// From the end.
    pub reverse: bool,
}

impl Rules for Recurrence {
    const NAME: &'static str = "recurrence";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64)), ("reverse", Field::Bool(self.reverse))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Recurrence { axis: args.size("axis")?, reverse: args.bool("reverse")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let out = entrywise_number::<2>(inputs)?;
        check_axes("axis", &[self.axis], &out[0])?;
        Ok(out)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::recurrence(inputs[0].array(), inputs[1].array(), self.axis, self.reverse))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let of_a = tangents[0].map(|a_dot| {
            let before = delayed(r, outputs[0], self.axis, self.reverse, 0.0);
            r.strong_mul(a_dot, before)
        });
        let term = r.add_optional(of_a, tangents[1]);
        vec![term.map(|term| r.emit(self.clone(), &[inputs[0], term]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [false, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let of_b = cts[0].map(|h_bar| {
            let ahead = delayed(r, inputs[0].known(), self.axis, !self.reverse, 0.0);
            r.emit(Recurrence { reverse: !self.reverse, ..*self }, &[ahead, h_bar])
        });
        vec![None, of_b]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Recurrence { axis: self.axis + 1, reverse: self.reverse }, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |axis, reverse, x: &[usize]| {
            let ty = Type::array(DType::F64, x);
            Row::new(Recurrence { axis, reverse }, &[ty.clone(), ty])
        };
        vec![row(0, false, &[5]), row(1, true, &[2, 3, 2]), row(0, false, &[0])]
    }
}
