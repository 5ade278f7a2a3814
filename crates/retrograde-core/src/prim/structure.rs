//! Shared shape rules: operands of one shape and dtype, with messages that name both.

use super::{Operand, Rule};
use crate::ir::{Kind, Mismatch, Type, ValueId};
use retrograde_array::{DType, Shape};

/// Refuses another number of operands than `n`, and bit stacks and lists.
pub(super) fn arrays_only(inputs: &[Type], n: usize) -> Result<(), Mismatch> {
    if inputs.len() != n {
        return Err(Mismatch::new(format!("found {} operands, expected {n}", inputs.len())));
    }
    match inputs.iter().find(|t| t.kind != Kind::Array) {
        Some(t) => Err(Mismatch::new(format!("found an operand of type {t}, expected an array"))),
        None => Ok(()),
    }
}

/// `N` operands of one shape and dtype; the result has the same.
pub(super) fn entrywise<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    arrays_only(inputs, N)?;
    for other in &inputs[1..] {
        let first = &inputs[0];
        if first.shape != other.shape {
            let help = if first.shape.rank() == 0 || other.shape.rank() == 0 {
                "repeat the scalar with `spread`"
            } else {
                "bring both to one shape with `spread`, `broadcast` or `reshape`: only rank 0 repeats by itself"
            };
            let guess = if first.shape.size() >= other.shape.size() { first } else { other };
            return Err(Mismatch::new(format!("shapes differ, left {first} and right {other}"))
                .help(help)
                .guess(guess));
        }
        if first.dtype != other.dtype {
            return Err(Mismatch::new(format!("dtypes differ, left {first} and right {other}"))
                .help(format!("convert one side: `.convert(DType::{:?})`", first.dtype))
                .guess(first));
        }
    }
    Ok(vec![inputs[0].clone()])
}

/// [`entrywise`] for operands of these dtypes only; the best guess of a refused result has dtype `guess`.
fn entrywise_of<const N: usize>(
    inputs: &[Type],
    is_right: fn(DType) -> bool,
    expected: &str,
    help: &str,
    guess: Option<DType>,
) -> Result<Vec<Type>, Mismatch> {
    let out = entrywise::<N>(inputs)?;
    if is_right(out[0].dtype) {
        return Ok(out);
    }
    let guess = out[0].with_dtype(guess.unwrap_or(out[0].dtype));
    Err(Mismatch::new(format!("found {}, expected {expected}", out[0])).help(help).guess(&guess))
}

/// [`entrywise`] for numbers: no truth values.
pub(super) fn entrywise_number<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    let help = "convert truth values first: `.convert(DType::F64)`";
    entrywise_of::<N>(inputs, |dtype| dtype != DType::Bool, "numbers", help, None)
}

/// [`entrywise`] for floating-point numbers.
pub(super) fn entrywise_float<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    let help = "convert first: `.convert(DType::F64)`";
    entrywise_of::<N>(inputs, DType::is_float, "floating-point numbers", help, Some(DType::F64))
}

/// [`entrywise`] for integers.
pub(super) fn entrywise_integer<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    let help = "convert first: `.convert(DType::I64)`";
    entrywise_of::<N>(inputs, DType::is_int, "integers", help, Some(DType::I64))
}

/// [`entrywise`] for operands with bits: truth values and integers.
pub(super) fn entrywise_bits<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    let help = "compare first, for example `x.gt(0.0)`, or convert: `.convert(DType::I64)`";
    entrywise_of::<N>(inputs, |dtype| !dtype.is_float(), "truth values or integers", help, Some(DType::Bool))
}

/// The type of the positions of an extreme entry along an axis, which disappears; `extreme` is the word for it.
pub(super) fn position_along(inputs: &[Type], axis: usize, extreme: &str) -> Result<Vec<Type>, Mismatch> {
    arrays_only(inputs, 1)?;
    let x = &inputs[0];
    if x.dtype == DType::Bool {
        return Err(Mismatch::new(format!("found {x}, expected numbers"))
            .help("convert truth values first: `.convert(DType::I64)`"));
    }
    check_axes("axis", &[axis], x)?;
    if x.shape[axis] == 0 {
        return Err(Mismatch::new(format!("axis {axis} of {x}: found no entries, expected at least 1"))
            .help(format!("an empty axis has no {extreme} entry")));
    }
    let shape = [&x.shape[..axis], &x.shape[axis + 1..]].concat();
    Ok(vec![Type::array(DType::I64, shape)])
}

