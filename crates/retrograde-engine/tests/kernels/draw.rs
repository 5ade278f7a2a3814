//! Random programs of what kernels do, on numbers of all kinds.

use retrograde_array::map::Function;
use retrograde_array::ops::{Comparison, Logic, Shift};
use retrograde_array::{Array, DType, DotDims, Scalar, ops};
use retrograde_core::ir::{Field, Op, Type, ValueId};
use retrograde_core::prim::{Builder, Prim, Program, Value};
use retrograde_core::prim::{
    broadcast::Broadcast, compare, concat::Concat, constant::Constant, convert::Convert,
    dot_general::DotGeneral, full::Full, iota::Iota, logic, pad::Pad, reshape::Reshape, reverse::Reverse,
    shift, slice::Slice, transpose::Transpose, unslice::Unslice,
};
use retrograde_sample::Draws;

/// Shapes of inputs, small and of several tiles, round and not.
const SHAPES: &[&[usize]] = &[
    &[],
    &[1],
    &[3],
    &[24],
    &[8, 3],
    &[5, 7],
    &[1, 4, 1],
    &[1300],
    &[2048],
    &[37, 61],
    &[3, 1000],
    &[9, 8, 40],
    &[600, 2],
    &[2, 3, 520],
    &[0],
    &[2, 0],
];

/// Numbers where arithmetic is special: zeros, subnormals, infinities, NaN, halves, huge angles, neighbours of one.
const SPECIAL: &[f64] = &[
    0.0,
    -0.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    5e-324,
    -2e-310,
    1e-40,
    1.0,
    -1.0,
    0.5,
    1.5,
    -2.5,
    1.0 + f64::EPSILON,
    1e5,
    -3e300,
    1e22,
    3e38,
    709.0,
    -745.5,
];

/// Primitives without parameters that compute entry by entry.
const NAMES: &[&str] = &[
    "add",
    "sub",
    "mul",
    "div",
    "strong_mul",
    "strong_div",
    "neg",
    "fma",
    "sqrt",
    "max",
    "min",
    "rem",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
    "clamp",
    "select",
    "not",
    "is_finite",
    "stop_gradient",
    "pow",
    "atan2",
];

const DTYPES: &[DType] =
    &[DType::F64, DType::F32, DType::F64, DType::F32, DType::I64, DType::I32, DType::U8, DType::Bool];

fn entries(draws: &mut Draws, ty: &Type) -> Array {
    let n = ty.shape.size();
    let values: Vec<f64> = match ty.dtype {
        DType::F64 | DType::F32 => {
            let ordinary =
                draws.array(&Type::array(DType::F64, [n]), (-4.0, 4.0)).to_vec::<f64>().unwrap_or_default();
            let odd = draws.one_in(2);
            ordinary
                .into_iter()
                .map(|x| if odd && draws.one_in(6) { *draws.of(SPECIAL) } else { x })
                .collect()
        }
        _ => draws.array(&Type::array(DType::F64, [n]), (-100.0, 100.0)).to_vec::<f64>().unwrap_or_default(),
    };
    let array = Array::new(ty.shape.clone(), values).expect("as many as there are");
    let scaled =
        if ty.dtype == DType::I64 || ty.dtype == DType::I32 { array.map_entries(|x| x * 1e7) } else { array };
    ops::convert(&scaled, ty.dtype)
}

trait Entries {
    fn map_entries(&self, f: impl Fn(f64) -> f64) -> Array;
}
impl Entries for Array {
    fn map_entries(&self, f: impl Fn(f64) -> f64) -> Array {
        let values = self.to_vec::<f64>().unwrap_or_default().into_iter().map(f).collect();
        Array::new(self.shape().clone(), values).expect("as many as there were")
    }
}

