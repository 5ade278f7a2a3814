//! Sign and logarithm of the determinant.   a: [.., n, n] → sign: [..], -1, 0 or 1; log: [..], log |det A|.
//!
//! By LU with partial pivoting. Derivative of log: trace(A⁻¹ Ȧ), so that its gradient is A⁻ᵀ; the sign has none. Reverse
//! keeps a. Errors: none. A singular A gives 0 and -∞, and a derivative that is not finite; 0 × 0 gives 1 and 0.
//! Cost: 2n³/3 flops, derivative 8n³/3. Source: Giles 2008, An extended collection of matrix derivative results, §2.2.4.

use super::matrix::{square_matrices, trace};
use super::solve::Solve;
use super::{Args, EvalError, Evaluate, Row, Rule, Rules, Value};
use crate::ir::{Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::linalg;

/// Sign and logarithm of the determinant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Logdet;

impl Rules for Logdet {
    const NAME: &'static str = "logdet";
    fn parse(_: &mut Args) -> Result<Self, String> {
        Ok(Logdet)
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        square_matrices(inputs)?;
        let lanes = super::matrix::with_sides(&inputs[0], &[]);
        Ok(vec![lanes.clone(), lanes])
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Ok(linalg::logdet(inputs[0].array())?.map(Value::Array).into())
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let log_dot = tangents[0].map(|a_dot| {
            let ratio = r.emit(Solve { transposed: false }, &[inputs[0], a_dot]);
            trace(r, ratio)
        });
        vec![None, log_dot]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (r.b.emit(Logdet.into(), inputs), vec![true; 2])
    }
    fn rows() -> Vec<Row> {
        let row = |shape: &[usize]| Row::new(Logdet, &[Type::array(DType::F64, shape)]).range(-1.0, 1.0).diagonal(2.0);
        vec![row(&[3, 3]), row(&[2, 2, 2]), row(&[0, 0])]
    }
}
