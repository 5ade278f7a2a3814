//! The lower Cholesky factor, A = L Lᵀ.   a: [.., n, n], lower triangles of symmetric matrices → l: the same type.
//!
//! Only the lower triangle of A counts, so the gradient is zero above the diagonal: where a symmetric one is wanted, pass
//! (A + Aᵀ)/2. Derivative L̇ = L Φ(L⁻¹ Ȧ L⁻ᵀ), where Φ takes the lower triangle with half the diagonal; reverse keeps L.
//! Errors: none that depend on data. A matrix that is not positive definite gives NaN in L and its derivatives, as `sqrt`
//! and `log` do outside their domain: other lanes of a batch, and the side of a `select` that is not taken, do not suffer.
//! Source: Murray 2016, Differentiation of the Cholesky decomposition, eq. 8. Cost: n³/3 flops, derivative about 4n³.

use super::matrix::{dot, part, square_matrices, symmetric, t};
use super::triangular_solve::TriangularSolve;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value, value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::{Part, linalg};

/// The lower Cholesky factor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cholesky;

impl Rules for Cholesky {
    const NAME: &'static str = "cholesky";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Cholesky)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        square_matrices(inputs)?;
        Ok(inputs.to_vec())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(linalg::cholesky(inputs[0].array())?)
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (l, Some(a_dot)) = (outputs[0], tangents[0]) else { return vec![None] };
        let forward = TriangularSolve::lower();
        let a_dot = symmetric(r, a_dot);
        let left = r.emit(forward.clone(), &[l, a_dot]);
        let left = t(r, left);
        let inner = r.emit(forward, &[l, left]);
        let (lower, below) = (part(r, inner, Part::Lower), part(r, inner, Part::StrictLower));
        let twice = r.add(lower, below);
        let ty = r.ty(twice);
        let half = r.full(&ty, 0.5);
        let phi = r.mul(twice, half);
        vec![Some(dot(r, l, phi))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(Cholesky, inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let row = |shape: &[usize]| Row::new(Cholesky, &[Type::array(DType::F64, shape)]).range(-1.0, 1.0).diagonal(4.0);
        vec![row(&[3, 3]), row(&[2, 2, 2]), row(&[1, 1]), row(&[0, 0])]
    }
}
