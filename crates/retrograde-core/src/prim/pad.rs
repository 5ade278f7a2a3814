//! An array inside a larger one, with a value around and between its entries.
//!
//! x: [..], value: [] of the same dtype → y: along axis i `low[i]` values, the entries of x `strides[i]` apart, `high[i]` values.
//! Linear in both together, or in x where the value is zero (then it is `unslice`). The transpose cuts x out; the cotangent of
//! the value is the sum of the rest. Reverse keeps nothing. Errors: none. To make an array smaller, `slice` it.

use super::broadcast::Broadcast;
use super::slice::Slice;
use super::structure::{array_type, arrays_only, prepended};
use super::unslice::Unslice;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape, ops};

/// An array inside a larger one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pad {
    /// How many values before the first entry along each axis.
    pub low: Vec<usize>,
    /// How many values after the last entry along each axis.
    pub high: Vec<usize>,
    /// Distance of entries along each axis.
    pub strides: Vec<usize>,
}

impl Pad {
    /// The shape around an array, `None` where it overflows.
    fn shape(&self, x: &Shape) -> Option<Vec<usize>> {
        let along = |i: usize| {
            let spread = match x[i] {
                0 => 0,
                len => (len - 1).checked_mul(self.strides[i])?.checked_add(1)?,
            };
            self.low[i].checked_add(spread)?.checked_add(self.high[i])
        };
        (0..x.rank()).map(along).collect()
    }
    /// The entries in their place, zeros around: what is linear in x alone.
    fn placed(&self, r: &mut Rule<'_>, x: ValueId, shape: &[usize]) -> ValueId {
        r.emit(Unslice { shape: shape.to_vec(), starts: self.low.clone(), strides: self.strides.clone() }, &[x])
    }
    /// Which entries of the result stand for one of x.
    fn inside(&self, r: &mut Rule<'_>, x: &Type, shape: &[usize]) -> ValueId {
        let all = r.full(&x.with_dtype(DType::Bool), 1.0);
        self.placed(r, all, shape)
    }
    /// The value where no entry of x stands, zeros elsewhere: what is linear in the value alone.
    fn around(&self, r: &mut Rule<'_>, x: &Type, value: ValueId, shape: &[usize]) -> ValueId {
        let inside = self.inside(r, x, shape);
        let spread = r.emit(Broadcast { shape: shape.to_vec(), axes: vec![] }, &[value]);
        let ty = r.ty(spread);
        let zeros = r.zeros(&ty);
        r.select(inside, zeros, spread)
    }
}

impl Rules for Pad {
    const NAME: &'static str = "pad";
    fn fields(&self) -> Fields<Prim> {
        let ints = |x: &[usize]| Field::Ints(x.to_vec());
        vec![("low", ints(&self.low)), ("high", ints(&self.high)), ("strides", ints(&self.strides))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Pad { low: args.ints("low")?, high: args.ints("high")?, strides: args.ints("strides")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        let (x, value) = (&inputs[0], &inputs[1]);
        let rank = x.shape.rank();
        for (what, list) in [("low", &self.low), ("high", &self.high), ("strides", &self.strides)] {
            if list.len() != rank {
                return Err(Mismatch::new(format!("{what}: found {}, expected {rank}, one for each axis of {x}", list.len()))
                    .help("axes count from 0"));
            }
        }
        if self.strides.contains(&0) {
            return Err(Mismatch::new("strides: found 0, expected at least 1").help("stride 1 puts entries next to each other"));
        }
        let expected = x.with_shape([]);
        if *value != expected {
            return Err(Mismatch::new(format!("value: found {value}, expected {expected}"))
                .help(format!("convert one side: `.convert(DType::{:?})`; the value has rank 0", x.dtype)));
        }
        match self.shape(&x.shape) {
            Some(shape) => Ok(vec![array_type(x.dtype, shape)?]),
            None => Err(Mismatch::new(format!("found {self:?} around {x}, expected lengths that fit in memory"))
                .help("look for a length that is a difference below 0; to make an array smaller, `slice` it")),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        let (x, value) = (inputs[0].array(), inputs[1].array());
        let shape = self.shape(x.shape()).ok_or_else(|| EvalError::Broken("a shape that fits in memory".into()))?;
        // The stride of a single entry means nothing; cut so that no address overflows.
        let strides: Vec<usize> = self.strides.iter().zip(&shape).map(|(&s, &len)| s.min(len.max(1))).collect();
        value::one(ops::pad(x, value, &Shape::from(shape), &self.low, &strides))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (x, shape) = (r.ty(inputs[0]), r.ty(outputs[0]).shape.to_vec());
        vec![match (tangents[0], tangents[1]) {
            (Some(x_dot), Some(value_dot)) => Some(r.emit(self.clone(), &[x_dot, value_dot])),
            (Some(x_dot), None) => Some(self.placed(r, x_dot, &shape)),
            (None, Some(value_dot)) => Some(self.around(r, &x, value_dot, &shape)),
            (None, None) => None,
        }]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear == [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let ([Operand::Linear(x), _], Some(y_bar)) = (inputs, cts[0]) else { return vec![None, None] };
        let y = r.ty(y_bar);
        let limits = (0..x.shape.rank()).map(|i| y.shape[i] - self.high[i]).collect();
        let x_bar = r.emit(Slice { starts: self.low.clone(), limits, strides: self.strides.clone() }, &[y_bar]);
        let inside = self.inside(r, x, &y.shape);
        let zeros = r.zeros(&y);
        let rest = r.select(inside, zeros, y_bar);
        let axes: Vec<usize> = (0..y.shape.rank()).collect();
        vec![Some(x_bar), Some(r.sum(rest, &axes))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        let pad = Pad { low: prepended(0, &self.low), high: prepended(0, &self.high), strides: prepended(1, &self.strides) };
        let x = r.batched(inputs[0], batched[0], n);
        if !batched[1] {
            return (vec![r.emit(pad, &[x, inputs[1]])], vec![true]);
        }
        // A value for each lane: zeros around x, then the values where no entry of x stands.
        let x_ty = r.ty(x);
        let shape = pad.shape(&x_ty.shape).expect("the shape was inferred for one lane");
        let placed = pad.placed(r, x, &shape);
        let inside = pad.inside(r, &x_ty, &shape);
        let values = r.broadcast(inputs[1], &shape, &[0]);
        (vec![r.select(inside, placed, values)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let ty = |shape: &[usize]| Type::array(DType::F64, shape);
        let row = |x: &[usize], low: &[usize], high: &[usize], strides: &[usize]| {
            Row::new(Pad { low: low.to_vec(), high: high.to_vec(), strides: strides.to_vec() }, &[ty(x), ty(&[])])
        };
        vec![row(&[2, 3], &[1, 0], &[0, 2], &[1, 1]), row(&[2, 3], &[0, 1], &[1, 0], &[3, 2]), row(&[0], &[1], &[2], &[5]), row(&[], &[], &[], &[])]
    }
}