/// A program of a seed and its inputs.
pub(crate) fn program(seed: u64) -> (Program, Vec<Value>) {
    let mut draws = Draws::new(retrograde_array::rng::Key::from_seed(seed));
    let mut b = Builder::new();
    // Programs of one scale, so that values meet.
    let shapes: Vec<&[usize]> = (0..2).map(|_| *draws.of(SHAPES)).collect();
    let mut inputs = vec![];
    let mut values: Vec<ValueId> = vec![];
    for _ in 0..2 + draws.below(3) {
        let ty = Type::array(*draws.of(DTYPES), *draws.of(&shapes));
        inputs.push(Value::Array(entries(&mut draws, &ty)));
        values.push(b.input(ty));
    }
    for _ in 0..4 + draws.below(24) {
        let v = *draws.of(&values);
        let ty = b.ty(v).clone();
        let made = match draws.below(11) {
            0 | 1 => view(&mut draws, &mut b, v, &ty),
            2 => free(&mut draws, &mut b, &ty),
            3 => reduction(&mut draws, &mut b, v, &ty),
            4 => assembled(&mut draws, &mut b, v, &ty, &values),
            _ => entrywise(&mut draws, &mut b, v, &ty, &values),
        };
        values.extend(made.unwrap_or_default());
    }
    let mut outputs: Vec<ValueId> = values.iter().copied().filter(|_| draws.one_in(4)).collect();
    outputs.extend(values.last());
    (b.finish(outputs), inputs)
}

fn view(draws: &mut Draws, b: &mut Builder, v: ValueId, ty: &Type) -> Option<Vec<ValueId>> {
    let rank = ty.shape.rank();
    let op: Prim = match draws.below(5) {
        0 => Transpose { perm: draws.permutation(rank) }.into(),
        1 => Reverse { axes: draws.subset(rank) }.into(),
        2 => {
            let starts: Vec<usize> = ty.shape.iter().map(|&len| draws.below(len / 2 + 1)).collect();
            let limits = ty
                .shape
                .iter()
                .zip(&starts)
                .map(|(&len, &start)| start + draws.below(len - start + 1))
                .collect();
            let strides = (0..rank).map(|_| 1 + draws.below(3)).collect();
            Slice { starts, limits, strides }.into()
        }
        3 => {
            let mut shape = ty.shape.to_vec();
            let at = draws.below(rank + 1);
            shape.insert(at, 1 + draws.below(4));
            if shape.iter().product::<usize>() > 20_000 {
                return None;
            }
            Broadcast { shape, axes: (0..=rank).filter(|&axis| axis != at).collect() }.into()
        }
        _ => {
            let size = ty.shape.size();
            let divisors: Vec<usize> = (1..=size.min(64)).filter(|d| size.is_multiple_of(*d)).collect();
            let first = if size == 0 { 0 } else { *draws.of(&divisors) };
            let shape = if size == 0 { vec![0] } else { vec![first, size / first] };
            Reshape { shape }.into()
        }
    };
    b.try_emit(op, &[v]).ok()
}

fn free(draws: &mut Draws, b: &mut Builder, ty: &Type) -> Option<Vec<ValueId>> {
    let op: Prim = match draws.below(3) {
        0 => Full { ty: ty.clone(), value: Scalar::from_f64(ty.dtype, 1.0)? }.into(),
        1 => Iota { ty: ty.clone(), axis: draws.below(ty.shape.rank()) }.into(),
        _ => Constant { value: entries(draws, ty) }.into(),
    };
    b.try_emit(op, &[]).ok()
}

fn reduction(draws: &mut Draws, b: &mut Builder, v: ValueId, ty: &Type) -> Option<Vec<ValueId>> {
    let name = *draws.of(&["sum", "prod", "reduce_max", "reduce_min"]);
    let axes = draws.subset(ty.shape.rank());
    let op = Prim::from_fields(name, vec![("axes".into(), Field::Ints(axes))]).expect("a primitive");
    b.try_emit(op, &[v]).ok()
}

