//! What each equation is to the fuser.

use retrograde_array::map::{BinaryFunction, Function};
use retrograde_array::ops::{Binary, Piecewise, Unary};
use retrograde_array::tile::{Op, Reduction, View};
use retrograde_array::{Array, DType, DotDims, Scalar, Shape, ops};
use retrograde_core::ir::{Equation, Kind, Op as _, Type, ValueId};
use retrograde_core::prim::{Prim, Program};

/// What an equation is to the fuser.
pub(super) enum Role {
    /// Each entry of the result from those of the operands at its place.
    Entrywise(Op),
    /// Entries of the operand, arranged otherwise.
    View,
    /// A value without operands, which is made wherever it is used.
    Free,
    /// A reduction over these axes.
    Reduce(Reduction, Vec<usize>),
    /// A product of matrices, with what is kept of both along each other and what is summed over.
    Product(DotDims),
    /// Operands side by side, or one among other entries.
    Assemble,
    /// Anything else.
    Other,
}

/// Entries of a value that kernels can hold as a whole: beyond, its registers leave the first cache.
pub(super) const SMALL: usize = 1024;

/// Terms of all sums of a product that is part of a kernel: more are worth the tilings of a product by itself.
const MOST_TERMS: usize = 4096;

/// A value without operands.
pub(super) enum Free {
    /// One value everywhere.
    Scalar(Scalar),
    /// Entries of an array, arranged like this.
    Array(Array, View),
}

/// Whether the result is the operand's entries in another arrangement, which costs nothing where they are read.
pub(crate) fn is_view(op: &Prim) -> bool {
    matches!(
        op,
        Prim::Broadcast(_)
            | Prim::Reshape(_)
            | Prim::Transpose(_)
            | Prim::Slice(_)
            | Prim::Reverse(_)
            | Prim::StopGradient(_)
    )
}

/// What the equation is to the fuser.
pub(super) fn role(program: &Program, equation: &Equation<Prim>) -> Role {
    let types = equation.inputs.iter().chain(&equation.outputs).map(|&v| program.ty(v));
    // Tables of places hold four-byte numbers, and arrays without entries have no tile.
    let fits = |ty: &Type| ty.kind == Kind::Array && (1..=i32::MAX as usize).contains(&ty.shape.size());
    if !types.clone().all(fits) || equation.outputs.len() != 1 {
        return Role::Other;
    }
    let operands: Vec<DType> = equation.inputs.iter().map(|&v| program.ty(v).dtype).collect();
    match &equation.op {
        Prim::Full(_) | Prim::Iota(_) => Role::Free,
        Prim::Constant(constant) if constant.value.size() <= SMALL => Role::Free,
        op if is_view(op) => Role::View,
        Prim::Sum(sum) => reduction(program, equation, Reduction::Sum, &sum.axes),
        Prim::Prod(prod) => reduction(program, equation, Reduction::Prod, &prod.axes),
        Prim::ReduceMax(max) => reduction(program, equation, Reduction::Max, &max.axes),
        Prim::ReduceMin(min) => reduction(program, equation, Reduction::Min, &min.axes),
        Prim::Concat(_) | Prim::Unslice(_) | Prim::Pad(_)
            if Op::Copy.dtype(&operands[..1]).is_some() && size_of(program, equation.outputs[0]) <= SMALL =>
        {
            Role::Assemble
        }
        Prim::DotGeneral(dot) if !matches!(operands[0], DType::BF16 | DType::Bool) => {
            let sizes = equation.inputs.iter().chain(&equation.outputs).map(|&v| size_of(program, v));
            let along: usize = dot
                .dims
                .lhs_contract
                .iter()
                .map(|&axis| program.ty(equation.inputs[0]).shape[axis])
                .product();
            let is_small = sizes.fold(0, usize::max) <= SMALL;
            let terms = along * size_of(program, equation.outputs[0]);
            if is_small && terms <= MOST_TERMS { Role::Product(dot.dims.clone()) } else { Role::Other }
        }
        op => match entrywise(op).filter(|op| op.dtype(&operands).is_some()) {
            Some(op) => Role::Entrywise(op),
            None => Role::Other,
        },
    }
}

fn size_of(program: &Program, value: ValueId) -> usize {
    program.ty(value).shape.size()
}

