//! Shared rules of the primitives on matrices: the last two axes are a matrix, leading axes are lanes.

use super::structure::arrays_only;
use super::{Rule, dot_general::DotGeneral, triangle::Triangle};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::ops::{DotDims, Part};
use retrograde_array::{DType, Shape};

/// The sides of an operand `[.., m, n]` of floating-point numbers.
pub(super) fn matrices(inputs: &[Type]) -> Result<[usize; 2], Mismatch> {
    arrays_only(inputs, 1)?;
    let x = &inputs[0];
    if !x.dtype.is_float() {
        return Err(Mismatch::new(format!("found {x}, expected floating-point numbers"))
            .help("convert first: `.convert(DType::F64)`")
            .guess(&x.with_dtype(DType::F64)));
    }
    match x.shape[..] {
        [.., m, n] => Ok([m, n]),
        _ => Err(Mismatch::new(format!("found {x}, expected a matrix, or several along leading axes"))
            .help("`.reshape([n, 1])` makes a vector of n entries one column")),
    }
}

/// The side of an operand `[.., n, n]` of floating-point numbers.
pub(super) fn square_matrices(inputs: &[Type]) -> Result<usize, Mismatch> {
    match matrices(inputs)? {
        [m, n] if m == n => Ok(n),
        [m, n] => Err(Mismatch::new(format!(
            "found {}, a matrix of {m} rows and {n} columns, expected a square one",
            inputs[0]
        ))
        .help("`qr` and `svd` take matrices of any sides; `a.t().dot(a)` is square")
        .guess(&inputs[0])),
    }
}

/// Operands a: `[.., n, n]` and b: `[.., n, m]` with the same leading axes; the result has the type of b.
pub(super) fn system(inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
    arrays_only(inputs, 2)?;
    let (a, b) = (&inputs[0], &inputs[1]);
    let n = square_matrices(&inputs[..1]).map_err(|e| e.guess(b))?;
    let [rows, columns] = matrices(&inputs[1..])?;
    if a.dtype != b.dtype {
        return Err(Mismatch::new(format!("dtypes differ, matrix {a} and right side {b}"))
            .help(format!("convert one side: `.convert(DType::{:?})`", a.dtype))
            .guess(b));
    }
    let expected = with_sides(a, &[n, columns]);
    if rows != n || expected != *b {
        return Err(Mismatch::new(format!(
            "right side: found {b}, expected {expected}, to fit the matrix {a}"
        ))
        .help("each column is one right side; repeat the matrix along leading axes with `spread`")
        .guess(b));
    }
    Ok(vec![b.clone()])
}

/// The type with other axes in place of the last two.
pub(super) fn with_sides(ty: &Type, sides: &[usize]) -> Type {
    ty.with_shape([lanes(ty), sides].concat())
}

fn lanes(ty: &Type) -> &[usize] {
    &ty.shape[..ty.shape.rank() - 2]
}

/// Each matrix transposed.
pub(super) fn t(r: &mut Rule<'_>, x: ValueId) -> ValueId {
    let rank = r.ty(x).shape.rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    r.transpose(x, &perm)
}

/// The product of each pair of matrices.
pub(super) fn dot(r: &mut Rule<'_>, x: ValueId, y: ValueId) -> ValueId {
    let rank = r.ty(x).shape.rank();
    let shared: Vec<usize> = (0..rank - 2).collect();
    let dims = DotDims {
        lhs_contract: vec![rank - 1],
        rhs_contract: vec![rank - 2],
        lhs_batch: shared.clone(),
        rhs_batch: shared,
    };
    r.emit(DotGeneral { dims }, &[x, y])
}

/// A part of each matrix, zeros elsewhere.
pub(super) fn part(r: &mut Rule<'_>, x: ValueId, part: Part) -> ValueId {
    r.emit(Triangle { part }, &[x])
}

/// The symmetric matrices of which x holds the lower triangles.
pub(super) fn symmetric(r: &mut Rule<'_>, x: ValueId) -> ValueId {
    let (lower, below) = (part(r, x, Part::Lower), part(r, x, Part::StrictLower));
    let above = t(r, below);
    r.add(lower, above)
}

/// The diagonals.
pub(super) fn diagonal(r: &mut Rule<'_>, x: ValueId) -> ValueId {
    let rank = r.ty(x).shape.rank();
    let x = part(r, x, Part::Diagonal);
    r.sum(x, &[rank - 1])
}

/// Each matrix without its diagonal.
pub(super) fn off_diagonal(r: &mut Rule<'_>, x: ValueId) -> ValueId {
    let (below, above) = (part(r, x, Part::StrictLower), part(r, x, Part::StrictUpper));
    r.add(below, above)
}

/// w: `[.., n]` as `[.., m, n]`: entry j all over column j.
pub(super) fn over_columns(r: &mut Rule<'_>, w: ValueId, m: usize) -> ValueId {
    let shape = r.ty(w).shape;
    let (lanes, n) = (&shape[..shape.rank() - 1], shape[shape.rank() - 1]);
    let axes: Vec<usize> = (0..lanes.len()).chain([lanes.len() + 1]).collect();
    r.broadcast(w, &Shape::from([lanes, &[m, n]].concat()), &axes)
}

/// w: `[.., m]` as `[.., m, n]`: entry i all over row i.
pub(super) fn over_rows(r: &mut Rule<'_>, w: ValueId, n: usize) -> ValueId {
    let shape = r.ty(w).shape;
    let axes: Vec<usize> = (0..shape.rank()).collect();
    r.broadcast(w, &Shape::from([&shape[..], &[n]].concat()), &axes)
}

/// 1 on the diagonals of matrices of this type, 0 elsewhere.
pub(super) fn identity(r: &mut Rule<'_>, ty: &Type) -> ValueId {
    let ones = r.full(ty, 1.0);
    part(r, ones, Part::Diagonal)
}

/// Columns `0..n` of each matrix.
pub(super) fn first_columns(r: &mut Rule<'_>, x: ValueId, n: usize) -> ValueId {
    let mut limits = r.ty(x).shape.to_vec();
    let rank = limits.len();
    limits[rank - 1] = n;
    r.emit(super::slice::Slice { starts: vec![0; rank], limits, strides: vec![1; rank] }, &[x])
}

/// The trace of each matrix.
pub(super) fn trace(r: &mut Rule<'_>, x: ValueId) -> ValueId {
    let rank = r.ty(x).shape.rank();
    let diagonal = diagonal(r, x);
    r.sum(diagonal, &[rank - 2])
}
