//! The reduced singular value decomposition, A = U diag(s) Vᵀ.   a: [.., m, n] → u: [.., m, k], s: [.., k], descending
//! and ≥ 0, v: [.., n, k], k = min(m, n); the columns of U and V are orthonormal.
//!
//! Of each column of U the first entry within a thousandth of the largest magnitude is positive; V follows. Derivative, with
//! P = Uᵀ Ȧ V, S = diag s and F_ij = 1/(s_j² - s_i²) off the diagonal: ṡ = diag P, U̇ = U (F ∘ (P S + S Pᵀ)) + (I - U Uᵀ) Ȧ V S⁻¹,
//! V̇ = V (F ∘ (S P + Pᵀ S)) + (I - V Vᵀ) Ȧᵀ U S⁻¹. Reverse keeps U, s and V.
//! Errors: none; NaN or infinities in A give NaN. Where singular values are equal, or zero with m ≠ n, singular vectors
//! have no derivative and what comes out is not finite. The singular values' own first derivative stays right for functions
//! that treat equal values alike; at zero it is one of the slopes of a kink, as for |x|. What is not used, or not taken by a
//! `select`, contributes a true zero (Note [strong zero]).
//! Cost: about 20 m n k flops, derivative about as much. Source: Townsend 2016, Differentiating the singular value decomposition.

use super::eigh::reciprocal_off_diagonal;
use super::matrix::{diagonal, dot, matrices, over_columns, over_rows, t, with_sides};
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::linalg;

/// The reduced singular value decomposition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Svd;

/// (I - U Uᵀ) X
fn outside(r: &mut Rule<'_>, u: ValueId, x: ValueId) -> ValueId {
    let u_t = t(r, u);
    let coordinates = dot(r, u_t, x);
    let inside = dot(r, u, coordinates);
    r.sub(x, inside)
}

/// The tangent of singular vectors u: turned among themselves, and out of their space by b_dot · others / s where it is
/// smaller than the whole.
fn turned(r: &mut Rule<'_>, u: ValueId, turn: ValueId, b_dot: ValueId, others: ValueId, s: ValueId) -> ValueId {
    let u_dot = dot(r, u, turn);
    let [.., m, k] = r.ty(u).shape[..] else { return u_dot };
    if m == k {
        return u_dot;
    }
    let moved = dot(r, b_dot, others);
    let s = over_columns(r, s, m);
    let moved = r.strong_div(moved, s);
    let moved = outside(r, u, moved);
    r.add(u_dot, moved)
}

impl Rules for Svd {
    const NAME: &'static str = "svd";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Svd)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        let [m, n] = matrices(inputs)?;
        let k = m.min(n);
        Ok([&[m, k][..], &[k], &[n, k]].map(|sides| with_sides(&inputs[0], sides)).into())
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Ok(linalg::svd(inputs[0].array())?.map(Value::Array).into())
    }
    fn linearize(&self, r: &mut Rule<'_>, _: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let (&[u, s, v], Some(a_dot)) = (outputs, tangents[0]) else { return vec![None; 3] };
        let shape = r.ty(s).shape;
        let k = shape[shape.rank() - 1];
        let (u_t, a_dot_t) = (t(r, u), t(r, a_dot));
        let half = dot(r, u_t, a_dot);
        let p = dot(r, half, v);
        let p_t = t(r, p);
        let s_dot = diagonal(r, p);
        let (columns, rows) = (over_columns(r, s, k), over_rows(r, s, k));
        let (gap, sum) = (r.sub(columns, rows), r.add(columns, rows));
        let gaps = r.mul(gap, sum);
        let f = reciprocal_off_diagonal(r, gaps);
        let turn = |r: &mut Rule<'_>, on_columns: ValueId, on_rows: ValueId| {
            let (left, right) = (r.mul(on_columns, columns), r.mul(on_rows, rows));
            let both = r.add(left, right);
            r.strong_mul(both, f)
        };
        let of_u = turn(r, p, p_t);
        let of_v = turn(r, p_t, p);
        let u_dot = turned(r, u, of_u, a_dot, v, s);
        let v_dot = turned(r, v, of_v, a_dot_t, u, s);
        vec![Some(u_dot), Some(s_dot), Some(v_dot)]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (r.b.emit(Svd.into(), inputs), vec![true; 3])
    }
    fn rows() -> Vec<Row> {
        let row = |shape: &[usize]| Row::new(Svd, &[Type::array(DType::F64, shape)]).range(-1.0, 1.0).diagonal(5.0);
        vec![row(&[3, 3]), row(&[3, 2]), row(&[2, 3]), row(&[2, 2, 2]), row(&[0, 3])]
    }
}