/// Where the parts of an assembled value lie in it: for each operand but the filling one.
pub(super) fn parts(program: &Program, equation: &Equation<Prim>) -> Vec<View> {
    let whole = View::whole(&program.ty(equation.outputs[0]).shape);
    let (shape, first) = (whole.shape(), program.ty(equation.inputs[0]));
    let spread = |starts: &[usize], strides: &[usize]| {
        // The last entry of an axis is at its start and all steps but one; a step of a single entry means nothing.
        let ends = (0..shape.len()).map(|i| starts[i] + (first.shape[i] - 1) * strides[i].min(shape[i]) + 1);
        let strides: Vec<usize> = strides.iter().zip(shape).map(|(&step, &len)| step.min(len)).collect();
        vec![whole.sliced(starts, &ends.collect::<Vec<usize>>(), &strides)]
    };
    match &equation.op {
        Prim::Unslice(unslice) => spread(&unslice.starts, &unslice.strides),
        Prim::Pad(pad) => spread(&pad.low, &pad.strides),
        Prim::Concat(concat) => {
            let mut start = 0;
            let part = |v: &ValueId| {
                let (mut starts, mut limits) = (vec![0; shape.len()], shape.to_vec());
                starts[concat.axis] = start;
                start += program.ty(*v).shape[concat.axis];
                limits[concat.axis] = start;
                whole.sliced(&starts, &limits, &vec![1; shape.len()])
            };
            equation.inputs.iter().map(part).collect()
        }
        _ => vec![],
    }
}

fn reduction(program: &Program, equation: &Equation<Prim>, how: Reduction, axes: &[usize]) -> Role {
    match program.ty(equation.inputs[0]).dtype {
        DType::BF16 | DType::Bool => Role::Other,
        _ => Role::Reduce(how, axes.to_vec()),
    }
}

/// The operation on entries, by what [`Prim::eval`] calls.
fn entrywise(op: &Prim) -> Option<Op> {
    Some(match op {
        Prim::Add(_) => Op::Binary(Binary::Add),
        Prim::Sub(_) => Op::Binary(Binary::Sub),
        Prim::Mul(_) => Op::Binary(Binary::Mul),
        Prim::Div(_) => Op::Binary(Binary::Div),
        Prim::Max(_) => Op::Binary(Binary::Max),
        Prim::StrongMul(_) => Op::StrongMul,
        Prim::StrongDiv(_) => Op::StrongDiv,
        Prim::Neg(_) => Op::Unary(Unary::Neg),
        Prim::Sqrt(_) => Op::Unary(Unary::Sqrt),
        Prim::Fma(_) => Op::Fma,
        Prim::Min(_) => Op::Min,
        Prim::Rem(_) => Op::Rem,
        Prim::Clamp(_) => Op::Clamp,
        Prim::Abs(_) => Op::Piecewise(Piecewise::Abs),
        Prim::Sign(_) => Op::Piecewise(Piecewise::Sign),
        Prim::Floor(_) => Op::Piecewise(Piecewise::Floor),
        Prim::Ceil(_) => Op::Piecewise(Piecewise::Ceil),
        Prim::Round(_) => Op::Piecewise(Piecewise::Round),
        Prim::Compare(compare) => Op::Compare(compare.comparison),
        Prim::Select(_) => Op::Select,
        Prim::Logic(logic) => Op::Logic(logic.op),
        Prim::Not(_) => Op::Not,
        Prim::Shift(shift) => Op::Shift(shift.op),
        Prim::IsFinite(_) => Op::IsFinite,
        Prim::Convert(convert) => Op::Convert(convert.dtype),
        Prim::Pow(_) => Op::Function2(BinaryFunction::Pow),
        Prim::Atan2(_) => Op::Function2(BinaryFunction::Atan2),
        // A primitive that is a function of one float has its name.
        other => Op::Function(*Function::ALL.iter().find(|f| f.name() == other.name())?),
    })
}

/// The value of an equation without operands.
pub(super) fn free(op: &Prim) -> Option<Free> {
    Some(match op {
        Prim::Full(full) => Free::Scalar(full.value),
        Prim::Constant(constant) => match constant.value.get(0) {
            Some(scalar) if constant.value.size() == 1 => Free::Scalar(scalar),
            _ => Free::Array(constant.value.clone(), View::whole(constant.value.shape())),
        },
        Prim::Iota(iota) => {
            let n = iota.ty.shape[iota.axis];
            let counts = ops::iota(iota.ty.dtype, &Shape::from([n]), 0);
            Free::Array(counts, View::whole(&[n]).broadcast(&iota.ty.shape, &[iota.axis]))
        }
        _ => return None,
    })
}

/// The view that the equation takes of what is itself a view; `None` where it is none.
pub(super) fn arranged(op: &Prim, of: &View) -> Option<View> {
    match op {
        Prim::Broadcast(broadcast) => Some(of.broadcast(&broadcast.shape, &broadcast.axes)),
        Prim::Transpose(transpose) => Some(of.transposed(&transpose.perm)),
        Prim::Slice(slice) => Some(of.sliced(&slice.starts, &slice.limits, &slice.strides)),
        Prim::Reverse(reverse) => Some(of.reversed(&reverse.axes)),
        Prim::Reshape(reshape) => of.reshaped(&reshape.shape),
        Prim::StopGradient(_) => Some(of.clone()),
        _ => None,
    }
}
