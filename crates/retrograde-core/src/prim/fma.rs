//! `w = x · y + z`, entry by entry, rounded once.   x, y, z: same shape and dtype → w: same.
//!
//! Derivative ẋ y + x ẏ + ż with strong zeros (see `strong_mul`); reverse keeps x and y. Integers wrap. Errors: none. Linear in z together with x or with y.
//! Inverse: z from w, x and y, exactly (floats: see `restore`). Source: IEEE 754-2019, 5.4.1 (fusedMultiplyAdd).

use super::restore::{self, Restore};
use super::retain::Update;
use super::structure::{self, entrywise_number};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `w = x · y + z`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fma;

impl Rules for Fma {
    const NAME: &'static str = "fma";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Fma)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<3>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::fma(inputs[0].array(), inputs[1].array(), inputs[2].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let product = structure::product_rule(r, inputs, tangents);
        vec![r.add_optional(product, tangents[2])]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        // With z known and not zero the result would be affine.
        linear == [true, false, true] || linear == [false, true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(w_bar) = cts[0] else { return vec![None; 3] };
        match inputs {
            [Operand::Linear(_), y, _] => vec![Some(r.mul(w_bar, y.known())), None, Some(w_bar)],
            [x, _, _] => vec![None, Some(r.mul(x.known(), w_bar)), Some(w_bar)],
            _ => unreachable!("fma has three operands"),
        }
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Fma, inputs, batched, n)
    }
    fn invert(
        &self, r: &mut Rule<'_>, known: &[Option<ValueId>], outputs: &[Option<ValueId>], unknown: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        let (&[Some(x), Some(y), None], w) = (known, outputs[0]?) else { return None };
        if !restore::same_type(r, w, unknown) {
            return None;
        }
        if !unknown.is_float() {
            let product = r.mul(x, y);
            return Some((r.sub(w, product), bits));
        }
        let out = r.b.emit(Restore { update: Update::Fma }.into(), &[bits, w, x, y]);
        Some((out[1], out[0]))
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Fma, &[ty.clone(), ty.clone(), ty])]
    }
}
