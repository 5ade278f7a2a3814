//! Which operation comes next, with which parameters, on operands of which types and ranges.
//!
//! A row of the harness says what a primitive takes. Operations that act entry by entry are taken to other shapes, and
//! those of f64 to other dtypes, where their shape rule lets them; parameters of axes and positions are drawn anew. A
//! primitive that is not named here is drawn as its row stands, up to shape and dtype.

use retrograde_array::ops::{Comparison, DotDims};
use retrograde_array::{Array, DType};
use retrograde_core::ir::{Kind, Op, Type};
use retrograde_core::prim::{self, Prim, Row};

use crate::Draws;

/// An operation and its operands: their types, and the range their entries must be in.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// The operation.
    pub op: Prim,
    /// Type and range of each operand.
    pub operands: Vec<(Type, (f64, f64))>,
}

/// The range of a row that asks for no other: any number of moderate size will do.
pub const ANY: (f64, f64) = (-2.0, 2.0);

/// Whether all entries lie in a range, its ends included; truth values always do.
pub fn within(x: &Array, (low, high): (f64, f64)) -> bool {
    x.dtype() == DType::Bool
        || x.scalars().map(retrograde_array::Scalar::to_f64).all(|v| low <= v && v <= high)
}

/// What surrounds the choice.
pub struct Around<'a> {
    /// The types of the values in reach.
    pub reach: &'a [Type],
    /// The dtype that most of the program has.
    pub float: DType,
}

impl Around<'_> {
    /// A shape: mostly one that is in reach.
    pub fn shape(&self, d: &mut Draws) -> Vec<usize> {
        if self.reach.is_empty() || d.one_in(3) { d.shape() } else { d.of(self.reach).shape.to_vec() }
    }
    /// A shape with an axis.
    fn with_axes(&self, d: &mut Draws) -> Vec<usize> {
        let mut shape = self.shape(d);
        if shape.is_empty() {
            shape.push(d.length());
        }
        shape
    }
}

