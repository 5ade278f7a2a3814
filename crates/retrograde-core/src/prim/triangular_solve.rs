//! X of A X = B, or of Aᵀ X = B, for a triangular A.   a: [.., n, n], b: [.., n, m], one dtype → x: the type of b.
//!
//! `lower` says which triangle of a is A (the other is not read), `transposed` which system, `unit` that the diagonal
//! counts as ones. Derivative Ẋ = A⁻¹ (Ḃ - Ȧ X); reverse keeps a and, for the derivative in a, X. Linear in b.
//! Errors: none. A zero on the diagonal gives infinities or NaN. Cost: n² m flops, as much again for the derivative in b.
//! Source: Giles 2008, An extended collection of matrix derivative results, §2.2.

use super::matrix::{dot, part, system, t};
use super::structure::difference;
use super::{Args, EvalError, Evaluate, Operand, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Field, Fields, Mismatch, Type, ValueId};
use retrograde_array::DType;
use retrograde_array::ops::Part;
use retrograde_array::ops::linalg::{self, Triangular};

/// The solution of a triangular system.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TriangularSolve {
    /// Which system.
    pub which: Triangular,
}

impl TriangularSolve {
    /// L X = B
    pub(super) fn lower() -> Self {
        TriangularSolve { which: Triangular { lower: true, transposed: false, unit: false } }
    }
    /// Uᵀ X = B
    pub(super) fn upper_transposed() -> Self {
        TriangularSolve { which: Triangular { lower: false, transposed: true, unit: false } }
    }
    /// The entries of a that are read and may vary.
    fn part(&self) -> Part {
        match (self.which.lower, self.which.unit) {
            (true, false) => Part::Lower,
            (true, true) => Part::StrictLower,
            (false, false) => Part::Upper,
            (false, true) => Part::StrictUpper,
        }
    }
}

impl Rules for TriangularSolve {
    const NAME: &'static str = "triangular_solve";
    fn fields(&self) -> Fields<Prim> {
        let Triangular { lower, transposed, unit } = self.which;
        vec![("lower", Field::Bool(lower)), ("transposed", Field::Bool(transposed)), ("unit", Field::Bool(unit))]
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        let (lower, transposed, unit) = (args.bool("lower")?, args.bool("transposed")?, args.bool("unit")?);
        Ok(TriangularSolve { which: Triangular { lower, transposed, unit } })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        system(inputs)
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(linalg::triangular_solve(inputs[0].array(), inputs[1].array(), self.which)?)
    }
    fn linearize(&self, r: &mut Rule<'_>, inputs: &[ValueId], outputs: &[ValueId], tangents: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let of_a = tangents[0].map(|a_dot| {
            let a_dot = part(r, a_dot, self.part());
            let a_dot = if self.which.transposed { t(r, a_dot) } else { a_dot };
            dot(r, a_dot, outputs[0])
        });
        let right = difference(r, tangents[1], of_a);
        vec![right.map(|right| r.emit(self.clone(), &[inputs[0], right]))]
    }
    fn linear_in(&self, linear: &[bool]) -> bool {
        !linear[0]
    }
    fn transpose(&self, r: &mut Rule<'_>, inputs: &[Operand], cts: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        let which = Triangular { transposed: !self.which.transposed, ..self.which };
        let b_bar = cts[0].map(|x_bar| r.emit(TriangularSolve { which }, &[inputs[0].known(), x_bar]));
        vec![None, b_bar]
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], batched: &[bool], n: usize) -> (Vec<ValueId>, Vec<bool>) {
        r.batch_entrywise(self.clone(), inputs, batched, n)
    }
    fn rows() -> Vec<Row> {
        let row = |which: usize, lanes: &[usize]| {
            let which = Triangular { lower: which & 1 != 0, transposed: which & 2 != 0, unit: which & 4 != 0 };
            let [a, b] = [[3, 3], [3, 2]].map(|sides| Type::array(DType::F64, [lanes, &sides].concat()));
            Row::new(TriangularSolve { which }, &[a, b]).range(-1.0, 1.0).diagonal(2.0)
        };
        (0..8).map(|which| row(which, &[])).chain([row(3, &[2])]).collect()
    }
}
