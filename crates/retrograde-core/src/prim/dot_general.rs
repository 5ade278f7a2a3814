//! The product of two arrays, summed over contracted axes, for each entry of the shared (batch) axes.
//!
//! x: [..], y: [..], same dtype → z: shared axes in the order of `lhs_batch`, free axes of x, free axes of y. The sum has one
//! fixed order (see `retrograde_array::ops::dot_general`). Integers wrap. Derivative ẋ·y + x·ẏ; reverse keeps the other
//! factor. Linear in either factor, not in both together. An infinite or NaN entry meets a zero cotangent as NaN: strong
//! zeros (Note [strong zero] in `strong_mul`) do not reach inside. Errors: none.

use super::structure::{array_type, arrays_only, check_axes, other_axes, prepended, shifted, to_front};
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, transpose, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{self, DotDims};

/// The product of two arrays.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DotGeneral {
    /// Which axes are contracted and which are shared.
    pub dims: DotDims,
}

/// The contracted axes of `from` in ascending order, each as the axis of `to` it is paired with.
fn paired(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut pairs: Vec<(usize, usize)> = from.iter().copied().zip(to.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, axis)| axis).collect()
}

/// The value whose axis i is axis `order[i]` of what is wanted.
fn in_order(r: &mut Rule<'_>, v: ValueId, order: &[usize]) -> ValueId {
    if order.is_sorted() { v } else { r.transpose(v, &transpose::inverse(order)) }
}

