//! `z = x^y`, entry by entry.   x, y: [..] number → z: same shape, no unit.
//!
//! Derivative ẋ·y·x^(y-1) + ẏ·z·ln x; reverse keeps x, y and z. Edges as IEEE 754: x^0 = 1^y = 1. Where a factor is exactly 0 and
//! another infinite or NaN, their product is 0 (Note [strong zero] in `strong_mul`): so the derivative by x of x^0 is 0
//! everywhere, and that by y is 0 where z is 0. By y it is NaN for x < 0. Errors: none (NaN for x < 0 and y no integer).
//! Source: any calculus text; IEEE 754-2019, 9.2.1; bits from `retrograde_array::map`.

use super::structure::entrywise_float;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::map::BinaryFunction;
use retrograde_array::{DType, ops};

/// `z = x^y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pow;

impl Rules for Pow {
    const NAME: &'static str = "pow";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Pow)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::function2(BinaryFunction::Pow, inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (x, y, z) = (inputs[0], inputs[1], outputs[0]);
        let by_x = tangents[0].map(|x_dot| {
            let one = r.number(y, 1.0);
            let less = r.sub(y, one);
            let power = r.emit(Pow, &[x, less]);
            let slope = r.strong_mul(y, power);
            r.strong_mul(x_dot, slope)
        });
        let by_y = tangents[1].map(|y_dot| {
            let log = r.emit(super::log::Log, &[x]);
            let slope = r.strong_mul(z, log);
            r.strong_mul(y_dot, slope)
        });
        vec![r.add_optional(by_x, by_y)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Pow, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |dtype| Row::new(Pow, &[Type::array(dtype, [3]), Type::array(dtype, [3])]).range(0.5, 2.0);
        vec![row(DType::F64), row(DType::F32).order(1)]
    }
}
