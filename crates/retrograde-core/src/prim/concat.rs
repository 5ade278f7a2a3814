//! Arrays one after another along an axis.   x₀, x₁, …: same dtype and shape but for `axis` → y: their lengths add up.
//!
//! Linear in all operands together; its transpose cuts. Reverse keeps nothing. Errors: none.
//! Inverse: one unknown operand is cut out of y.

use super::slice::Slice;
use super::structure::{array_type, arrays_only, check_axes};
use super::unslice::Unslice;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, ops};

/// Arrays one after another along an axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Concat {
    /// The part of `whole` that starts at `start` and is `len` long.
    fn cut(&self, r: &mut Rule<'_>, whole: ValueId, start: usize, len: usize) -> ValueId {
        let mut limits = r.ty(whole).shape.to_vec();
        let mut starts = vec![0; limits.len()];
        let strides = vec![1; limits.len()];
        starts[self.axis] = start;
        limits[self.axis] = start + len;
        r.emit(Slice { starts, limits, strides }, &[whole])
    }
}

impl Rules for Concat {
    const NAME: &'static str = "concat";
    fn fields(&self) -> Fields<Prim> {
        vec![("axis", Field::Int(self.axis as i64))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Concat { axis: args.size("axis")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, inputs.len())?;
        let Some((first, others)) = inputs.split_first() else {
            return Err(Mismatch::new("found no operands, expected at least 1").help("the parts to join are an empty list here"));
        };
        check_axes("axis", &[self.axis], first)?;
        let mut shape = first.shape.to_vec();
        for (i, other) in others.iter().enumerate() {
            let mut expected = other.shape.to_vec();
            if let Some(len) = expected.get_mut(self.axis) {
                *len = first.shape[self.axis];
            }
            if expected[..] != first.shape[..] {
                return Err(Mismatch::new(format!(
                    "operand {}: found {other}, expected the shape of {first} but for axis {}",
                    i + 1, self.axis
                ))
                .help("`stack` joins along a new axis; `reshape` and `broadcast` change shapes"));
            }
            if other.dtype != first.dtype {
                return Err(Mismatch::new(format!("dtypes differ, operand 0 {first} and operand {} {other}", i + 1))
                    .help(format!("convert one side: `.convert(DType::{:?})`", first.dtype)));
            }
            shape[self.axis] = shape[self.axis].saturating_add(other.shape[self.axis]);
        }
        Ok(vec![array_type(first.dtype, shape)?])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::concat(&value::arrays(&inputs), self.axis))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if let Some(dots) = tangents.iter().copied().collect::<Option<Vec<ValueId>>>() {
            return vec![Some(r.emit(self.clone(), &dots))];
        }
        // Next to constants each tangent goes into zeros of its own, so that every equation stays linear.
        let shape = r.ty(outputs[0]).shape.to_vec();
        let mut starts = vec![0; shape.len()];
        let mut y_dot = None;
        for (&x, &x_dot) in inputs.iter().zip(tangents) {
            let part = x_dot.map(|x_dot| {
                let place = Unslice { shape: shape.clone(), starts: starts.clone(), strides: vec![1; shape.len()] };
                r.emit(place, &[x_dot])
            });
            y_dot = r.add_optional(y_dot, part);
            starts[self.axis] += r.ty(x).shape[self.axis];
        }
        vec![y_dot]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear.iter().all(|l| *l)
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let Some(y_bar) = cts[0] else { return vec![None; inputs.len()] };
        let mut start = 0;
        inputs
            .iter()
            .map(|input| {
                let Operand::Linear(ty) = input else { unreachable!("concat is linear in all operands together") };
                let len = ty.shape[self.axis];
                start += len;
                Some(self.cut(r, y_bar, start - len, len))
            })
            .collect()
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(Concat { axis: self.axis + 1 }, inputs, batched, n)
    }
    fn invert(
        &self, r: &mut Rule<'_>, known: &[Option<ValueId>], outputs: &[Option<ValueId>], unknown: &Type, bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        let position = known.iter().position(Option::is_none)?;
        if known[position + 1..].contains(&None) {
            return None;
        }
        let start = known[..position].iter().flatten().map(|&x| r.ty(x).shape[self.axis]).sum();
        Some((self.cut(r, outputs[0]?, start, unknown.shape[self.axis]), bits))
    }
    fn rows() -> Vec<Row> {
        let ty = |shape: [usize; 2]| Type::array(DType::F64, shape);
        vec![
            Row::new(Concat { axis: 0 }, &[ty([1, 3]), ty([2, 3])]),
            Row::new(Concat { axis: 1 }, &[ty([2, 3]), ty([2, 0]), ty([2, 1])]),
        ]
    }
}