impl Rules for DotGeneral {
    const NAME: &'static str = "dot_general";
    fn fields(&self) -> Fields<Prim> {
        let ints = |x: &[usize]| Field::Ints(x.to_vec());
        vec![
            ("lhs_contract", ints(&self.dims.lhs_contract)),
            ("rhs_contract", ints(&self.dims.rhs_contract)),
            ("lhs_batch", ints(&self.dims.lhs_batch)),
            ("rhs_batch", ints(&self.dims.rhs_batch)),
        ]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let dims = DotDims {
            lhs_contract: args.ints("lhs_contract")?,
            rhs_contract: args.ints("rhs_contract")?,
            lhs_batch: args.ints("lhs_batch")?,
            rhs_batch: args.ints("rhs_batch")?,
        };
        Ok(DotGeneral { dims })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 2)?;
        let (x, y, dims) = (&inputs[0], &inputs[1], &self.dims);
        if x.dtype != y.dtype || x.dtype == DType::Bool {
            return Err(Mismatch::new(format!("found {x} and {y}, expected numbers of one dtype"))
                .help(format!("convert one side: `.convert(DType::{:?})`", if x.dtype == DType::Bool { y.dtype } else { x.dtype })));
        }
        check_axes("axes of the left factor", &[&dims.lhs_contract[..], &dims.lhs_batch].concat(), x)?;
        check_axes("axes of the right factor", &[&dims.rhs_contract[..], &dims.rhs_batch].concat(), y)?;
        let lens = |ty: &Type, axes: &[usize]| axes.iter().map(|&axis| ty.shape[axis]).collect::<Vec<usize>>();
        let x_free = other_axes(x.shape.rank(), &dims.lhs_contract, &dims.lhs_batch);
        let y_free = other_axes(y.shape.rank(), &dims.rhs_contract, &dims.rhs_batch);
        let out = array_type(x.dtype, [lens(x, &dims.lhs_batch), lens(x, &x_free), lens(y, &y_free)].concat())?;
        let pairings = [("contracted", &dims.lhs_contract, &dims.rhs_contract), ("shared", &dims.lhs_batch, &dims.rhs_batch)];
        for (what, left, right) in pairings {
            if left.len() != right.len() {
                let (found, expected) = (right.len(), left.len());
                return Err(Mismatch::new(format!("{what} axes of the right factor: found {found}, expected {expected}, as of the left"))
                    .help("every axis named on the left has its partner on the right")
                    .guess(&out));
            }
            if let Some((&i, &j)) = left.iter().zip(right).find(|(i, j)| x.shape[**i] != y.shape[**j]) {
                let (m, n) = (x.shape[i], y.shape[j]);
                return Err(Mismatch::new(format!("{what} lengths differ, {m} of axis {i} of left {x} and {n} of axis {j} of right {y}"))
                    .help("`dot` joins the last axis of the left to the first of the right; `t` transposes a matrix, `dot_general` names any axes")
                    .guess(&out));
            }
        }
        Ok(vec![out])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::dot_general(inputs[0].array(), inputs[1].array(), &self.dims))
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let left = tangents[0].map(|x_dot| r.emit(self.clone(), &[x_dot, inputs[1]]));
        let right = tangents[1].map(|y_dot| r.emit(self.clone(), &[inputs[0], y_dot]));
        vec![r.add_optional(left, right)]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        linear != [true, true]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        // z has the axes (shared, free of x, free of y). The cotangent of a factor contracts z_bar with the other factor
        // over the other's free axes; what then is free of the other are its contracted axes, in ascending order.
        let Some(z_bar) = cts[0] else { return vec![None, None] };
        let DotDims { lhs_contract, rhs_contract, lhs_batch, rhs_batch } = &self.dims;
        let rank = |r: &Rule<'_>, operand: &Operand| match operand {
            Operand::Known(v) => r.b.ty(*v).shape.rank(),
            Operand::Linear(ty) => ty.shape.rank(),
        };
        let x_free = other_axes(rank(r, &inputs[0]), lhs_contract, lhs_batch);
        let y_free = other_axes(rank(r, &inputs[1]), rhs_contract, rhs_batch);
        let z_shared: Vec<usize> = (0..lhs_batch.len()).collect();
        let z_x: Vec<usize> = (lhs_batch.len()..lhs_batch.len() + x_free.len()).collect();
        let z_y: Vec<usize> = (0..y_free.len()).map(|i| lhs_batch.len() + x_free.len() + i).collect();
        match inputs {
            [Operand::Linear(_), y] => {
                let dims = DotDims { lhs_contract: z_y, rhs_contract: y_free, lhs_batch: z_shared, rhs_batch: rhs_batch.clone() };
                let x_bar = r.emit(DotGeneral { dims }, &[z_bar, y.known()]);
                let order = [&lhs_batch[..], &x_free, &paired(rhs_contract, lhs_contract)].concat();
                vec![Some(in_order(r, x_bar, &order)), None]
            }
            [x, _] => {
                let dims = DotDims { lhs_contract: x_free, rhs_contract: z_x, lhs_batch: lhs_batch.clone(), rhs_batch: z_shared };
                let y_bar = r.emit(DotGeneral { dims }, &[x.known(), z_bar]);
                let order = [&rhs_batch[..], &paired(lhs_contract, rhs_contract), &y_free].concat();
                vec![None, Some(in_order(r, y_bar, &order))]
            }
            _ => unreachable!("dot_general has two operands"),
        }
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        let mut dims = self.dims.clone();
        // Where the lanes stand in the result: a free axis of the one factor that has them, or a new shared axis.
        let mut at = dims.lhs_batch.len();
        if batched == [false, true] {
            at += other_axes(r.ty(inputs[0]).shape.rank(), &dims.lhs_contract, &dims.lhs_batch).len();
        }
        if batched[0] {
            (dims.lhs_contract, dims.lhs_batch) = (shifted(&dims.lhs_contract), shifted(&dims.lhs_batch));
        }
        if batched[1] {
            (dims.rhs_contract, dims.rhs_batch) = (shifted(&dims.rhs_contract), shifted(&dims.rhs_batch));
        }
        if batched == [true, true] {
            (dims.lhs_batch, dims.rhs_batch) = (prepended(0, &dims.lhs_batch), prepended(0, &dims.rhs_batch));
            at = 0;
        }
        let z = r.emit(DotGeneral { dims }, inputs);
        (vec![to_front(r, z, at)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |x: &[usize], y: &[usize], contract: [&[usize]; 2], batch: [&[usize]; 2]| {
            let dims = DotDims {
                lhs_contract: contract[0].to_vec(),
                rhs_contract: contract[1].to_vec(),
                lhs_batch: batch[0].to_vec(),
                rhs_batch: batch[1].to_vec(),
            };
            Row::new(DotGeneral { dims }, &[Type::array(DType::F64, x), Type::array(DType::F64, y)])
        };
        vec![
            row(&[2, 3], &[3, 4], [&[1], &[0]], [&[], &[]]),
            row(&[3], &[3], [&[0], &[0]], [&[], &[]]),
            row(&[2], &[3], [&[], &[]], [&[], &[]]),
            row(&[5, 2, 3], &[5, 3, 4], [&[2], &[1]], [&[0], &[0]]),
            // Every list out of order, two axes of each kind.
            row(&[3, 2, 6, 5, 4], &[4, 7, 2, 5, 3], [&[0, 4], &[4, 0]], [&[3, 1], &[3, 2]]),
            row(&[3, 4, 2], &[5, 3, 4], [&[1, 0], &[2, 1]], [&[], &[]]),
        ]
    }
}
