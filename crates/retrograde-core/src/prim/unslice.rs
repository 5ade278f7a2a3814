//! Zeros with an array written into a strided part: the transpose of `slice`.
//!
//! x: [..] → y: the given shape; entry j of x along axis i stands at `starts[i] + j · strides[i]`.
//! Linear; its transpose is `slice`. Reverse keeps nothing. Errors: none.

use super::slice::Slice;
use super::structure::{array_type, arrays_only, prepended};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// Zeros with an array written into a strided part.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Unslice {
    /// The shape of the result.
    pub shape: Vec<usize>,
    /// Where the first entry stands along each axis.
    pub starts: Vec<usize>,
    /// Distance of entries along each axis.
    pub strides: Vec<usize>,
}

impl Rules for Unslice {
    const NAME: &'static str = "unslice";
    fn fields(&self) -> Fields<Prim> {
        let ints = |x: &[usize]| Field::Ints(x.to_vec());
        vec![("shape", ints(&self.shape)), ("starts", ints(&self.starts)), ("strides", ints(&self.strides))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Unslice { shape: args.ints("shape")?, starts: args.ints("starts")?, strides: args.ints("strides")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let x = &inputs[0];
        let rank = x.shape.rank();
        let out = array_type(x.dtype, &self.shape[..])?;
        for (what, list) in [("shape", &self.shape), ("starts", &self.starts), ("strides", &self.strides)] {
            if list.len() != rank {
                return Err(Mismatch::new(format!("{what}: found {}, expected {rank}, one for each axis of {x}", list.len())));
            }
        }
        for i in 0..rank {
            let (start, stride, len) = (self.starts[i], self.strides[i], x.shape[i]);
            if stride == 0 {
                return Err(Mismatch::new(format!("axis {i} of {x}: found stride 0, expected at least 1")));
            }
            let end = match len {
                0 => Some(start),
                _ => (len - 1).checked_mul(stride).and_then(|n| n.checked_add(start)).and_then(|n| n.checked_add(1)),
            };
            if end.is_none_or(|end| end > self.shape[i]) {
                let room = self.shape[i];
                return Err(Mismatch::new(format!(
                    "axis {i} of {x}: found {len} entries from {start} by {stride}, expected them to fit length {room}"
                ))
                .guess(&out));
            }
        }
        Ok(vec![out])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        // The stride of a single entry means nothing; cut so that no address overflows.
        let strides: Vec<usize> = self.strides.iter().zip(&self.shape).map(|(&s, &len)| s.min(len.max(1))).collect();
        value::one(ops::pad_slice(inputs[0].array(), &Shape::from(&self.shape[..]), &self.starts, &strides))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (Operand::Linear(ty), Some(y_bar)) = (&inputs[0], cts[0]) else { return vec![None] };
        let limits = (0..self.shape.len()).map(|i| match ty.shape[i] {
            0 => self.starts[i],
            len => self.starts[i] + (len - 1) * self.strides[i] + 1,
        });
        let part = Slice { starts: self.starts.clone(), limits: limits.collect(), strides: self.strides.clone() };
        vec![Some(r.emit(part, &[y_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let unslice = Unslice {
            shape: prepended(n, &self.shape),
            starts: prepended(0, &self.starts),
            strides: prepended(1, &self.strides),
        };
        (vec![r.emit(unslice, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |from: [usize; 2], strides: [usize; 2]| {
            let op = Unslice { shape: vec![4, 5], starts: vec![1, 0], strides: strides.to_vec() };
            Row::new(op, &[Type::array(DType::F64, from)])
        };
        vec![row([2, 5], [1, 1]), row([2, 2], [2, 3]), row([1, 0], [9, 1])]
    }
}
