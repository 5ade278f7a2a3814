//! Which operations are done in one pass: those whose result only the next one takes.
//!
//! A pass over a tile in the first cache reads its operands and writes its result, which takes longer than a sum or a product. Where the
//! result of one has a single use, in another, both are one pass.

use super::build::{Builder, Source, Value};
use super::{Arithmetic, Op, Pair};
use crate::DType;
use crate::ops::Binary;

/// Rewrites the values: pairs, and without those that went into them.
pub(super) fn paired(builder: &mut Builder) {
    let mut uses = vec![0_u32; builder.values.len()];
    builder.outputs.iter().for_each(|v| uses[v.0] += 2);
    builder.values.iter_mut().for_each(|value| value.source.operands(|v| uses[v.0] += 1));
    let mut is_gone = vec![false; builder.values.len()];
    for index in 0..builder.values.len() {
        let is_float = matches!(builder.values[index].dtype, DType::F64 | DType::F32);
        let Source::Op { op, operands } = &builder.values[index].source else { continue };
        let (Some(second), true, &[left, right]) = (arithmetic(*op), is_float, &operands[..]) else {
            continue;
        };
        let first_of = |v: Value| match &builder.values[v.0].source {
            Source::Op { op, operands } if uses[v.0] == 1 => arithmetic(*op).zip(operands.get(..2)),
            _ => None,
        };
        let (gone, other, turned) = match (first_of(left), first_of(right)) {
            (Some(_), _) => (left, right, false),
            (None, Some(_)) => (right, left, true),
            (None, None) => continue,
        };
        let Some((first, &[a, b])) = first_of(gone) else { continue };
        is_gone[gone.0] = true;
        builder.values[index].source =
            Source::Op { op: Op::Pair(Pair { first, second, turned }), operands: vec![a, b, other] };
    }
    without(builder, &is_gone);
}

fn arithmetic(op: Op) -> Option<Arithmetic> {
    match op {
        Op::Binary(Binary::Add) => Some(Arithmetic::Add),
        Op::Binary(Binary::Sub) => Some(Arithmetic::Sub),
        Op::Binary(Binary::Mul) => Some(Arithmetic::Mul),
        Op::StrongMul => Some(Arithmetic::StrongMul),
        _ => None,
    }
}

/// Takes values out that nothing uses any more, and numbers the others anew.
fn without(builder: &mut Builder, is_gone: &[bool]) {
    let mut left = 0;
    let numbers: Vec<Value> = is_gone
        .iter()
        .map(|&is_gone| {
            left += usize::from(!is_gone);
            Value(left.wrapping_sub(1))
        })
        .collect();
    let mut at = 0;
    builder.values.retain(|_| {
        at += 1;
        !is_gone[at - 1]
    });
    builder.values.iter_mut().for_each(|value| value.source.operands(|v| *v = numbers[v.0]));
    builder.outputs.iter_mut().for_each(|v| *v = numbers[v.0]);
}