/// The tangent y ẋ + x ẏ of a product, with strong zeros: see Note [strong zero] in `strong_mul`.
pub(super) fn product_rule(
    r: &mut Rule<'_>,
    inputs: &[ValueId],
    tangents: &[Option<ValueId>],
) -> Option<ValueId> {
    let left = tangents[0].map(|x_dot| r.strong_mul(x_dot, inputs[1]));
    let right = tangents[1].map(|y_dot| r.strong_mul(inputs[0], y_dot));
    r.add_optional(left, right)
}

/// The cotangents of a product that is linear in one factor: that of the result by `times` the other.
pub(super) fn product_transpose<'b>(
    r: &mut Rule<'b>,
    inputs: &[Operand],
    cts: &[Option<ValueId>],
    times: fn(&mut Rule<'b>, ValueId, ValueId) -> ValueId,
) -> Vec<Option<ValueId>> {
    let Some(z_bar) = cts[0] else { return vec![None, None] };
    match inputs {
        [Operand::Linear(_), y] => vec![Some(times(r, z_bar, y.known())), None],
        [x, _] => vec![None, Some(times(r, x.known(), z_bar))],
        _ => unreachable!("a product has two factors"),
    }
}

/// The tangent (ẋ - z ẏ) / y of a quotient z = x / y.
pub(super) fn quotient_rule(
    r: &mut Rule<'_>,
    inputs: &[ValueId],
    outputs: &[ValueId],
    tangents: &[Option<ValueId>],
) -> Option<ValueId> {
    let of_y = tangents[1].map(|y_dot| r.strong_mul(y_dot, outputs[0]));
    let numerator = difference(r, tangents[0], of_y);
    numerator.map(|n| r.strong_div(n, inputs[1]))
}

/// The type of a reduction over `axes`, which disappear.
pub(super) fn reduced(inputs: &[Type], axes: &[usize]) -> Result<Type, Mismatch> {
    arrays_only(inputs, 1)?;
    let x = &inputs[0];
    check_axes("axes", axes, x)?;
    let kept = other_axes(x.shape.rank(), axes, &[]);
    Ok(x.with_shape(kept.iter().map(|&axis| x.shape[axis]).collect::<Shape>()))
}

/// [`reduced`] for numbers: no truth values.
pub(super) fn reduced_number(inputs: &[Type], axes: &[usize]) -> Result<Type, Mismatch> {
    let out = reduced(inputs, axes)?;
    if out.dtype == DType::Bool {
        return Err(Mismatch::new(format!("found {}, expected numbers", inputs[0]))
            .help("convert truth values first: `.convert(DType::F64)`")
            .guess(&out));
    }
    Ok(out)
}

/// The values one step earlier along `axis`, `fill` before the first; one step later, with `fill` after the last, where
/// `reverse` is set.
pub(super) fn delayed(r: &mut Rule<'_>, v: ValueId, axis: usize, reverse: bool, fill: f64) -> ValueId {
    let ty = r.ty(v);
    if ty.shape[axis] == 0 {
        return v;
    }
    let (mut starts, mut limits, mut one) = (vec![0; ty.shape.rank()], ty.shape.to_vec(), ty.shape.to_vec());
    if reverse {
        starts[axis] = 1;
    } else {
        limits[axis] -= 1;
    }
    one[axis] = 1;
    let strides = vec![1; starts.len()];
    let rest = r.emit(super::slice::Slice { starts, limits, strides }, &[v]);
    let fill = r.full(&ty.with_shape(one), fill);
    r.emit(super::concat::Concat { axis }, &if reverse { [rest, fill] } else { [fill, rest] })
}

/// Results without derivative: one exact zero each.
pub(super) fn no_tangents(n: usize) -> Vec<Option<ValueId>> {
    vec![None; n]
}

/// The array type of this shape; refuses shapes that no memory holds, empty axes counted as one entry.
pub(super) fn array_type(dtype: DType, shape: impl Into<Shape>) -> Result<Type, Mismatch> {
    let shape = shape.into();
    let most = isize::MAX as usize / 8;
    match shape.iter().try_fold(1_usize, |n, &len| n.checked_mul(len.max(1)).filter(|&n| n <= most)) {
        Some(_) => Ok(Type::array(dtype, shape)),
        None => Err(Mismatch::new(format!("found shape {shape}, expected at most {most} entries"))
            .help("no memory holds this many; look for a length that is a difference below 0")),
    }
}

