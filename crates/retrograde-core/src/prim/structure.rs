//! Shared shape rules: operands of one shape and dtype, with messages that name both.

use super::Rule;
use crate::ir::{Kind, Mismatch, Type, ValueId};

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
            return Err(Mismatch::new(format!("shapes differ, left {first} and right {other}")).help(help).guess(guess));
        }
        if first.dtype != other.dtype {
            return Err(Mismatch::new(format!("dtypes differ, left {first} and right {other}"))
                .help(format!("convert one side: `.convert(DType::{:?})`", first.dtype))
                .guess(first));
        }
    }
    Ok(vec![inputs[0].clone()])
}

/// [`entrywise`] for numbers: no truth values.
pub(super) fn entrywise_number<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    let out = entrywise::<N>(inputs)?;
    if out[0].dtype == retrograde_array::DType::Bool {
        return Err(Mismatch::new(format!("found {}, expected numbers", out[0]))
            .help("convert truth values first: `.convert(DType::F64)`")
            .guess(&out[0]));
    }
    Ok(out)
}

/// [`entrywise`] for floating-point numbers.
pub(super) fn entrywise_float<const N: usize>(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    let out = entrywise::<N>(inputs)?;
    if !out[0].dtype.is_float() {
        return Err(Mismatch::new(format!("found {}, expected floating-point numbers", out[0]))
            .help("convert first: `.convert(DType::F64)`")
            .guess(&out[0].with_dtype(retrograde_array::DType::F64)));
    }
    Ok(out)
}

/// The tangent times a coefficient, which is only written where the tangent is not zero.
pub(super) fn tangent_times(
    r: &mut Rule<'_>, tangent: Option<ValueId>, coefficient: impl FnOnce(&mut Rule<'_>) -> ValueId,
) -> Vec<Option<ValueId>> {
    vec![tangent.map(|t| {
        let c = coefficient(r);
        r.mul(t, c)
    })]
}

/// Results without derivative: one exact zero each.
pub(super) fn no_tangents(n: usize) -> Vec<Option<ValueId>> {
    vec![None; n]
}
