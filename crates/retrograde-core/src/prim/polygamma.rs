//! The derivative of order n of digamma, entry by entry.   x: [..] number → y: same shape, no unit.
//!
//! Derivative: order n + 1; reverse keeps x. Order 1 to 100. Infinite or NaN at 0 and negative integers, NaN below -1000.
//! Errors: none. Source: Abramowitz and Stegun 1964, 6.4; bits from `retrograde_array::map`.

use super::structure::entrywise_float;
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Polygamma {
    /// The order of the derivative, from 1.
    pub order: u32,
}

impl Rules for Polygamma {
    const NAME: &'static str = "polygamma";
    fn fields(&self) -> Fields<Prim> {
        vec![("order", Field::Int(self.order.into()))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let order = args.size("order")?;
        let order = u32::try_from(order).map_err(|_| format!("parameter `order`: found {order}, expected 1 to 100"))?;
        Ok(Polygamma { order })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let out = entrywise_float::<1>(inputs)?;
        if !(1..=100).contains(&self.order) {
            return Err(Mismatch::new(format!("found order {}, expected 1 to 100", self.order)).guess(&out[0]));
        }
        Ok(out)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::polygamma(self.order, inputs[0].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| {
            let slope = r.emit(Polygamma { order: self.order + 1 }, &[inputs[0]]);
            r.strong_mul(x_dot, slope)
        })]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |order| Row::new(Polygamma { order }, &[Type::array(DType::F64, [3])]).range(0.8, 3.0);
        vec![row(1), row(3)]
    }
}