/// Values side by side, one among others, or a product.
fn assembled(
    draws: &mut Draws,
    b: &mut Builder,
    v: ValueId,
    ty: &Type,
    values: &[ValueId],
) -> Option<Vec<ValueId>> {
    let rank = ty.shape.rank();
    let around: Vec<usize> = (0..rank).map(|_| draws.below(3)).collect();
    let strides: Vec<usize> = (0..rank).map(|_| 1 + draws.below(3)).collect();
    let same: Vec<ValueId> = values.iter().copied().filter(|&other| b.ty(other) == ty).collect();
    match draws.below(4) {
        0 => b.try_emit(Concat { axis: draws.below(rank) }.into(), &[v, *draws.of(&same), v]).ok(),
        1 => {
            let mut room = |i: usize| around[i] + ty.shape[i] * strides[i] + draws.below(2);
            let shape = (0..rank).map(&mut room).collect();
            b.try_emit(Unslice { shape, starts: around, strides }.into(), &[v]).ok()
        }
        2 => {
            let value = Scalar::from_f64(ty.dtype, 1.0)?;
            let value = b.emit1(Full { ty: ty.with_shape([]), value }.into(), &[]);
            let high = (0..rank).map(|_| draws.below(3)).collect();
            b.try_emit(Pad { low: around, high, strides }.into(), &[v, value]).ok()
        }
        _ => product(draws, b, v, ty, *draws.clone().of(values)),
    }
}

/// A product over one axis of each, where two are of one length, and perhaps along another.
fn product(
    draws: &mut Draws,
    b: &mut Builder,
    v: ValueId,
    ty: &Type,
    other: ValueId,
) -> Option<Vec<ValueId>> {
    let theirs = b.ty(other).clone();
    let all = (0..ty.shape.rank()).flat_map(|i| (0..theirs.shape.rank()).map(move |j| (i, j)));
    let pairs: Vec<(usize, usize)> = all.filter(|&(i, j)| ty.shape[i] == theirs.shape[j]).collect();
    if pairs.is_empty() {
        return None;
    }
    let &(i, j) = draws.of(&pairs);
    let apart = pairs.iter().copied().filter(|&(k, l)| k != i && l != j);
    let batch: Vec<(usize, usize)> = apart.take(draws.below(2)).collect();
    let dims = DotDims {
        lhs_contract: vec![i],
        rhs_contract: vec![j],
        lhs_batch: batch.iter().map(|pair| pair.0).collect(),
        rhs_batch: batch.iter().map(|pair| pair.1).collect(),
    };
    let op: Prim = DotGeneral { dims }.into();
    let size = op.infer(&[ty.clone(), theirs]).ok()?[0].shape.size();
    if size > 20_000 { None } else { b.try_emit(op, &[v, other]).ok() }
}

fn entrywise(
    draws: &mut Draws,
    b: &mut Builder,
    v: ValueId,
    ty: &Type,
    values: &[ValueId],
) -> Option<Vec<ValueId>> {
    let comparisons =
        [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];
    let op: Prim = match draws.below(8) {
        0 => compare::Compare { comparison: *draws.of(&comparisons) }.into(),
        1 => logic::Logic { op: *draws.of(&[Logic::And, Logic::Or, Logic::Xor]) }.into(),
        2 if ty.dtype.is_int() => {
            shift::Shift { op: *draws.of(&[Shift::Left, Shift::Right, Shift::RightLogical]) }.into()
        }
        3 => {
            let to = [DType::F64, DType::F32, DType::I64, DType::I32, DType::U8, DType::Bool];
            Convert { dtype: *draws.of(&to) }.into()
        }
        2 | 4 => Prim::from_fields(draws.of(Function::ALL).name(), vec![]).ok()?,
        _ => Prim::from_fields(draws.of::<&str>(NAMES), vec![]).ok()?,
    };
    let same: Vec<ValueId> = values.iter().copied().filter(|&other| b.ty(other) == ty).collect();
    let masks: Vec<ValueId> =
        values.iter().copied().filter(|&other| *b.ty(other) == ty.with_dtype(DType::Bool)).collect();
    let mask = if masks.is_empty() { v } else { *draws.of(&masks) };
    let more = [*draws.of(&same), *draws.of(&same)];
    // An integer division can fail; it is not drawn.
    if ty.dtype.is_int() && matches!(op.name(), "div" | "rem") {
        return None;
    }
    let tries = [vec![mask, v, more[0]], vec![v, more[0], more[1]], vec![v, more[0]], vec![v]];
    let arity = |n: usize| matches!((op.name(), n), ("select", 3)) || op.name() != "select";
    tries
        .into_iter()
        .filter(|operands| arity(operands.len()))
        .find_map(|operands| b.try_emit(op.clone(), &operands).ok())
}