/// An operation like that of the row.
pub fn vary(row: &Row, d: &mut Draws, around: &Around<'_>) -> Choice {
    let float = |shape: &[usize]| (Type::array(around.float, shape), ANY);
    let one = |op: Prim, shape: &[usize]| Choice { op, operands: vec![float(shape)] };
    match &row.op {
        Prim::Broadcast(_) => {
            let shape = around.shape(d);
            let axes = d.subset(shape.len());
            let from: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
            one(prim::broadcast::Broadcast { shape, axes }.into(), &from)
        }
        Prim::Reshape(_) => {
            let from = around.shape(d);
            let shape = match d.below(4) {
                0 => vec![from.iter().product()],
                1 => [&[1], &from[..]].concat(),
                2 => [&from[..], &[1]].concat(),
                _ => from.iter().rev().copied().collect(),
            };
            one(prim::reshape::Reshape { shape }.into(), &from)
        }
        Prim::Transpose(_) => {
            let from = around.shape(d);
            one(prim::transpose::Transpose { perm: d.permutation(from.len()) }.into(), &from)
        }
        Prim::Reverse(_) => {
            let from = around.shape(d);
            one(prim::reverse::Reverse { axes: d.subset(from.len()) }.into(), &from)
        }
        Prim::Pad(_) => {
            let from = around.shape(d);
            let [low, high] = [0; 2].map(|_| from.iter().map(|_| d.below(3)).collect());
            let strides = from.iter().map(|_| 1 + d.below(2)).collect();
            let op = prim::pad::Pad { low, high, strides };
            Choice { op: op.into(), operands: vec![float(&from), float(&[])] }
        }
        Prim::Slice(_) => {
            let from = around.shape(d);
            let starts: Vec<usize> = from.iter().map(|&n| d.below(n + 1)).collect();
            let limits =
                from.iter().zip(&starts).map(|(&n, &start)| start + d.below(n - start + 1)).collect();
            let strides = from.iter().map(|_| 1 + d.below(3)).collect();
            one(prim::slice::Slice { starts, limits, strides }.into(), &from)
        }
        Prim::Unslice(_) => {
            let shape = around.shape(d);
            let starts: Vec<usize> = shape.iter().map(|&n| d.below(n + 1)).collect();
            let strides: Vec<usize> = shape.iter().map(|_| 1 + d.below(3)).collect();
            let most = |i: usize| (shape[i] - starts[i]).div_ceil(strides[i]);
            let from: Vec<usize> = (0..shape.len()).map(|i| d.below(most(i) + 1)).collect();
            one(prim::unslice::Unslice { shape, starts, strides }.into(), &from)
        }
        Prim::Concat(_) => {
            let shape = around.with_axes(d);
            let axis = d.below(shape.len());
            let operands = (0..1 + d.below(3)).map(|_| {
                let mut shape = shape.clone();
                shape[axis] = d.length();
                float(&shape)
            });
            Choice { operands: operands.collect(), op: prim::concat::Concat { axis }.into() }
        }
        Prim::Gather(_) => {
            let (from, axis, batch_dims, indices) = indexing(d, around);
            let positions = (Type::array(DType::I64, indices), (0.0, from[axis] as f64 - 0.5));
            Choice {
                op: prim::gather::Gather { axis, batch_dims }.into(),
                operands: vec![float(&from), positions],
            }
        }
        Prim::ScatterAdd(_) => {
            let (to, axis, batch_dims, indices) = indexing(d, around);
            let updates = [&to[..axis], &indices[batch_dims..], &to[axis + 1..]].concat();
            let positions = (Type::array(DType::I64, indices), (0.0, to[axis] as f64 - 0.5));
            let op = prim::scatter_add::ScatterAdd { axis, batch_dims, size: to[axis] };
            Choice { op: op.into(), operands: vec![positions, float(&updates)] }
        }
        Prim::Sum(_) => {
            let from = around.shape(d);
            one(prim::sum::Sum { axes: d.subset(from.len()) }.into(), &from)
        }
        Prim::Argmax(_) => {
            let mut from = around.with_axes(d);
            from.iter_mut().for_each(|n| *n = (*n).max(1));
            one(prim::argmax::Argmax { axis: d.below(from.len()) }.into(), &from)
        }
        Prim::DotGeneral(_) => product(d, around),
        Prim::Iota(_) => {
            let shape = around.with_axes(d);
            let axis = d.below(shape.len());
            let dtype = *d.of(&[around.float, around.float, DType::F64, DType::I64, DType::I32]);
            Choice { op: prim::iota::Iota { ty: Type::array(dtype, shape), axis }.into(), operands: vec![] }
        }
        Prim::Full(_) => {
            let ty = any_type(d, around);
            let value = d.array(&ty.with_shape([]), (-2.0, 3.0)).get(0);
            let full = value.map(|value| prim::full::Full { ty, value }.into());
            Choice { op: full.unwrap_or_else(|| row.op.clone()), operands: vec![] }
        }
        Prim::Constant(_) => {
            let ty = any_type(d, around);
            let value = d.array(&ty, (-2.0, 3.0));
            Choice { op: prim::constant::Constant { value }.into(), operands: vec![] }
        }
        Prim::Convert(_) => {
            let [from, dtype] = [0; 2].map(|_| if d.one_in(2) { around.float } else { *d.of(&DType::ALL) });
            let low = if dtype == DType::U8 { 0.0 } else { -9.0 };
            let operand = (Type::array(from, around.shape(d)), (low, 9.0));
            Choice { op: prim::convert::Convert { dtype }.into(), operands: vec![operand] }
        }
        Prim::Compare(_) => {
            use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
            let comparison = *d.of(&[Eq, Ne, Lt, Le, Gt, Ge]);
            let operand = (any_type(d, around), ANY);
            let op = prim::compare::Compare { comparison }.into();
            Choice { op, operands: vec![operand.clone(), operand] }
        }
        _ => as_the_row(row, d, around),
    }
}

