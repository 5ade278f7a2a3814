//! The reduced QR decomposition, A = Q R.   a: [.., m, n] → q: [.., m, k], r: [.., k, n], k = min(m, n).
//!
//! Q has orthonormal columns; R is upper triangular with a diagonal ≥ 0, which makes both unique where the first k columns
//! of A are independent. Derivative, with A₁ and R₁ those columns, X = Ȧ₁ R₁⁻¹, C = Qᵀ X and Ω the antisymmetric matrix
//! with the strict lower triangle of C: Q̇ = X - Q (C - Ω), Ṙ = Qᵀ (Ȧ - Q̇ R). Reverse keeps Q and R.
//! Errors: none. Where the first k columns are dependent, no derivative exists and what comes out is not finite (or, where
//! rounding hides it, very large); values stand. NaN or infinities in A give NaN.
//! Cost: about 4 m n k flops, derivative two to three times as much. Source: Walter & Lehmann 2010, Algorithmic
//! differentiation of linear algebra functions, §3.1; wide matrices by their first columns.

use super::matrix::{dot, first_columns, matrices, part, t, with_sides};
use super::triangular_solve::TriangularSolve;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{Part, linalg};

/// The reduced QR decomposition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Qr;

impl Rules for Qr {
    const NAME: &'static str = "qr";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Qr)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let [m, n] = matrices(inputs)?;
        let k = m.min(n);
        Ok(vec![with_sides(&inputs[0], &[m, k]), with_sides(&inputs[0], &[k, n])])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Ok(linalg::qr(inputs[0].array())?.map(Value::Array).into())
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (&[q, upper], Some(a_dot)) = (outputs, tangents[0]) else { return vec![None, None] };
        let k = r.ty(q).shape[r.ty(q).shape.rank() - 1];
        let (a1_dot, r1) = (first_columns(r, a_dot, k), first_columns(r, upper, k));
        let a1_dot = t(r, a1_dot);
        let x = r.emit(TriangularSolve::upper_transposed(), &[r1, a1_dot]);
        let x = t(r, x);
        let q_t = t(r, q);
        let c = dot(r, q_t, x);
        let below = part(r, c, Part::StrictLower);
        let above = t(r, below);
        let omega = r.sub(below, above);
        let triangular = r.sub(c, omega);
        let back = dot(r, q, triangular);
        let q_dot = r.sub(x, back);
        let turned = dot(r, q_dot, upper);
        let rest = r.sub(a_dot, turned);
        let r_dot = dot(r, q_t, rest);
        // Zero below the diagonal but for rounding.
        let r_dot = part(r, r_dot, Part::Upper);
        vec![Some(q_dot), Some(r_dot)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (r.b.emit(Qr.into(), inputs), vec![true; 2])
    }
    fn rows() -> Vec<Row> {
        let row = |shape: &[usize]| Row::new(Qr, &[Type::array(DType::F64, shape)]).range(-1.0, 1.0).diagonal(2.0);
        vec![row(&[3, 3]), row(&[4, 2]), row(&[2, 3]), row(&[2, 2, 2]), row(&[3, 0])]
    }
}
