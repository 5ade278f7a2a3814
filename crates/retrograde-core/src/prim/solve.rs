//! X of A X = B, or of Aᵀ X = B.   a: [.., n, n], b: [.., n, m], one dtype → x: the type of b.
//!
//! By LU with partial pivoting. Derivative Ẋ = A⁻¹ (Ḃ - Ȧ X); reverse keeps a and, for the derivative in a, X, and
//! factors again: keeping the factors would hold as many bytes as a once more. Linear in b.
//! Errors: none. A singular A gives infinities, NaN or, where rounding hides it, very large numbers; ask `svd` where that
//! matters. Cost: 2n³/3 + 2n² m flops, as much again for the derivative. Source: Giles 2008, An extended collection of
//! matrix derivative results, §2.2.

use super::matrix::{dot, system, t};
use super::structure::difference;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::linalg;

/// The solution of a linear system.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Solve {
    /// The system of the transposed matrix.
    pub transposed: bool,
}

impl Rules for Solve {
    const NAME: &'static str = "solve";
    fn fields(&self) -> Fields<Prim> {
        vec![("transposed", Field::Bool(self.transposed))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(Solve { transposed: args.bool("transposed")? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        system(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(linalg::solve(inputs[0].array(), inputs[1].array(), self.transposed)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let of_a = tangents[0].map(|a_dot| {
            let a_dot = if self.transposed { t(r, a_dot) } else { a_dot };
            dot(r, a_dot, outputs[0])
        });
        let right = difference(r, tangents[1], of_a);
        vec![right.map(|right| r.emit(self.clone(), &[inputs[0], right]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        !linear[0]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let back = Solve { transposed: !self.transposed };
        vec![None, cts[0].map(|x_bar| r.emit(back, &[inputs[0].known(), x_bar]))]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |transposed, lanes: &[usize]| {
            let [a, b] = [[3, 3], [3, 2]].map(|sides| Type::array(DType::F64, [lanes, &sides].concat()));
            Row::new(Solve { transposed }, &[a, b]).range(-1.0, 1.0).diagonal(2.0)
        };
        vec![row(false, &[]), row(true, &[]), row(false, &[2])]
    }
}
