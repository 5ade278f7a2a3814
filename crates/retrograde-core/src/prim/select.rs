//! `z = mask ? x : y`, entry by entry.   mask: bool[..]; x, y: same shape, one dtype → z: that of x.
//!
//! Derivative: that of the side taken; the other side is an exact zero, even where it is NaN. Reverse keeps the mask.
//! Linear in both sides together, or in one where the other is zeros (no rule writes another). Errors: none.

use super::structure::{arrays_only, entrywise};
use super::{Args, EvalError, Evaluate, Operand, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// `z = mask ? x : y`
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Select;

impl Rules for Select {
    const NAME: &'static str = "select";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Select)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 3)?;
        let out = entrywise::<2>(&inputs[1..])?;
        if inputs[0] != out[0].with_dtype(DType::Bool) {
            return Err(Mismatch::new(format!("mask: found {}, expected {}", inputs[0], out[0].with_dtype(DType::Bool)))
                .help("make it with a comparison such as `x.gt(0.0)`; bring it to the shape with `broadcast`")
                .guess(&out[0]));
        }
        Ok(out)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::select(inputs[0].array(), inputs[1].array(), inputs[2].array()))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if tangents[1..] == [None, None] {
            return vec![None];
        }
        let ty = r.ty(outputs[0]);
        let [x_dot, y_dot] = [1, 2].map(|i| tangents[i].unwrap_or_else(|| r.zeros(&ty)));
        vec![Some(r.select(inputs[0], x_dot, y_dot))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        !linear[0]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(z_bar) = cts[0] else { return vec![None; 3] };
        let mask = inputs[0].known();
        let ty = r.ty(z_bar);
        let zeros = r.zeros(&ty);
        let x_bar = inputs[1].is_linear().then(|| r.select(mask, z_bar, zeros));
        let y_bar = inputs[2].is_linear().then(|| r.select(mask, zeros, z_bar));
        vec![None, x_bar, y_bar]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Select, inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [2, 3]);
        vec![Row::new(Select, &[ty.with_dtype(DType::Bool), ty.clone(), ty])]
    }
}