/// Refuses axes that are repeated or outside an array of this type.
pub(super) fn check_axes(what: &str, axes: &[usize], ty: &Type) -> Result<(), Mismatch> {
    let rank = ty.shape.rank();
    for (i, &axis) in axes.iter().enumerate() {
        if axis >= rank {
            return Err(Mismatch::new(format!(
                "{what}: found axis {axis}, expected one of the {rank} axes of {ty}"
            ))
            .help("axes count from 0"));
        }
        if axes[..i].contains(&axis) {
            return Err(Mismatch::new(format!("{what}: found axis {axis} twice, expected every axis once"))
                .help("name each axis once"));
        }
    }
    Ok(())
}

/// The axes `0..rank` that are in neither list, ascending.
pub(super) fn other_axes(rank: usize, a: &[usize], b: &[usize]) -> Vec<usize> {
    (0..rank).filter(|axis| !a.contains(axis) && !b.contains(axis)).collect()
}

/// Axes moved up by one, for a new leading axis.
pub(super) fn shifted(axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|axis| axis + 1).collect()
}

/// `first`, then the others.
pub(super) fn prepended(first: usize, others: &[usize]) -> Vec<usize> {
    std::iter::once(first).chain(others.iter().copied()).collect()
}

/// The value with one of its axes moved to the front.
pub(super) fn to_front(r: &mut Rule<'_>, v: ValueId, axis: usize) -> ValueId {
    if axis == 0 {
        return v;
    }
    let rank = r.ty(v).shape.rank();
    r.transpose(v, &prepended(axis, &other_axes(rank, &[axis], &[])))
}

/// The difference of two tangents, either of which may be zero.
pub(super) fn difference(r: &mut Rule<'_>, a: Option<ValueId>, b: Option<ValueId>) -> Option<ValueId> {
    match (a, b) {
        (Some(a), Some(b)) => Some(r.sub(a, b)),
        (None, Some(b)) => Some(r.neg(b)),
        (a, None) => a,
    }
}

/// A function of one float, entry by entry: its name, its operation on arrays, the tangent of the result from operand, result
/// and the tangent of the operand, and the range that the harness draws operands from. Slopes are infinite or NaN somewhere,
/// if only where the operand is, so the tangent is multiplied and divided as strong: see Note [strong zero] in `strong_mul`.
macro_rules! float_function {
    ($(#[$doc:meta])* $name:ident = $text:literal, $function:expr,
     |$r:ident, $x:ident, $y:ident, $x_dot:ident| $tangent:expr, $low:literal .. $high:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub struct $name;

        impl $crate::prim::Rules for $name {
            const NAME: &'static str = $text;
            fn parse(_: &mut $crate::prim::Args) -> Result<Self, String> {
                Ok($name)
            }
            fn infer(&self, inputs: &[$crate::ir::Type]) -> Result<Vec<$crate::ir::Type>, $crate::ir::Mismatch> {
                $crate::prim::structure::entrywise_float::<1>(inputs)
            }
            fn eval(
                &self, _: &mut dyn $crate::prim::Evaluate, inputs: Vec<$crate::prim::Value>,
            ) -> Result<Vec<$crate::prim::Value>, $crate::prim::EvalError> {
                $crate::prim::value::one(retrograde_array::ops::function($function, inputs[0].array()))
            }
            fn linearize(
                &self, $r: &mut $crate::prim::Rule<'_>, inputs: &[$crate::ir::ValueId], outputs: &[$crate::ir::ValueId],
                tangents: &[Option<$crate::ir::ValueId>],
            ) -> Vec<Option<$crate::ir::ValueId>> {
                let ($x, $y) = (inputs[0], outputs[0]);
                let _ = ($x, $y);
                vec![tangents[0].map(|$x_dot| $tangent)]
            }
            fn batch(
                &self, r: &mut $crate::prim::Rule<'_>, inputs: &[$crate::ir::ValueId], batched: &[bool], n: usize,
            ) -> (Vec<$crate::ir::ValueId>, Vec<bool>) {
                r.batch_entrywise($name, inputs, batched, n)
            }
            fn rows() -> Vec<$crate::prim::Row> {
                use retrograde_array::DType::{F32, F64};
                let row = |dtype| {
                    $crate::prim::Row::new($name, &[$crate::ir::Type::array(dtype, [3])]).range($low, $high)
                };
                vec![row(F64), row(F32).order(1)]
            }
        }
    };
}
pub(super) use float_function;
