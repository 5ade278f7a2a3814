//! Eigenvalues and eigenvectors of symmetric matrices, A = V diag(w) Vᵀ.   a: [.., n, n], lower triangles → w: [.., n],
//! ascending; v: [.., n, n], orthonormal columns.
//!
//! Only the lower triangle of A counts, so the gradient is zero above the diagonal: where a symmetric one is wanted, pass
//! (A + Aᵀ)/2. Of each eigenvector the first entry within a thousandth of the largest magnitude is positive.
//! Derivative, with S = Vᵀ Ȧ V: ẇ = diag S, V̇ = V (S ∘ F), F_ij = 1/(w_j - w_i) off the diagonal and 0 on it. Reverse keeps
//! w and V.
//! Errors: none; NaN or infinities in A give NaN. Where eigenvalues are equal, their eigenvectors have no derivative and
//! what comes out is not finite. The eigenvalues' own first derivative stays right there for functions that treat equal
//! eigenvalues alike, such as a sum; second derivatives go through V̇ and are not finite. What is not used, or not taken by a
//! `select`, contributes a true zero (Note [strong zero]).
//! Cost: about 9n³ flops, derivative 8n³. Source: Magnus 1985, On differentiating eigenvalues and eigenvectors; Giles
//! 2008, §3.1.

use super::matrix::{diagonal, dot, identity, off_diagonal, over_columns, over_rows, square_matrices, symmetric, t, with_sides};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::linalg;

/// Eigenvalues and eigenvectors of symmetric matrices.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Eigh;

impl Rules for Eigh {
    const NAME: &'static str = "eigh";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Eigh)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let n = square_matrices(inputs)?;
        Ok(vec![with_sides(&inputs[0], &[n]), inputs[0].clone()])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Ok(linalg::eigh(inputs[0].array())?.map(Value::Array).into())
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (&[w, v], Some(a_dot)) = (outputs, tangents[0]) else { return vec![None, None] };
        let ty = r.ty(v);
        let n = ty.shape[ty.shape.rank() - 1];
        let a_dot = symmetric(r, a_dot);
        let v_t = t(r, v);
        let half = dot(r, v_t, a_dot);
        let s = dot(r, half, v);
        let w_dot = diagonal(r, s);
        let (columns, rows) = (over_columns(r, w, n), over_rows(r, w, n));
        let gaps = r.sub(columns, rows);
        let f = reciprocal_off_diagonal(r, gaps);
        let turn = r.strong_mul(s, f);
        vec![Some(w_dot), Some(dot(r, v, turn))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (r.b.emit(Eigh.into(), inputs), vec![true; 2])
    }
    fn rows() -> Vec<Row> {
        let row = |shape: &[usize]| Row::new(Eigh, &[Type::array(DType::F64, shape)]).range(-1.0, 1.0).diagonal(5.0);
        vec![row(&[3, 3]), row(&[2, 2, 2]), row(&[0, 0])]
    }
}

/// 1/x off the diagonal and 0 on it, where x is zero.
pub(super) fn reciprocal_off_diagonal(r: &mut Rule<'_>, x: ValueId) -> ValueId {
    let ty = r.ty(x);
    let identity = identity(r, &ty);
    let x = r.add(x, identity);
    let ones = r.full(&ty, 1.0);
    let inverse = r.div(ones, x);
    off_diagonal(r, inverse)
}
