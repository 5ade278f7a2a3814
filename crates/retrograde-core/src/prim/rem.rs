//! `z = x mod y`, entry by entry: the remainder of x / y rounded towards zero.   x, y: same shape and dtype → z: same.
//!
//! z has the sign of x and is below y in size. Derivative ẋ - q ẏ with the whole quotient q = round((x - z) / y): that of the
//! piece, also where z jumps. Reverse keeps q. Floats are exact (NaN for y = 0 or infinite x). Errors: integer division by
//! zero. Source: the remainder of C and Rust, ISO C 7.12.10.1.

use super::structure::{self, entrywise_number};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, round, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = x mod y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rem;

impl Rules for Rem {
    const NAME: &'static str = "rem";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Rem)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_number::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::rem(inputs[0].array(), inputs[1].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let of_y = tangents[1].map(|y_dot| {
            let whole = r.sub(inputs[0], outputs[0]);
            let quotient = r.div(whole, inputs[1]);
            let quotient = r.emit(round::Round, &[quotient]);
            r.strong_mul(y_dot, quotient)
        });
        vec![structure::difference(r, tangents[0], of_y)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Rem, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        let int = ty.with_dtype(DType::I64);
        vec![Row::new(Rem, &[ty.clone(), ty]).range(0.5, 2.0), Row::new(Rem, &[int.clone(), int]).range(1.0, 9.0).order(0)]
    }
}
