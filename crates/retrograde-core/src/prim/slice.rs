//! A strided part.   x: [..] → y: along axis i the entries `starts[i]`, `starts[i] + strides[i]`, … below `limits[i]`.
//!
//! Linear; its transpose is `unslice`. Reverse keeps nothing. Errors: none.

use super::structure::{arrays_only, prepended};
use super::unslice::Unslice;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// A strided part.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    /// First entry along each axis.
    pub starts: Vec<usize>,
    /// One past the last possible entry along each axis.
    pub limits: Vec<usize>,
    /// Distance of entries along each axis.
    pub strides: Vec<usize>,
}

impl Rules for Slice {
    const NAME: &'static str = "slice";
    fn fields(&self) -> Fields<Prim> {
        let ints = |x: &[usize]| Field::Ints(x.to_vec());
        vec![("starts", ints(&self.starts)), ("limits", ints(&self.limits)), ("strides", ints(&self.strides))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Slice { starts: args.ints("starts")?, limits: args.ints("limits")?, strides: args.ints("strides")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let x = &inputs[0];
        let rank = x.shape.rank();
        for (what, list) in [("starts", &self.starts), ("limits", &self.limits), ("strides", &self.strides)] {
            if list.len() != rank {
                return Err(Mismatch::new(format!("{what}: found {}, expected {rank}, one for each axis of {x}", list.len()))
                    .help("axes count from 0"));
            }
        }
        for i in 0..rank {
            let (start, limit, len) = (self.starts[i], self.limits[i], x.shape[i]);
            if start > limit || limit > len {
                return Err(Mismatch::new(format!("axis {i} of {x}: found {start}..{limit}, expected a range within 0..{len}"))
                    .help("entries count from 0; the end of a range is not part of it"));
            }
            if self.strides[i] == 0 {
                return Err(Mismatch::new(format!("axis {i} of {x}: found stride 0, expected at least 1"))
                    .help("stride 1 takes every entry"));
            }
        }
        let lens = (0..rank).map(|i| (self.limits[i] - self.starts[i]).div_ceil(self.strides[i]));
        Ok(vec![x.with_shape(lens.collect::<Shape>())])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        // A stride past the part means the first entry only; cut so that no address overflows.
        let x = inputs[0].array();
        let strides: Vec<usize> = self.strides.iter().zip(x.shape().iter()).map(|(&s, &len)| s.min(len.max(1))).collect();
        value::one(ops::slice(x, &self.starts, &self.limits, &strides))
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        vec![tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot]))]
    }
    fn linear_in(&self, _: &[bool]) -> bool {
        true
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (Operand::Linear(ty), Some(y_bar)) = (&inputs[0], cts[0]) else { return vec![None] };
        let back = Unslice { shape: ty.shape.to_vec(), starts: self.starts.clone(), strides: self.strides.clone() };
        vec![Some(r.emit(back, &[y_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let slice = Slice {
            starts: prepended(0, &self.starts),
            limits: prepended(n, &self.limits),
            strides: prepended(1, &self.strides),
        };
        (vec![r.emit(slice, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = Type::array(DType::F64, [4, 5]);
        let row = |limits: [usize; 2], strides: [usize; 2]| {
            Row::new(Slice { starts: vec![1, 0], limits: limits.to_vec(), strides: strides.to_vec() }, std::slice::from_ref(&ty))
        };
        vec![row([3, 5], [1, 1]), row([4, 4], [2, 3]), row([2, 5], [7, 2])]
    }
}