/// The row's own operation, on other shapes and dtypes where its shape rule accepts them.
fn as_the_row(row: &Row, d: &mut Draws, around: &Around<'_>) -> Choice {
    let mut types = row.inputs.clone();
    let to = |types: Vec<Type>, keep: &dyn Fn(&[Type], &[Type]) -> bool, now: &mut Vec<Type>| {
        if row.op.infer(&types).is_ok_and(|outputs| keep(&types, &outputs)) {
            *now = types;
        }
    };
    let integer = *d.of(&[DType::I64, DType::I64, DType::I32, DType::U8]);
    for (from, dtype) in [(DType::F64, around.float), (DType::I64, integer), (DType::I32, integer)] {
        let converted = |ty: &Type| if ty.dtype == from { ty.with_dtype(dtype) } else { ty.clone() };
        to(types.iter().map(converted).collect(), &|_, _| true, &mut types);
    }
    // Entry by entry: all shapes agree, those of the results too.
    let shape = around.shape(d);
    if types.iter().all(|ty| ty.kind == Kind::Array && ty.shape == types[0].shape) {
        let reshaped: Vec<Type> = types.iter().map(|ty| ty.with_shape(shape.clone())).collect();
        let entrywise =
            |types: &[Type], outputs: &[Type]| outputs.iter().all(|out| out.shape == types[0].shape);
        to(reshaped, &entrywise, &mut types);
    }
    Choice { op: row.op.clone(), operands: types.into_iter().map(|ty| (ty, row.range)).collect() }
}

/// Mostly floats.
fn any_type(d: &mut Draws, around: &Around<'_>) -> Type {
    let dtype = if d.one_in(4) { *d.of(&DType::ALL) } else { around.float };
    Type::array(dtype, around.shape(d))
}

/// The shape that is indexed, without empty axes where they would forbid every position; its axis, how many leading axes are shared,
/// and the shape of the positions.
fn indexing(d: &mut Draws, around: &Around<'_>) -> (Vec<usize>, usize, usize, Vec<usize>) {
    let mut shape = around.with_axes(d);
    let axis = d.below(shape.len());
    shape[axis] = shape[axis].max(1);
    let batch_dims = d.below(axis + 1);
    let others = (0..d.below(3)).map(|_| d.length()).collect::<Vec<usize>>();
    let indices = [&shape[..batch_dims], &others].concat();
    (shape, axis, batch_dims, indices)
}

/// A product with its axes in any order: up to one shared, two contracted, one free on each side.
fn product(d: &mut Draws, around: &Around<'_>) -> Choice {
    let lens = |n: usize, d: &mut Draws| (0..n).map(|_| d.length()).collect::<Vec<usize>>();
    let (n_shared, n_contracted) = (d.below(2), *d.of(&[0, 1, 1, 1, 2]));
    let (shared, contracted) = (lens(n_shared, d), lens(n_contracted, d));
    // Each factor as a list of axes (which list, which of it), in a random order.
    let factor = |d: &mut Draws| {
        let free = lens(*d.of(&[0, 1, 1]), d);
        let all: Vec<usize> = [&shared[..], &contracted, &free].concat();
        let order = d.permutation(all.len());
        let at = |i: usize| order.iter().position(|&o| o == i).unwrap_or(0);
        let shared = (0..n_shared).map(at).collect::<Vec<usize>>();
        let contracted = (n_shared..n_shared + n_contracted).map(at).collect::<Vec<usize>>();
        (order.iter().map(|&i| all[i]).collect::<Vec<usize>>(), shared, contracted)
    };
    let ((x, lhs_batch, lhs_contract), (y, rhs_batch, rhs_contract)) = (factor(d), factor(d));
    let dims = DotDims { lhs_contract, rhs_contract, lhs_batch, rhs_batch };
    let operand = |shape: Vec<usize>| (Type::array(around.float, shape), ANY);
    Choice { op: prim::dot_general::DotGeneral { dims }.into(), operands: vec![operand(x), operand(y)] }
}
