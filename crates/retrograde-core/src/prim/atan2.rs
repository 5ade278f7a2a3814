//! `z = atan2(y, x)`, the angle of the point (x, y), entry by entry.   y, x: [..] number → z: same shape, radian.
//!
//! Derivative (x·ẏ - y·ẋ) / (x² + y²); reverse keeps x and y. At the origin it is NaN, and 0 where the tangent or cotangent is exactly 0
//! (Note [strong zero] in `strong_mul`). x² + y² overflows for arguments beyond 1e154 (f64), where the derivative is then 0.
//! Errors: none. Source: any calculus text; bits from `retrograde_array::map`.

use super::structure::{difference, entrywise_float};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::map::BinaryFunction;
use retrograde_array::{DType, ops};

/// `z = atan2(y, x)`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Atan2;

impl Rules for Atan2 {
    const NAME: &'static str = "atan2";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Atan2)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        entrywise_float::<2>(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::function2(BinaryFunction::Atan2, inputs[0].array(), inputs[1].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if tangents.iter().all(Option::is_none) {
            return vec![None];
        }
        let (y, x) = (inputs[0], inputs[1]);
        let (xx, yy) = (r.mul(x, x), r.mul(y, y));
        let square = r.add(xx, yy);
        let (of_y, of_x) = (r.div(x, square), r.div(y, square));
        let rise = tangents[0].map(|y_dot| r.strong_mul(y_dot, of_y));
        let fall = tangents[1].map(|x_dot| r.strong_mul(x_dot, of_x));
        vec![difference(r, rise, fall)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Atan2, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |dtype| Row::new(Atan2, &[Type::array(dtype, [3]), Type::array(dtype, [3])]).range(0.5, 2.0);
        vec![row(DType::F64), row(DType::F32).order(1)]
    }
}
